# SPDX-License-Identifier: Apache-2.0
"""The HTTP/1.1 client: connections to one server, kept by whose credential they carry.

A connection whose answer did not end as its head promised is never used again. A
request is sent a second time only if it can be (GET or HEAD without a body) and the
connection was an idle one that the server had already given up.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress

from toono.errors import (
    BodyCutError,
    LinkLostError,
    UnreachableError,
)
from toono.wire.link import Link
from toono.wire.messages import Answer, Body, Headers, Interim

CONNECT_SECONDS = 5.0
MAX_IDLE = 32
LANDING_BYTES = 256 * 1024
"""Where bytes of all connections land; each piece is copied out before the next.

Without it a TLS transport takes and gives back so much memory for each record read:
20 us of page faults for an answer of 4 KiB.
"""

TLS = Callable[[Hashable], ssl.SSLContext | None]
"""credential → the context of new connections; None speaks plain HTTP."""


class Origin:
    """One server, and the connections to it."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        tls: TLS,
        admit: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.host, self.port = host, port
        self._tls = tls
        self._admit = admit
        self.broken: Callable[[], object] | None = None
        """Called when a connection breaks within an answer: a sign, no verdict."""
        self._idle: dict[Hashable, list[Link]] = {}
        self._open: set[Link] = set()
        self.generation = 0
        """Grows when what connections show has changed: older ones are not kept."""
        self.authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.landing = memoryview(bytearray(LANDING_BYTES))

    @property
    def open(self) -> int:
        """Connections that stand."""
        return len(self._open)

    @property
    def waiting(self) -> int:
        """Requests that have no head of an answer yet."""
        return sum(link.is_waiting for link in self._open)

    async def send(
        self,
        method: str,
        target: bytes,
        headers: Headers,
        body: Body | None,
        *,
        credential: Hashable,
        upgrade: str = "",
        reuse: bool = True,
        interim: Interim | None = None,
    ) -> Answer:
        """Send a request; return its answer once the head is here.

        `reuse=False` is for probes: a fresh connection, and it stands in no queue.
        Raises UnreachableError where no connection could be made, WireError where
        the server broke off or answered what is no HTTP.
        """
        while True:
            link = self.take_idle(credential) if reuse and not upgrade else None
            fresh = link is None
            if link is None:
                link = await self._connect(credential, queue=reuse)
            try:
                return await link.send(
                    method, target, headers, body, upgrade=upgrade, interim=interim
                )
            except BodyCutError:
                replayable = body is None and method in ("GET", "HEAD")
                if fresh or not replayable or link.heard:
                    raise

    def abort_waiting(self, failure: LinkLostError) -> None:
        """Fail what waits for the head of an answer; streams that work go on."""
        for link in list(self._open):
            if link.is_waiting:
                link.fail(failure)

    def close(self) -> None:
        """Close every connection."""
        for link in list(self._open):
            link.fail(LinkLostError("the hub lets go of the link"))
        self._idle.clear()

    def close_idle(self) -> None:
        """Close what nobody uses, and the rest as it ends (a credential has changed)."""
        self.generation += 1
        for links in self._idle.values():
            for link in links:
                link.drop()
        self._idle.clear()

    # -- connections -----------------------------------------------------------

    def take_idle(self, credential: Hashable) -> Link | None:
        """Return a connection that stands and that nobody uses; None without one."""
        links = self._idle.get(credential)
        while links:
            link = links.pop()
            if not links:
                del self._idle[credential]
            if link.is_alive:
                return link
        return None

    def put_back(self, link: Link) -> None:
        """Keep a connection whose answer has ended for the next request."""
        if link.generation != self.generation:
            link.drop()
            return
        links = self._idle.get(link.credential)
        if links is None:
            self._idle[link.credential] = [link]
            return
        links.append(link)
        if len(links) > MAX_IDLE:
            links.pop(0).drop()

    def forget(self, link: Link) -> None:
        """A connection is gone."""
        self._open.discard(link)
        links = self._idle.get(link.credential)
        if links is not None:
            with suppress(ValueError):
                links.remove(link)
            if not links:
                del self._idle[link.credential]

    async def _connect(self, credential: Hashable, *, queue: bool) -> Link:
        if self._admit is not None and queue:
            await self._admit()
        loop = asyncio.get_running_loop()
        link = Link(self, credential)
        context = self._tls(credential)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await loop.create_connection(
                    lambda: link,
                    self.host,
                    self.port,
                    ssl=context,
                    server_hostname=self.host if context else None,
                )
        except TimeoutError as exc:
            text = f"{self.authority}: no connection within {CONNECT_SECONDS:g} s"
            raise UnreachableError(text) from exc
        except (OSError, ssl.SSLError) as exc:
            raise UnreachableError(f"{self.authority}: {exc}") from exc
        self._open.add(link)
        return link
