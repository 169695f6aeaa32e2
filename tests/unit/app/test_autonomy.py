# SPDX-License-Identifier: Apache-2.0
"""What a node does for itself, and what a node beside its cloud leaves out."""

import asyncio
from pathlib import Path

from tests.rig import hub_over
from toono.pipeline.lease import LeaseGate

DUTIES = {"lease", "sweep", "follow-node", "node"}


def test_an_edge_keeps_itself_and_a_node_beside_its_cloud_does_not(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        for keeps in (True, False):
            directory = tmp_path / str(keeps)
            async with hub_over([("127.0.0.1", 9)], directory, keeps=keeps) as hub:
                names = {name for name, _ in hub.board.duties}
                assert names & DUTIES == (DUTIES if keeps else set())
                assert isinstance(hub.chain.lease, LeaseGate) is keeps
                assert ("pods" in hub.board.notes) is keeps
                assert ("cache" in hub.board.facts) is not keeps

    asyncio.run(story())
