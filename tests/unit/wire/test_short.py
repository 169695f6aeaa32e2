# SPDX-License-Identifier: Apache-2.0
"""A head that came before is answered within its callback, and nothing else changes."""

import asyncio
import socket
import struct

from toono.wire.messages import Asker, Request, Response
from toono.wire.short import MAX_HEAD_BYTES, KnownHeads, ShortWay

from .kit import play, serving

HEAD = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n"
LONG = b"HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 4\r\n\r\nlong"
SHORT = b"HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 5\r\n\r\nshort"


class Soon:
    """A short way that is answered when the test says so."""

    def __init__(self, at_once: bytes | None = b"") -> None:
        self.at_once = at_once
        self.begun = self.abandoned = 0
        self.asker: Asker | None = None

    def begin(self, asker: Asker, now: float) -> bytes | None:
        assert now > 0
        self.begun += 1
        self.asker = asker
        return self.at_once

    def abandon(self) -> None:
        self.abandoned += 1


class Handler:
    """Answers the long way, and leaves one short way for all heads."""

    def __init__(self, again: Soon | None) -> None:
        self.again = again
        self.asked: list[bytes] = []

    async def __call__(self, request: Request) -> Response:
        self.asked.append(request.target)
        return Response(
            status=200, headers=[(b"Date", b"now")], content=b"long", again=self.again
        )


async def connected(address):
    return await asyncio.open_connection(*address)


async def ask(reader, writer, what: bytes = b"x") -> bytes:
    writer.write(HEAD % what)
    return await answered(reader)


async def answered(reader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    return head + await reader.readexactly(int(head.split(b"Length: ")[1].split()[0]))


async def under_way(again: Soon, address):
    """Connect, ask the long way, and begin the short one."""
    reader, writer = await connected(address)
    await ask(reader, writer)
    writer.write(HEAD % b"x")
    await begun(again, 1)
    return reader, writer


async def begun(again: Soon, count: int) -> None:
    async with asyncio.timeout(20):
        while again.begun < count:
            await asyncio.sleep(0)


def test_the_second_of_two_equal_heads_goes_the_short_way() -> None:
    async def scenario() -> None:
        handler = Handler(Soon(SHORT))
        async with serving(handler) as (_, address):
            reader, writer = await connected(address)
            assert await ask(reader, writer) == LONG
            assert await ask(reader, writer) == SHORT
            assert await ask(reader, writer, b"y") == LONG
            assert await ask(reader, writer) == SHORT
            other = await connected(address)
            assert await ask(*other) == LONG, "another connection is nobody known"
            assert handler.asked == [b"/x", b"/y", b"/x"]
            writer.close()
            other[1].close()

    play(scenario)


def test_what_cannot_go_short_goes_long() -> None:
    async def scenario() -> None:
        handler = Handler(Soon(None))
        async with serving(handler) as (_, address):
            reader, writer = await connected(address)
            assert [await ask(reader, writer) for _ in range(3)] == [LONG] * 3
            handler.again = None
            await ask(reader, writer)
            handler.again = Soon(SHORT)
            assert await ask(reader, writer) == LONG
            assert await ask(reader, writer) == SHORT
            writer.close()

    play(scenario)


def test_requests_behind_one_under_way_are_answered_after_it() -> None:
    async def scenario() -> None:
        again = Soon()
        async with serving(Handler(again)) as (server, address):
            reader, writer = await connected(address)
            await ask(reader, writer)
            writer.write(HEAD % b"x" + HEAD % b"y" + HEAD % b"x")
            assert await answered(reader) == LONG  # three in one piece: no short way
            await answered(reader), await answered(reader)
            writer.write(HEAD % b"x")
            await begun(again, 1)
            writer.write(HEAD % b"y")
            (connection,) = server.connections.values()
            async with asyncio.timeout(20):
                while not connection.unread:
                    await asyncio.sleep(0)
            assert not connection.is_idle
            again.asker.answer(SHORT)
            assert await answered(reader) == SHORT
            assert await answered(reader) == LONG
            writer.close()

    play(scenario)


def test_a_client_that_ends_hears_what_is_under_way_first() -> None:
    async def scenario() -> None:
        again = Soon()
        async with serving(Handler(again)) as (_, address):
            reader, writer = await connected(address)
            await ask(reader, writer)
            writer.write(HEAD % b"x")
            writer.write_eof()
            await begun(again, 1)
            await asyncio.sleep(0.01)
            again.asker.answer(SHORT)
            assert await reader.read() == SHORT
            writer.close()

    play(scenario)


def test_a_client_that_is_gone_is_waited_for_by_nobody() -> None:
    async def scenario() -> None:
        again = Soon()
        async with serving(Handler(again)) as (server, address):
            _, writer = await under_way(again, address)
            reset = struct.pack("ii", 1, 0)
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            writer.transport.abort()
            async with asyncio.timeout(20):
                while not again.abandoned:
                    await asyncio.sleep(0)
            assert again.abandoned == 1
            assert len(server.known_heads) == 0

    play(scenario)


def test_a_server_that_drains_lets_the_short_way_end() -> None:
    async def scenario() -> None:
        again = Soon()
        async with serving(Handler(again)) as (server, address):
            reader, writer = await under_way(again, address)
            draining = asyncio.ensure_future(server.drain(20))
            await asyncio.sleep(0)
            again.asker.answer(SHORT)
            assert await reader.read() == SHORT
            await draining
            writer.close()

    play(scenario)


def test_one_that_is_declined_goes_long_and_for_good_if_so_said() -> None:
    async def scenario() -> None:
        again = Soon()
        handler = Handler(again)
        async with serving(handler) as (_, address):
            reader, writer = await connected(address)
            await ask(reader, writer)
            for turn, for_good in enumerate((False, True), 1):
                writer.write(HEAD % b"x")
                await begun(again, turn)
                again.asker.decline(for_good=for_good)
                assert await answered(reader) == LONG
            assert [await ask(reader, writer) for _ in range(2)] == [LONG] * 2
            assert again.begun == 2
            assert handler.asked == [b"/x"] * 5
            writer.close()

    play(scenario)


def test_one_under_way_is_no_idle_connection_and_no_late_head() -> None:
    async def scenario() -> None:
        again = Soon()
        async with serving(Handler(again)) as (server, address):
            reader, writer = await under_way(again, address)
            (connection,) = server.connections.values()
            connection.sweep(server.clock.monotonic() + 3600)
            again.asker.answer(SHORT)
            assert await answered(reader) == SHORT
            writer.close()

    play(scenario)


def test_one_that_is_declined_has_the_time_of_a_new_head() -> None:
    async def scenario() -> None:
        again = Soon()
        async with serving(Handler(again)) as (server, address):
            reader, writer = await under_way(again, address)
            (connection,) = server.connections.values()
            connection._head_at -= 3600
            again.asker.decline()
            connection.sweep(server.clock.monotonic())
            assert await answered(reader) == LONG
            writer.close()

    play(scenario)


def test_half_a_head_behind_one_under_way_has_its_time_from_the_answer_on() -> None:
    async def scenario() -> None:
        again = Soon()
        async with serving(Handler(again)) as (server, address):
            reader, writer = await under_way(again, address)
            writer.write((HEAD % b"y")[:9])
            (connection,) = server.connections.values()
            async with asyncio.timeout(20):
                while not connection.unread:
                    await asyncio.sleep(0)
            connection._head_at -= 3600
            again.asker.answer(SHORT)
            assert not connection.is_idle
            connection.sweep(server.clock.monotonic())
            assert await answered(reader) == SHORT
            writer.write((HEAD % b"y")[9:])
            assert await answered(reader) == LONG
            writer.close()

    play(scenario)


def test_an_empty_line_before_each_head_is_skipped() -> None:
    async def scenario() -> None:
        async with serving(Handler(Soon(SHORT))) as (server, address):
            reader, writer = await connected(address)
            await ask(reader, writer)
            (connection,) = server.connections.values()
            writer.write(b"\r\n")
            async with asyncio.timeout(20):
                while not connection._skipped:
                    await asyncio.sleep(0)
            assert await ask(reader, writer) == SHORT
            writer.write(b"\r\n" + HEAD % b"x")
            assert await answered(reader) == LONG
            writer.close()

    play(scenario)


def test_what_waits_behind_one_under_way_is_bounded() -> None:
    async def scenario() -> None:
        again = Soon()
        async with serving(Handler(again)) as (server, address):
            reader, writer = await under_way(again, address)
            writer.write((HEAD % b"y") * 20_000)
            (connection,) = server.connections.values()
            async with asyncio.timeout(20):
                while connection._transport.is_reading():
                    await asyncio.sleep(0)
            assert connection.unread < 1_000_000
            again.asker.answer(SHORT)
            assert await answered(reader) == SHORT
            for _ in range(20_000):
                await answered(reader)
            writer.close()

    play(scenario)


def test_heads_are_bounded_for_all_connections_together() -> None:
    known = KnownHeads(most=3)
    one, other = (ShortWay(known, over=lambda _: None) for _ in range(2))
    response = Response(status=200, again=Soon(SHORT))
    for name in (b"1", b"2"):
        one.learn(name, response)
    for name in (b"3", b"4", b"4"):
        other.learn(name, response)
    assert len(known) == 3
    assert [*one.known] == [b"2\r\n\r\n"], "the oldest went"
    one.learn(b"x" * MAX_HEAD_BYTES, response)
    assert len(known) == 3
    one.abandon()
    other.abandon()
    assert (len(known), one.known, other.known) == (0, {}, {})
