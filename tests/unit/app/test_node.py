# SPDX-License-Identifier: Apache-2.0
"""The Node is followed, and what it says is shown. `tests/scenario/test_own_node.py`
plays what follows for the kubelet."""

from tests.rig import hub_over
from tests.unit.autonomy.lease_world import CALLER
from tests.unit.wire.kit import play
from toono.kube.request import parse

NODE = b"/api/v1/nodes/edge-1?resourceVersion=0"


def test_a_node_that_is_not_followed_is_never_said_to_be_unchanged(tmp_path) -> None:
    async def scenario() -> None:
        async with hub_over([("127.0.0.1", 9)], tmp_path) as hub:
            assert {"follow-node", "node"} <= {name for name, _ in hub.board.duties}
            keeper = dict(hub.board.duties)["node"].__self__
            assert hub.board.facts["autonomy"]() == "unknown"
            keeper.take({"edge-1": b'{"metadata":{"name":"a","resourceVersion":"7"}}'})
            call = parse("GET", NODE, {b"user-agent": b"kubelet"}, CALLER)
            assert not hub.chain.unchanged(call)
            gauges = {name: read for name, _, read in hub.board.gauges}
            assert gauges["toono_autonomy"]() == 0.0
            assert keeper._fault() == ""

    play(scenario)


def test_a_cache_in_memory_only_is_a_fault(tmp_path) -> None:
    async def scenario() -> None:
        path = tmp_path / "file"
        path.write_text("no directory")
        async with hub_over([("127.0.0.1", 9)], path) as hub:
            keeper = dict(hub.board.duties)["node"].__self__
            assert keeper._fault() == "the cache is memory-only"

    play(scenario)
