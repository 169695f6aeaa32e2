# SPDX-License-Identifier: Apache-2.0
"""Connections over TLS that say nothing count from their accept to their end."""

import asyncio
import errno
import resource
import socket
import ssl
from contextlib import ExitStack, asynccontextmanager
from functools import partial

import pytest

from tests.unit.wire.kit import answer_of, dialled, echo, play, refuse, until
from toono.runtime.clock import SystemClock
from toono.runtime.descriptors import Descriptors, count_descriptors
from toono.testing.certificates import Authority
from toono.testing.clock import VirtualClock, settle
from toono.wire.accepting import BURST, Arrival, bind
from toono.wire.connection import Connection
from toono.wire.server import Server, ServerSettings
from toono.wire.tls import ClientFiles, ServerFiles, make_context

GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
BOTH_LOOPS = pytest.mark.parametrize("fast", [False, True], ids=["stock", "uvloop"])


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def door(authority: Authority) -> ssl.SSLContext:
    pair = authority.server("127.0.0.1")
    return make_context(ServerFiles(certificate=pair.certificate, key=pair.key))


@pytest.fixture(scope="module")
def client(authority: Authority) -> ssl.SSLContext:
    return make_context(ClientFiles(ca=authority.file))


@asynccontextmanager
async def guarding(tls, *, clock=None, **settings):
    """A server whose clients count by their address, as on a node pods do.

    All descriptors that were opened meanwhile must be closed at its end.
    """
    loop = asyncio.get_running_loop()
    first = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
    first.close()  # uvloop keeps one descriptor in reserve from its first stream on
    await settle()
    before = count_descriptors().used
    server = Server(
        echo,
        refuse=refuse,
        clock=clock or SystemClock(),
        settings=ServerSettings(**settings),
        user_of=lambda remote, _: remote[0],
        descriptors=lambda: None,
    )
    address = await server.start("127.0.0.1", 0, tls=tls)
    try:
        yield server, address
    finally:
        await server.aclose()
        assert not server.arrivals
    await until(lambda: not server.connections and not server._sources)
    await until(lambda: count_descriptors().used <= before)


def silent(stack: ExitStack, address, count: int, *, source: str) -> list:
    """Connections that begin nothing."""
    made = []
    for _ in range(count):
        raw = stack.enter_context(socket.socket())
        raw.bind((source, 0))
        raw.connect(address)
        raw.setblocking(False)
        made.append(raw)
    return made


def is_closed(raw: socket.socket) -> bool:
    try:
        return raw.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def closed(raws: list) -> int:
    return sum(is_closed(raw) for raw in raws)


async def is_served(address, tls, *, source: str) -> bool:
    raw = socket.socket()
    raw.bind((source, 0))
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, address)
    try:
        reader, writer = await asyncio.open_connection(
            sock=raw, ssl=tls, server_hostname="127.0.0.1"
        )
    except OSError:
        raw.close()
        return False
    writer.write(GET)
    status, _, _ = await answer_of(reader)
    writer.transport.abort()
    await settle()
    return status == 200


@BOTH_LOOPS
def test_who_begins_no_handshake_has_no_more_than_its_share(door, client, fast) -> None:
    async def scenario() -> None:
        async with guarding(door) as (server, address):
            with ExitStack() as stack:
                raws = silent(stack, address, 200, source="127.0.0.7")
                await until(lambda: closed(raws) == 136)
                assert len(server.arrivals) == 64
                assert server.refused_connections == 136
                assert await is_served(address, client, source="127.0.0.8")
                assert not await is_served(address, client, source="127.0.0.7")
                assert closed(raws) == 136
            await until(lambda: not server.arrivals)
            assert await is_served(address, client, source="127.0.0.7")

    play(scenario, fast=fast)


@BOTH_LOOPS
def test_who_was_silent_for_longest_makes_room_when_all_is_taken(
    door, client, fast
) -> None:
    async def scenario() -> None:
        async with guarding(door, connections=8) as (server, address):
            with ExitStack() as stack:
                raws = [
                    *silent(stack, address, 5, source="127.0.0.7"),
                    *silent(stack, address, 3, source="127.0.0.8"),
                ]
                await until(lambda: len(server.arrivals) == 8)
                assert await is_served(address, client, source="127.0.0.9")
                assert [is_closed(raw) for raw in raws] == [True] + [False] * 7
                more = silent(stack, address, 20, source="127.0.0.9")
                await until(lambda: closed(raws) + closed(more) == 20)
                assert len(server.arrivals) == 8
                assert [is_closed(raw) for raw in more[-8:]] == [False] * 8

    play(scenario, fast=fast)


@BOTH_LOOPS
def test_a_handshake_has_its_time(door, client, fast) -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        async with guarding(door, clock=clock) as (server, address):
            with ExitStack() as stack:
                (raw,) = silent(stack, address, 1, source="127.0.0.7")
                await until(lambda: server.arrivals)
                await clock.advance(10.0)
                assert server.arrivals
                assert not is_closed(raw)
                await clock.advance(1.0)
                await until(lambda: is_closed(raw))
                assert not server.arrivals

    play(scenario, fast=fast)


@BOTH_LOOPS
def test_a_handshake_that_fails_counts_until_then(door, fast, caplog) -> None:
    async def scenario() -> None:
        async with guarding(door, connections_per_source=2) as (server, address):
            for _ in range(4):
                with ExitStack() as stack:
                    raws = silent(stack, address, 2, source="127.0.0.7")
                    await until(lambda: len(server.arrivals) == 2)
                    for raw, words in zip(raws, [GET, b""], strict=True):
                        raw.send(words)
                        raw.shutdown(socket.SHUT_WR)
                    await until(lambda: not server.arrivals)
                    assert not server._sources
            assert server.refused_connections == 0

    play(scenario, fast=fast)
    assert "task failed" not in caplog.text


@BOTH_LOOPS
@pytest.mark.parametrize("gently", [False, True], ids=["aclose", "drain"])
def test_the_end_waits_for_no_handshake(door, fast, gently) -> None:
    async def scenario() -> None:
        async with guarding(door) as (server, address):
            with ExitStack() as stack:
                raws = silent(stack, address, 10, source="127.0.0.7")
                await until(lambda: len(server.arrivals) == 10)
                (listener,) = server._listeners
                await (server.drain(1e9) if gently else server.aclose())
                assert listener._raw.fileno() == -1
                await until(lambda: closed(raws) == 10)
                with pytest.raises(ConnectionRefusedError):
                    silent(stack, address, 1, source="127.0.0.7")

    play(scenario, fast=fast)


@BOTH_LOOPS
def test_while_it_drains_nobody_s_handshake_goes_on(door, client, fast) -> None:
    async def scenario() -> None:
        async with (
            guarding(door) as (server, address),
            dialled(address, tls=client) as (reader, writer),
        ):
            writer.write(b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n")
            await until(lambda: any(not c.is_idle for c in server.connections.values()))
            with ExitStack() as stack:
                (raw,) = silent(stack, address, 1, source="127.0.0.7")
                await until(lambda: server.arrivals)
                draining = asyncio.create_task(server.drain(1e9))
                await until(lambda: is_closed(raw))
                assert not draining.done()
                writer.write(b"x")
                assert (await answer_of(reader))[0] == 200
                await draining

    play(scenario, fast=fast)


@BOTH_LOOPS
def test_handshakes_leave_a_tenth_of_the_descriptors_too(door, fast) -> None:
    async def scenario() -> None:
        others = 30

        def descriptors() -> Descriptors:
            return Descriptors(others + len(server.arrivals), 60)

        clock = VirtualClock()
        async with guarding(door, clock=clock) as (server, address):
            server._descriptors = descriptors
            with ExitStack() as stack:
                raws = silent(stack, address, 30, source="127.0.0.7")
                await until(lambda: len(server.arrivals) == 30)
                await clock.advance(1.0)
                await until(lambda: closed(raws) == 6)
                more = silent(stack, address, 2, source="127.0.0.7")
                await until(lambda: closed(raws) == 8)
                assert closed(more) == 0
                assert len(server.arrivals) == 24

    play(scenario, fast=fast)


@BOTH_LOOPS
def test_the_end_before_a_handshake_s_first_step_closes_its_socket(door, fast) -> None:
    async def scenario() -> None:
        async with guarding(door) as (server, address):
            with ExitStack() as stack:
                (raw,) = silent(stack, address, 1, source="127.0.0.7")
                ours, theirs = socket.socketpair()
                arrival = Arrival(server, ours, source="x", tls=door)
                arrival.begin(server.admit(arrival, "x"))
                await server.aclose()
                assert ours.fileno() == -1
                theirs.close()
                await until(lambda: is_closed(raw))

    play(scenario, fast=fast)


class Transport(asyncio.Transport):
    aborted = False

    def abort(self) -> None:
        self.aborted = True


def test_who_lost_its_place_in_its_handshake_s_last_moment_does_not_get_it_back(
    door,
) -> None:
    async def scenario() -> None:
        server = Server(echo, refuse=refuse, clock=VirtualClock())
        ours, theirs = socket.socketpair()
        with ours, theirs:
            arrival = Arrival(server, ours, source="x", tls=door)
            arrival.number = server.admit(arrival, "x")
            assert arrival.abort() is None
            transport, connection = Transport(), Connection(server, arrival)
            connection.connection_made(transport)
            connection.connection_lost(None)
            assert transport.aborted
            assert not arrival.is_seated
            assert not server.connections
            assert not server._sources

    asyncio.run(scenario())


@BOTH_LOOPS
def test_a_burst_is_let_in_whole(door, fast) -> None:
    async def scenario() -> None:
        async with guarding(door, connections_per_source=999) as (server, address):
            with ExitStack() as stack:
                raws = silent(stack, address, 2 * BURST + 9, source="127.0.0.7")
                await until(lambda: len(server.arrivals) == len(raws))
                assert closed(raws) == 0

    play(scenario, fast=fast)


@BOTH_LOOPS
def test_who_makes_another_go_is_the_last_of_its_turn(door, fast) -> None:
    """Descriptors come back a turn later: a burst would use up those kept for files."""

    async def scenario() -> None:
        in_a_turn, most = 0, []

        def told(server: Server, *of: object, **tls: object) -> bool:
            nonlocal in_a_turn
            in_a_turn += 1
            loop.call_soon(over)
            most.append((len(server.arrivals), in_a_turn))
            return Server._arrived(server, *of, **tls)

        def over() -> None:
            nonlocal in_a_turn
            in_a_turn = 0

        loop = asyncio.get_running_loop()
        async with guarding(door, connections=20) as (server, address):
            listener = server._listeners[0]
            listener._arrived = partial(told, server, tls=door)
            with ExitStack() as stack:
                raws = silent(stack, address, 50, source="127.0.0.7")
                await until(lambda: closed(raws) == 30)
                assert most[:20] == [(n, n + 1) for n in range(20)]
                assert {(standing, nth) for standing, nth in most[21:]} == {(20, 1)}

    play(scenario, fast=fast)


@BOTH_LOOPS
def test_without_descriptors_who_stands_is_served_and_others_wait(
    door, client, fast, caplog
) -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        async with (
            guarding(door, clock=clock) as (server, address),
            dialled(address, tls=client) as (reader, writer),
        ):
            writer.write(GET)
            await answer_of(reader)
            for _ in range(2):
                with socket.socket() as raw:
                    raw.setblocking(False)
                    with exhausted():
                        await asyncio.get_running_loop().sock_connect(raw, address)
                        await until(lambda: is_paused(server))
                        writer.write(GET)
                        assert (await answer_of(reader))[0] == 200
                        await clock.advance(3.0)
                        await until(lambda: is_paused(server))
                        assert not server.arrivals
                    await clock.advance(1.0)
                    await until(lambda: server.arrivals)
                    assert not is_closed(raw)
                await until(lambda: not server.arrivals)

    play(scenario, fast=fast)
    assert caplog.text.count("no connection can be accepted") == 2


def is_paused(server: Server) -> bool:
    """Say whether the one listener is not looked at; if it is, it is again."""
    listener = server._listeners[0]
    if asyncio.get_running_loop().remove_reader(listener._raw):
        listener.resume()
        return False
    return True


class exhausted:
    """No further descriptor can be had, for as long as it lasts."""

    def __enter__(self) -> None:
        self._before = resource.getrlimit(resource.RLIMIT_NOFILE)
        with socket.socket() as next_one:
            free = next_one.fileno()
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, self._before[1]))

    def __exit__(self, *_: object) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, self._before)


def test_where_one_cannot_listen_nothing_stays_open() -> None:
    async def scenario() -> None:
        (taken,) = await bind("127.0.0.1", 0)
        with taken:
            before = count_descriptors().used
            assert taken.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 1
            with pytest.raises(OSError, match="in use") as caught:
                await bind(*taken.getsockname())
            assert caught.value.errno == errno.EADDRINUSE
            assert count_descriptors().used == before

    asyncio.run(scenario())


def test_an_address_of_ipv6_takes_none_of_ipv4() -> None:
    async def scenario() -> None:
        try:
            (raw,) = await bind("::", 0)
        except OSError:
            pytest.skip("LOUD: no IPv6 here")
        with raw:
            assert raw.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1

    asyncio.run(scenario())
