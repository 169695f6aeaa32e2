# SPDX-License-Identifier: Apache-2.0
"""What the pod guard holds back is a note of readiness and a series."""

from tests.rig import hub_over
from tests.unit.wire.kit import play


def test_the_guard_is_open_and_shows_what_it_holds_back(tmp_path) -> None:
    async def scenario() -> None:
        async with hub_over([("127.0.0.1", 9)], tmp_path) as hub:
            guard = hub.chain.forward._guard
            assert guard is not None
            assert hub.board.notes["pods"]() == ""
            guard.problem, guard.refused, guard.confirmed = "held", 2, 3
            assert hub.board.notes["pods"]() == "held"
            gauges = {name: read for name, _, read in hub.board.gauges}
            assert gauges["toono_pod_losses_refused"]() == 2.0
            assert gauges["toono_pod_losses_confirmed"]() == 3.0

    play(scenario)
