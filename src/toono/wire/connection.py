# SPDX-License-Identifier: Apache-2.0
"""One client's connection: bytes → heads → handler → answer → bytes."""

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, cast

from toono.errors import BodyCutError, RejectedRequestError, WireError, WireTimeoutError
from toono.runtime.tasks import spawn
from toono.wire.answering import (
    WRITE_HIGH_BYTES,
    ends_connection,
    write_interim,
    write_refusal,
    write_stream,
    write_whole,
)
from toono.wire.bodies import RequestBody
from toono.wire.gate import end_of_head, head_reader, request_of
from toono.wire.heads import head_bytes
from toono.wire.messages import NO_BODY, Again, Body, Peer, Request, Response
from toono.wire.pace import Pace
from toono.wire.short import ShortWay
from toono.wire.sockets import allow, watch_over
from toono.wire.streams import Gate, Incoming
from toono.wire.tls import peer_of
from toono.wire.tunnel import TransportTunnel, splice

if TYPE_CHECKING:
    from toono.wire.accepting import Arrival
    from toono.wire.server import Server

log = logging.getLogger(__name__)

MAX_PIPELINED_BYTES = 64 * 1024
USER_TIMEOUT_MS = 60_000
TUNNEL_TIMEOUT_MS = 600_000
"""A person may look at one page of a log for a while."""


class Connection(asyncio.Protocol):
    """A client. Its task answers one request after the other."""

    def __init__(self, server: "Server", arrival: "Arrival | None" = None) -> None:
        self._server = server
        self.arrival = arrival
        self._tls = arrival is not None
        self._transport: asyncio.Transport
        self._peer: Peer | None = None
        self._task: asyncio.Task[None] | None = None
        self._buffer = b""
        self._raw = b""
        self._body: RequestBody | None = None
        self._write_pace = Pace()
        self._patience = server.settings.write_seconds
        self._streaming = False
        self._searched = 0  # bytes without the end of a head
        self._skipped = False  # an empty line before a head
        self._early = False  # the answer came before its request's end
        self._deaf = False
        self._head_at = 0.0
        """When the first byte of a head came, or its end began to be awaited."""
        self._wanted: asyncio.Future[None] | None = None
        self._failure: RejectedRequestError | None = None
        self._gate = Gate()
        self._short = ShortWay(server.known_heads, self._resume)
        self._eof = self._ending = False
        self._tunnel: Incoming | None = None
        self.source = ""
        self.is_idle = True
        self.since = server.clock.monotonic()

    # -- what the transport says ------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport = cast(asyncio.Transport, transport)
        number = self._server.seat(self, transport)
        if number is None:
            transport.abort()
            return
        self._peer = peer = peer_of(transport, number=number, tls=self._tls)
        self._read_head = head_reader(peer.local[0], tls=self._tls)
        self._short.transport = transport
        transport.set_write_buffer_limits(high=WRITE_HIGH_BYTES)
        watch_over(transport, unacknowledged_ms=USER_TIMEOUT_MS)
        self._task = spawn(self._serve(), name=f"connection-{number}")

    def data_received(self, piece: bytes) -> None:
        self.since = self._server.clock.monotonic()
        if self._tunnel is not None:
            self._tunnel.feed(piece)
        elif self._body is not None and not self._body.is_over:
            self._feed_body(self._body, piece)
        elif not self._deaf:
            if not self._buffer:
                again = self._short.known.get(piece)
                if again is not None and self._goes_short(again, piece):
                    return
                self._head_at = self.since
            self._buffer += piece
            if self._wanted is not None and self._short.under_way is None:
                self._wake()
            elif len(self._buffer) > MAX_PIPELINED_BYTES:
                self._transport.pause_reading()

    def eof_received(self) -> bool:
        self._eof = True
        if self._tunnel is not None:
            self._tunnel.finish()
        elif self._body is not None:
            cut = BodyCutError("the client ended within its request")
            self._body.incoming.fail(cut)
        self._wake()
        if self._tls:
            self._gate.lend(None)  # the transport closes, and drops what is written
        return not self._tls  # half-close: the answer still goes out

    def connection_lost(self, exc: Exception | None) -> None:
        self._gate.lose()
        self._eof = True
        if self._peer is not None:
            self._server.forget(self._peer.connection, self.source)
        if self._body is not None:
            self._body.incoming.fail(BodyCutError("the client is gone"))
        if self._tunnel is not None:
            self._tunnel.finish()
        self._short.abandon()
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        self._gate.shut()

    def resume_writing(self) -> None:
        self._write_pace.rest()
        self._gate.open()

    # -- what the server says -----------------------------------------------------

    @property
    def unread(self) -> int:
        """Bytes that came and that nobody has read."""
        body = self._body.incoming.unread if self._body else 0
        return len(self._buffer) + body

    def end_when_idle(self) -> None:
        """Answer what is under way, then close."""
        self._ending = True
        if self.is_idle and not self._buffer:
            self._transport.close()

    def abort(self) -> asyncio.Task[None] | None:
        """Close at once; return the task that ends with it."""
        self._transport.abort()
        return self._task

    def refuse(self, status: int, message: str) -> None:
        """Break off with a last word."""
        self._failure = RejectedRequestError(status, message)
        if self._wanted is not None and self._short.under_way is None:
            self._wake()
        else:
            self.abort()

    def sweep(self, now: float) -> None:
        """Look at this connection's deadlines."""
        limits = self._server.settings
        if self._gate.wrote:
            self._gate.wrote, self.since = False, now
        silent = now - self.since
        if self._deaf:
            if now - self._head_at > limits.linger_seconds:
                self.abort()
        elif self._body is not None and not self._body.is_over:
            if self._body.is_slow(
                now, rate=limits.body_rate, seconds=limits.body_seconds
            ):
                late = WireTimeoutError("the request's body comes too slowly")
                self._body.incoming.fail(late)
        elif self._wanted is not None and self._short.under_way is None:
            if self._buffer and now - self._head_at > limits.head_seconds:
                self.refuse(408, "the request's head did not come in time")
            elif not self._buffer and silent > limits.idle_seconds:
                self.abort()
        gone = self._eof and self._streaming and silent > limits.gone_seconds
        if gone or self._write_pace.is_stuck(
            self._waiting, now=now, seconds=self._patience
        ):
            self.abort()

    @property
    def _waiting(self) -> int:
        """Bytes that wait for the client, while nothing is added to them."""
        full = self._gate.is_shut or self._transport.is_closing()
        if not full or self._tunnel is not None:
            return 0
        return self._transport.get_write_buffer_size()

    # -- one request after the other ----------------------------------------------

    async def _serve(self) -> None:
        transport = self._transport
        try:
            await self._converse()
            if self._buffer and not self._eof:
                await self._linger()
        except RejectedRequestError as exc:
            headers, content = self._server.refuse(exc.status, exc.message)
            write_refusal(self._transport, exc.status, headers, content)
            await self._linger()
        except (OSError, WireError) as exc:
            log.debug("connection ended", extra={"err": str(exc)})
            transport.abort()
        finally:
            transport.close()

    async def _converse(self) -> None:
        while True:
            if (request := await self._next_request()) is None:
                return
            response = await self._server.handler(request)
            close = self._is_last(request, response)
            if response.body is None and response.tunnel is None:
                write_whole(self._transport, request, response, close=close)
                if not close and self._body is None:
                    self._short.learn(self._raw, response)
                if not self._gate.is_open:
                    await self._gate.passed()
            else:
                await self._stream(request, response, close=close)
            if self._body is not None:
                await self._end_body(self._body)
            if close:
                return

    async def _next_request(self) -> Request | None:
        """Return the next request; None where the client has no more."""
        self._searched, self._skipped = 0, False
        if self._buffer:
            self._head_at = self._server.clock.monotonic()
        while not self._buffer or (raw := self._take_head()) is None:
            if self._failure is not None:
                raise self._failure
            if self._eof or (self._ending and not self._buffer):
                return None
            self.is_idle = not self._buffer
            self._transport.resume_reading()
            self._wanted = asyncio.get_running_loop().create_future()
            try:
                await self._wanted
            finally:
                self._wanted = None
        head, self._raw = self._read_head(raw), raw
        self.is_idle = False
        body: Body = NO_BODY
        if head.length != 0:
            expects = b"expect" in head.fields and not head.old
            body = self._open_body(head.length, expects=expects)
        assert self._peer is not None
        tell = partial(write_interim, self._transport)
        return request_of(head, body, self._peer, tell)

    def _take_head(self) -> bytes | None:
        """Return a head without its empty line, None until all of it is here."""
        if self._failure is not None:
            raise self._failure
        buffer = self._buffer
        if not self._skipped and buffer.startswith(b"\r\n"):
            buffer = self._buffer = buffer[2:]  # RFC 9112, 2.2: one before a head
            self._skipped = True
        end = end_of_head(buffer, searched=self._searched)
        if end >= 0:
            self._buffer = buffer[end + 4 :]
            return buffer[:end]
        self._searched = len(buffer)
        return None

    def _wake(self) -> None:
        wanted, short = self._wanted, self._short
        if wanted is not None and not wanted.done() and short.under_way is None:
            wanted.set_result(None)

    def _goes_short(self, again: Again, head: bytes) -> bool:
        """Have a head answered that came before, if nothing else is going on."""
        wanted, short = self._wanted, self._short
        if (
            wanted is None
            or wanted.done()
            or short.under_way is not None
            or self._ending
            or self._eof
            or not self._gate.is_open
            or self._failure is not None
            or not short.begin(again, head, self.since)
        ):
            return False
        self.is_idle, self._skipped = short.under_way is None, False
        return True

    def _resume(self, head: bytes) -> None:
        """Go on after what went the short way; `head` has to go the long one."""
        self._buffer = head + self._buffer
        if self._buffer:
            self._head_at = self._server.clock.monotonic()
        self.is_idle = not self._buffer
        if self._buffer or self._eof or self._ending:
            self._wake()

    # -- bodies of requests --------------------------------------------------------

    def _open_body(self, length: int | None, *, expects: bool) -> Incoming:
        transport = self._transport
        proceed = partial(transport.write, b"HTTP/1.1 100 Continue\r\n\r\n")
        body = RequestBody(
            length, pause=self._pause, started=proceed if expects else None
        )
        self._body = body
        transport.resume_reading()
        rest, self._buffer = self._buffer, b""
        if rest:
            self._feed_body(body, rest)
        return body.incoming

    def _feed_body(self, body: RequestBody, piece: bytes) -> None:
        rest = body.feed(piece)
        if rest is not None:
            self._buffer = rest
        elif body.failure is not None:
            self._failure = body.failure

    # -- answers -------------------------------------------------------------------

    def _is_last(self, request: Request, response: Response) -> bool:
        """Say whether the connection ends with this answer."""
        self._early = self._body is not None and not self._body.is_over
        self._patience = response.patience or self._server.settings.write_seconds
        return self._ending or self._early or ends_connection(request, response)

    async def _stream(
        self, request: Request, response: Response, *, close: bool
    ) -> None:
        if (body := response.body) is None:
            return await self._splice(response)
        self._streaming = body.length is None
        try:
            await write_stream(
                self._transport, request, response, body, gate=self._gate, close=close
            )
        finally:
            self._streaming = False
            body.close()

    async def _end_body(self, body: RequestBody) -> None:
        """Let go of a request's body; hear out what of it is still to come."""
        body.incoming.close()
        self._body = None
        if self._early:
            await self._linger()

    async def _linger(self) -> None:
        """Let a client that still sends hear the answer before the end.

        Closing with bytes unread resets it, and the answer with it (RFC 9112, 9.6).
        """
        transport = self._transport
        self._deaf = True
        self._buffer = b""
        self._head_at = self._server.clock.monotonic()
        if self._eof or not transport.can_write_eof() or transport.is_closing():
            return  # TLS lingers by itself, until the peer's close_notify
        transport.write_eof()
        transport.resume_reading()
        self._wanted = asyncio.get_running_loop().create_future()
        try:
            await self._wanted
        finally:
            self._wanted = None

    async def _splice(self, response: Response) -> None:
        assert response.tunnel is not None
        self._transport.write(head_bytes(response, []))
        self._tunnel = Incoming(None, pause=self._pause)
        self._transport.resume_reading()
        allow(self._transport, unacknowledged_ms=TUNNEL_TIMEOUT_MS)
        rest, self._buffer = self._buffer, b""
        if rest:
            self._tunnel.feed(rest)
        if self._eof:
            self._tunnel.finish()
        await splice(
            TransportTunnel(self._transport, self._tunnel, self._gate), response.tunnel
        )

    def _pause(self, stop: bool) -> None:
        transport = self._transport
        transport.pause_reading() if stop else transport.resume_reading()
