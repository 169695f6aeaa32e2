# SPDX-License-Identifier: Apache-2.0
import asyncio

import pytest

from tests.unit.wire.kit import Pieces
from tests.unit.wire.test_heads import request
from toono.errors import BodyCutError
from toono.testing.clock import settle
from toono.wire.answering import WRITE_HIGH_BYTES, chunk, write_stream, write_whole
from toono.wire.messages import Response
from toono.wire.streams import Gate


class Sink(asyncio.Transport):
    """A transport that keeps what is written, and how."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.joined = 0
        self.closing = False

    def is_closing(self) -> bool:
        return self.closing

    def write(self, data: bytes) -> None:
        self.writes.append(bytes(data))

    def writelines(self, list_of_data) -> None:
        self.joined += 1
        self.writes += list_of_data

    def content(self) -> bytes:
        return b"".join(self.writes).partition(b"\r\n\r\n")[2]


def test_a_small_answer_is_one_write() -> None:
    sink = Sink()
    write_whole(
        sink, request(), Response(status=200, content=[b"a", b"b"]), close=False
    )
    assert len(sink.writes) == 1
    assert sink.content() == b"ab"
    assert b"Content-Length: 2" in sink.writes[0]


def test_a_large_answer_is_not_copied() -> None:
    sink, piece = Sink(), b"x" * WRITE_HIGH_BYTES
    write_whole(sink, request(), Response(status=200, content=piece), close=True)
    assert sink.joined == 1
    assert sink.writes[1] is piece
    assert b"Connection: close" in sink.writes[0]


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 304)])
def test_nothing_follows_a_head_that_is_all(method: str, status: int) -> None:
    sink, body = Sink(), Pieces(b"x")
    response = Response(status=status, content=b"x", body=body)
    write_whole(sink, request(method), response, close=False)
    asyncio.run(stream(sink, request(method), response))
    assert len(sink.writes) == 2
    assert body.given == 0


async def stream(sink, asked, response, gate: Gate | None = None) -> bool:
    gate = gate or Gate()
    await write_stream(sink, asked, response, response.body, gate=gate, close=False)
    return gate.wrote


@pytest.mark.parametrize(
    ("length", "old", "content"),
    [
        (None, False, b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"),
        (3, False, b"abc"),
        (None, True, b"abc"),
    ],
)
def test_a_stream_is_framed_as_its_head_says(length, old, content) -> None:
    sink = Sink()
    response = Response(status=200, body=Pieces(b"ab", b"c", length=length))
    assert asyncio.run(stream(sink, request(old=old), response))
    assert sink.content() == content


def test_a_stream_of_nothing_marks_no_progress() -> None:
    response = Response(status=200, body=Pieces())
    assert not asyncio.run(stream(Sink(), request(), response))


def test_a_stream_waits_while_its_client_is_full() -> None:
    async def scenario() -> None:
        sink, gate = Sink(), Gate()
        body = Pieces(b"a", b"b")
        gate.shut()
        writing = asyncio.create_task(
            stream(sink, request(), Response(status=200, body=body), gate)
        )
        await settle()
        assert body.given == 1
        gate.open()
        await writing
        assert body.given == 2

    asyncio.run(scenario())


@pytest.mark.parametrize("length", [1, 3])
def test_an_answer_of_another_length_breaks_off(length: int) -> None:
    sink = Sink()
    response = Response(status=200, body=Pieces(b"a", b"b", length=length))
    with pytest.raises(BodyCutError):
        asyncio.run(stream(sink, request(), response))
    assert len(sink.content()) <= length


class Waiting(Pieces):
    """A body that waits after its pieces, and is handed how to write meanwhile."""

    def __init__(self, *pieces: bytes) -> None:
        super().__init__(*pieces)
        self.over = asyncio.Event()

    async def read(self) -> bytes:
        if not self.pieces:
            await self.over.wait()
        return await super().read()


def test_what_is_written_directly_is_a_chunk_of_the_same_answer() -> None:
    async def story() -> None:
        sink, gate, body = Sink(), Gate(), Waiting(b"one")
        outlets: list = []
        response = Response(status=200, body=body, direct=outlets.append)
        task = asyncio.create_task(
            write_stream(sink, request(), response, body, gate=gate, close=False)
        )
        await settle()
        assert outlets == [gate]
        gate.put(chunk(b"two!"))
        body.over.set()
        await task
        assert sink.content() == b"3\r\none\r\n4\r\ntwo!\r\n0\r\n\r\n"

    asyncio.run(story())


def test_nothing_is_written_directly_to_what_closes() -> None:
    async def story() -> None:
        sink, gate, outlets = Sink(), Gate(), []
        sink.closing = True
        body = Pieces(b"one")
        response = Response(status=200, body=body, direct=outlets.append)
        await write_stream(sink, request(), response, body, gate=gate, close=False)
        assert outlets == []
        assert gate.put is None

    asyncio.run(story())


def test_no_answer_of_a_length_is_written_to_directly() -> None:
    async def story() -> None:
        writers: list = []
        sized = Response(
            status=200, body=Pieces(b"one", length=3), direct=writers.append
        )
        await stream(Sink(), request(), sized)
        assert writers == []

    asyncio.run(story())
