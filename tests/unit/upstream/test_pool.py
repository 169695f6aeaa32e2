# SPDX-License-Identifier: Apache-2.0
"""Several API servers as one, over real sockets; every server here is ours."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from tests.unit.wire.kit import OK, play, refuse, until, whole
from toono.errors import UnreachableError, UpstreamError
from toono.runtime.clock import SystemClock
from toono.testing.clock import VirtualClock, settle
from toono.upstream.health import HealthSettings
from toono.upstream.pool import (
    CONNECTION_BURST,
    Admission,
    Credential,
    Server,
    Upstream,
)
from toono.wire.client import Origin
from toono.wire.messages import BytesBody, Response
from toono.wire.server import Server as WireServer

QUICK = HealthSettings(
    up_after=1, interval=30.0, down_interval=0.02, probe_timeout=0.4, silence=0.15
)
NODE = Credential.NODE


class Cloud:
    """API servers whose moods the test sets: ok, unready, silent, deaf, garbage."""

    def __init__(self, count: int) -> None:
        self.moods = ["ok"] * count
        self.asked: list[list[bytes]] = [[] for _ in range(count)]
        self.probes = [0] * count
        self.release = asyncio.Event()
        self.addresses: list[tuple[str, int]] = []
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task] = set()

    async def start(self) -> None:
        for number in range(len(self.moods)):
            server = await asyncio.start_server(
                lambda r, w, number=number: self.serve(number, r, w), "127.0.0.1", 0
            )
            self._servers.append(server)
            self.addresses.append(server.sockets[0].getsockname()[:2])

    async def aclose(self) -> None:
        for server in self._servers:
            server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def serve(self, number: int, reader, writer) -> None:
        self._tasks.add(asyncio.current_task())
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if not await self.answer(number, head, writer):
                    break
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    async def answer(self, number: int, head: bytes, writer) -> bool:
        mood = self.moods[number]
        probe = head.startswith(b"GET /readyz ")
        if probe:
            self.probes[number] += 1
        else:
            self.asked[number].append(head.split(b" ", 2)[1])
        if mood == "silent" or (mood == "thinking" and not probe):
            await self.release.wait()
        if mood == "deaf" or (mood == "breaking" and not probe):
            return False
        if mood == "garbage" and not probe:
            writer.write(b"nonsense\r\n\r\n")
        elif mood == "unready" and probe:
            writer.write(OK.replace(b"200 OK", b"500 No"))
        else:
            writer.write(OK)
        await writer.drain()
        return True


@asynccontextmanager
async def cloud(
    count: int = 1, *, moods: list[str] | None = None, wait=True, **options
):
    """Yield a cloud and an upstream over it that knows each server's state."""
    found = Cloud(count)
    found.moods = moods or found.moods
    await found.start()
    options = {"clock": SystemClock(), "settings": QUICK, **options}
    upstream = Upstream(found.addresses, tls=lambda _: None, **options)
    upstream.start()
    try:
        if wait:
            await until(lambda: all(one.health._seen for one in upstream.servers))
        yield found, upstream
    finally:
        await upstream.aclose()
        await found.aclose()
        await settle()


async def get(
    upstream: Upstream, target: bytes = b"/a", method: str = "GET", body=None
):
    answer = await upstream.send(method, target, [], body, credential=NODE)
    return answer.status, await whole(answer.body)


def test_requests_go_round_all_servers() -> None:
    async def scenario() -> None:
        async with cloud(3) as (found, upstream):
            for _ in range(6):
                assert await get(upstream) == (200, b"ok")
            assert [len(asked) for asked in found.asked] == [2, 2, 2]

    play(scenario)


def test_priority_asks_the_first_that_can() -> None:
    async def scenario() -> None:
        async with cloud(2, mode="priority") as (found, upstream):
            await get(upstream)
            found.moods[0] = "deaf"
            await get(upstream)
            await until(lambda: not upstream.servers[0].health.healthy)
            await get(upstream)
            found.moods[0] = "ok"
            await until(lambda: upstream.servers[0].health.healthy)
            await get(upstream)
            assert [len(asked) for asked in found.asked] == [4, 2]

    play(scenario)


def test_who_is_ready_goes_before_who_is_merely_there() -> None:
    async def scenario() -> None:
        async with cloud(2, moods=["unready", "ok"]) as (found, upstream):
            for _ in range(3):
                await get(upstream)
            assert [len(asked) for asked in found.asked] == [0, 3]
            found.moods[1] = "deaf"
            await get(upstream)
            assert len(found.asked[0]) == 1

    play(scenario)


def test_a_get_goes_on_to_the_next_server() -> None:
    async def scenario() -> None:
        async with cloud(2, moods=["breaking", "ok"]) as (found, upstream):
            for _ in range(4):
                assert await get(upstream) == (200, b"ok")
            assert found.probes[0] > 1

    play(scenario)


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_a_write_whose_connection_broke_is_never_sent_again(method: str) -> None:
    """Nobody knows whether it was done; only its sender may try again."""

    async def scenario() -> None:
        async with cloud(2, moods=["breaking", "breaking"]) as (found, upstream):
            with pytest.raises(UpstreamError, match="outcome is unknown"):
                await get(upstream, method=method)
            assert sum(map(len, found.asked)) == 1

    play(scenario)


def test_a_get_with_a_body_is_never_sent_again() -> None:
    async def scenario() -> None:
        async with cloud(2, moods=["breaking", "breaking"]) as (found, upstream):
            with pytest.raises(UpstreamError):
                await get(upstream, body=BytesBody(b"x"))
            assert sum(map(len, found.asked)) == 1

    play(scenario)


def test_servers_that_break_off_but_live_are_no_outage() -> None:
    """Else a request that crashes its handler would open the cache to its sender."""

    async def scenario() -> None:
        async with cloud(2, moods=["breaking", "breaking"]) as (_, upstream):
            with pytest.raises(UpstreamError) as caught:
                await get(upstream)
            assert not isinstance(caught.value, UnreachableError)
            assert upstream.online

    play(scenario)


def test_an_answer_that_is_no_http_is_an_error_and_no_outage() -> None:
    async def scenario() -> None:
        async with cloud(1, moods=["garbage"]) as (_, upstream):
            with pytest.raises(UpstreamError) as caught:
                await get(upstream)
            assert not isinstance(caught.value, UnreachableError)

    play(scenario)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_link_that_is_down_is_unreachable(method: str) -> None:
    async def scenario() -> None:
        async with cloud(2) as (found, upstream):
            assert upstream.online
            found.moods = ["deaf", "deaf"]
            for _ in range(2):
                with pytest.raises(UpstreamError):
                    await get(upstream, method=method)
            await until(lambda: not upstream.online)
            with pytest.raises(UnreachableError):
                await get(upstream, method=method)

    play(scenario)


def test_a_write_under_way_when_the_link_goes_down_may_have_been_done() -> None:
    async def scenario() -> None:
        async with cloud(1) as (found, upstream):
            found.moods = ["silent"]
            asked = asyncio.ensure_future(get(upstream, method="POST"))
            await until(lambda: sum(map(len, found.asked)) == 1)
            found.moods = ["deaf"]
            with pytest.raises(UpstreamError, match="outcome is unknown") as caught:
                await asked
            assert not isinstance(caught.value, UnreachableError)
            assert not upstream.online

    play(scenario)


def test_a_read_under_way_when_the_link_goes_down_finds_nobody() -> None:
    async def scenario() -> None:
        async with cloud(1) as (found, upstream):
            found.moods = ["silent"]
            asked = asyncio.ensure_future(get(upstream))
            await until(lambda: sum(map(len, found.asked)) == 1)
            found.moods = ["deaf"]
            with pytest.raises(UnreachableError):
                await asked

    play(scenario)


def test_changes_are_told_once_each_with_their_time() -> None:
    async def scenario() -> None:
        told: list[bool] = []
        async with cloud(2, changed=told.append) as (found, upstream):
            assert told == [True]
            found.moods[0] = "deaf"
            await get(upstream)
            await get(upstream)
            assert told == [True]
            before = upstream.since
            found.moods[1] = "deaf"
            with pytest.raises(UnreachableError):
                await get(upstream)
            assert told == [True, False]
            assert upstream.since > before
            found.moods = ["ok", "ok"]
            await until(lambda: upstream.online)
            assert told == [True, False, True]
            assert await get(upstream) == (200, b"ok")

    play(scenario)


def test_a_server_that_thinks_is_waited_for() -> None:
    async def scenario() -> None:
        async with cloud(1, moods=["thinking"]) as (found, upstream):
            asking = asyncio.create_task(get(upstream))
            await until(lambda: found.probes[0] >= 2)
            await settle(50)
            assert not asking.done()
            assert upstream.online
            found.release.set()
            assert await asking == (200, b"ok")

    play(scenario)


def test_a_link_that_fell_silent_is_noticed_by_a_probe() -> None:
    async def scenario() -> None:
        async with cloud(1) as (found, upstream):
            await get(upstream)
            found.moods = ["silent"]
            with pytest.raises(UnreachableError):
                await asyncio.wait_for(get(upstream), 5)
            assert not upstream.online
            found.release.set()

    play(scenario)


def test_one_probe_serves_all_who_doubt() -> None:
    async def scenario() -> None:
        async with cloud(1, moods=["breaking"]) as (found, upstream):
            before = found.probes[0]
            await asyncio.gather(
                *[get(upstream, method="POST") for _ in range(10)],
                return_exceptions=True,
            )
            assert found.probes[0] - before <= 3

    play(scenario)


def test_probes_stand_in_no_queue() -> None:
    """After an outage all come back at once: the probe must not take that for one."""

    async def scenario() -> None:
        clock = VirtualClock()
        async with cloud(1, clock=clock, wait=False) as (found, upstream):
            await until(lambda: upstream.online)
            found.moods = ["thinking"]
            crowd = [asyncio.create_task(get(upstream)) for _ in range(60)]
            await until(lambda: len(found.asked[0]) >= CONNECTION_BURST - 2)
            before = found.probes[0]
            assert await upstream.servers[0].verdict()
            assert found.probes[0] == before + 1
            assert upstream.online
            assert not any(one.done() for one in crowd)
            found.release.set()
            found.moods = ["ok"]
            await until(lambda: any(one.done() for one in crowd))
            for _ in range(10):
                await clock.advance(1.0)
                await asyncio.sleep(0.01)
            assert {await one for one in crowd} == {(200, b"ok")}

    play(scenario)


def test_who_waits_for_a_verdict_hears_of_the_end() -> None:
    async def scenario() -> None:
        async with cloud(1, moods=["silent"], wait=False) as (found, upstream):
            waiting = asyncio.create_task(upstream.servers[0].verdict())
            await until(lambda: found.probes[0])
            await upstream.aclose()
            assert await waiting is False
            found.release.set()

    play(scenario)


def test_streams_go_on_while_a_server_is_taken_for_down() -> None:
    async def scenario() -> None:
        more = asyncio.Event()

        class Stream:
            length = None
            count = 0

            async def read(self) -> bytes:
                self.count += 1
                if self.count == 2:
                    await more.wait()
                return b"event" if self.count < 3 else b""

            def close(self) -> None:
                pass

        down = False

        async def handler(request) -> Response:
            if request.target == b"/readyz":
                if down:
                    await asyncio.Event().wait()
                return Response(status=200)
            return Response(status=200, body=Stream())

        server = WireServer(handler, refuse=refuse, clock=SystemClock())
        address = await server.start("127.0.0.1", 0)
        upstream = Upstream(
            [address], tls=lambda _: None, clock=SystemClock(), settings=QUICK
        )
        upstream.start()
        await until(lambda: upstream.online)
        answer = await upstream.send("GET", b"/watch", [], None, credential=NODE)
        assert await answer.body.read() == b"event"
        down = True
        assert not await upstream.servers[0].verdict()
        assert not upstream.online
        more.set()
        assert await whole(answer.body) == b"event"
        await upstream.aclose()
        await server.aclose()

    play(scenario)


def test_the_host_is_the_server_s_own() -> None:
    async def scenario() -> None:
        seen: list[dict] = []

        async def handler(request) -> Response:
            seen.append(request.fields)
            return Response(status=200)

        server = WireServer(handler, refuse=refuse, clock=SystemClock())
        host, port = await server.start("127.0.0.1", 0)
        upstream = Upstream(
            [(host, port)], tls=lambda _: None, clock=SystemClock(), settings=QUICK
        )
        upstream.start()
        await until(lambda: upstream.online)
        await upstream.send("GET", b"/", [(b"A", b"b")], None, credential=NODE)
        assert seen[-1][b"host"] == f"{host}:{port}".encode()
        assert seen[-1][b"a"] == b"b"
        assert seen[0][b"user-agent"] == b"toono"
        await upstream.aclose()
        await server.aclose()

    play(scenario)


# -- new connections, so many a second --------------------------------------------------


def test_connections_beyond_the_burst_come_at_their_rate() -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        admission = Admission(clock, rate=10.0, burst=3.0)
        tasks = [asyncio.create_task(admission()) for _ in range(8)]
        await settle()
        done = []
        for _ in range(6):
            done.append(sum(one.done() for one in tasks))
            await clock.advance(0.1)
            await settle()
        assert done == [3, 4, 5, 6, 7, 8]
        await clock.advance(60.0)
        await asyncio.gather(*[admission() for _ in range(3)])

    play(scenario)


def test_who_gives_up_waiting_frees_its_place() -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        admission = Admission(clock, rate=1.0, burst=1.0)
        await admission()
        gone = [asyncio.create_task(admission()) for _ in range(50)]
        await settle()
        for one in gone:
            one.cancel()
        await asyncio.gather(*gone, return_exceptions=True)
        patient = asyncio.create_task(admission())
        await settle()
        await clock.advance(1.0)
        await settle()
        assert patient.done()

    play(scenario)


# -- credentials ------------------------------------------------------------------------


def test_a_credential_is_its_token_and_never_shows_it() -> None:
    one, same, other = (Credential.of_token(t) for t in (b"abc", b"abc", b"abd"))
    assert one == same != other
    assert hash(one) == hash(same)
    assert b"abc" not in repr(one).encode()
    assert not one.is_node
    assert not Credential.ANONYMOUS.is_node
    assert Credential.NODE.is_node
    assert len({one, Credential.NODE, Credential.ANONYMOUS}) == 3


def test_a_server_says_who_it_is_and_how() -> None:
    origin = Origin("10.0.0.1", 6443, tls=lambda _: None)
    server = Server(origin, settings=QUICK, clock=VirtualClock(), notify=lambda: None)
    assert repr(server) == "<Server 10.0.0.1:6443 down>"
    server.health.healthy = True
    assert repr(server) == "<Server 10.0.0.1:6443 healthy>"
    assert Origin("::1", 1, tls=lambda _: None).authority == "[::1]:1"


def test_what_is_held_is_as_one_that_cannot_be_reached() -> None:
    async def scenario() -> None:
        told: list[bool] = []
        async with cloud(1, changed=told.append) as (found, upstream):
            assert (await get(upstream))[0] == 200
            asked = len(found.asked[0])
            upstream.hold(True)
            assert (upstream.online, told) == (False, [True, False])
            with pytest.raises(UnreachableError):
                await get(upstream)
            assert upstream.servers[0].health.healthy
            assert await upstream.servers[0].verdict()
            assert not upstream.online
            assert len(found.asked[0]) == asked
            upstream.hold(False)
            assert (upstream.online, told) == (True, [True, False, True])
            assert (await get(upstream))[0] == 200

    play(scenario)


def test_a_read_under_way_when_the_link_is_held_finds_nobody() -> None:
    async def scenario() -> None:
        async with cloud(1) as (found, upstream):
            found.moods = ["silent"]
            asked = asyncio.ensure_future(get(upstream))
            await until(lambda: sum(map(len, found.asked)) == 1)
            found.moods = ["ok"]
            upstream.hold(True)
            with pytest.raises(UnreachableError):
                await asked

    play(scenario)


@pytest.mark.parametrize("mood", ["deaf", "silent"])
def test_a_server_that_is_never_reached_is_told_of_once_with_the_reason(
    mood: str, caplog
) -> None:
    async def scenario() -> None:
        async with cloud(moods=[mood]) as (found, upstream):
            before = found.probes[0]
            await until(lambda: found.probes[0] > before + 1)
            (server,) = upstream.servers
            await server.verdict()

    with caplog.at_level("INFO", logger="toono.upstream.pool"):
        play(scenario)
    told = [one for one in caplog.records if "cannot be reached" in one.message]
    assert len(told) == 1
    assert told[0].err


def test_a_server_that_goes_down_tells_why(caplog) -> None:
    async def scenario() -> None:
        async with cloud() as (found, upstream):
            found.moods = ["deaf"]
            (server,) = upstream.servers
            assert not await server.verdict()

    with caplog.at_level("INFO", logger="toono.upstream.pool"):
        play(scenario)
    changes = [one for one in caplog.records if "health changed" in one.message]
    assert [one.healthy for one in changes][:2] == [True, False]
    assert changes[1].err
    assert not [one for one in caplog.records if "cannot be reached" in one.message]
