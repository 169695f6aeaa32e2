# SPDX-License-Identifier: Apache-2.0
"""Opens what gives up answers about things that the cloud no longer has."""

from toono.app.board import Board
from toono.app.settings import HubSettings
from toono.autonomy.cloud import Cloud
from toono.autonomy.sweep import Sweeper, SweepSettings
from toono.cache.scopes import Scopes
from toono.runtime.clock import Clock
from toono.upstream.pool import Upstream


def open_sweep(
    settings: HubSettings,
    board: Board,
    scopes: Scopes,
    upstream: Upstream,
    *,
    clock: Clock,
) -> Sweeper:
    """Begin to sweep every `gc_seconds`."""
    sweeper = Sweeper(
        Cloud(upstream),
        scopes,
        settings.node_name,
        clock=clock,
        settings=SweepSettings(every=settings.gc_seconds),
    )
    board.duties.append(("sweep", sweeper.run))
    board.gauges.extend(
        [
            (
                "toono_cache_swept",
                "Questions given up because the cloud no longer has what they ask for.",
                lambda: float(sweeper.removed),
            ),
            (
                "toono_cache_sweep_doubts",
                "Sweeps that ended because an answer could not be believed.",
                lambda: float(sweeper.doubts),
            ),
        ]
    )
    return sweeper
