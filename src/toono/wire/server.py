# SPDX-License-Identifier: Apache-2.0
"""The HTTP/1.1 server: connections to `Request`s, `Response`s to bytes, in order.

One task a connection answers its requests one after the other, so that pipelined
answers can come in no other order. What a peer may take in time and room is bounded
for every state that its connection can be in.
"""

import asyncio
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from toono.runtime.clock import Clock
from toono.runtime.descriptors import Descriptors, count_descriptors
from toono.runtime.tasks import cancel_and_wait, spawn
from toono.wire.accepting import BACKLOG, BURST, Address, Arrival, Listener, bind
from toono.wire.connection import Connection
from toono.wire.messages import Headers, Request, Response
from toono.wire.pages import is_loopback
from toono.wire.short import KnownHeads

log = logging.getLogger(__name__)

Handler = Callable[[Request], Awaitable[Response]]
Refuse = Callable[[int, str], tuple[Headers, bytes]]
UserOf = Callable[[Address, Address], str]
"""(client's end, server's end) → which user of this machine has the client's, "" for
the node's own, and where that cannot be told. Asked for each such connection."""
LOCAL = "local "
SWEEP_SECONDS = 1.0
DESCRIPTORS_SHARE = 0.9
"""Of all that this process may hold: the rest is for files and the cloud."""
FEWEST = 16
"""Connections, whatever else holds the descriptors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """What one server's peers may take; the defaults are the overload table's."""

    connections: int = 2000
    connections_per_source: int = 64
    """A source is an address; on this machine, where addresses are free, a user."""
    connections_loopback: int = 512
    """Of this machine's users, the node's own."""
    head_seconds: float = 10.0
    """From a head's first byte to its last."""
    body_seconds: float = 60.0
    body_rate: int = 1024
    """Bytes a second that a body must bring, over `body_seconds`."""
    idle_seconds: float = 90.0
    write_seconds: float = 60.0
    """That a client may read nothing of what waits for it."""
    gone_seconds: float = 10.0
    """That nothing was sent to a client which has ended, before it is taken for gone."""
    linger_seconds: float = 5.0
    """For a client that still sends to read why it need not."""
    tls_end_seconds: float = 1.0
    """For a client's own end of TLS: one that holds a connection idle reads no ours."""
    unread_bytes: int = 16 * 1024 * 1024


class Server:
    """Serves one handler on any number of listeners."""

    def __init__(
        self,
        handler: Handler,
        *,
        refuse: Refuse,
        clock: Clock,
        settings: ServerSettings | None = None,
        user_of: UserOf = lambda _, __: "",
        descriptors: Callable[[], Descriptors | None] = count_descriptors,
    ) -> None:
        self.handler = handler
        self.refuse = refuse
        self.clock = clock
        self.settings = settings or ServerSettings()
        self._user_of = user_of
        self._descriptors = descriptors
        self._most = self.settings.connections
        self.arrivals: dict[int, Arrival] = {}
        """Connections whose handshake is not done; they count like the others."""
        self.connections: dict[int, Connection] = {}
        self.known_heads = KnownHeads()
        self.draining = False
        self._sources: Counter[str] = Counter()
        self._listeners: list[asyncio.Server | Listener] = []
        self._numbers = 0
        self._sweeper: asyncio.Task[None] | None = None
        self.refused_connections = 0

    async def start(
        self, host: str, port: int, *, tls: ssl.SSLContext | None = None
    ) -> tuple[str, int]:
        """Listen; return the address bound. OSError where that cannot be."""
        bound: tuple[str, int]
        if tls is None:
            plain = await asyncio.get_running_loop().create_server(
                lambda: Connection(self), host, port, backlog=BACKLOG
            )
            self._listeners.append(plain)
            bound = plain.sockets[0].getsockname()[:2]
        else:
            arrived = partial(self._arrived, tls=tls)
            opened = [Listener(raw, arrived) for raw in await bind(host, port)]
            self._listeners += opened
            bound = opened[0].address
        if self._sweeper is None:
            self._look_at_descriptors()
            self._sweeper = spawn(self._sweep_often(), name="server-sweep")
        return bound

    async def drain(self, seconds: float) -> None:
        """Take no new connection; let what is in flight be answered, for a while."""
        self.draining = True
        self._stop_listening()
        for arrival in list(self.arrivals.values()):
            arrival.abort()
        for connection in list(self.connections.values()):
            connection.end_when_idle()
        until = self.clock.monotonic() + seconds
        while self.connections and self.clock.monotonic() < until:
            await self.clock.sleep(0.02)
        await self.aclose()

    async def aclose(self) -> None:
        """Close everything now."""
        self._stop_listening()
        if self._sweeper is not None:
            await cancel_and_wait(self._sweeper)
            self._sweeper = None
        tasks = [one.abort() for one in self._standing()]
        await cancel_and_wait(*[task for task in tasks if task is not None])

    def _standing(self) -> list[Arrival | Connection]:
        return [*self.arrivals.values(), *self.connections.values()]

    def _stop_listening(self) -> None:
        for listener in self._listeners:
            listener.close()
        self._listeners = []

    # -- the connections' side ------------------------------------------------

    def source_of(self, remote: Address, local: Address) -> str:
        """Return whom a connection between these ends counts for.

        Any program here may call from any of 127.0.0.0/8, so that its address says
        nothing; nor does the machine's own, which all in the host's network have.
        """
        if remote[0] != local[0] and not is_loopback(remote[0]):
            return remote[0]
        return LOCAL + self._user_of(remote, local)

    def _arrived(
        self, raw: socket.socket, remote: Address, *, tls: ssl.SSLContext
    ) -> bool:
        """Let a connection in, or close it, before it has said anything.

        One that made another go is the last of its turn: the other's descriptor
        comes back only in the next.
        """
        has_room = self._has_room()
        source = self.source_of(remote, raw.getsockname()[:2])
        arrival = Arrival(self, raw, source=source, tls=tls)
        number = self.admit(arrival, source)
        if number is None:
            raw.close()
        else:
            arrival.begin(number)
        return has_room

    def admit(self, newcomer: Arrival | Connection, source: str) -> int | None:
        """Count a new connection in and number it; None where there is no room."""
        if self.draining:
            return None
        limits = self.settings
        own = source == LOCAL
        most = limits.connections_loopback if own else limits.connections_per_source
        has_all = self._sources[source] >= most
        if has_all or not (self._has_room() or self._close_idlest()):
            self.refused_connections += 1
            return None
        self._numbers += 1
        self._sources[source] += 1
        if isinstance(newcomer, Arrival):
            self.arrivals[self._numbers] = newcomer
        else:
            self.connections[self._numbers] = newcomer
        return self._numbers

    def seat(
        self, connection: Connection, transport: asyncio.BaseTransport
    ) -> int | None:
        """Return the number of one that can talk now; None where it has no place."""
        arrival = connection.arrival
        if arrival is None:
            remote: Address = (transport.get_extra_info("peername") or ("", 0))[:2]
            local: Address = (transport.get_extra_info("sockname") or ("", 0))[:2]
            connection.source = self.source_of(remote, local)
            return self.admit(connection, connection.source)
        if self.arrivals.pop(arrival.number, None) is None:
            return None  # its place was taken back meanwhile
        arrival.is_seated = True
        connection.source = arrival.source
        self.connections[arrival.number] = connection
        return arrival.number

    def forget(self, number: int, source: str) -> None:
        """Count a connection out."""
        known = self.connections.pop(number, None) or self.arrivals.pop(number, None)
        if known is not None:
            self._sources[source] -= 1
            if self._sources[source] <= 0:
                del self._sources[source]

    def _has_room(self) -> bool:
        return len(self.connections) + len(self.arrivals) < self._most

    def _close_idlest(self) -> bool:
        """Make room for one; it is counted out at once, so that a burst finds none."""
        idle: list[tuple[int, Arrival | Connection]] = [*self.arrivals.items()]
        idle += [item for item in self.connections.items() if item[1].is_idle]
        if not idle:
            return False
        number, oldest = min(idle, key=lambda item: item[1].since)
        self.forget(number, oldest.source)
        oldest.abort()
        return True

    def _look_at_descriptors(self) -> None:
        """See how many connections the limit of open files has room for.

        What this process opens for itself must not fail for what others open.
        """
        found = self._descriptors()
        if found is None:
            return
        standing = len(self.connections) + len(self.arrivals)
        room = int(found.most * DESCRIPTORS_SHARE) - (found.used - standing)
        self._most = min(self.settings.connections, max(FEWEST, room))
        for _ in range(min(standing - self._most, BURST)):  # each looks at all
            self._close_idlest()

    @property
    def unread_bytes(self) -> int:
        """Bytes of heads and bodies that nobody has read yet."""
        return sum(one.unread for one in self.connections.values())

    async def _sweep_often(self) -> None:
        """One timer for all: deadlines are looked at once a second."""
        while True:
            await self.clock.sleep(SWEEP_SECONDS)
            now = self.clock.monotonic()
            for one in self._standing():
                one.sweep(now)
            self._shed()
            self._look_at_descriptors()
            for listener in self._listeners:
                if isinstance(listener, Listener):
                    listener.resume()

    def _shed(self) -> None:
        """Refuse who came last of those whose bytes wait, until there is room."""
        left = self.unread_bytes - self.settings.unread_bytes
        for number in sorted(self.connections, reverse=True):
            if left <= 0:
                return
            holder = self.connections[number]
            if holder.unread:
                left -= holder.unread
                holder.refuse(503, "too many bytes wait here")
