# SPDX-License-Identifier: Apache-2.0
"""Opens the keeper of the node's Lease: its duty, its gate, what it shows."""

from toono.app.board import Board
from toono.app.settings import HubSettings
from toono.autonomy.cloud import Cloud
from toono.autonomy.renewal import LeaseKeeper
from toono.pipeline.lease import LeaseGate
from toono.runtime.clock import Clock
from toono.upstream.pool import Upstream


def open_lease(
    settings: HubSettings, board: Board, upstream: Upstream, *, clock: Clock
) -> LeaseGate:
    """Begin to look who renews; return what stands before the kubelet's renewals."""
    keeper = LeaseKeeper(
        Cloud(upstream),
        settings.lease_interception,
        node_name=settings.node_name,
        grace=settings.kubelet_grace,
        clock=clock,
    )
    duty = keeper.duty
    board.duties.append(("lease", keeper.run))
    board.facts["lease"] = lambda: f"{duty.state.value}: {duty.evidence}"
    board.gauges.extend(
        [
            (
                "toono_lease_renewing",
                "1 while the hub renews the node's Lease in the kubelet's place.",
                lambda: float(duty.renews),
            ),
            (
                "toono_lease_renewals",
                "Renewals of the node's Lease that the hub made.",
                lambda: float(keeper.renewals),
            ),
            (
                "toono_lease_conflicts",
                "Renewals of the hub's that met another's.",
                lambda: float(keeper.conflicts),
            ),
            (
                "toono_lease_foreign_renewals",
                "Renewals that came neither from the hub nor through it.",
                lambda: float(duty.foreign),
            ),
            (
                "toono_lease_failures",
                "Times that the Lease could be neither read nor renewed.",
                lambda: float(keeper.failures),
            ),
        ]
    )
    return LeaseGate(keeper, clock)
