# SPDX-License-Identifier: Apache-2.0
"""One client's connection, over real sockets, on both event loops."""

import asyncio
import socket
import struct

import pytest

from tests.unit.wire.kit import (
    HOST,
    OK,
    Pieces,
    answer_of,
    chunks_of,
    dialled,
    echo,
    play,
    serving,
    until,
    upstream,
    whole,
)
from toono.errors import BodyCutError, RejectedRequestError, WireTimeoutError
from toono.testing.clock import VirtualClock, settle
from toono.wire.answering import chunk
from toono.wire.connection import MAX_PIPELINED_BYTES
from toono.wire.gate import MAX_HEAD_BYTES
from toono.wire.messages import Response
from toono.wire.server import Server
from toono.wire.streams import HIGH_BYTES

GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
BIG = b"x" * 8_000_000


def post(body: bytes = b"", *fields: bytes, length: int | None = None) -> bytes:
    size = b"Content-Length: %d" % (len(body) if length is None else length)
    lines = [b"POST /p HTTP/1.1", b"Host: a", size, *fields, b"\r\n"]
    return b"\r\n".join(lines) + body


def chunked(body: bytes = b"") -> bytes:
    head = b"POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + body


async def heard(raw: bytes, handler=echo, **options) -> bytes:
    """Send bytes and the end; return all that comes back."""
    async with (
        serving(handler, **options) as (_, address),
        dialled(address) as (reader, writer),
    ):
        writer.write(raw)
        writer.write_eof()
        return await reader.read()


def reset(writer) -> None:
    """Vanish: FIN says half-closed, only RST says gone."""
    linger = struct.pack("ii", 1, 0)
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


# -- requests, one after the other ---------------------------------------------------


@pytest.mark.parametrize("fast", [False, True])
def test_a_connection_serves_one_request_after_the_other(fast: bool) -> None:
    async def scenario() -> None:
        async with (
            serving(echo) as (server, address),
            dialled(address) as (reader, writer),
        ):
            for number in range(3):
                writer.write(post(b"%d" % number))
                status, fields, content = await answer_of(reader)
                assert (status, content) == (200, b"POST /p %d" % number)
                assert b"connection" not in fields
                assert b"date" in fields
            assert len(server.connections) == 1

    play(scenario, fast=fast)


@pytest.mark.parametrize("fast", [False, True])
def test_pipelined_requests_are_answered_in_order(fast: bool) -> None:
    async def scenario() -> None:
        first = asyncio.Event()

        async def handler(request) -> Response:
            if request.target == b"/a":
                await first.wait()
            return await echo(request)

        async with (
            serving(handler) as (_, address),
            dialled(address) as (reader, writer),
        ):
            writer.write(GET + post(b"body") + chunked(b"2\r\nok\r\n0\r\n\r\n"))
            writer.write(LAST)
            await settle()
            first.set()
            found = [(await answer_of(reader))[2] for _ in range(4)]
            assert found[:2] == [b"GET /a ", b"POST /p body"]
            assert found[2:] == [b"POST /p ok", b"GET /last "]
            assert await reader.read() == b""

    play(scenario, fast=fast)


@pytest.mark.parametrize("fast", [False, True])
def test_a_client_that_pipelines_without_end_is_paused(fast: bool) -> None:
    async def scenario() -> None:
        release = asyncio.Event()
        asked: list[bytes] = []

        async def handler(request) -> Response:
            asked.append(request.target)
            await release.wait()
            return Response(status=200)

        async with (
            serving(handler) as (server, address),
            dialled(address) as (reader, writer),
        ):
            writer.write(GET)
            await until(lambda: asked)
            writer.write(GET * 20_000 + LAST)
            await until(lambda: server.unread_bytes > MAX_PIPELINED_BYTES)
            await settle(200)
            assert server.unread_bytes <= MAX_PIPELINED_BYTES + 2 * HIGH_BYTES
            release.set()
            answers = await reader.read()
            assert answers.count(b"HTTP/1.1 200 OK") == 20_002
            assert asked[-1] == b"/last"

    play(scenario, fast=fast)


@pytest.mark.parametrize("cut", range(1, len(GET)))
def test_a_head_may_come_in_any_two_pieces(cut: int) -> None:
    async def scenario() -> None:
        async with (
            serving(echo) as (_, address),
            dialled(address) as (reader, writer),
        ):
            writer.write(GET[:cut])
            await settle()
            writer.write(GET[cut:])
            assert (await answer_of(reader))[2] == b"GET /a "

    play(scenario)


@pytest.mark.parametrize("size", [0, 1])
@pytest.mark.parametrize(
    ("start", "status"),
    [(b"\r\n", b"200"), (b"\r\n\r\n", b"400"), (b"\r", b"400"), (b"\n", b"400")],
)
def test_one_empty_line_before_a_head_is_forgiven(start, status, size) -> None:
    async def scenario() -> None:
        async with (
            serving(echo) as (_, address),
            dialled(address) as (reader, writer),
        ):
            raw = start + GET
            for at in range(0, len(raw), size or len(raw)):
                writer.write(raw[at : at + (size or len(raw))])
                await settle(3)
            assert (await reader.readline()).split()[1] == status

    play(scenario)


@pytest.mark.parametrize("size", [0, 16_000])
@pytest.mark.parametrize(("extra", "status"), [(0, 200), (1, 431)])
def test_a_head_may_be_as_long_as_it_may_in_any_pieces(extra, status, size) -> None:
    async def scenario() -> None:
        raw = b"GET /a HTTP/1.1\r\nHost: a"
        while len(raw) < MAX_HEAD_BYTES - 10_000:
            raw += b"\r\nX: " + b"y" * 9_000
        raw += b"\r\nX: " + b"y" * (MAX_HEAD_BYTES + extra - len(raw) - 5)
        raw += b"\r\n\r\n"
        async with (
            serving(echo) as (_, address),
            dialled(address) as (reader, writer),
        ):
            for at in range(0, len(raw), size or len(raw)):
                writer.write(raw[at : at + (size or len(raw))])
                await settle(5)
            assert (await answer_of(reader))[0] == status

    play(scenario)


@pytest.mark.parametrize("raw", [b"\x16\x03\x01", b" GET", b"\x00", b"{"])
def test_what_is_no_http_is_refused_at_its_first_byte(raw: bytes) -> None:
    async def scenario() -> None:
        async with (
            serving(echo) as (_, address),
            dialled(address) as (reader, writer),
        ):
            writer.write(raw)
            assert (await answer_of(reader))[0] == 400
            assert await reader.read() == b""

    play(scenario)


# -- bodies of requests ---------------------------------------------------------------


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("sized", [True, False])
def test_a_slow_handler_pauses_its_client(sized: bool, fast: bool) -> None:
    """Memory is bounded by the marks, whatever the client sends."""

    async def scenario() -> None:
        body = b"x" * 8_000_000
        raw = post(body)
        if not sized:
            raw = chunked(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
        release = asyncio.Event()

        async def handler(request) -> Response:
            await release.wait()
            size = 0
            while piece := await request.body.read():
                size += len(piece)
            return Response(status=200, content=b"%d" % size)

        async with (
            serving(handler) as (server, address),
            dialled(address) as (reader, writer),
        ):
            writer.write(raw)
            await until(lambda: server.unread_bytes > HIGH_BYTES)
            await settle(200)
            assert server.unread_bytes <= 3 * HIGH_BYTES
            release.set()
            assert (await answer_of(reader))[2] == b"8000000"

    play(scenario, fast=fast)


def test_continue_is_sent_when_the_body_is_wanted_and_not_before() -> None:
    async def scenario() -> None:
        wanted = asyncio.Event()

        async def handler(request) -> Response:
            await wanted.wait()
            return await echo(request)

        async with (
            serving(handler) as (_, address),
            dialled(address) as (reader, writer),
        ):
            writer.write(post(b"", b"Expect: 100-continue", length=4))
            await settle(50)
            wanted.set()
            line = await reader.readuntil(b"\r\n\r\n")
            assert line == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"body")
            assert (await answer_of(reader))[2] == b"POST /p body"
            writer.write(GET)
            assert (await answer_of(reader))[0] == 200

    play(scenario)


def test_a_body_that_nobody_wants_is_not_asked_for() -> None:
    async def scenario() -> None:
        async def handler(_) -> Response:
            return Response(status=401, content=b"who")

        raw = post(b"", b"Expect: 100-continue", length=4)
        found = await heard(raw, handler)
        assert found.startswith(b"HTTP/1.1 401 ")
        assert b"Connection: close" in found

    play(scenario)


def test_an_old_client_is_not_told_to_go_on() -> None:
    async def scenario() -> None:
        raw = post(b"body", b"Expect: 100-continue").replace(b"HTTP/1.1", b"HTTP/1.0")
        found = await heard(raw)
        assert found.startswith(b"HTTP/1.1 200 OK\r\n")

    play(scenario)


def test_another_expectation_is_refused() -> None:
    async def scenario() -> None:
        found = await heard(post(b"", b"Expect: tea"))
        assert found.startswith(b"HTTP/1.1 417 ")

    play(scenario)


@pytest.mark.parametrize("raw", [post(b"abc", length=9), chunked(b"9\r\nabc")])
def test_a_body_that_the_client_ends_early_is_never_whole(raw: bytes) -> None:
    async def scenario() -> None:
        caught: list[Exception] = []

        async def handler(request) -> Response:
            try:
                await whole(request.body)
            except BodyCutError as exc:
                caught.append(exc)
            return Response(status=400, content=b"cut")

        found = await heard(raw, handler)
        assert len(caught) == 1
        assert found.startswith(b"HTTP/1.1 400 ")
        assert b"Connection: close" in found

    play(scenario)


def test_a_client_that_vanishes_ends_its_handler() -> None:
    async def scenario() -> None:
        entered, ended = asyncio.Event(), asyncio.Event()

        async def handler(request) -> Response:
            entered.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
            raise AssertionError

        async with (
            serving(handler) as (server, address),
            dialled(address) as (_, writer),
        ):
            writer.write(GET)
            await entered.wait()
            reset(writer)
            await ended.wait()
            await until(lambda: not server.connections)

    play(scenario)


def test_after_a_broken_chunk_nothing_is_believed_nor_kept() -> None:
    async def scenario() -> None:
        failures: list[Exception] = []
        release = asyncio.Event()

        async def handler(request) -> Response:
            await release.wait()
            try:
                await whole(request.body)
            except RejectedRequestError as exc:
                failures.append(exc)
            return Response(status=400, content=b"bad")

        async with (
            serving(handler) as (server, address),
            dialled(address) as (reader, writer),
        ):
            writer.write(chunked(b"1\r\naXX"))
            for _ in range(40):
                writer.write(b"GET /evil HTTP/1.1\r\nHost: a\r\n\r\n" * 2000)
                await settle()
            assert server.unread_bytes < HIGH_BYTES
            release.set()
            answers = await reader.read()
            assert answers.startswith(b"HTTP/1.1 400 ")
            assert answers.count(b"HTTP/1.1") == 1
            assert len(failures) == 1

    play(scenario)


@pytest.mark.parametrize("fast", [False, True])
def test_an_answer_before_the_body_s_end_reaches_a_client_that_still_sends(
    fast: bool,
) -> None:
    """Closing at once would reset the connection and lose the answer."""

    async def scenario() -> None:
        async def handler(_) -> Response:
            return Response(status=413, content=b"too large")

        async with (
            serving(handler) as (_, address),
            dialled(address) as (reader, writer),
        ):
            writer.write(post(b"", length=len(BIG)))
            for start in range(0, len(BIG), 65536):
                writer.write(BIG[start : start + 65536])
                await writer.drain()
            status, fields, content = await answer_of(reader)
            assert (status, content) == (413, b"too large")
            assert fields[b"connection"] == b"close"
            assert await reader.read() == b""

    play(scenario, fast=fast)


def test_a_refused_head_is_heard_by_a_client_that_still_sends() -> None:
    async def scenario() -> None:
        async with (
            serving(echo) as (_, address),
            dialled(address) as (reader, writer),
        ):
            writer.write(b"GET /a HTTP/1.1\r\nX: " + b"y" * 1_000_000)
            await writer.drain()
            assert (await answer_of(reader))[0] == 431

    play(scenario)


# -- answers ---------------------------------------------------------------------------


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("kind", ["whole", "list", "sized", "chunked"])
def test_a_client_that_reads_slowly_gets_all_and_holds_little(kind, fast) -> None:
    async def scenario() -> None:
        pieces = [BIG[start : start + 65536] for start in range(0, len(BIG), 65536)]
        streams: list[Pieces] = []

        async def handler(request) -> Response:
            if kind == "whole":
                return Response(status=200, content=BIG)
            if kind == "list":
                return Response(status=200, content=pieces)
            length = len(BIG) if kind == "sized" else None
            streams.append(Pieces(*pieces, length=length))
            return Response(status=200, body=streams[-1])

        async with (
            serving(handler) as (_, address),
            dialled(address, receive_bytes=4096) as (reader, writer),
        ):
            reader._transport.pause_reading()
            writer.write(GET + LAST)
            await settle(300)
            if streams:
                assert streams[0].given < 100
            reader._transport.resume_reading()
            assert (await answer_of(reader))[2] == BIG
            assert (await answer_of(reader))[2] == BIG
            assert all(one.closed == 1 for one in streams)

    play(scenario, fast=fast)


@pytest.mark.parametrize("code", [204, 304])
@pytest.mark.parametrize("streamed", [False, True])
def test_an_answer_that_has_no_body_sends_none(code: int, streamed: bool) -> None:
    async def scenario() -> None:
        async def handler(_) -> Response:
            if streamed:
                return Response(status=code, body=Pieces(b"never"))
            return Response(status=code, content=b"never")

        found = await heard(GET, handler)
        assert found.endswith(b"\r\n\r\n")
        assert b"Content-Length" not in found
        assert b"Transfer-Encoding" not in found

    play(scenario)


def test_head_is_answered_like_get_without_a_body() -> None:
    async def scenario() -> None:
        async def handler(request) -> Response:
            if request.target == b"/stream":
                return Response(status=200, body=Pieces(b"x", length=500))
            return Response(status=200, content=b"12345")

        raw = b"HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n"
        found = await heard(raw + raw.replace(b"/a", b"/stream") + LAST, handler)
        heads = found.split(b"\r\n\r\n")
        assert b"Content-Length: 5" in heads[0]
        assert b"Content-Length: 500" in heads[1]
        assert found.endswith(b"\r\n\r\n12345")

    play(scenario)


def test_head_passes_on_the_length_that_is_known_elsewhere() -> None:
    async def scenario() -> None:
        async def handler(_) -> Response:
            return Response(status=200, headers=[(b"Content-Length", b"77")])

        found = await heard(b"HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n", handler)
        assert found.count(b"Content-Length: 77") == 1
        assert b"Content-Length: 0" not in found

    play(scenario)


def test_an_old_client_gets_a_stream_until_the_connection_ends() -> None:
    async def scenario() -> None:
        async def handler(_) -> Response:
            return Response(status=200, body=Pieces(b"one", b"two"))

        raw = b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
        head, _, content = (await heard(raw, handler)).partition(b"\r\n\r\n")
        assert b"Transfer-Encoding" not in head
        assert b"Connection: close" in head
        assert content == b"onetwo"

    play(scenario)


def test_an_old_client_s_connection_is_kept_where_it_asks() -> None:
    async def scenario() -> None:
        kept = b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
        found = await heard(kept + b"GET /b HTTP/1.0\r\n\r\n" + GET)
        assert found.count(b"HTTP/1.1 200") == 2
        assert found.count(b"Connection: keep-alive") == 1
        assert found.count(b"Connection: close") == 1

    play(scenario)


@pytest.mark.parametrize("pieces", [[b"abc"], [b"abc", b"def"]])
def test_an_answer_of_another_length_than_promised_is_never_whole(pieces) -> None:
    async def scenario() -> None:
        body = Pieces(*pieces, length=5)

        async def handler(_) -> Response:
            return Response(status=200, body=body)

        async with (
            serving(handler) as (_, address),
            dialled(address) as (reader, writer),
        ):
            writer.write(GET + GET)
            await reader.readuntil(b"\r\n\r\n")
            with pytest.raises((asyncio.IncompleteReadError, OSError)):
                await reader.readexactly(5)
            assert body.closed == 1

    play(scenario)


def test_a_stream_that_breaks_off_is_broken_off() -> None:
    async def scenario() -> None:
        class Broken(Pieces):
            async def read(self) -> bytes:
                if not self.pieces:
                    raise BodyCutError("upstream")
                return await super().read()

        body = Broken(b"part")

        async def handler(_) -> Response:
            return Response(status=200, body=body)

        async with (
            serving(handler) as (_, address),
            dialled(address) as (reader, writer),
        ):
            writer.write(GET)
            await reader.readuntil(b"\r\n\r\n")
            with pytest.raises((asyncio.IncompleteReadError, OSError, ValueError)):
                await chunks_of(reader)
            assert body.closed == 1

    play(scenario)


def test_a_client_that_has_ended_still_gets_its_answer() -> None:
    async def scenario() -> None:
        async def handler(request) -> Response:
            await settle()
            return Response(status=200, body=Pieces(b"late", request.target))

        found = await heard(GET + LAST, handler)
        assert found.count(b"HTTP/1.1 200") == 2
        assert found.endswith(b"5\r\n/last\r\n0\r\n\r\n")

    play(scenario)


# -- time ------------------------------------------------------------------------------


def test_a_head_has_its_time_from_its_first_byte_to_its_last() -> None:
    """Slow loris: one byte now and then is no progress."""

    async def scenario() -> None:
        clock = VirtualClock()
        async with (
            serving(echo, clock=clock) as (server, address),
            dialled(address) as (reader, writer),
            dialled(address) as (_, quiet),
        ):
            await until(lambda: len(server.connections) == 2)
            await clock.advance(30.0)
            for byte in b"GET /a HTT":
                writer.write(bytes([byte]))
                before = server.unread_bytes
                await until(lambda before=before: server.unread_bytes > before)
                await clock.advance(1.0)
            await clock.advance(2.0)
            assert (await answer_of(reader))[0] == 408
            await clock.advance(6.0)
            await until(lambda: len(server.connections) == 1)
            assert not quiet.transport.is_closing()

    play(scenario)


def test_a_pipelined_head_that_stops_has_its_own_time() -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        async with (
            serving(echo, clock=clock) as (server, address),
            dialled(address) as (reader, writer),
        ):
            writer.write(GET + b"GET /half")
            assert (await answer_of(reader))[0] == 200
            await clock.advance(9.0)
            assert server.connections
            await clock.advance(3.0)
            assert (await answer_of(reader))[0] == 408

    play(scenario)


def test_an_idle_connection_is_closed_after_its_time() -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        async with (
            serving(echo, clock=clock) as (server, address),
            dialled(address) as (reader, writer),
        ):
            writer.write(GET)
            await answer_of(reader)
            await clock.advance(89.0)
            assert server.connections
            await clock.advance(3.0)
            await until(lambda: not server.connections)

    play(scenario)


def late_body(pieces: list[bytes], *, seconds: float, ended: type | None) -> None:
    """Send a body's pieces so many seconds apart; say how its reader ended."""

    async def scenario() -> None:
        clock = VirtualClock()
        got, ends = [], []

        async def handler(request) -> Response:
            try:
                while piece := await request.body.read():
                    got.append(piece)
                ends.append(None)
            except WireTimeoutError as exc:
                ends.append(type(exc))
            return Response(status=200)

        async with (
            serving(handler, clock=clock) as (_, address),
            dialled(address) as (_, writer),
        ):
            writer.write(post(b"", length=sum(map(len, pieces)) + 1))
            for piece in pieces:
                size = sum(map(len, got))
                writer.write(piece)
                await until(
                    lambda size=size, piece=piece: (
                        ends or sum(map(len, got)) == size + len(piece)
                    )
                )
                await clock.advance(seconds)
            writer.write(b".")
            await until(lambda: ends)
        assert ends == [ended]

    play(scenario)


def test_a_body_that_drips_is_given_up() -> None:
    late_body([b"x"] * 8, seconds=10.0, ended=WireTimeoutError)


def test_a_body_that_stops_is_given_up() -> None:
    late_body([b"x" * 100_000], seconds=125.0, ended=WireTimeoutError)


def test_a_body_that_flows_may_take_its_time() -> None:
    late_body([b"x" * 20_000] * 20, seconds=15.0, ended=None)


def test_a_body_that_waits_for_us_is_not_slow() -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        wanted = asyncio.Event()

        async def handler(request) -> Response:
            await wanted.wait()
            return await echo(request)

        async with (
            serving(handler, clock=clock) as (server, address),
            dialled(address) as (reader, writer),
            dialled(address) as (held, sender),
        ):
            writer.write(post(b"", b"Expect: 100-continue", length=4))
            sender.write(post(b"y" * 900_000))
            await until(lambda: server.unread_bytes > HIGH_BYTES)
            await clock.advance(200.0)
            wanted.set()
            assert await reader.readuntil(b"\r\n\r\n")
            writer.write(b"body")
            assert (await answer_of(reader))[2] == b"POST /p body"
            assert len((await answer_of(held))[2]) == 900_008

    play(scenario)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("patience", [None, 10.0])
def test_a_client_that_never_reads_is_cut_and_harms_nobody(patience, fast) -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        body = Pieces(*[b"x" * 65536] * 500)

        async def handler(request) -> Response:
            if request.target == b"/a":
                return Response(status=200, body=body, patience=patience)
            return await echo(request)

        async with (
            serving(handler, clock=clock) as (server, address),
            dialled(address, receive_bytes=4096) as (deaf, writer),
            dialled(address) as (reader, other),
        ):
            deaf._transport.pause_reading()
            writer.write(GET)
            await settle(300)
            await until(lambda: any(c._gate.is_shut for c in all_of(server)))
            await clock.advance((patience or 60.0) - 2)
            assert body.closed == 0
            other.write(GET.replace(b"/a", b"/b"))
            assert (await answer_of(reader))[0] == 200
            await clock.advance(5.0)
            await until(lambda: body.closed == 1)
            assert len(server.connections) == 1
            assert body.given < 200
            other.write(LAST)
            assert (await answer_of(reader))[0] == 200

    play(scenario, fast=fast)


def all_of(server: Server) -> list:
    return list(server.connections.values())


def test_a_client_that_reads_slowly_is_not_cut() -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        body = Pieces(*[b"x" * 65536] * 100)

        async def handler(request) -> Response:
            return Response(status=200, body=body)

        async with (
            serving(handler, clock=clock) as (_, address),
            dialled(address, receive_bytes=4096) as (reader, writer),
        ):
            writer.write(LAST)
            size = 0
            while piece := await reader.read(400_000):
                size += len(piece)
                await clock.advance(5.0)
            assert size > 6_553_600

    play(scenario)


def test_a_last_answer_that_nobody_reads_does_not_hold_its_connection() -> None:
    async def scenario() -> None:
        clock = VirtualClock()

        async def handler(_) -> Response:
            return Response(status=200, content=b"x" * 200_000)

        async with (
            serving(handler, clock=clock) as (server, address),
            dialled(address, receive_bytes=4096) as (reader, writer),
        ):
            reader._transport.pause_reading()
            writer.write(GET * 20 + LAST)
            await settle(100)
            await until(lambda: any(c._gate.is_shut for c in all_of(server)))
            await clock.advance(70.0)
            await until(lambda: not server.connections)

    play(scenario)


def test_a_client_that_has_ended_is_taken_for_gone_when_a_watch_is_quiet() -> None:
    """A process that dies ends its watches like one that half-closes."""

    async def scenario() -> None:
        clock = VirtualClock()
        body = Pieces(b"event", gate=asyncio.Event())

        async def handler(_) -> Response:
            return Response(status=200, body=body)

        async with (
            serving(handler, clock=clock) as (server, address),
            dialled(address) as (reader, writer),
        ):
            writer.write(GET)
            await reader.readuntil(b"event\r\n")
            writer.write_eof()
            await settle(50)
            await clock.advance(8.0)
            assert server.connections
            await clock.advance(5.0)
            await until(lambda: body.closed == 1)

    play(scenario)


def test_a_client_that_has_only_half_closed_hears_a_watch_that_speaks() -> None:
    async def scenario() -> None:
        clock, outlets = VirtualClock(), []

        async def handler(_) -> Response:
            body = Pieces(b"event", gate=asyncio.Event())
            return Response(status=200, body=body, direct=outlets.append)

        async with (
            serving(handler, clock=clock) as (server, address),
            dialled(address) as (reader, writer),
        ):
            writer.write(GET)
            await reader.readuntil(b"event\r\n")
            writer.write_eof()
            for _ in range(3):
                await clock.advance(8.0)
                outlets[0].put(chunk(b"later"))
                outlets[0].wrote = True
                await reader.readuntil(b"later\r\n")
            await clock.advance(12.0)
            await until(lambda: not server.connections)

    play(scenario)


def test_a_quiet_watch_of_a_client_that_is_there_goes_on() -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        gate = asyncio.Event()

        async def handler(_) -> Response:
            return Response(status=200, body=Pieces(b"event", b"later", gate=gate))

        async with (
            serving(handler, clock=clock) as (_, address),
            dialled(address) as (reader, writer),
        ):
            writer.write(GET)
            await reader.readuntil(b"event\r\n")
            await clock.advance(3600.0)
            gate.set()
            await reader.readuntil(b"later\r\n")

    play(scenario)


def test_who_does_not_leave_after_a_refusal_is_shown_out() -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        async with (
            serving(echo, clock=clock) as (server, address),
            dialled(address) as (reader, writer),
        ):
            writer.write(b"nonsense\r\n\r\n")
            assert (await answer_of(reader))[0] == 400
            for _ in range(8):
                writer.write(b"more")
                await clock.advance(1.0)
            await until(lambda: not server.connections)

    play(scenario)


# -- upgrades --------------------------------------------------------------------------

UPGRADE = b"POST /exec HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n"
SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
    b"Upgrade: SPDY/3.1\r\n\r\n"
)


def relay(origin):
    """A handler that passes upgrades on, as the pipeline does."""

    async def handler(request) -> Response:
        upgrade = request.fields.get(b"upgrade", b"").decode()
        answer = await origin.send(
            request.method,
            request.target,
            HOST,
            None,
            credential="a",
            upgrade=upgrade,
        )
        if answer.tunnel is not None:
            headers = answer.headers
            return Response(status=101, headers=headers, tunnel=answer.tunnel)
        return Response(status=answer.status, content=await whole(answer.body))

    return handler


@pytest.mark.parametrize("fast", [False, True])
def test_an_upgrade_is_spliced_raw_with_what_came_early(fast: bool) -> None:
    async def scenario() -> None:
        async def serve(reader, writer) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(SWITCH + b"\x00early")
            while piece := await reader.read(65536):
                writer.write(piece.upper())
                await writer.drain()
            writer.write(b"bye")

        async with upstream(serve) as origin:
            async with (
                serving(relay(origin)) as (_, address),
                dialled(address) as (reader, writer),
            ):
                writer.write(UPGRADE + b"eager\r\n\r\n")
                head = await reader.readuntil(b"\r\n\r\n")
                assert head == SWITCH
                assert await reader.readexactly(15) == b"\x00earlyEAGER\r\n\r\n"
                writer.write(b"y" * 3_000_000)
                assert await reader.readexactly(3_000_000) == b"Y" * 3_000_000
                writer.write_eof()
                assert await reader.read() == b"bye"
            assert origin.open == 0

    play(scenario, fast=fast)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno",
    ],
)
def test_an_upgrade_that_was_refused_leaves_no_tunnel(answer: bytes) -> None:
    """What follows is the client's next request, and never the server's."""

    async def scenario() -> None:
        after: list[bytes] = []

        async def serve(reader, writer) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            after.append(await reader.read())

        async with upstream(serve) as origin:

            async def handler(request) -> Response:
                if request.target == b"/exec":
                    return await relay(origin)(request)
                return await echo(request)

            async with (
                serving(handler) as (_, address),
                dialled(address) as (reader, writer),
            ):
                writer.write(UPGRADE + GET)
                assert (await answer_of(reader))[2] == b"no"
                assert (await answer_of(reader))[2] == b"GET /a "
            origin.close()
            await until(lambda: after)
        assert after == [b""]

    play(scenario)


def test_a_tunnel_s_slow_end_pauses_the_other() -> None:
    async def scenario() -> None:
        release = asyncio.Event()

        async def fill(writer) -> int:
            for _ in range(40):
                writer.write(b"z" * 1_000_000)
                await writer.drain()
            return 40_000_000

        async def serve(reader, writer) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(SWITCH)
            await release.wait()
            size = 0
            while piece := await reader.read(1_000_000):
                size += len(piece)
            writer.write(b"%d" % size)

        async with (
            upstream(serve) as origin,
            serving(relay(origin)) as (_, address),
            dialled(address) as (reader, writer),
        ):
            writer.write(UPGRADE)
            await reader.readuntil(b"\r\n\r\n")
            filling = asyncio.create_task(fill(writer))
            await settle(300)
            assert not filling.done()
            release.set()
            sent = await filling
            writer.write_eof()
            assert await reader.read() == b"%d" % sent

    play(scenario)


def test_a_person_may_pause_a_tunnel_for_long() -> None:
    async def scenario() -> None:
        clock = VirtualClock()

        async def serve(reader, writer) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(SWITCH + b"x" * 4_000_000)
            await writer.drain()

        async with (
            upstream(serve) as origin,
            serving(relay(origin), clock=clock) as (_, address),
            dialled(address, receive_bytes=4096) as (reader, writer),
        ):
            writer.write(UPGRADE)
            await reader.readuntil(b"\r\n\r\n")
            reader._transport.pause_reading()
            await settle(200)
            await clock.advance(400.0)
            reader._transport.resume_reading()
            assert len(await reader.readexactly(4_000_000)) == 4_000_000

    play(scenario)


# -- answers before the answer ---------------------------------------------------------


@pytest.mark.parametrize("old", [False, True])
def test_hints_are_passed_on_to_who_understands_them(old: bool) -> None:
    """A 100 of the server's answers nobody: Expect is answered here."""

    async def scenario() -> None:
        hint = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"

        async def serve(reader, writer) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" + hint + OK)
            await reader.read()

        async with upstream(serve) as origin:

            async def handler(request) -> Response:
                answer = await origin.send(
                    "GET", b"/", HOST, None, credential="a", interim=request.interim
                )
                content = await whole(answer.body)
                return Response(status=200, content=content)

            raw = GET.replace(b"HTTP/1.1", b"HTTP/1.0") if old else GET
            found = await heard(raw, handler)
        assert found.startswith(b"HTTP/1.1 200 OK" if old else hint)
        assert found.endswith(b"\r\n\r\nok")
        assert b"100 Continue" not in found

    play(scenario)
