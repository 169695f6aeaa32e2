# SPDX-License-Identifier: Apache-2.0
"""The mapper is opened beside the data path, with its series and its duty."""

from tests.rig import hub_over
from tests.unit.app.kit import hubs
from tests.unit.wire.kit import play, until
from toono.restmapper.metrics import MapperSeries


def test_a_hub_follows_what_its_cluster_serves(tmp_path) -> None:
    async def scenario() -> None:
        async with hubs(tmp_path) as (cloud, hub):
            await until(lambda: b"/apis" in cloud.asked)
            assert MapperSeries in [type(one) for one in hub.board.series]
            assert "discovering" in dict(hub.board.duties)

    play(scenario)


def test_the_mapper_hears_that_the_link_is_back(tmp_path) -> None:
    async def scenario() -> None:
        async with hub_over([("127.0.0.1", 9)], tmp_path) as hub:
            await until(lambda: hub.discovering.mapper)
            before = hub.discovering.statistics().signals
            hub._mode_changed(False)
            assert hub.discovering.statistics().signals == before
            hub._mode_changed(True)
            assert hub.discovering.statistics().signals == before + 1

    play(scenario)


def test_the_files_are_not_waited_for(tmp_path, monkeypatch) -> None:
    """A hub serves while they are read, and what is asked of them waits."""

    async def scenario() -> None:
        async with hub_over([("127.0.0.1", 9)], tmp_path) as hub:
            assert hub.addresses
            assert hub.discovering.mapper is None

    play(scenario)
