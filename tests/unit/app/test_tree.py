# SPDX-License-Identifier: Apache-2.0
"""The copy in YurtHub's layout, as a hub keeps it."""

import json

from tests.rig import ask, body, get, hub_over, status_of
from tests.unit.app.kit import PODS, cut, hubs
from tests.unit.wire.kit import play

FOLDER = "kubelet/pods.v1.core/default"


def test_a_hub_that_ends_leaves_its_tree(tmp_path) -> None:
    async def scenario() -> None:
        async with hubs(tmp_path) as (_, hub):
            await ask(hub, get(PODS))
        names = [one.name for one in (tmp_path / FOLDER).iterdir()]
        assert names == ["a"]
        found = json.loads((tmp_path / FOLDER / "a").read_bytes())
        assert (found["kind"], found["apiVersion"]) == ("Pod", "v1")

    play(scenario)


def test_a_hub_that_lost_its_database_answers_from_its_tree(tmp_path) -> None:
    async def scenario() -> None:
        async with hubs(tmp_path) as (cloud, hub):
            await ask(hub, get(PODS))
            await cut(cloud, hub)
            before = json.loads(body(await ask(hub, get(PODS))))
        own = tmp_path / "_internal" / "toono"
        for file in own.glob("*.db*"):
            file.unlink()
        async with hub_over([("127.0.0.1", 9)], tmp_path) as hub:
            answer = await ask(hub, get(PODS))
            assert status_of(answer) == 200
            assert json.loads(body(answer))["items"] == before["items"]

    play(scenario)


def test_what_the_tree_cost_is_counted(tmp_path) -> None:
    async def scenario() -> None:
        async with hubs(tmp_path) as (_, hub):
            gauges = {name: value() for name, _, value in hub.board.gauges}
            assert gauges["toono_tree_files_written"] == 0
            assert gauges["toono_tree_left_out"] == gauges["toono_tree_failures"] == 0
        gauges = {name: value() for name, _, value in hub.board.gauges}
        assert gauges["toono_tree_files_written"] == 0

    play(scenario)
