# SPDX-License-Identifier: Apache-2.0
"""Many connections at once: limits, fairness, and the end."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from tests.unit.wire.kit import (
    Pieces,
    answer_of,
    dialled,
    echo,
    play,
    refuse,
    serving,
    until,
)
from toono.runtime.clock import SystemClock
from toono.runtime.descriptors import Descriptors
from toono.testing.clock import VirtualClock, settle
from toono.wire.messages import Response
from toono.wire.server import FEWEST, Server, ServerSettings
from toono.wire.streams import HIGH_BYTES

GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"


async def is_served(reader, writer) -> bool:
    """Say whether a connection is answered, or was closed instead."""
    try:
        writer.write(GET)
        return (await answer_of(reader))[0] == 200
    except (OSError, asyncio.IncompleteReadError):
        return False


def test_peers_know_who_and_where_they_are() -> None:
    async def scenario() -> None:
        peers = []

        async def handler(request) -> Response:
            peers.append(request.peer)
            return Response(status=200)

        async with serving(handler) as (_, address), AsyncExitStack() as stack:
            for _ in range(2):
                ends = await stack.enter_async_context(dialled(address))
                assert await is_served(*ends)
                assert await is_served(*ends)
            own = [ends[1].get_extra_info("sockname")]
        assert peers[0] is peers[1]
        assert peers[0].connection != peers[2].connection
        assert (peers[2].local, peers[2].remote) == (address, own[0])
        assert (peers[2].certificate, peers[2].tls) == (None, False)

    play(scenario)


@pytest.mark.parametrize("which", ["connections_loopback", "connections"])
def test_there_is_room_for_so_many(which: str) -> None:
    async def scenario() -> None:
        release = asyncio.Event()

        async def handler(request) -> Response:
            await release.wait()
            return Response(status=200)

        async with (
            serving(handler, **{which: 3}) as (server, address),
            AsyncExitStack() as stack,
        ):
            ends = []
            for number in range(3):
                ends.append(await stack.enter_async_context(dialled(address)))
                ends[-1][1].write(GET)
                await until(
                    lambda number=number: (
                        sum(not one.is_idle for one in server.connections.values())
                        == number + 1
                    )
                )
            more = await stack.enter_async_context(dialled(address))
            assert not await is_served(*more)
            assert server.refused_connections == 1
            release.set()
            for reader, writer in ends:
                assert (await answer_of(reader))[0] == 200
                writer.close()
            await until(lambda: not server.connections)
            again = await stack.enter_async_context(dialled(address))
            assert await is_served(*again)

    play(scenario)


def test_the_longest_idle_make_room_one_each() -> None:
    async def scenario() -> None:
        async with (
            serving(echo, connections=4) as (server, address),
            AsyncExitStack() as stack,
        ):
            old = [await stack.enter_async_context(dialled(address)) for _ in range(4)]
            for reader, writer in old:
                assert await is_served(reader, writer)
            news = await asyncio.gather(
                *[stack.enter_async_context(dialled(address)) for _ in range(3)]
            )
            served = await asyncio.gather(*[is_served(*ends) for ends in news])
            assert served == [True, True, True]
            assert len(server.connections) <= 4
            assert await is_served(*old[3])
            assert [await is_served(*ends) for ends in old[:3]] == [False] * 3

    play(scenario)


def made(**settings) -> tuple[Server, list]:
    asked: list = []

    def user_of(client, server) -> str:
        asked.append((client, server))
        return "" if client[0].endswith("1") else "user 7"

    server = Server(
        echo,
        refuse=refuse,
        clock=VirtualClock(),
        settings=ServerSettings(**settings),
        user_of=user_of,
    )
    return server, asked


def test_a_connection_counts_for_its_address_or_on_this_machine_for_its_user() -> None:
    server, asked = made()
    door = ("169.254.2.1", 1)
    sources = [server.source_of((f"10.0.0.{n}", 5), door) for n in (7, 8, 7)]
    assert sources[0] == sources[2] != sources[1]
    assert asked == []
    node = [("127.0.0.1", "127.0.0.1"), ("::1", "::1")]
    others = [("127.0.0.9", "127.0.0.1"), ("169.254.2.2", "169.254.2.2")]
    found = [
        {server.source_of((remote, 5), (local, 1)) for remote, local in some}
        for some in (node, others)
    ]
    assert [len(some) for some in found] == [1, 1]
    assert found[0] != found[1]
    assert len(asked) == 4


@pytest.mark.parametrize(
    ("remote", "most"), [("10.0.0.7", 64), ("127.0.0.9", 64), ("127.0.0.1", 512)]
)
def test_who_holds_all_that_one_may_does_not_take_another_s(remote, most) -> None:
    server, _ = made()
    source = server.source_of((remote, 5), ("127.0.0.1", 1))
    numbers = [server.admit(object(), source) for _ in range(most + 1)]
    assert numbers == [*range(1, most + 1), None]
    assert server.refused_connections == 1
    other = server.source_of(("10.0.0.8", 5), ("127.0.0.1", 1))
    assert server.admit(object(), other) == most + 1
    server.forget(1, source)
    assert server.admit(object(), source) == most + 2


def test_a_burst_of_new_connections_does_not_pass_the_limit() -> None:
    """One that was told to go, but has not gone yet, makes room for one only."""

    class Idle:
        source = "127.0.0.1"
        aborted = 0

        def __init__(self, since: float, *, idle: bool = True) -> None:
            self.since, self.is_idle = since, idle

        def abort(self) -> None:
            self.aborted += 1

    settings = ServerSettings(connections=3)
    server = Server(echo, refuse=refuse, clock=VirtualClock(), settings=settings)
    first = [Idle(2.0), Idle(1.0), Idle(0.0, idle=False)]
    assert [server.admit(one, one.source) for one in first] == [1, 2, 3]
    news = [Idle(9.0, idle=False) for _ in range(4)]
    assert [server.admit(one, one.source) for one in news] == [4, 5, None, None]
    assert [one.aborted for one in first] == [1, 1, 0]
    assert sorted(server.connections) == [3, 4, 5]
    assert server.refused_connections == 2


@pytest.mark.parametrize("known", [True, False])
def test_a_tenth_of_the_descriptors_is_not_for_connections(known: bool) -> None:
    """Whatever else opens files, some connections stay; a count that fails bounds none."""

    async def scenario() -> None:
        clock, others = VirtualClock(), 30
        settings = ServerSettings(connections=40)

        def descriptors() -> Descriptors | None:
            return Descriptors(others + len(server.connections), 60) if known else None

        server = Server(
            echo,
            refuse=refuse,
            clock=clock,
            settings=settings,
            descriptors=descriptors,
        )
        address = await server.start("127.0.0.1", 0)
        async with AsyncExitStack() as stack:
            ends = []
            for _ in range(30):
                ends.append(await stack.enter_async_context(dialled(address)))
                assert await is_served(*ends[-1])
            assert min(server.connections) == (7 if known else 1)
            others = 34
            await clock.advance(1.0)
            assert len(server.connections) == (20 if known else 30)
            others = 60
            await clock.advance(1.0)
            assert len(server.connections) == (FEWEST if known else 30)
            assert max(server.connections) == 30
            others = 0
            await clock.advance(1.0)
            for _ in range(30):
                ends = await stack.enter_async_context(dialled(address))
                assert await is_served(*ends)
            assert len(server.connections) == 40
            assert server.refused_connections == 0
        await server.aclose()

    play(scenario)


def test_one_source_cannot_take_all() -> None:
    server = Server(echo, refuse=refuse, clock=VirtualClock())
    numbers = [server.admit(object(), "10.0.0.9") for _ in range(65)]
    assert numbers[:64] == list(range(1, 65))
    assert numbers[64] is None
    assert server.admit(object(), "10.0.0.8") == 65
    server.forget(1, "10.0.0.9")
    server.forget(1, "10.0.0.9")
    assert server.admit(object(), "10.0.0.9") == 66
    assert server.admit(object(), "10.0.0.9") is None


def test_who_holds_the_bytes_is_shed_and_nobody_else() -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        release = asyncio.Event()

        async def handler(request) -> Response:
            await release.wait()
            return await echo(request)

        head = b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
        async with (
            serving(handler, clock=clock, unread_bytes=4 * HIGH_BYTES) as (
                server,
                address,
            ),
            AsyncExitStack() as stack,
        ):
            hoards = []
            for number in range(6):
                hoards.append(await stack.enter_async_context(dialled(address)))
                hoards[-1][1].write(head % 5_000_000 + b"x" * 5_000_000)
                await until(
                    lambda number=number: (
                        server.unread_bytes > (number + 1) * HIGH_BYTES
                    )
                )
            small = await stack.enter_async_context(dialled(address))
            small[1].write(head % 0)
            idle = await stack.enter_async_context(dialled(address))
            await until(lambda: len(server.connections) == 8)
            await clock.advance(1.0)
            await until(lambda: server.unread_bytes <= 4 * HIGH_BYTES)
            assert 1 in server.connections
            release.set()
            assert (await answer_of(small[0]))[0] == 200
            assert await is_served(*idle)

    play(scenario)


def test_half_a_head_is_refused_with_a_word_when_bytes_are_short() -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        async with (
            serving(echo, clock=clock, unread_bytes=1000) as (server, address),
            dialled(address) as (reader, writer),
        ):
            writer.write(b"GET /a HTTP/1.1\r\nX: " + b"y" * 2000)
            await until(lambda: server.unread_bytes > 1000)
            await clock.advance(1.0)
            assert (await answer_of(reader))[0] == 503

    play(scenario)


@pytest.mark.parametrize("fast", [False, True])
def test_a_drain_lets_answers_out_and_takes_nobody_new(fast: bool) -> None:
    async def scenario() -> None:
        gate = asyncio.Event()
        body = Pieces(b"one", b"two", gate=gate)

        async def handler(request) -> Response:
            if request.target == b"/stream":
                return Response(status=200, body=body)
            await gate.wait()
            return Response(status=200, content=b"late")

        async with (
            serving(handler) as (server, address),
            dialled(address) as (reader, writer),
            dialled(address) as (stream, asking),
            dialled(address) as (idle, _),
        ):
            writer.write(GET)
            asking.write(GET.replace(b"/a", b"/stream"))
            await stream.readuntil(b"one\r\n")
            await until(lambda: len(server.connections) == 3)
            draining = asyncio.create_task(server.drain(10.0))
            assert await idle.read() == b""
            with pytest.raises(OSError):
                async with dialled(address):
                    pass
            assert not draining.done()
            gate.set()
            status, fields, content = await answer_of(reader)
            assert (status, content) == (200, b"late")
            assert fields[b"connection"] == b"close"
            assert await reader.read() == b""
            assert (await stream.read()).endswith(b"two\r\n0\r\n\r\n")
            await draining
            assert body.closed == 1

    play(scenario, fast=fast)


def test_a_drain_ends_in_its_time() -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        body = Pieces(b"one", gate=asyncio.Event())

        async def handler(request) -> Response:
            return Response(status=200, body=body)

        async with (
            serving(handler, clock=clock) as (server, address),
            dialled(address) as (reader, writer),
        ):
            writer.write(GET)
            await reader.readuntil(b"one\r\n")
            draining = asyncio.create_task(server.drain(5.0))
            await clock.advance(4.9)
            assert not draining.done()
            await clock.advance(0.2)
            await draining
            assert body.closed == 1

    play(scenario)


def test_who_comes_in_while_it_drains_is_not_waited_for() -> None:
    """A connection may be accepted, or its handshake end, when the end has begun."""
    server = Server(echo, refuse=refuse, clock=SystemClock())
    server.draining = True
    assert server.admit(object(), "127.0.0.1") is None
    assert server.connections == {}


def test_a_port_that_is_taken_is_told() -> None:
    async def scenario() -> None:
        async with serving(echo) as (_, (host, port)):
            other = Server(echo, refuse=refuse, clock=SystemClock())
            with pytest.raises(OSError, match="in use"):
                await other.start(host, port)
            await other.aclose()

    play(scenario)


def test_one_server_has_several_listeners() -> None:
    async def scenario() -> None:
        async with serving(echo) as (server, address):
            other = await server.start("127.0.0.1", 0)
            for one in (address, other):
                async with dialled(one) as ends:
                    assert await is_served(*ends)

    play(scenario)


def test_a_thousand_connections_leave_nothing_behind() -> None:
    async def scenario() -> None:
        async with serving(echo) as (server, address):
            for _ in range(10):
                async with AsyncExitStack() as stack:
                    for _ in range(30):
                        _, writer = await stack.enter_async_context(dialled(address))
                        writer.write(GET[:9])
            await until(lambda: not server.connections)
            await settle()
            assert server._sources == {}
            assert server.unread_bytes == 0

    play(scenario)
