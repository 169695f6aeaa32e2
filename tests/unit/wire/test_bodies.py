# SPDX-License-Identifier: Apache-2.0
import asyncio

import pytest

from toono.errors import RejectedRequestError
from toono.wire.bodies import RequestBody
from toono.wire.streams import HIGH_BYTES


class Scene:
    def __init__(self, length: int | None, *, expects: bool = False) -> None:
        self.pauses: list[bool] = []
        self.started = 0
        started = self.start if expects else None
        self.body = RequestBody(length, pause=self.pauses.append, started=started)

    def start(self) -> None:
        self.started += 1

    def read(self) -> bytes:
        """Return what has come, without waiting for more."""

        async def reading() -> bytes:
            content = b""
            while self.body.incoming.unread:
                content += await self.body.incoming.read()
            return content

        return asyncio.run(reading())

    def is_slow(self, now: float) -> bool:
        return self.body.is_slow(now, rate=10, seconds=60.0)


def test_a_sized_body_takes_its_bytes_and_gives_back_the_rest() -> None:
    scene = Scene(5)
    assert scene.body.feed(b"abc") is None
    assert not scene.body.is_over
    assert scene.body.feed(b"deGET /") == b"GET /"
    assert scene.body.is_over
    assert scene.read() == b"abcde"


def test_a_chunked_body_does_the_same() -> None:
    scene = Scene(None)
    assert scene.body.feed(b"3\r\nabc\r\n2") is None
    assert scene.body.feed(b"\r\nde\r\n0\r\n\r\nGET /") == b"GET /"
    assert scene.body.is_over
    assert scene.read() == b"abcde"


def test_after_a_broken_frame_nothing_is_believed() -> None:
    scene = Scene(None)
    assert scene.body.feed(b"3\r\nabc\r\nXX\r\n") is None
    assert isinstance(scene.body.failure, RejectedRequestError)
    assert scene.body.feed(b"0\r\n\r\nGET /evil HTTP/1.1\r\n") is None
    assert not scene.body.is_over
    assert scene.read() == b"abc"
    with pytest.raises(RejectedRequestError):
        asyncio.run(scene.body.incoming.read())


def test_who_brings_too_little_is_slow() -> None:
    scene = Scene(10_000)
    assert not scene.is_slow(0.0)
    scene.body.feed(b"x" * 599)
    assert not scene.is_slow(59.0)
    assert scene.is_slow(60.0)
    scene.body.feed(b"x")
    assert not scene.is_slow(61.0)


@pytest.mark.parametrize("why", ["full", "not yet asked for"])
def test_who_waits_for_us_is_not_slow(why: str) -> None:
    scene = Scene(10_000_000, expects=why != "full")
    if why == "full":
        scene.body.feed(b"x" * HIGH_BYTES)
        assert scene.pauses == [True]
    assert not any(scene.is_slow(float(now)) for now in range(0, 1000, 10))
    if why == "full":
        scene.read()
    else:
        scene.body.feed(b"x")
        scene.read()
        assert scene.started == 1
    assert not scene.is_slow(1000.0)
    assert scene.is_slow(1060.0)
