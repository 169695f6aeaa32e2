# SPDX-License-Identifier: Apache-2.0
"""Opens what a node does for itself, or nothing of it on a node beside its cloud."""

from collections.abc import Callable
from typing import NamedTuple

from toono.app.board import Board
from toono.app.guard import open_guard
from toono.app.lease import open_lease
from toono.app.node import open_node
from toono.app.settings import HubSettings
from toono.app.sweep import open_sweep
from toono.autonomy.guard import PodGuard
from toono.cache.scopes import Scopes
from toono.kube.request import Call
from toono.pipeline.lease import LeaseGate
from toono.runtime.clock import Clock
from toono.upstream.pool import Upstream


class Autonomy(NamedTuple):
    """What requests meet of it."""

    guard: PodGuard | None
    lease: LeaseGate | None
    unchanged: Callable[[Call], bool]
    """A call asks for the node's own Node, as it is kept."""


def open_autonomy(
    settings: HubSettings,
    board: Board,
    scopes: Scopes,
    upstream: Upstream,
    *,
    clock: Clock,
) -> Autonomy:
    """Begin to keep the Lease, the Node, and what is remembered of both in order."""
    if not settings.keeps:
        return Autonomy(None, None, lambda _: False)
    guard = open_guard(settings, board, upstream)
    lease = open_lease(settings, board, upstream, clock=clock)
    open_sweep(settings, board, scopes, upstream, clock=clock)
    unchanged = open_node(
        settings, board, scopes, upstream, clock=clock, marked=lease.recognised
    )
    return Autonomy(guard, lease, unchanged)
