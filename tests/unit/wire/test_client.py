# SPDX-License-Identifier: Apache-2.0
import asyncio
import contextlib
import gc

import pytest

from tests.unit.wire.kit import OK, Pieces, play, until, upstream
from tests.unit.wire.kit import whole as content_of
from toono.errors import (
    BadResponseError,
    BodyCutError,
    LinkLostError,
    RejectedRequestError,
    UnreachableError,
)
from toono.runtime.clock import SystemClock
from toono.testing.clock import settle
from toono.wire.client import Origin
from toono.wire.messages import BytesBody, Response
from toono.wire.server import Server

HOST = [(b"Host", b"a")]


async def served(handler) -> tuple[Server, Origin]:
    server = Server(handler, refuse=lambda _, m: ([], m.encode()), clock=SystemClock())
    host, port = await server.start("127.0.0.1", 0)
    return server, Origin(host, port, tls=lambda _: None)


async def raw(answer: bytes, *, then_close: bool = False):
    """A server that answers anything with the same bytes."""

    async def serve(reader, writer) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(answer)
                await writer.drain()
                if then_close:
                    break
        except (asyncio.IncompleteReadError, OSError):
            pass
        writer.transport.abort() if not then_close else writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    return server, Origin(host, port, tls=lambda _: None)


async def whole(answer) -> bytes:
    pieces = []
    while piece := await answer.body.read():
        pieces.append(piece)
    return b"".join(pieces)


def get(origin: Origin, target: bytes = b"/", credential: str = "a"):
    return origin.send("GET", target, HOST, None, credential=credential)


def test_many_at_once_share_connections_and_each_gets_its_own_answer() -> None:
    async def scenario() -> None:
        async def handler(request) -> Response:
            return Response(status=200, content=request.target)

        server, origin = await served(handler)

        async def client(number: int) -> None:
            for turn in range(50):
                target = f"/{number}/{turn}".encode()
                assert await whole(await get(origin, target)) == target

        await asyncio.gather(*[client(number) for number in range(8)])
        assert origin.open <= 8
        origin.close()
        await server.aclose()

    asyncio.run(scenario())


def test_a_connection_serves_one_credential_only() -> None:
    async def scenario() -> None:
        seen: set[tuple[int, bytes]] = set()

        async def handler(request) -> Response:
            seen.add((request.peer.connection, request.target))
            return Response(status=200, content=b"x")

        server, origin = await served(handler)
        for turn in range(4):
            credential = "ab"[turn % 2]
            target = f"/{credential}".encode()
            await whole(await get(origin, target, credential))
        assert len({number for number, _ in seen}) == 2
        assert len(seen) == 2
        origin.close()
        await server.aclose()

    asyncio.run(scenario())


def test_a_body_is_sent_sized_and_read_back() -> None:
    async def scenario() -> None:
        async def handler(request) -> Response:
            pieces = []
            while piece := await request.body.read():
                pieces.append(piece)
            return Response(status=201, content=b"".join(pieces))

        server, origin = await served(handler)
        body = BytesBody(b"x" * 300_000)
        answer = await origin.send("POST", b"/", HOST, body, credential="a")
        assert (answer.status, await whole(answer)) == (201, b"x" * 300_000)
        origin.close()
        await server.aclose()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
        b"HTTP/1.1 101 Switching\r\nUpgrade: SPDY/3.1\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 100,
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1_000_000,
        b"<html>captive portal</html>\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
    ],
    ids=["two", "both", "plus", "101", "1xx", "huge", "html", "tls"],
)
def test_what_is_no_answer_is_an_error_and_the_connection_is_dropped(answer) -> None:
    async def scenario() -> None:
        server, origin = await raw(answer)
        with pytest.raises((BadResponseError, BodyCutError)):
            async with asyncio.timeout(5):
                await get(origin)
        await asyncio.sleep(0)
        assert origin._idle == {}
        origin.close()
        server.close()
        await settle()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nhe",
    ],
)
def test_a_body_that_is_cut_is_never_taken_for_whole(answer: bytes) -> None:
    async def scenario() -> None:
        server, origin = await raw(answer, then_close=True)
        got = await get(origin)
        with pytest.raises(BodyCutError):
            await whole(got)
        await settle()
        assert origin.open == 0
        origin.close()
        server.close()
        await settle()

    asyncio.run(scenario())


@pytest.mark.parametrize(("late", "kept"), [(b"\r\n", True), (b"\r\nX", False)])
def test_an_empty_line_after_the_answer_is_skipped_and_no_more(late, kept) -> None:
    async def scenario() -> None:
        server, origin = await raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await whole(await get(origin))
        ((connection,),) = origin._idle.values()
        connection.feed(late)
        assert connection.is_alive is kept
        origin.close()
        server.close()
        await settle()

    asyncio.run(scenario())


def test_bytes_after_the_answer_end_the_connection() -> None:
    async def scenario() -> None:
        extra = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 500 X\r\n\r\n"
        server, origin = await raw(extra)
        with contextlib.suppress(BadResponseError):
            await whole(await get(origin))
        assert origin._idle == {}
        origin.close()
        server.close()
        await settle()

    asyncio.run(scenario())


def test_a_stale_idle_connection_is_replaced_for_a_get() -> None:
    async def scenario() -> None:
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        server, origin = await raw(answer, then_close=True)
        for _ in range(3):
            assert await whole(await get(origin)) == b"ok"
        origin.close()
        server.close()
        await settle()

    asyncio.run(scenario())


def test_waiting_requests_fail_at_once_and_streams_go_on() -> None:
    async def scenario() -> None:
        started = asyncio.Event()
        release = asyncio.Event()

        class Stream:
            length = None

            def __init__(self) -> None:
                self.pieces = [b"one", b"two"]

            async def read(self) -> bytes:
                if len(self.pieces) == 1:
                    await release.wait()
                return self.pieces.pop(0) if self.pieces else b""

            def close(self) -> None:
                pass

        async def handler(request) -> Response:
            if request.target == b"/stream":
                return Response(status=200, body=Stream())
            started.set()
            await asyncio.Event().wait()
            raise AssertionError

        server, origin = await served(handler)
        stream = await get(origin, b"/stream")
        assert await stream.body.read() == b"one"
        waiting = asyncio.ensure_future(get(origin, b"/think"))
        await started.wait()
        origin.abort_waiting(LinkLostError("down"))
        with pytest.raises(LinkLostError):
            await waiting
        release.set()
        assert await stream.body.read() == b"two"
        origin.close()
        await server.aclose()

    asyncio.run(scenario())


def test_a_refused_connection_is_unreachable() -> None:
    async def scenario() -> None:
        server, origin = await raw(b"")
        server.close()
        await server.wait_closed()
        with pytest.raises(UnreachableError):
            await get(origin)

    asyncio.run(scenario())


def test_a_checked_101_is_a_tunnel() -> None:
    async def scenario() -> None:
        async def serve(reader, writer) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                b"Upgrade: SPDY/3.1\r\n\r\nhello"
            )
            writer.write(await reader.read(100))
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()[:2]
        origin = Origin(host, port, tls=lambda _: None)
        answer = await origin.send(
            "POST", b"/exec", HOST, None, credential="a", upgrade="SPDY/3.1"
        )
        assert answer.status == 101
        assert answer.tunnel is not None
        await answer.tunnel.write(b"ping")
        heard = b""
        while piece := await answer.tunnel.read():
            heard += piece
        assert heard == b"helloping"
        answer.tunnel.close()
        origin.close()
        server.close()
        await settle()

    asyncio.run(scenario())


async def request_of(reader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


def test_an_answer_that_is_read_late_harms_no_other_request_on_its_connection() -> None:
    """All of the first answer is here, so its connection goes on to serve another."""

    async def scenario() -> None:
        size = 200_000

        async def serve(reader, writer) -> None:
            await request_of(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            writer.write(b"x" * size)
            await request_of(reader)
            writer.write(OK)
            await reader.read()

        async with upstream(serve) as origin:
            first = await get(origin)
            await until(lambda: first.body.is_over)
            second = asyncio.create_task(get(origin, b"/second"))
            await settle()
            first.body.close()
            assert await content_of((await second).body) == b"ok"
            assert origin.open == 1

    play(scenario)


def test_a_slow_reader_of_a_whole_answer_does_not_stop_the_next_one() -> None:
    async def scenario() -> None:
        size = 262_100

        async def serve(reader, writer) -> None:
            await request_of(reader)
            head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size
            writer.write(head + b"x" * size)
            await request_of(reader)
            writer.write(OK)
            await reader.read()

        async with upstream(serve) as origin:
            slow = await get(origin)
            await until(lambda: slow.body.is_over)
            async with asyncio.timeout(5):
                assert await content_of((await get(origin)).body) == b"ok"
            assert len(await content_of(slow.body)) == size

    play(scenario)


@pytest.mark.parametrize("sized", [True, False])
def test_a_connection_whose_request_was_not_sent_whole_is_never_used_again(
    sized: bool,
) -> None:
    """The rest of the body would be read as the next request (CWE-444)."""

    async def scenario() -> None:
        asked: list[bytes] = []

        async def serve(reader, writer) -> None:
            asked.append(await request_of(reader))
            writer.write(b"HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno")
            await reader.read()

        gate = asyncio.Event()
        body = Pieces(b"a" * 10, b"b" * 10, length=20 if sized else None, gate=gate)
        async with upstream(serve) as origin:
            sending = asyncio.create_task(
                origin.send("POST", b"/", HOST, body, credential="a")
            )
            answer = await sending
            assert (answer.status, await content_of(answer.body)) == (413, b"no")
            gate.set()
            other = asyncio.create_task(get(origin, b"/other"))
            await until(lambda: len(asked) == 2)
            assert asked[1].startswith(b"GET /other ")
            await other

    play(scenario)


def test_a_server_that_breaks_off_is_heard_while_the_body_is_awaited() -> None:
    async def scenario() -> None:
        async def serve(reader, writer) -> None:
            await request_of(reader)
            await reader.read(1)
            writer.transport.abort()

        body = Pieces(b"a", b"b", gate=asyncio.Event())
        async with upstream(serve) as origin:
            with pytest.raises(BodyCutError):
                await origin.send("POST", b"/", HOST, body, credential="a")
        gc.collect()

    play(scenario)


def test_a_body_that_the_client_breaks_off_breaks_off_the_request() -> None:
    async def scenario() -> None:
        class Broken(Pieces):
            async def read(self) -> bytes:
                if not self.pieces:
                    raise RejectedRequestError(400, "bad chunk")
                return await super().read()

        cut = asyncio.Event()

        async def serve(reader, writer) -> None:
            heard = await reader.read()
            assert not heard.endswith(b"0\r\n\r\n")
            cut.set()

        async with upstream(serve) as origin:
            with pytest.raises(RejectedRequestError):
                await origin.send("POST", b"/", HOST, Broken(b"a"), credential="a")
            await cut.wait()
            assert origin.open == 0

    play(scenario)


def test_a_reader_that_gives_up_is_no_sign_of_a_broken_link() -> None:
    async def scenario() -> None:
        async def serve(reader, writer) -> None:
            await request_of(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart")
            await reader.read()

        signs: list[str] = []
        async with upstream(serve) as origin:
            origin.broken = lambda: signs.append("broken")
            answer = await get(origin)
            assert await answer.body.read() == b"part"
            answer.body.close()
            await settle()
            assert (origin.open, signs) == (0, [])

    play(scenario)


def test_an_answer_that_breaks_off_is_a_sign() -> None:
    async def scenario() -> None:
        async def serve(reader, writer) -> None:
            await request_of(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart")
            await writer.drain()

        signs: list[str] = []
        async with upstream(serve) as origin:
            origin.broken = lambda: signs.append("broken")
            answer = await get(origin)
            with pytest.raises(BodyCutError):
                await content_of(answer.body)
            assert signs == ["broken"]

    play(scenario)


def test_a_connection_of_an_old_credential_is_not_kept_after_its_answer() -> None:
    async def scenario() -> None:
        numbers, hold = [], asyncio.Event()

        async def handler(request) -> Response:
            numbers.append(request.peer.connection)
            if len(numbers) == 1:
                await hold.wait()
            return Response(status=200, content=b"x")

        server, origin = await served(handler)
        first = asyncio.ensure_future(get(origin))
        while not numbers:
            await asyncio.sleep(0)
        origin.close_idle()
        hold.set()
        assert await whole(await first) == b"x"
        await whole(await get(origin))
        await whole(await get(origin))
        assert numbers[1] != numbers[0]
        assert numbers[2] == numbers[1]
        origin.close()
        await server.aclose()

    asyncio.run(scenario())
