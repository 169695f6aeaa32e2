# SPDX-License-Identifier: Apache-2.0
"""Composition root: builds every part and owns the order of start and drain.

Start: store, scopes, upstream, listeners, probes. The hub serves as soon as its
listeners are bound; it never waits for the cloud. Drain is the other way round.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable, Hashable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from toono.admin.handler import Admin
from toono.admin.metrics import Metrics
from toono.admin.yurthub import ListedInFlight, Traffic, YurtHubSeries
from toono.cache.answer import Answers
from toono.cache.asked import Asked
from toono.cache.documents import Documents
from toono.cache.guests import Guests
from toono.cache.policy import Policy
from toono.cache.record import Recorder
from toono.cache.scopes import Scopes
from toono.cache.tree import adopt_tree, read_tree
from toono.certs.serving import serving_context, warn_of_problems
from toono.config.agents_page import agents_gauges, agents_page
from toono.config.live import LiveAgents
from toono.errors import (
    OptionError,
    StoreInUseError,
    StoreUnavailableError,
)
from toono.identity.ahead import Ahead
from toono.identity.book import Book
from toono.identity.rights import Rights, RightsSettings
from toono.identity.sockets import Address, Owner, owner_of
from toono.kube.request import Call
from toono.pipeline.asking import asker
from toono.pipeline.chain import Chain, refuse
from toono.pipeline.forward import Forward, Meter
from toono.pipeline.limits import InFlight
from toono.pipeline.local import Local
from toono.runtime.clock import Clock, SystemClock
from toono.runtime.lag import LagSampler
from toono.runtime.tasks import cancel_and_wait, spawn
from toono.store.base import Store
from toono.store.memory import MemoryStore
from toono.store.sqlite import SQLiteStore, open_store
from toono.upstream.health import HealthSettings
from toono.upstream.pool import Credential, Upstream
from toono.wire.server import Server
from toono.wire.tls import ClientFiles, Contexts, ServerFiles

log = logging.getLogger(__name__)

DRAIN_SECONDS = 5.0
STREAM_SECONDS = 0.5
"""What an answer under way has before the streams beside it are ended."""
STORE_DIRECTORY = Path("_internal") / "toono"


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSettings:
    """What one hub needs to know, decided by whoever starts it."""

    servers: tuple[tuple[str, int], ...]
    tls: ClientFiles | None
    """None speaks plain HTTP to the servers: only tests on loopback do."""
    node_name: str
    cache_path: Path
    listen: tuple[tuple[str, int], ...] = (("127.0.0.1", 10261),)
    status_listen: tuple[str, int] | None = ("127.0.0.1", 10267)
    agents: tuple[str, ...] = ()
    namespace: str = "kube-system"
    """Where the hub's ConfigMaps are."""
    lb_mode: str = "rr"
    node_uids: frozenset[int] = frozenset({0})
    rights: RightsSettings = field(default_factory=RightsSettings)
    serving: ServerFiles | None = None
    """The certificate of the TLS listeners; None: there are none."""
    listen_tls: tuple[tuple[str, int], ...] = ()
    health: HealthSettings = field(default_factory=HealthSettings)
    yurthub_metrics: bool = False


class Hub:
    """A running hub. `async with Hub(settings) as hub:` starts and drains it."""

    def __init__(
        self,
        settings: HubSettings,
        *,
        clock: Clock | None = None,
        owner: Callable[[Address, Address], Owner] = owner_of,
    ) -> None:
        self._settings = settings
        self._clock = clock or SystemClock()
        self._owner = owner
        self._stack = AsyncExitStack()
        self.addresses: list[tuple[str, int]] = []
        self.tls_addresses: list[tuple[str, int]] = []
        self.status_address: tuple[str, int] | None = None
        self.back = asyncio.Event()
        self.metrics = Metrics()
        self._lag = LagSampler(self._clock)
        self._store_state: Callable[[], str] = lambda: "closed"

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
        directory = settings.cache_path / STORE_DIRECTORY
        store = await self._open_store(directory)
        self._stack.push_async_callback(store.aclose)
        self.scopes = Scopes(store, clock=clock)
        if isinstance(store, SQLiteStore):
            store.lost = self.scopes.write_anew
        await self.scopes.open()
        if isinstance(store, SQLiteStore) and store.opened.damaged:
            self.scopes.doubt()
        await self._import_tree()
        self.documents = Documents(store, clock=clock)
        await self.documents.open()
        self._stack.push_async_callback(self.scopes.aclose)
        self.upstream = self._make_upstream()
        self._stack.push_async_callback(self.upstream.aclose)
        await self._open_agents(store)
        await self._open_rights(store)
        self.chain = self._make_chain()
        self.server = Server(self.chain.serve, refuse=refuse, clock=clock)
        self._stack.push_async_callback(self._drain)
        for host, port in settings.listen:
            self.addresses.append(
                await _listen(self.server, host, port, "--proxy-port")
            )
        if settings.serving is not None:
            await self._listen_to_pods(settings.serving)
        if settings.status_listen is not None:
            await self._start_admin(*settings.status_listen)
        self.upstream.start()
        self._start_duties()
        log.info(
            "serving",
            extra={
                "addresses": [f"{host}:{port}" for host, port in self.addresses],
                "cache": str(directory),
            },
        )

    async def _listen_to_pods(self, files: ServerFiles) -> None:
        """Listen with TLS; what pods would find wrong with it is said first."""
        tls = serving_context(files, clock=self._clock)
        for host, port in self._settings.listen_tls:
            warn_of_problems(files, address=host, now=self._clock.wall())
            bound = await _listen(
                self.server, host, port, "--proxy-secure-port", tls=tls
            )
            self.tls_addresses.append(bound)

    async def _open_store(self, directory: Path) -> Store:
        """Open the cache's store; a disk that cannot be used is no reason to stop."""
        try:
            store = await open_store(directory, clock=self._clock)
        except StoreInUseError:
            raise
        except StoreUnavailableError as exc:
            log.warning(
                "nothing will be remembered over a restart: check --disk-cache-path",
                extra={"err": str(exc)},
            )
            self._store_state = lambda: "memory-only"
            return MemoryStore()
        if store.opened.rebuilt:
            log.warning(
                "the cache's database could not be read: it is set aside, a new one"
                " begins",
                extra={"directory": str(directory)},
            )
        self._store_state = lambda: store.state
        return store

    async def _import_tree(self) -> None:
        """Read in a cache that YurtHub wrote, where nothing of ours is there yet."""
        if any(True for _ in self.scopes.all()):
            return
        path = self._settings.cache_path
        objects = adopt_tree(self.scopes, await asyncio.to_thread(read_tree, path))
        if objects:
            log.info("read in a cache of YurtHub", extra={"objects": objects})

    async def _open_rights(self, store: Store) -> None:
        """Read what is known of identities; begin to ask ahead for them."""
        settings = self._settings
        self.rights = Rights(
            Book(store),
            clock=self._clock,
            settings=replace(
                settings.rights,
                node_name=settings.node_name,
                node_uids=settings.node_uids,
            ),
            owner=self._owner,
            keeps=Policy.of(*settings.agents).allows,
        )
        await self.rights.book.open()
        self.ahead = Ahead(self.rights, asker(self.upstream), clock=self._clock)
        asking = spawn(self.ahead.run(), name="ask-ahead")
        self._stack.push_async_callback(cancel_and_wait, asking)

    def _make_upstream(self) -> Upstream:
        settings = self._settings
        contexts: dict[bool, Contexts] = {}
        if settings.tls is not None:
            anonymous = ClientFiles(ca=settings.tls.ca)
            contexts[True] = Contexts(settings.tls, clock=self._clock)
            contexts[False] = Contexts(anonymous, clock=self._clock)

        def tls(credential: Hashable) -> ssl.SSLContext | None:
            if not contexts:
                return None
            node = isinstance(credential, Credential) and credential.is_node
            return contexts[node].current()

        return Upstream(
            settings.servers,
            tls=tls,
            clock=self._clock,
            mode=settings.lb_mode,
            settings=settings.health,
            changed=self._mode_changed,
        )

    async def _open_agents(self, store: Store) -> None:
        self.asked = Asked()
        self.recorder = Recorder(self.scopes, Policy.of(*self._settings.agents))
        self.guests = Guests(self.scopes, self.recorder.policy)
        self.scopes.has_room = self.guests.has_room
        self.agents = LiveAgents(
            store,
            self.scopes,
            fixed=self._settings.agents,
            changed=self._agents_changed,
        )
        await self.agents.open()

    def _agents_changed(self, policy: Policy) -> None:
        self.recorder.policy = self.guests.policy = policy

    def _start_duties(self) -> None:
        """Begin what the hub does without being asked."""
        followers = self.agents.followers(
            self.upstream, namespace=self._settings.namespace, clock=self._clock
        )
        tasks = [spawn(one.run(), name="follow-agents") for one in followers]
        tasks.append(spawn(self.guests.run(self._clock), name="guests"))
        self._stack.push_async_callback(cancel_and_wait, *tasks)

    def _make_chain(self) -> Chain:
        settings, clock = self._settings, self._clock
        answers = Answers(self.scopes, settings.node_name)
        in_flight = InFlight()
        meter = None
        if settings.yurthub_metrics:
            in_flight, meter = self._show_yurthub_series()
        return Chain(
            upstream=self.upstream,
            rights=self.rights,
            forward=Forward(
                self.upstream, self.recorder, self.documents, clock, meter=meter
            ),
            local=Local(
                answers, self.documents, self.upstream, in_flight, clock, self.back
            ),
            in_flight=in_flight,
            observe=self._observe,
            clock=clock,
            node_name=settings.node_name,
        )

    def _show_yurthub_series(self) -> tuple[InFlight, Meter]:
        """Declare YurtHub's series; return what counts for them."""
        in_flight, traffic = ListedInFlight(), Traffic()

        def servers() -> list[tuple[str, bool, int]]:
            return [
                (one.origin.authority, one.health.healthy, one.origin.open)
                for one in self.upstream.servers
            ]

        self.metrics.registry.register(
            YurtHubSeries(in_flight=in_flight, traffic=traffic, servers=servers)
        )
        return in_flight, traffic.meter

    async def _drain(self) -> None:
        """End held watches, let answers go out, then end the streams from upstream."""
        self.chain.local.end()
        self.back.set()
        drained = spawn(self.server.drain(DRAIN_SECONDS), name="drain")
        await asyncio.wait((drained,), timeout=STREAM_SECONDS)
        await self.upstream.aclose()
        await drained

    async def _start_admin(self, host: str, port: int) -> None:
        sampling = spawn(self._lag.run(), name="loop-lag")
        self._stack.push_async_callback(cancel_and_wait, sampling)
        self._declare_gauges()
        admin = Admin(
            checks={
                "listeners": lambda: bool(self.addresses),
                "cache": lambda: True,
            },
            status=self.status,
            metrics=self.metrics,
            notes={"cache-agents": lambda: self.agents.problem},
            pages={"/v1/agents": self._agents_page},
        )
        server = Server(admin.serve, refuse=refuse, clock=self._clock)
        self._stack.push_async_callback(server.drain, 0.0)
        self.status_address = await _listen(server, host, port, "--serve-port")

    def _agents_page(self) -> Mapping[str, object]:
        return agents_page(self.agents, self.asked, self.guests)

    def _declare_gauges(self) -> None:
        in_flight = self.chain.in_flight
        self.metrics.gauges(agents_gauges(self.agents, self.guests))
        self.metrics.gauges(
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
                    lambda: self._lag.worst,
                ),
                ("toono_watches", "Watches open.", lambda: float(in_flight.watching)),
                (
                    "toono_cache_size_bytes",
                    "Bytes of the objects remembered.",
                    lambda: float(self.scopes.size_bytes),
                ),
                (
                    "toono_cache_objects",
                    "Objects remembered, by scope.",
                    lambda: float(sum(len(one.rows) for one in self.scopes.all())),
                ),
                (
                    "toono_cache_dropped_changes",
                    "Changes that the disk did not take in time.",
                    lambda: float(self.scopes.counters.dropped_changes),
                ),
                (
                    "toono_cache_damaged_rows",
                    "Rows found damaged or lost.",
                    lambda: float(self.scopes.counters.damaged_rows),
                ),
                (
                    "toono_cache_epochs",
                    "Times that the cloud was found restored from a backup.",
                    lambda: float(self.scopes.counters.epochs),
                ),
            ]
        )

    def status(self) -> Mapping[str, object]:
        """Return what the status page shows."""
        return {
            "mode": "online" if self.upstream.online else "offline",
            "since": self.upstream.since,
            "servers": {
                one.origin.authority: "healthy" if one.health.healthy else "down"
                for one in self.upstream.servers
            },
            "node": self._settings.node_name,
            "scopes": sum(1 for _ in self.scopes.all()),
            "store": self._store_state(),
        }

    def _observe(
        self, call: Call | None, route: str, code: int, seconds: float
    ) -> None:
        verb = call.verb if call else "unknown"
        resource = call.resource if call else ""
        component = call.component if call else ""
        self.metrics.observe((verb, resource, component, route, code), seconds)
        if call is not None and route == "forward":
            self.asked.note(call, self.recorder.policy, now=self._clock.wall())

    def _mode_changed(self, online: bool) -> None:
        if online:
            self.back.set()
        else:
            self.back.clear()
            self.scopes.flush()


async def _listen(
    server: Server,
    host: str,
    port: int,
    option: str,
    *,
    tls: ssl.SSLContext | None = None,
) -> tuple[str, int]:
    try:
        return await server.start(host, port, tls=tls)
    except OSError as exc:
        raise OptionError(
            option,
            f"{host}:{port} cannot be listened on: {exc.strerror or exc}",
            "stop what uses it, or choose another port",
        ) from exc
