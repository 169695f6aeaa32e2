# SPDX-License-Identifier: Apache-2.0
"""The HTTP/1.1 server: connections to `Request`s, `Response`s to bytes, in order.

One task a connection answers its requests one after the other, so that pipelined
answers can come in no other order. What a peer may take in time and room is bounded
for every state that its connection can be in.
"""

import asyncio
import logging
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from toono.runtime.clock import Clock
from toono.runtime.tasks import cancel_and_wait, spawn
from toono.wire.connection import Connection
from toono.wire.messages import Headers, Request, Response
from toono.wire.pages import is_loopback
from toono.wire.short import KnownHeads

log = logging.getLogger(__name__)

Handler = Callable[[Request], Awaitable[Response]]
Refuse = Callable[[int, str], tuple[Headers, bytes]]
Address = tuple[str, int]
UserOf = Callable[[Address, Address], str]
"""(client's end, server's end) → which user of this machine has the client's, "" for
the node's own, and where that cannot be told. Asked for each such connection."""
LOCAL = "local "
SWEEP_SECONDS = 1.0


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
    ) -> None:
        self.handler = handler
        self.refuse = refuse
        self.clock = clock
        self.settings = settings or ServerSettings()
        self._user_of = user_of
        self.connections: dict[int, Connection] = {}
        self.known_heads = KnownHeads()
        self.draining = False
        self._sources: Counter[str] = Counter()
        self._listeners: list[asyncio.Server] = []
        self._numbers = 0
        self._sweeper: asyncio.Task[None] | None = None
        self.refused_connections = 0

    async def start(
        self, host: str, port: int, *, tls: ssl.SSLContext | None = None
    ) -> tuple[str, int]:
        """Listen; return the address bound. OSError where that cannot be."""
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(
            lambda: Connection(self, tls=tls is not None),
            host,
            port,
            ssl=tls,
            ssl_handshake_timeout=self.settings.head_seconds if tls else None,
            ssl_shutdown_timeout=self.settings.tls_end_seconds if tls else None,
            backlog=512,
        )
        self._listeners.append(listener)
        if self._sweeper is None:
            self._sweeper = spawn(self._sweep_often(), name="server-sweep")
        bound = listener.sockets[0].getsockname()
        return bound[0], bound[1]

    async def drain(self, seconds: float) -> None:
        """Take no new connection; let what is in flight be answered, for a while."""
        self.draining = True
        for listener in self._listeners:
            listener.close()
        for connection in list(self.connections.values()):
            connection.end_when_idle()
        until = self.clock.monotonic() + seconds
        while self.connections and self.clock.monotonic() < until:
            await self.clock.sleep(0.02)
        await self.aclose()

    async def aclose(self) -> None:
        """Close everything now."""
        for listener in self._listeners:
            listener.close()
        self._listeners = []
        if self._sweeper is not None:
            await cancel_and_wait(self._sweeper)
            self._sweeper = None
        tasks = [connection.abort() for connection in self.connections.values()]
        await cancel_and_wait(*[task for task in tasks if task is not None])

    # -- the connections' side ------------------------------------------------

    def source_of(self, transport: asyncio.BaseTransport) -> str:
        """Return whom a connection counts for.

        Any program here may call from any of 127.0.0.0/8, so that its address says
        nothing; nor does the machine's own, which all in the host's network have.
        """
        remote: Address = (transport.get_extra_info("peername") or ("", 0))[:2]
        local: Address = (transport.get_extra_info("sockname") or ("", 0))[:2]
        if remote[0] != local[0] and not is_loopback(remote[0]):
            return remote[0]
        return LOCAL + self._user_of(remote, local)

    def admit(self, connection: Connection, source: str) -> int | None:
        """Count a new connection in and number it; None where there is no room."""
        if self.draining:
            return None
        limits = self.settings
        own = source == LOCAL
        most = limits.connections_loopback if own else limits.connections_per_source
        if self._sources[source] >= most:
            self.refused_connections += 1
            return None
        if len(self.connections) >= limits.connections and not self._close_idlest():
            self.refused_connections += 1
            return None
        self._numbers += 1
        self._sources[source] += 1
        self.connections[self._numbers] = connection
        return self._numbers

    def forget(self, number: int, source: str) -> None:
        """Count a connection out."""
        if self.connections.pop(number, None) is not None:
            self._sources[source] -= 1
            if self._sources[source] <= 0:
                del self._sources[source]

    def _close_idlest(self) -> bool:
        """Make room for one; it is counted out at once, so that a burst finds none."""
        idle = [item for item in self.connections.items() if item[1].is_idle]
        if not idle:
            return False
        number, oldest = min(idle, key=lambda item: item[1].since)
        self.forget(number, oldest.source)
        oldest.abort()
        return True

    @property
    def unread_bytes(self) -> int:
        """Bytes of heads and bodies that nobody has read yet."""
        return sum(one.unread for one in self.connections.values())

    async def _sweep_often(self) -> None:
        """One timer for all: deadlines are looked at once a second."""
        while True:
            await self.clock.sleep(SWEEP_SECONDS)
            now = self.clock.monotonic()
            for connection in list(self.connections.values()):
                connection.sweep(now)
            self._shed()

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
