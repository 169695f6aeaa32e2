# SPDX-License-Identifier: Apache-2.0
"""Accepts connections over TLS, so that each counts from its first moment on.

A loop's own server tells of one only once its handshake is done: who never begins it
holds a descriptor that no limit sees. Whom to let in, the server knows. Without TLS a
loop's server tells at once, and is a few microseconds faster.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING

from toono.runtime.tasks import spawn
from toono.wire.connection import Connection

if TYPE_CHECKING:
    from toono.wire.server import Server

log = logging.getLogger(__name__)

Address = tuple[str, int]
Arrived = Callable[[socket.socket, Address], bool]
"""Told of a connection; says whether there is room for another in the same turn."""

BACKLOG = 512
BURST = 64
"""Connections accepted in a turn: those that stand have theirs in between."""


async def bind(host: str, port: int) -> list[socket.socket]:
    """Return sockets that listen at all that `host` means. OSError where one cannot."""
    found = await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    with contextlib.ExitStack() as opened:
        bound = []
        for family, kind, protocol, _, address in dict.fromkeys(found):
            raw = opened.enter_context(socket.socket(family, kind, protocol))
            raw.setblocking(False)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            raw.bind(address)
            raw.listen(BACKLOG)
            bound.append(raw)
        opened.pop_all()
    return bound


class Listener:
    """Tells `arrived` of each connection to one socket, with the client's address."""

    def __init__(self, raw: socket.socket, arrived: Arrived) -> None:
        self._raw = raw
        self._arrived = arrived
        self._loop = asyncio.get_running_loop()
        self._troubled = False
        self.resume()

    @property
    def address(self) -> Address:
        """Where it listens."""
        host, port = self._raw.getsockname()[:2]
        return host, port

    def resume(self) -> None:
        """Accept, again after what stopped it."""
        self._loop.add_reader(self._raw, self._accept)

    def close(self) -> None:
        """Stop; what nobody has accepted yet is reset."""
        self._loop.remove_reader(self._raw)
        self._raw.close()

    def _accept(self) -> None:
        for _ in range(BURST):
            try:
                raw, remote = self._raw.accept()
            except (BlockingIOError, ConnectionAbortedError):
                self._troubled = False
                return
            except OSError as exc:
                self._wait(exc)
                return
            if not self._arrived(raw, remote[:2]):
                return

    def _wait(self, exc: OSError) -> None:
        """Look away: a socket that cannot be accepted is ready for ever."""
        self._loop.remove_reader(self._raw)
        if not self._troubled:
            self._troubled = True
            log.error(
                "no connection can be accepted; tried again each second",
                extra={"port": self.address[1], "err": str(exc)},
            )


class Arrival:
    """A connection that is let in, until its handshake is done."""

    def __init__(
        self,
        server: "Server",
        raw: socket.socket,
        *,
        source: str,
        tls: ssl.SSLContext,
    ) -> None:
        self._server = server
        self._raw = raw
        self._tls = tls
        self._task: asyncio.Task[None] | None = None
        self.source = source
        self.number = 0
        self.since = server.clock.monotonic()
        self.is_seated = False
        """A `Connection` has its place, and its socket."""

    def begin(self, number: int) -> None:
        """Shake hands; it ends as a `Connection`, or with its socket."""
        self.number = number
        self._task = spawn(self._enter(), name=f"arrival-{number}")
        self._task.add_done_callback(self._ended)

    def abort(self) -> asyncio.Task[None] | None:
        """End at once; return the task that ends with it."""
        self._server.forget(self.number, self.source)
        if self._task is not None:
            self._task.cancel()
        return self._task

    def sweep(self, now: float) -> None:
        """Look at the handshake's deadline."""
        if now - self.since > self._server.settings.head_seconds:
            self.abort()

    async def _enter(self) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: Connection(self._server, self),
                self._raw,
                ssl=self._tls,
                ssl_shutdown_timeout=self._server.settings.tls_end_seconds,
            )
        except OSError as exc:
            log.debug("a connection ended in its handshake", extra={"err": str(exc)})

    def _ended(self, _: asyncio.Task[None]) -> None:
        """A task that was cancelled before its first step has no end of its own."""
        if not self.is_seated:
            self._server.forget(self.number, self.source)
            self._raw.close()
