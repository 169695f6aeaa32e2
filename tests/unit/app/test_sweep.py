# SPDX-License-Identifier: Apache-2.0
"""Sweeps are a duty of the hub, as often as the options say."""

import pytest

from tests.rig import hub_over
from tests.unit.wire.kit import play


@pytest.mark.parametrize("seconds", [0.0, 600.0])
def test_the_sweeper_has_the_options_interval(seconds, tmp_path) -> None:
    async def scenario() -> None:
        nobody = [("127.0.0.1", 9)]
        async with hub_over(nobody, tmp_path, gc_seconds=seconds) as hub:
            duties = dict(hub.board.duties)
            sweeper = duties["sweep"].__self__
            assert sweeper._settings.every == seconds
            gauges = {name: read for name, _, read in hub.board.gauges}
            sweeper.removed, sweeper.doubts = 4, 1
            assert gauges["toono_cache_swept"]() == 4.0
            assert gauges["toono_cache_sweep_doubts"]() == 1.0

    play(scenario)
