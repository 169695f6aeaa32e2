# SPDX-License-Identifier: Apache-2.0
import asyncio

import pytest

from tests.unit.wire.kit import play
from toono.cache.watch import (
    BOOKMARK_SECONDS,
    MIN_WATCH_SECONDS,
    HeldWatch,
    Newer,
    lasting,
)
from toono.testing.clock import VirtualClock, settle


class Scene:
    def __init__(self, *, first=(), bookmark=None, seconds=300.0, spread=0.0) -> None:
        self.clock = VirtualClock()
        self.over = asyncio.Event()
        self.watch = HeldWatch(
            first=list(first),
            bookmark=bookmark,
            seconds=seconds,
            over=self.over,
            spread=lambda: spread,
            clock=self.clock,
        )

    async def begin(self) -> asyncio.Task[bytes]:
        reading = asyncio.create_task(self.watch.read())
        await settle()
        return reading


def test_what_is_known_comes_first_and_at_once() -> None:
    async def scenario() -> None:
        scene = Scene(first=[b"a", b"b"])
        assert await scene.watch.read() == b"ab"
        assert not (reading := await scene.begin()).done()
        scene.over.set()
        await scene.clock.advance(0.0)
        assert await reading == b""
        assert await scene.watch.read() == b""

    play(scenario)


def test_a_watch_of_no_time_says_what_it_must_and_ends() -> None:
    async def scenario() -> None:
        scene = Scene(first=[b"gone"], seconds=0.0)
        assert [await scene.watch.read() for _ in range(3)] == [b"gone", b"", b""]

    play(scenario)


@pytest.mark.parametrize("bookmark", [None, b"mark"])
def test_it_lasts_as_long_as_it_was_asked_to(bookmark: bytes | None) -> None:
    async def scenario() -> None:
        scene = Scene(bookmark=bookmark, seconds=150.0)
        came: list[bytes] = []

        async def read_all() -> None:
            while piece := await scene.watch.read():
                came.append(piece)

        reading = asyncio.create_task(read_all())
        await scene.clock.advance(BOOKMARK_SECONDS - 1)
        assert came == []
        await scene.clock.advance(1.0)
        assert came == ([bookmark] if bookmark else [])
        await scene.clock.advance(BOOKMARK_SECONDS)
        assert len(came) == (2 if bookmark else 0)
        await scene.clock.advance(29.0)
        assert not reading.done()
        await scene.clock.advance(1.0)
        await reading
        assert len(came) == (2 if bookmark else 0)

    play(scenario)


def test_clients_come_back_to_the_cloud_spread_in_time() -> None:
    async def scenario() -> None:
        scene = Scene(spread=7.0)
        reading = await scene.begin()
        scene.over.set()
        await scene.clock.advance(6.9)
        assert not reading.done()
        await scene.clock.advance(0.1)
        assert await reading == b""

    play(scenario)


def test_a_cloud_that_is_back_already_ends_it_after_what_is_known() -> None:
    async def scenario() -> None:
        scene = Scene(first=[b"a"], bookmark=b"mark")
        scene.over.set()
        assert await scene.watch.read() == b"a"
        reading = await scene.begin()
        await scene.clock.advance(0.0)
        assert await reading == b""

    play(scenario)


def test_a_closed_watch_brings_nothing_and_leaves_no_task() -> None:
    async def scenario() -> None:
        scene = Scene(first=[b"a"])
        scene.watch.close()
        assert await scene.watch.read() == b""
        scene = Scene()
        reading = await scene.begin()
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)

    play(scenario)


@pytest.mark.parametrize("bookmark", [None, b"mark"])
def test_one_that_is_closed_while_it_is_read_ends_at_once(
    bookmark: bytes | None,
) -> None:
    async def scenario() -> None:
        scene = Scene(bookmark=bookmark)
        reading = await scene.begin()
        scene.watch.close()
        scene.watch.close()
        assert await reading == b""

    play(scenario)


def test_a_watch_that_names_no_time_lasts_as_an_api_server_s() -> None:
    found = [lasting(None) for _ in range(50)]
    assert all(MIN_WATCH_SECONDS <= one <= 2 * MIN_WATCH_SECONDS for one in found)
    assert len(set(found)) > 1
    assert 10.0 <= lasting(None, least=10.0) <= 20.0


def test_a_watch_that_names_its_time_lasts_as_long() -> None:
    assert lasting(7.5) == 7.5
    assert lasting(0.0) == 0.0


def test_something_newer_ends_it_at_once() -> None:
    """There is no cloud to spare: what is newer is here."""

    async def scenario() -> None:
        scene, newer = Scene(spread=60.0), Newer()
        scene.watch._newer = newer.of("", "pods")
        reading = await scene.begin()
        newer.tell("", "services")
        await settle()
        assert not reading.done()
        newer.tell("", "pods")
        assert await reading == b""
        newer.tell("", "pods")
        assert not newer.of("", "pods").is_set(), "what comes later waits for more"

    play(scenario)


def test_what_is_newer_before_it_begins_ends_it_after_what_is_known() -> None:
    async def scenario() -> None:
        scene = Scene(first=[b"a"])
        scene.watch._newer.set()
        assert await scene.watch.read() == b"a"
        assert await scene.watch.read() == b""

    play(scenario)
