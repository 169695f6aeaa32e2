# SPDX-License-Identifier: Apache-2.0
"""What the filters put on the board."""

import asyncio
from pathlib import Path

from tests.rig import hub_over
from toono.filters.base import Door
from toono.filters.inputs import Surroundings


def test_the_filters_show_themselves_and_follow_when_asked(tmp_path: Path) -> None:
    async def story() -> None:
        settings = {
            "surroundings": Surroundings(door=Door("169.254.2.1", 10268)),
            "filters_off": frozenset({"inclusterconfig"}),
        }
        async with hub_over([("127.0.0.1", 9)], tmp_path, **settings) as hub:
            gauges = {name: read for name, _, read in hub.board.gauges}
            assert gauges["toono_filtered_watches"]() == 0.0
            assert gauges["toono_filtered_watches_ended"]() == 0.0
            assert hub.board.notes["filters"]() == ""
            assert [name for name, _ in hub.board.duties].count("filter-inputs") == 3
            assert hub.chain.filters.approval.off == {"inclusterconfig"}
            assert hub.agents.listeners

    asyncio.run(story())
