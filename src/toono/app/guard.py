# SPDX-License-Identifier: Apache-2.0
"""Opens what stands between a wrong list of pods and the kubelet."""

from toono.app.board import Board
from toono.app.settings import HubSettings
from toono.autonomy.cloud import Cloud
from toono.autonomy.guard import PodGuard
from toono.upstream.pool import Upstream


def open_guard(settings: HubSettings, board: Board, upstream: Upstream) -> PodGuard:
    """Return the guard; what it holds back is a note of readiness and a series."""
    guard = PodGuard(Cloud(upstream), settings.node_name)
    board.notes["pods"] = lambda: guard.problem
    board.gauges.extend(
        [
            (
                "toono_pod_losses_confirmed",
                "Lists without half of the node's pods that a second read confirmed.",
                lambda: float(guard.confirmed),
            ),
            (
                "toono_pod_losses_refused",
                "Lists without half of the node's pods that were held back.",
                lambda: float(guard.refused),
            ),
        ]
    )
    return guard
