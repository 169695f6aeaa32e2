# SPDX-License-Identifier: Apache-2.0
"""A reader's own queue: what waits, what is too much, and the end."""

import asyncio

from toono.multiplex.stream import MAX_BYTES, MAX_FRAMES, SharedStream
from toono.testing.clock import settle
from toono.wire.streams import Gate


def stream(*first: bytes) -> tuple[SharedStream, list[SharedStream]]:
    left: list[SharedStream] = []
    one = SharedStream(list(first), until=9.0, bookmarks=True, left=left.append)
    return one, left


def push(one: SharedStream, frame: bytes) -> None:
    one.push(frame, b"<%b>" % frame)


def test_what_is_there_comes_first_then_what_has_come_all_at_once() -> None:
    async def story() -> None:
        one, _ = stream(b"a", b"b")
        push(one, b"c")
        push(one, b"d")
        assert await one.read() == b"ab"
        assert await one.read() == b"cd"
        reading = asyncio.ensure_future(one.read())
        await settle()
        assert not reading.done()
        push(one, b"e")
        push(one, b"f")
        assert await reading == b"ef"

    asyncio.run(story())


def test_an_end_comes_after_what_waits() -> None:
    async def story() -> None:
        one, _ = stream()
        push(one, b"a")
        one.end(b"gone")
        one.end(b"again")
        push(one, b"late")
        assert [await one.read() for _ in range(3)] == [b"agone", b"", b""]

    asyncio.run(story())


def test_a_reader_too_far_behind_is_cut_and_the_memory_is_free() -> None:
    async def story() -> None:
        for frame, count in ((b"x", MAX_FRAMES + 1), (b"x" * (MAX_BYTES // 2), 3)):
            one, _ = stream(b"first")
            for _ in range(count):
                push(one, frame)
            assert one.slow
            assert await one.read() == b"first"
            assert await one.read() == b""

    asyncio.run(story())


def test_a_reader_that_keeps_up_is_never_cut() -> None:
    async def story() -> None:
        one, _ = stream()
        for _ in range(3):
            for _ in range(MAX_FRAMES):
                push(one, b"x")
            assert await one.read() == b"x" * MAX_FRAMES
        assert not one.slow

    asyncio.run(story())


def test_a_reader_that_leaves_is_told_of_once() -> None:
    async def story() -> None:
        one, left = stream(b"first")
        push(one, b"a")
        one.close()
        one.close()
        assert left == [one]
        assert await one.read() == b""
        other, _ = stream()
        reading = asyncio.ensure_future(other.read())
        await settle()
        other.close()
        assert await reading == b""

    asyncio.run(story())


def test_a_frame_goes_out_at_once_while_the_reader_waits_and_in_order() -> None:
    async def story() -> None:
        one, _ = stream(b"first")
        wrote: list[bytes] = []
        gate = Gate()
        gate.lend(wrote.append)
        one.attach(gate)
        push(one, b"a")  # nobody waits yet: it comes after what is there
        assert [await one.read(), await one.read()] == [b"first", b"a"]
        assert wrote == []
        assert not gate.wrote
        reading = asyncio.ensure_future(one.read())
        await settle()
        push(one, b"b")
        push(one, b"c")
        assert wrote == [b"<b>", b"<c>"]
        assert gate.wrote
        assert not reading.done()
        gate.shut()  # the client takes nothing: what comes now waits for it
        push(one, b"d")
        gate.open()
        push(one, b"e")
        assert wrote == [b"<b>", b"<c>"]
        assert await reading == b"de"
        one.close()
        push(one, b"late")
        assert wrote == [b"<b>", b"<c>"]

    asyncio.run(story())
