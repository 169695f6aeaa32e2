# SPDX-License-Identifier: Apache-2.0
"""One connection to the server: a request goes out, and its answer is read.

Whose connections there are and which of them is used next is `client`'s to know.
"""

import asyncio
from collections.abc import Hashable
from typing import TYPE_CHECKING, Protocol, cast

from toono.errors import BadResponseError, BodyCutError, WireError
from toono.runtime.tasks import spawn
from toono.wire.bodies import of_client
from toono.wire.heads import request_bytes
from toono.wire.messages import Answer, Body, Headers, Interim
from toono.wire.response import ResponseReader, Upgraded
from toono.wire.sockets import allow, watch_over
from toono.wire.streams import Gate, Incoming
from toono.wire.tunnel import TransportTunnel

if TYPE_CHECKING:
    from toono.wire.client import Origin

USER_TIMEOUT_MS = 4000
"""Design: a link is given up after so long without a word."""
PATIENT_TIMEOUT_MS = 600_000
"""Where the server may have its reasons not to read: tunnels, bodies not yet sent."""


class Relay(Protocol):
    """Reads the bytes of one answer in place of the link's own reader."""

    def heard(self, piece: bytes) -> None:
        """Take what came; call `Link.relayed` with the last of it, or let go of it by
        `Link.relayed_otherwise` or `Link.drop`."""
        ...

    def broke(self) -> None:
        """The rest will not come; the link is gone."""
        ...


class Link(asyncio.BufferedProtocol):
    """One connection to the server: one request at a time."""

    def __init__(self, origin: "Origin", credential: Hashable) -> None:
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
        self._relay: Relay | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport = cast(asyncio.Transport, transport)
        watch_over(transport, unacknowledged_ms=USER_TIMEOUT_MS)

    @property
    def is_waiting(self) -> bool:
        """A request was sent and no head has come."""
        if self._relay is not None:
            return not self.heard
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
            if self._head is head:  # else the link is another's already
                self.drop()
            raise
        finally:
            if sending is not None:
                sending.cancel()  # an early answer: the rest is not wanted
            # An answer that came whole has put this connection back already, and
            # another request may wait on it before this task runs again.
            if self._head is head:
                self._head = None

    def relay(self, head: bytes, relay: Relay) -> None:
        """Send the head of a request without a body; `relay` reads what comes."""
        transport = self._transport
        assert transport is not None
        self.heard = False
        if self._patient:
            self._be_patient(False)
        self._head, self._relay = None, relay
        transport.write(head)

    def relayed(self) -> None:
        """The answer has ended as it should: the connection is free."""
        self._relay = None
        # Nobody may use it whose end is near: `take_idle` looks once more.
        self._origin.put_back(self)

    def relayed_otherwise(self, raw: bytes) -> None:
        """The relay wants no more of an answer that began with `raw`.

        If it has ended the connection is free: one for each refusal would be many.
        """
        self._relay = None
        reader = ResponseReader(
            "GET", upgrade="", pause=self._pause, on_close=self.drop
        )
        self._reader = reader
        self.feed(raw)
        if not reader.is_over:
            self.drop()

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
        piece = bytes(self._origin.landing[:nbytes])
        relay = self._relay
        if relay is None:
            self.feed(piece)
        else:
            self.heard = True
            relay.heard(piece)

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
        if self._relay is not None:
            relay, self._relay = self._relay, None
            self._warn(within=self.heard)
            relay.broke()
        if self._reader is not None and isinstance(failure, WireError):
            within = self._reader.answer is not None and not self._reader.is_over
            self._reader.fail(failure)
            self._reader = None
            self._warn(within=within)
        if self._tunnel is not None:
            self._tunnel.finish()
        if self._transport is not None:
            self._transport.abort()

    def _warn(self, *, within: bool) -> None:
        """An answer that breaks off is a sign that the link may be down."""
        if within and self._origin.broken is not None:
            self._origin.broken()

    def drop(self) -> None:
        """Close quietly: what of an answer is still to come is not missed."""
        self._reader = self._relay = None
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
