# SPDX-License-Identifier: Apache-2.0
"""One client's connection: bytes → heads → handler → answer → bytes."""

import asyncio
import logging
import ssl
from typing import TYPE_CHECKING, cast

from toono.errors import BodyCutError, RejectedRequestError, WireError, WireTimeoutError
from toono.runtime.tasks import spawn
from toono.wire.chunked import ChunkReader
from toono.wire.gate import MAX_HEAD_BYTES, read_head
from toono.wire.heads import head_bytes
from toono.wire.messages import Body, BytesBody, Peer, Request, Response
from toono.wire.streams import Gate, Incoming
from toono.wire.tunnel import TransportTunnel, splice

if TYPE_CHECKING:
    from toono.wire.server import Server

log = logging.getLogger(__name__)

WRITE_HIGH_BYTES = 256 * 1024
MAX_PIPELINED_BYTES = 64 * 1024
LINGER_BYTES = 256 * 1024
_NO_BODY = frozenset({204, 304})


class Connection(asyncio.Protocol):
    """A client. Its task answers one request after the other."""

    def __init__(self, server: "Server", *, tls: bool) -> None:
        self._server = server
        self._tls = tls
        self._transport: asyncio.Transport | None = None
        self._peer: Peer | None = None
        self._task: asyncio.Task[None] | None = None
        self._buffer = b""
        self._body: Incoming | None = None
        self._chunks: ChunkReader | None = None
        self._left = 0
        self._wanted: asyncio.Future[None] | None = None
        self._failure: RejectedRequestError | None = None
        self._gate = Gate()
        self._eof = False
        self._ending = False
        self._tunnel: Incoming | None = None
        self._source = ""
        self.is_idle = True
        self.since = server.clock.monotonic()

    # -- what the transport says ------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport = cast(asyncio.Transport, transport)
        remote = transport.get_extra_info("peername") or ("", 0)
        local = transport.get_extra_info("sockname") or ("", 0)
        self._source = remote[0]
        number = self._server.admit(self, self._source)
        if number is None or self._server.draining:
            transport.abort()
            return
        self._peer = Peer(
            connection=number,
            local=(local[0], local[1]),
            remote=(remote[0], remote[1]),
            certificate=_certificate(transport),
            tls=self._tls,
        )
        transport.set_write_buffer_limits(high=WRITE_HIGH_BYTES)
        self._task = spawn(self._serve(), name=f"connection-{number}")

    def data_received(self, piece: bytes) -> None:
        self.since = self._server.clock.monotonic()
        if self._tunnel is not None:
            self._tunnel.feed(piece)
        elif self._body is not None and not self._body.is_over:
            self._feed_body(piece)
        else:
            self._buffer += piece
            if self._wanted is not None:
                self._wake()
            elif len(self._buffer) > MAX_PIPELINED_BYTES:
                assert self._transport is not None
                self._transport.pause_reading()

    def eof_received(self) -> bool:
        self._eof = True
        if self._tunnel is not None:
            self._tunnel.finish()
        elif self._body is not None:
            self._body.fail(BodyCutError("the client ended within its request"))
        self._wake()
        return not self._tls  # half-close: the answer still goes out

    def connection_lost(self, exc: Exception | None) -> None:
        self._gate.lose()
        self._eof = True
        if self._peer is not None:
            self._server.forget(self._peer.connection, self._source)
        if self._body is not None:
            self._body.fail(BodyCutError("the client is gone"))
        if self._tunnel is not None:
            self._tunnel.finish()
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        self._gate.shut()

    def resume_writing(self) -> None:
        self._gate.open()

    # -- what the server says -----------------------------------------------------

    @property
    def unread(self) -> int:
        """Bytes that came and that nobody has read."""
        return len(self._buffer) + (self._body.unread if self._body else 0)

    def end_when_idle(self) -> None:
        """Answer what is under way, then close."""
        self._ending = True
        if self.is_idle and not self._buffer and self._transport is not None:
            self._transport.close()

    def abort(self) -> asyncio.Task[None] | None:
        """Close at once; return the task that ends with it."""
        if self._transport is not None:
            self._transport.abort()
        return self._task

    def refuse(self, status: int, message: str) -> None:
        """Break off with a last word."""
        self._failure = RejectedRequestError(status, message)
        if self._wanted is not None:
            self._wake()
        else:
            self.abort()

    def sweep(self, now: float) -> None:
        """Look at this connection's deadlines."""
        limits = self._server.settings
        silent = now - self.since
        if self._body is not None and not self._body.is_over:
            if silent > limits.body_seconds:
                self._body.fail(WireTimeoutError("the request's body stopped coming"))
        elif self._wanted is not None:
            if self._buffer and silent > limits.head_seconds:
                self.refuse(408, "the request's head did not come in time")
            elif not self._buffer and silent > limits.idle_seconds:
                self.abort()

    # -- one request after the other ----------------------------------------------

    async def _serve(self) -> None:
        transport = self._transport
        assert transport is not None
        try:
            while True:
                request = await self._next_request()
                if request is None:
                    break
                response = await self._server.handler(request)
                if not await self._answer(request, response):
                    break
        except RejectedRequestError as exc:
            self._write_refusal(exc)
        except (OSError, WireError) as exc:
            log.debug("connection ended", extra={"err": str(exc)})
            transport.abort()
        finally:
            transport.close()

    async def _next_request(self) -> Request | None:
        """Return the next request; None where the client has no more."""
        raw = await self._head()
        if raw is None:
            return None
        head = read_head(raw)
        self.is_idle = False
        body: Body
        if head.length == 0:
            body = BytesBody()
        else:
            body = self._open_body(head.length, expects=b"expect" in head.fields)
        assert self._peer is not None
        return Request(
            method=head.method,
            target=head.target,
            headers=head.headers,
            fields=head.fields,
            body=body,
            peer=self._peer,
            keep_alive=head.keep_alive,
            impersonates=head.impersonates,
        )

    async def _head(self) -> bytes | None:
        """Wait for a whole head; return it without its empty line."""
        self.is_idle = not self._buffer
        searched = 0
        while True:
            if self._failure is not None:
                raise self._failure
            if searched == 0 and self._buffer.startswith(b"\r\n"):
                self._buffer = self._buffer[2:]  # RFC 9112, 2.2: one before a head
            end = self._buffer.find(b"\r\n\r\n", max(0, searched - 3))
            if end >= 0:
                raw, self._buffer = self._buffer[:end], self._buffer[end + 4 :]
                return raw
            searched = len(self._buffer)
            if searched > MAX_HEAD_BYTES:
                raise RejectedRequestError(431, "the request's head is too long")
            if self._buffer[:1] and not self._buffer[:1].isalpha():
                raise RejectedRequestError(400, "this is no HTTP request")
            if self._eof or (self._ending and not self._buffer):
                return None
            assert self._transport is not None
            self._transport.resume_reading()
            self._wanted = asyncio.get_running_loop().create_future()
            try:
                await self._wanted
            finally:
                self._wanted = None

    def _wake(self) -> None:
        if self._wanted is not None and not self._wanted.done():
            self._wanted.set_result(None)

    # -- bodies of requests --------------------------------------------------------

    def _open_body(self, length: int | None, *, expects: bool) -> Incoming:
        transport = self._transport
        assert transport is not None

        def pause(stop: bool) -> None:
            if stop:
                transport.pause_reading()
            else:
                transport.resume_reading()

        def proceed() -> None:
            transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

        body = Incoming(length, pause=pause, started=proceed if expects else None)
        self._body = body
        self._chunks = ChunkReader(body.feed) if length is None else None
        self._left = length or 0
        transport.resume_reading()
        rest, self._buffer = self._buffer, b""
        if rest:
            self._feed_body(rest)
        return body

    def _feed_body(self, piece: bytes) -> None:
        body = self._body
        assert body is not None
        if self._chunks is not None:
            try:
                rest = self._chunks.feed(piece)
            except RejectedRequestError as exc:
                body.fail(exc)
                self._failure = exc
                return
            if rest is None:
                return
            self._buffer = rest
        else:
            taken = piece[: self._left]
            self._left -= len(taken)
            body.feed(taken)
            if self._left:
                return
            self._buffer = piece[len(taken) :]
        body.finish()

    # -- answers -------------------------------------------------------------------

    async def _answer(self, request: Request, response: Response) -> bool:
        """Send one answer; return whether the connection goes on."""
        transport = self._transport
        assert transport is not None
        if response.tunnel is not None:
            transport.write(head_bytes(response, []))
            await self._splice(response)
            return False
        early = self._body is not None and not self._body.is_over
        close = response.close or not request.keep_alive or self._ending or early
        if response.body is None:
            self._write_whole(request, response, close=close)
            await self._gate.passed()
        else:
            await self._write_stream(request, response, close=close)
        if self._body is not None:
            self._body.close()
            self._body = None
        return not close

    def _write_whole(
        self, request: Request, response: Response, *, close: bool
    ) -> None:
        assert self._transport is not None
        content = response.content
        pieces = content if isinstance(content, list) else [content]
        size = sum(map(len, pieces))
        framing = [] if response.status in _NO_BODY else [b"Content-Length: %d" % size]
        if close:
            framing.append(b"Connection: close")
        head = head_bytes(response, framing)
        if request.method == "HEAD" or response.status in _NO_BODY:
            self._transport.write(head)
        elif size < WRITE_HIGH_BYTES:
            self._transport.write(b"".join([head, *pieces]))
        else:
            self._transport.writelines([head, *pieces])

    async def _write_stream(
        self, request: Request, response: Response, *, close: bool
    ) -> None:
        body = response.body
        transport = self._transport
        assert body is not None
        assert transport is not None
        chunked = body.length is None
        framing = [
            b"Transfer-Encoding: chunked"
            if chunked
            else b"Content-Length: %d" % (body.length or 0)
        ]
        if close:
            framing.append(b"Connection: close")
        try:
            transport.write(head_bytes(response, framing))
            if request.method == "HEAD":
                return
            while piece := await body.read():
                if chunked:
                    piece = b"%x\r\n%b\r\n" % (len(piece), piece)
                transport.write(piece)
                await self._gate.passed()
            if chunked:
                transport.write(b"0\r\n\r\n")
        finally:
            body.close()

    async def _splice(self, response: Response) -> None:
        assert response.tunnel is not None
        self._tunnel = Incoming(None, pause=self._pause_tunnel)
        rest, self._buffer = self._buffer, b""
        if rest:
            self._tunnel.feed(rest)
        if self._eof:
            self._tunnel.finish()
        assert self._transport is not None
        self._transport.resume_reading()
        await splice(
            TransportTunnel(self._transport, self._tunnel, self._gate), response.tunnel
        )

    def _pause_tunnel(self, stop: bool) -> None:
        assert self._transport is not None
        if stop:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _write_refusal(self, exc: RejectedRequestError) -> None:
        headers, content = self._server.refuse(exc.status, exc.message)
        response = Response(status=exc.status, headers=headers)
        framing = [b"Content-Length: %d" % len(content), b"Connection: close"]
        assert self._transport is not None
        self._transport.write(head_bytes(response, framing) + content)


def _certificate(transport: asyncio.Transport) -> bytes | None:
    tls = transport.get_extra_info("ssl_object")
    if isinstance(tls, ssl.SSLObject):
        return tls.getpeercert(binary_form=True)
    return None
