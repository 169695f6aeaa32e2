# SPDX-License-Identifier: Apache-2.0
import asyncio

import pytest

from toono.errors import (
    BodyCutError,
    RejectedRequestError,
    UpstreamError,
    WireTimeoutError,
)
from toono.pipeline import begun
from toono.pipeline.begun import AHEAD_BYTES, REFUSAL_BYTES, begin, gathered
from toono.wire.messages import BytesBody
from toono.wire.streams import Incoming


def incoming(*pieces: bytes) -> Incoming:
    body = Incoming(None, pause=lambda _: None)
    for piece in pieces:
        body.feed(piece)
    return body


async def rest(body) -> list[bytes]:
    found = []
    while piece := await body.read():
        found.append(piece)
    assert await body.read() == b""
    return found


def test_body_of_known_length_is_as_it_was() -> None:
    body = BytesBody(b"abc")
    assert asyncio.run(begin(body)) is body


@pytest.mark.parametrize("pieces", [(), (b"a",), (b"a", b"b")])
def test_whole_body_keeps_its_bytes(pieces: tuple[bytes, ...]) -> None:
    async def story() -> None:
        body = incoming(*pieces)
        body.finish()
        found = await begin(body)
        assert found.length is None
        assert await rest(found) == list(pieces)

    asyncio.run(story())


@pytest.mark.parametrize("pieces", [(), (b"a",)])
def test_broken_body_is_refused_before_anything_goes_on(pieces) -> None:
    async def story() -> None:
        body = incoming(*pieces)
        body.fail(RejectedRequestError(400, "chunk"))
        with pytest.raises(RejectedRequestError, match="chunk"):
            await begin(body)

    asyncio.run(story())


def test_client_that_is_too_slow_is_the_one_to_blame() -> None:
    async def story() -> None:
        body = incoming()
        body.fail(WireTimeoutError("slow"))
        with pytest.raises(RejectedRequestError) as caught:
            await begin(body)
        assert caught.value.status == 408

    asyncio.run(story())


def test_body_that_streams_goes_on_with_what_there_is(monkeypatch) -> None:
    async def story() -> None:
        monkeypatch.setattr(begun, "AHEAD_SECONDS", 0.001)
        body = incoming(b"a")
        found = await begin(body)
        body.feed(b"b")
        body.finish()
        assert await rest(found) == [b"a", b"b"]

    asyncio.run(story())


def test_no_more_is_held_than_a_little() -> None:
    async def story() -> None:
        large = b"x" * (AHEAD_BYTES // 2)
        body = incoming(large, large, b"rest")
        found = await begin(body)
        assert body.unread < 100
        body.finish()
        assert await rest(found) == [large, large, b"rest"]
        assert body.unread == 0

    asyncio.run(story())


def test_closing_closes_what_is_behind() -> None:
    async def story() -> None:
        body = incoming(b"x" * AHEAD_BYTES, b"more")
        found = await begin(body)
        found.close()
        assert body.unread == 0
        assert await found.read() == b""

    asyncio.run(story())


@pytest.mark.parametrize("first", [b"a", b"x" * 2 * AHEAD_BYTES])
def test_refusal_that_is_whole_is_its_content(first: bytes) -> None:
    async def story() -> None:
        body = incoming(first, b"b")
        body.finish()
        assert await gathered(body) == first + b"b"

    asyncio.run(story())


def test_refusal_larger_than_any_object_is_passed_on_at_once() -> None:
    async def story() -> None:
        body = Incoming(REFUSAL_BYTES + 1, pause=lambda _: None)
        assert await gathered(body) is body

    asyncio.run(story())


@pytest.mark.parametrize("pieces", [(), (b"a",), (b"x" * REFUSAL_BYTES,)])
@pytest.mark.parametrize("sized", [False, True])
def test_refusal_that_goes_on_is_passed_on(monkeypatch, pieces, sized) -> None:
    async def story() -> None:
        monkeypatch.setattr(begun, "REFUSAL_SECONDS", 0.001)
        length = REFUSAL_BYTES if sized else None
        body = Incoming(length, pause=lambda _: None)
        for piece in pieces:
            body.feed(piece)
        found = await gathered(body)
        assert not isinstance(found, bytes)
        assert found.length == length
        body.feed(b"more")
        body.finish()
        assert await rest(found) == [*pieces, b"more"]

    asyncio.run(story())


def test_refusal_that_breaks_off_is_the_link_s_fault() -> None:
    async def story() -> None:
        body = incoming(b"a")
        body.fail(BodyCutError("cut"))
        with pytest.raises(UpstreamError):
            await gathered(body)

    asyncio.run(story())
