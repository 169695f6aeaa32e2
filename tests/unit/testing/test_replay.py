# SPDX-License-Identifier: Apache-2.0
"""Recordings read from files, and served again byte for byte."""

import asyncio
from pathlib import Path
from typing import Self

import pytest

from toono.testing.replay import Recorded, Replay, body_of, read_exchange

SIZED = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nhel\r\nA\r\nlo, world!\r\n0\r\n\r\n"
)
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello"


@pytest.mark.parametrize(
    ("response", "body"),
    [(SIZED, b"hello"), (CHUNKED, b"hello, world!")],
)
def test_a_body_ends_where_its_framing_says(response: bytes, body: bytes) -> None:
    assert body_of(response + b"HTTP/1.1 next") == (body, len(response))


def test_a_body_without_framing_is_all_that_follows() -> None:
    assert body_of(UNTIL_CLOSE) == (b"hello", len(UNTIL_CLOSE))


def test_a_stream_that_was_cut_has_what_came() -> None:
    body, end = body_of(CHUNKED[:-5])
    assert (body, end) == (b"hello, world!", len(CHUNKED) - 5)


def request(target: str, *, body: bytes = b"", accept: str = "a/b") -> bytes:
    method = "POST" if body else "GET"
    lines = [f"{method} {target} HTTP/1.1", "Host: x", f"Accept: {accept}"]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def recorded(target: str, response: bytes = SIZED, **asked) -> Recorded:
    whole = request(target, **asked)
    method, accept = whole.split(b" ")[0].decode(), asked.get("accept", "a/b")
    return Recorded(method, target, accept, whole, response)


def test_exchanges_of_one_connection_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "one.request"
    asked = request("/a", body=b"xyz") + request("/b") + request("/unanswered")
    path.write_bytes(asked)
    path.with_suffix(".response").write_bytes(CHUNKED + SIZED)
    first, second = read_exchange(path)
    assert first == Recorded("POST", "/a", "a/b", request("/a", body=b"xyz"), CHUNKED)
    assert (second.target, second.response) == ("/b", SIZED)
    assert (first.status, first.body) == (200, b"hello, world!")


class Client:
    def __init__(self, *exchanges: Recorded) -> None:
        self.replay = Replay(list(exchanges))

    async def __aenter__(self) -> Self:
        await self.replay.start()
        ends = await asyncio.open_connection(*self.replay.address)
        self.reader, self.writer = ends
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()
        await self.replay.aclose()

    async def ask(self, text: bytes, size: int) -> bytes:
        self.writer.write(text)
        async with asyncio.timeout(5):
            return await self.reader.readexactly(size)


def test_a_question_gets_its_answers_in_order_and_the_last_again() -> None:
    other = SIZED.replace(b"hello", b"other")

    async def scenario() -> None:
        async with Client(recorded("/a"), recorded("/a", other)) as client:
            for answer in (SIZED, other, other):
                assert await client.ask(request("/a"), len(answer)) == answer
            assert client.replay.unknown == []

    asyncio.run(scenario())


def test_forms_are_told_apart_and_unknown_questions_noted() -> None:
    async def scenario() -> None:
        missing = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        async with Client(recorded("/a", accept="x/y")) as client:
            assert await client.ask(request("/a"), len(missing)) == missing
            told = await client.ask(request("/a", accept="x/y"), len(SIZED))
            assert told == SIZED
            assert client.replay.unknown == [("GET", "/a")]

    asyncio.run(scenario())


def test_bodies_of_requests_are_passed_over() -> None:
    chunks = b"3\r\nabc\r\n0\r\n\r\n"
    streamed = request("/a").replace(
        b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n"
    )

    async def scenario() -> None:
        async with Client(recorded("/a"), recorded("/b", body=b"xyz")) as client:
            assert await client.ask(request("/b", body=b"xyz"), len(SIZED)) == SIZED
            assert await client.ask(streamed + chunks, len(SIZED)) == SIZED
            assert await client.ask(request("/a"), len(SIZED)) == SIZED

    asyncio.run(scenario())


def test_probes_are_answered() -> None:
    async def scenario() -> None:
        ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        async with Client() as client:
            assert await client.ask(request("/readyz"), len(ok)) == ok

    asyncio.run(scenario())


def test_an_answer_that_closes_closes() -> None:
    async def scenario() -> None:
        async with Client(recorded("/a", UNTIL_CLOSE)) as client:
            client.writer.write(request("/a"))
            async with asyncio.timeout(5):
                assert await client.reader.read() == UNTIL_CLOSE

    asyncio.run(scenario())


def test_a_replay_that_ends_breaks_its_connections() -> None:
    async def scenario() -> None:
        async with Client(recorded("/a")) as client:
            await client.ask(request("/a"), len(SIZED))
            await client.replay.aclose()
            async with asyncio.timeout(5):
                assert await client.reader.read() == b""

    asyncio.run(scenario())
