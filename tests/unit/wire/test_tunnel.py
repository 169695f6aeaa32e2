# SPDX-License-Identifier: Apache-2.0
import asyncio
import logging

import pytest

from tests.unit.wire.kit import play
from toono.errors import BodyCutError
from toono.testing.clock import settle
from toono.wire.streams import Gate, Incoming
from toono.wire.tunnel import TransportTunnel, splice


class End:
    """One side of a splice, in memory."""

    def __init__(self, *pieces: bytes | Exception, ends: bool = True) -> None:
        self.pieces = list(pieces)
        self.more = asyncio.Event()
        self.ends = ends
        self.written: list[bytes] = []
        self.eof = 0
        self.closed = 0
        self.fails: Exception | None = None

    async def read(self) -> bytes:
        if self.pieces:
            piece = self.pieces.pop(0)
            if isinstance(piece, Exception):
                raise piece
            return piece
        if not self.ends:
            await self.more.wait()
        return b""

    async def write(self, piece: bytes) -> None:
        if self.fails is not None:
            raise self.fails
        self.written.append(piece)

    def write_eof(self) -> None:
        self.eof += 1

    def close(self) -> None:
        self.closed += 1


def test_bytes_go_both_ways_unchanged_and_each_end_is_passed_on() -> None:
    async def scenario() -> None:
        a, b = End(b"\x00a", b"b"), End(b"c", ends=False)
        splicing = asyncio.create_task(splice(a, b))
        await settle()
        assert (a.written, b.written) == ([b"c"], [b"\x00a", b"b"])
        assert (a.eof, b.eof) == (0, 1)
        assert (a.closed, b.closed) == (0, 0)
        b.more.set()
        await splicing
        assert (a.eof, a.closed, b.closed) == (1, 1, 1)

    play(scenario)


@pytest.mark.parametrize("failure", [ConnectionResetError("x"), BodyCutError("y")])
@pytest.mark.parametrize("way", ["read", "write"])
def test_a_side_that_breaks_ends_both_without_a_fuss(failure, way, caplog) -> None:
    """A client that goes away is no error of the hub's."""

    async def scenario() -> None:
        a, b = End(b"x", ends=False), End(ends=False)
        if way == "read":
            a.pieces = [failure]
        else:
            b.fails = failure
        await splice(a, b)
        assert (a.closed, b.closed) == (1, 1)

    with caplog.at_level(logging.INFO):
        play(scenario)
    assert caplog.records == []


def test_a_splice_that_is_cancelled_closes_both() -> None:
    async def scenario() -> None:
        a, b = End(ends=False), End(ends=False)
        splicing = asyncio.create_task(splice(a, b))
        await settle()
        splicing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await splicing
        assert (a.closed, b.closed) == (1, 1)

    play(scenario)


class Transport(asyncio.Transport):
    def __init__(self, *, half: bool = True) -> None:
        super().__init__()
        self.half = half
        self.said: list[object] = []

    def write(self, data: bytes) -> None:
        self.said.append(data)

    def can_write_eof(self) -> bool:
        return self.half

    def write_eof(self) -> None:
        self.said.append("eof")

    def close(self) -> None:
        self.said.append("close")

    def is_closing(self) -> bool:
        return "close" in self.said


def tunnel(transport: Transport) -> tuple[TransportTunnel, Incoming, Gate]:
    incoming, gate = Incoming(None, pause=lambda _: None), Gate()
    return TransportTunnel(transport, incoming, gate), incoming, gate


def test_a_tunnel_reads_what_comes_and_waits_while_it_is_full() -> None:
    async def scenario() -> None:
        transport = Transport()
        side, incoming, gate = tunnel(transport)
        incoming.feed(b"in")
        incoming.finish()
        assert [await side.read(), await side.read()] == [b"in", b""]
        gate.shut()
        writing = asyncio.create_task(side.write(b"out"))
        await settle()
        assert transport.said == [b"out"]
        assert not writing.done()
        gate.open()
        await writing
        gate.lose()
        with pytest.raises(ConnectionResetError):
            await side.write(b"more")

    play(scenario)


@pytest.mark.parametrize(("half", "said"), [(True, ["eof"]), (False, ["close"])])
def test_who_cannot_half_close_closes(half: bool, said: list[str]) -> None:
    transport = Transport(half=half)
    side, _, _ = tunnel(transport)
    side.write_eof()
    assert transport.said == said


def test_a_closed_tunnel_reads_nothing_more() -> None:
    async def scenario() -> None:
        transport = Transport()
        side, incoming, _ = tunnel(transport)
        incoming.feed(b"late")
        side.close()
        side.close()
        side.write_eof()
        assert await side.read() == b""
        assert "eof" not in transport.said

    play(scenario)
