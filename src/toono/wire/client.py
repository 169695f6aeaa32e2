# SPDX-License-Identifier: Apache-2.0
"""The HTTP/1.1 client: connections to one server, kept by whose credential they carry.

A connection whose answer did not end as its head promised is never used again. A
request is sent a second time only if it can be (GET or HEAD without a body) and the
connection was an idle one that the server had already given up.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from typing import cast

from toono.errors import (
    BadResponseError,
    BodyCutError,
    LinkLostError,
    UnreachableError,
    WireError,
)
from toono.runtime.tasks import spawn
from toono.wire.bodies import of_client
from toono.wire.heads import request_bytes
from toono.wire.messages import Answer, Body, Headers, Interim
from toono.wire.response import ResponseReader, Upgraded
from toono.wire.sockets import allow, watch_over
from toono.wire.streams import Gate, Incoming
from toono.wire.tunnel import TransportTunnel

CONNECT_SECONDS = 5.0
USER_TIMEOUT_MS = 4000
"""Design: a link is given up after so long without a word."""
PATIENT_TIMEOUT_MS = 600_000
"""Where the server may have its reasons not to read: tunnels, bodies not yet sent."""
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
        self._idle: dict[Hashable, deque[Link]] = {}
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
            link = self._take(credential) if reuse and not upgrade else None
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

    def _take(self, credential: Hashable) -> "Link | None":
        links = self._idle.get(credential)
        while links:
            link = links.pop()
            if not links:
                del self._idle[credential]
            if link.is_alive:
                return link
        return None

    def put_back(self, link: "Link") -> None:
        """Keep a connection whose answer has ended for the next request."""
        if link.generation != self.generation:
            link.drop()
            return
        links = self._idle.setdefault(link.credential, deque())
        links.append(link)
        if len(links) > MAX_IDLE:
            links.popleft().drop()

    def forget(self, link: "Link") -> None:
        """A connection is gone."""
        self._open.discard(link)
        links = self._idle.get(link.credential)
        if links is not None:
            with suppress(ValueError):
                links.remove(link)
            if not links:
                del self._idle[link.credential]

    async def _connect(self, credential: Hashable, *, queue: bool) -> "Link":
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


class Link(asyncio.BufferedProtocol):
    """One connection to the server: one request at a time."""

    def __init__(self, origin: Origin, credential: Hashable) -> None:
        self._origin = origin
        self.credential = credential
        self.generation = origin.generation
        self._transport: asyncio.Transport | None = None
        self._gate = Gate()
        self._reader: ResponseReader | None = None
        self._head: asyncio.Future[Answer] | None = None
        self._failure: Exception | None = None
        self.heard = False
        self._sent = True
        """The request went out whole: else its rest would be read as the next one."""
        self._tunnel: Incoming | None = None
        self._patient = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport = cast(asyncio.Transport, transport)
        watch_over(transport, unacknowledged_ms=USER_TIMEOUT_MS)

    @property
    def is_waiting(self) -> bool:
        """A request was sent and no head has come."""
        return self._head is not None and not self._head.done()

    @property
    def is_alive(self) -> bool:
        """Nothing is known against another request on this connection."""
        return self._failure is None and not (
            self._transport is None or self._transport.is_closing()
        )

    async def send(
        self,
        method: str,
        target: bytes,
        headers: Headers,
        body: Body | None,
        *,
        upgrade: str,
        interim: Interim | None,
    ) -> Answer:
        """Send one request and wait for the head of its answer."""
        transport = self._transport
        assert transport is not None
        self.heard = False
        patient = body is not None or upgrade != ""
        if patient is not self._patient:
            self._be_patient(patient)
        head: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._head = head
        self._reader = ResponseReader(
            method,
            upgrade=upgrade,
            pause=self._pause,
            on_close=self.drop,
            interim=interim,
        )
        transport.write(request_bytes(method, target, headers, body, upgrade))
        sending = None
        if body is not None:
            self._sent = False
            sending = spawn(self._send_body(body, head), name="request-body")
        try:
            return await head
        except BaseException:
            self.drop()
            raise
        finally:
            if sending is not None:
                sending.cancel()  # an early answer: the rest is not wanted
            # An answer that came whole has put this connection back already, and
            # another request may wait on it before this task runs again.
            if self._head is head:
                self._head = None

    def _be_patient(self, patient: bool) -> None:
        self._patient = patient
        most = PATIENT_TIMEOUT_MS if patient else USER_TIMEOUT_MS
        assert self._transport is not None
        allow(self._transport, unacknowledged_ms=most)

    async def _send_body(self, body: Body, head: asyncio.Future[Answer]) -> None:
        """Send a body beside the wait for the answer, which may come before its end."""
        transport = self._transport
        assert transport is not None
        size = 0
        chunked = body.length is None
        try:
            while piece := await body.read():
                size += len(piece)
                if chunked:
                    piece = b"%x\r\n%b\r\n" % (len(piece), piece)
                transport.write(piece)
                self._sent = size == body.length
                await self._gate.passed()
        except OSError:
            return  # what the server said before it left is in the head
        except WireError as exc:
            if not head.done():
                head.set_exception(of_client(exc))
            return
        if chunked:
            transport.write(b"0\r\n\r\n")
        self._sent = True

    # -- what the transport says ------------------------------------------------

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._origin.landing

    def buffer_updated(self, nbytes: int) -> None:
        self.feed(bytes(self._origin.landing[:nbytes]))

    def feed(self, piece: bytes) -> None:
        """Take what the server sent."""
        if self._tunnel is not None:
            self._tunnel.feed(piece)
            return
        if self._reader is None:
            if piece.strip(b"\r\n"):  # llhttp, too, skips an empty line after an answer
                self.fail(BadResponseError("the server sent what nobody asked for"))
            return
        self.heard = True
        try:
            self._reader.feed(piece)
        except Upgraded as upgraded:
            self._upgrade(upgraded.rest)
            return
        except BadResponseError as exc:
            self.fail(exc)
            return
        self._after()

    def _after(self) -> None:
        reader, head = self._reader, self._head
        assert reader is not None
        assert self._transport is not None
        if reader.answer is not None and head is not None and not head.done():
            head.set_result(reader.answer)
        if reader.is_over:
            self._reader = None
            alive = self._failure is None and not self._transport.is_closing()
            if alive and reader.keep_alive and self._sent:
                self._origin.put_back(self)
            else:
                self.drop()

    def eof_received(self) -> bool:
        if self._tunnel is not None:
            self._tunnel.finish()
            return True
        if self._reader is not None and self._reader.ends_with_connection:
            self._reader.finish()
            self._after()
        else:
            self.fail(BodyCutError("the server ended the connection"))
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._gate.lose()
        cause = f": {exc}" if exc else ""
        self.fail(BodyCutError(f"the connection to the server broke{cause}"))
        self._origin.forget(self)

    def pause_writing(self) -> None:
        self._gate.shut()

    def resume_writing(self) -> None:
        self._gate.open()

    # -- ends ---------------------------------------------------------------------

    def fail(self, failure: Exception) -> None:
        """End the connection; whoever waits on it hears why."""
        if self._failure is None:
            self._failure = failure
        if self._head is not None and not self._head.done():
            self._head.set_exception(failure)
        if self._reader is not None and isinstance(failure, WireError):
            within = self._reader.answer is not None and not self._reader.is_over
            self._reader.fail(failure)
            self._reader = None
            if within and self._origin.broken is not None:
                self._origin.broken()
        if self._tunnel is not None:
            self._tunnel.finish()
        if self._transport is not None:
            self._transport.abort()

    def drop(self) -> None:
        """Close quietly: what of an answer is still to come is not missed."""
        self._reader = None
        if self._failure is None:
            self._failure = BodyCutError("the connection was closed")
        if self._transport is not None:
            self._transport.abort()

    def _pause(self, stop: bool) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if stop:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    # -- upgrades -------------------------------------------------------------------

    def _upgrade(self, rest: bytes) -> None:
        """A checked 101: what follows is a tunnel, never a connection to keep."""
        reader = self._reader
        assert reader is not None
        assert reader.answer is not None
        assert self._transport is not None
        self._tunnel = Incoming(None, pause=self._pause)
        if rest:
            self._tunnel.feed(rest)
        reader.answer.tunnel = TransportTunnel(
            self._transport, self._tunnel, self._gate
        )
        if self.is_waiting:
            assert self._head is not None
            self._head.set_result(reader.answer)
