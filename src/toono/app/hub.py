# SPDX-License-Identifier: Apache-2.0
"""A running hub: owns the order of start and drain.

Start: store, scopes, upstream, listeners, probes. The hub serves as soon as its
listeners are bound; it never waits for the cloud. Drain is the other way round.
"""

import asyncio
import logging
import ssl
from collections.abc import Hashable, Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Self

from toono.admin.handler import Admin
from toono.admin.metrics import Metrics
from toono.admin.yurthub import ListedInFlight, Traffic, YurtHubSeries
from toono.app.agents import Agents, open_agents
from toono.app.alone import open_alone
from toono.app.autonomy import open_autonomy
from toono.app.board import Board
from toono.app.certificates import open_certificates
from toono.app.discovery import open_discovery
from toono.app.drill import open_drill
from toono.app.dummy import keep_dummy
from toono.app.filters import open_filters
from toono.app.identities import ask_ahead, open_rights
from toono.app.listening import (
    Listening,
    PodsDoor,
    listen,
    listen_on_dummy,
    listen_to_node,
    server_of,
)
from toono.app.observing import Observing
from toono.app.prefetch import open_prefetch
from toono.app.ready import open_ready
from toono.app.relists import open_relists
from toono.app.settings import HubSettings
from toono.app.shared import open_shared
from toono.app.storage import Storage, open_storage
from toono.app.tree import open_tree
from toono.cache.answer import Answers
from toono.cache.watch import Newer
from toono.identity.sockets import Lookup, Sockets
from toono.pipeline.again import Shortcuts
from toono.pipeline.chain import Chain, refuse
from toono.pipeline.clients import ClientOf, Clients
from toono.pipeline.forward import Forward, Meter
from toono.pipeline.limits import InFlight
from toono.pipeline.local import Local
from toono.runtime.clock import Clock, SystemClock
from toono.runtime.lag import LagSampler
from toono.runtime.tasks import cancel_and_wait, spawn
from toono.upstream.pool import Credential, Upstream
from toono.wire.server import Server
from toono.wire.tls import ClientFiles, Contexts

if TYPE_CHECKING:
    from toono.app.pooling import Pooling

log = logging.getLogger(__name__)

DRAIN_SECONDS = 5.0
STREAM_SECONDS = 0.5
"""What an answer under way has before the streams beside it are ended."""


class Hub:
    """A running hub. `async with Hub(settings) as hub:` starts and drains it."""

    def __init__(
        self,
        settings: HubSettings,
        *,
        clock: Clock | None = None,
        owner: Lookup | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock or SystemClock()
        self._owner = owner or Sockets()
        self._stack = AsyncExitStack()
        self.board = Board()
        self.addresses: list[Listening] = []
        self.tls_addresses: list[Listening] = []
        self.status_address: Listening | None = None
        self.back = asyncio.Event()
        self.metrics = Metrics()
        self.pooling: Pooling | None = None
        self._newer = Newer()
        self._contexts: dict[bool, Contexts] = {}
        """Of connections to the cloud: the node's own, and those of anybody else."""

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _start(self) -> None:
        settings, clock = self._settings, self._clock
        board, stack = self.board, self._stack
        self._dummy = keep_dummy(settings, board, clock=clock, stack=stack)
        storage = await open_storage(settings, board, clock=clock, stack=self._stack)
        self.scopes, self.documents = storage.scopes, storage.documents
        if settings.keeps:
            open_tree(settings, board, storage, clock=clock, stack=self._stack)
        self.upstream = self._make_upstream()
        self._stack.push_async_callback(self.upstream.aclose)
        kept = await open_agents(settings, board, storage, self.upstream, clock=clock)
        self.recorder, self.agents = kept.recorder, kept.live
        self.rights = await open_rights(
            settings,
            storage.store,
            clock=clock,
            owner=self._owner,
            keeps=lambda call: self.recorder.policy.allows(call),
        )
        self.ahead = ask_ahead(self.rights, board, self.upstream, clock=clock)
        await self._open_pool(storage, kept)
        self.discovering = await open_discovery(
            settings, board, self.upstream, clock=clock, stack=self._stack
        )
        self.drill = open_drill(board, self.upstream, self.rights, clock=clock)
        observing = Observing(self.metrics, self.drill, kept, clock=clock)
        if self.pooling is not None:
            observing.heard.append(self.pooling.heard.note)
        self.chain = await self._make_chain(storage, kept, observing)
        answers = Answers(self.scopes, settings.node_name)
        ahead = open_prefetch(settings, board, self.chain, answers, clock=clock)
        open_ready(settings, board, self.chain, kept, ahead, clock=clock)
        self.server = server_of(settings, self.chain.serve, clock=clock)
        self._stack.push_async_callback(self._drain)
        self.addresses = await listen_to_node(self.server, settings)
        await self._open_to_pods()
        if settings.status_listen is not None:
            await self._start_admin(*settings.status_listen)
        self.upstream.start()
        duties = [spawn(duty(), name=name) for name, duty in board.duties]
        self._stack.push_async_callback(cancel_and_wait, *duties)
        log.info(
            "serving",
            extra={
                "addresses": [f"{host}:{port}" for host, port in self.addresses],
                "cache": str(storage.directory),
            },
        )

    async def _open_to_pods(self) -> None:
        """Listen to pods, now or once the certificate that is asked for is there."""
        settings, dummy = self._settings, self._dummy
        door = PodsDoor(self.server, settings, self.board, clock=self._clock)
        self.tls_addresses = door.bound
        await door.open()
        if dummy is not None:
            await listen_on_dummy(dummy, self.server, settings, self.addresses, door)
        if settings.certificates is not None:
            open_certificates(
                settings,
                settings.certificates,
                self.board,
                self.upstream,
                rights=self.rights,
                clock=self._clock,
                contexts=self._contexts.values(),
                serving_changed=door.certificate_changed,
                needed=lambda: dummy is None or not dummy.problem,
            )

    async def _open_pool(self, storage: Storage, agents: Agents) -> None:
        """Take part in a pool. Without one nothing of it is even imported."""
        if self._settings.pool is None:
            return
        from toono.app.pooling import open_pool

        self.pooling = await open_pool(
            self._settings,
            self._settings.pool,
            self.board,
            storage,
            agents,
            self.upstream,
            clock=self._clock,
            newer=self._newer.tell,
            stack=self._stack,
        )

    def _make_upstream(self) -> Upstream:
        settings, contexts, clock = self._settings, self._contexts, self._clock
        if settings.tls is not None:
            contexts[True] = Contexts(settings.tls, clock=clock)
            contexts[False] = Contexts(ClientFiles(ca=settings.tls.ca), clock=clock)

        def tls(credential: Hashable) -> ssl.SSLContext | None:
            if not contexts:
                return None
            node = isinstance(credential, Credential) and credential.is_node
            return contexts[node].current()

        return Upstream(
            settings.servers,
            tls=tls,
            clock=clock,
            mode=settings.lb_mode,
            settings=settings.health,
            changed=self._mode_changed,
        )

    async def _make_chain(
        self, storage: Storage, kept: Agents, observing: Observing
    ) -> Chain:
        settings, clock = self._settings, self._clock
        answers = Answers(self.scopes, settings.node_name, self.discovering.kind_of)
        client_of, meter = Clients(self.rights).of, None
        in_flight = InFlight(client_of=client_of)
        if settings.yurthub_metrics:
            in_flight, meter = self._show_yurthub_series(client_of)
        own = open_autonomy(
            settings, self.board, self.scopes, self.upstream, clock=clock
        )
        forward = Forward(
            self.upstream,
            self.recorder,
            self.documents,
            clock,
            meter=meter,
            guard=own.guard,
            hear=self.discovering.hear,
        )
        local = Local(
            answers,
            self.documents,
            self.upstream,
            in_flight,
            clock,
            self.back,
            discovered=self.discovering.document,
            newer=self._newer,
            least_watch=settings.least_watch,
            over=self.drill.over,
        )
        filters = await open_filters(
            settings,
            self.board,
            storage,
            kept,
            forward,
            local,
            online=lambda: self.upstream.online,
            clock=clock,
        )
        shortcuts = Shortcuts(
            upstream=self.upstream,
            recorder=self.recorder,
            barrier=forward.barrier,
            in_flight=in_flight,
            book=self.rights.book,
            filters=filters,
            drill=self.drill,
            clock=clock,
            counting=observing.counter,
        )
        return Chain(
            drill=self.drill,
            # YurtHub's series count the bytes of every answer: there is no short way.
            shortcuts=None if settings.yurthub_metrics else shortcuts,
            upstream=self.upstream,
            rights=self.rights,
            forward=forward,
            local=local,
            shared=open_shared(
                settings, self.board, storage, forward, local, clock=clock
            ),
            hear=self.ahead.hear,
            filters=filters,
            alone=await open_alone(
                settings,
                self.board,
                storage,
                self.upstream,
                rights=self.rights,
                answers=answers,
                local=local,
                clock=clock,
            ),
            in_flight=in_flight,
            relists=open_relists(self.board, client_of=client_of, clock=clock),
            observe=observing.note,
            clock=clock,
            node_name=settings.node_name,
            lease=own.lease,
            keeps=settings.keeps,
            unchanged=own.unchanged,
        )

    def _show_yurthub_series(self, client_of: ClientOf) -> tuple[InFlight, Meter]:
        """Declare YurtHub's series; return what counts for them."""
        in_flight, traffic = ListedInFlight(client_of=client_of), Traffic()

        def servers() -> list[tuple[str, bool, int]]:
            return [
                (one.origin.authority, one.health.healthy, one.origin.open)
                for one in self.upstream.servers
            ]

        series = YurtHubSeries(in_flight=in_flight, traffic=traffic, servers=servers)
        self.metrics.registry.register(series)
        return in_flight, traffic.meter

    async def _drain(self) -> None:
        """End held watches, let answers go out, then end the streams from upstream."""
        self.chain.local.end()
        self.drill.end()
        if self.chain.shared is not None:
            self.chain.shared.end()
        self.back.set()
        drained = spawn(self.server.drain(DRAIN_SECONDS), name="drain")
        await asyncio.wait((drained,), timeout=STREAM_SECONDS)
        await self.upstream.aclose()
        await drained

    async def _start_admin(self, host: str, port: int) -> None:
        lag = LagSampler(self._clock)
        self.board.duties.append(("loop-lag", lag.run))
        self._declare_own(lag)
        self.metrics.gauges(self.board.gauges)
        for series in self.board.series:
            self.metrics.registry.register(series)
        admin = Admin(
            checks=self.board.checks,
            status=self.status,
            metrics=self.metrics,
            notes=self.board.notes,
            pages=self.board.pages,
            actions=self.board.actions,
            tables=self.board.tables,
        )
        server = Server(admin.serve, refuse=refuse, clock=self._clock)
        self._stack.push_async_callback(server.drain, 0.0)
        self.status_address = await listen(server, host, port, "--serve-port")

    def _declare_own(self, lag: LagSampler) -> None:
        """Add what the root itself knows of the link and the requests under way."""
        in_flight = self.chain.in_flight
        self.board.checks["listeners"] = lambda: bool(self.addresses)
        self.board.gauges.extend(
            [
                (
                    "toono_offline",
                    "1 while no API server can be reached.",
                    lambda: float(not self.upstream.online),
                ),
                (
                    "toono_requests_in_flight",
                    "Requests under way, watches excluded.",
                    lambda: float(in_flight.reading + in_flight.writing),
                ),
                (
                    "toono_loop_lag_seconds",
                    "How late the event loop ran at most, in the last minute.",
                    lambda: lag.worst,
                ),
                ("toono_watches", "Watches open.", lambda: float(in_flight.watching)),
            ]
        )

    def status(self) -> Mapping[str, object]:
        """Return what the status page shows."""
        own = {
            "mode": "online" if self.upstream.online else "offline",
            "since": self.upstream.since,
            "servers": {
                one.origin.authority: "healthy" if one.health.healthy else "down"
                for one in self.upstream.servers
            },
            "node": self._settings.node_name,
        }
        return own | {name: fact() for name, fact in self.board.facts.items()}

    def _mode_changed(self, online: bool) -> None:
        if online:
            self.back.set()
        else:
            self.back.clear()
        for told in self.board.mode:
            told(online)
