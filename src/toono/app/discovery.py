# SPDX-License-Identifier: Apache-2.0
"""Opens the REST mapper: what the cluster serves, known while the link is down too."""

from contextlib import AsyncExitStack

from toono.app.board import Board
from toono.app.settings import HubSettings
from toono.pipeline.discovering import Discovering, settings_for
from toono.restmapper.metrics import MapperSeries
from toono.runtime.clock import Clock
from toono.upstream.pool import Upstream


async def open_discovery(
    settings: HubSettings,
    board: Board,
    upstream: Upstream,
    *,
    clock: Clock,
    stack: AsyncExitStack,
) -> Discovering:
    """Let a mapper follow the cluster from start to drain."""
    ca = None if settings.tls is None else settings.tls.ca
    kept = settings_for(settings.cache_path, ca)
    discovering = Discovering(upstream, kept, clock=clock)
    board.series.append(MapperSeries(discovering.statistics))
    board.duties.append(("discovering", discovering.run))
    board.mode.append(discovering.mode_changed)
    stack.push_async_callback(discovering.aclose)
    return discovering
