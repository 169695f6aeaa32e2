# SPDX-License-Identifier: Apache-2.0
"""Any bytes, cut anywhere: the same result as in one piece, and never an accident.

Both ends of the wire are driven without a socket: what they write goes to a list.
"""

import asyncio
import os
from dataclasses import dataclass
from itertools import pairwise

import httptools
from hypothesis import example, given, settings
from hypothesis import strategies as st

from toono.errors import BadResponseError, RejectedRequestError, WireError
from toono.testing.clock import VirtualClock, settle
from toono.wire.connection import Connection
from toono.wire.messages import Response
from toono.wire.response import ResponseReader, Upgraded
from toono.wire.server import Server

CASES = 300 * int(os.environ.get("TOONO_PROVE", "1"))

# -- what is sent ----------------------------------------------------------------------

REQUESTS = [
    b"GET /api/v1/pods HTTP/1.1\r\n",
    b"POST /api/v1/pods HTTP/1.1\r\n",
    b"HEAD / HTTP/1.0\r\n",
    b"PUT /x HTTP/1.1\r\n",
    b"Host: a\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"content-length: 05\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer_Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive\r\n",
    b"Expect: 100-continue\r\n",
    b"Upgrade: SPDY/3.1\r\n",
    b"Connection: Upgrade\r\n",
    b"X-Remote-User: admin\r\n",
    b"Authorization: Bearer a\r\n",
    b"\r\n",
    b"\r",
    b"\n",
    b"hello",
    b"5\r\nhello\r\n",
    b"5\r\nhel",
    b"0\r\n\r\n",
    b"0\r\nA: b\r\n\r\n",
    b"00000005;x=y\r\n",
    b"\x00",
    b" ",
    b"GET",
]
ANSWERS = [
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.0 200 OK\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\n",
    b"HTTP/1.1 204 No Content\r\n",
    b"HTTP/1.1 304 Not Modified\r\n",
    b"HTTP/1.1 500 \r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip\r\n",
    b"Connection: close\r\n",
    b"Connection: Upgrade\r\n",
    b"Upgrade: SPDY/3.1\r\n",
    b"A: b\r\n",
    b" folded\r\n",
    b"\r\n",
    b"\n",
    b"\r",
    b"hello",
    b"5\r\nhello\r\n",
    b"3\r\nhel",
    b"0\r\n\r\n",
    b"0\r\nTrailer: x\r\n\r\n",
    b"\x00",
]


def streams(words: list[bytes]) -> st.SearchStrategy[bytes]:
    """Return bytes made of an honest start, likely words, and noise."""
    word = st.one_of(st.sampled_from(words), st.binary(max_size=3))
    return st.lists(word, max_size=12).map(b"".join)


def cuts(raw: bytes) -> st.SearchStrategy[list[bytes]]:
    """Return ways to cut `raw` into pieces, byte by byte among them."""

    def pieces(places: list[int]) -> list[bytes]:
        marks = [0, *sorted(places), len(raw)]
        found = [raw[a:b] for a, b in pairwise(marks)]
        return [piece for piece in found if piece]

    place = st.integers(0, len(raw))
    return st.one_of(
        st.just([bytes([byte]) for byte in raw]),
        st.lists(place, max_size=6).map(pieces),
    )


def cut_streams(words: list[bytes], *starts: bytes):
    whole = st.tuples(st.sampled_from([b"", *starts]), streams(words)).map(b"".join)
    return whole.flatmap(lambda raw: st.tuples(st.just(raw), cuts(raw)))


# -- a client's connection -------------------------------------------------------------


class Transport(asyncio.Transport):
    """What a connection does to its socket."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.written = b""
        self.over = False

    def write(self, data) -> None:
        assert not self.over
        self.written += data

    def writelines(self, list_of_data) -> None:
        self.write(b"".join(list_of_data))

    def set_write_buffer_limits(self, high=None, low=None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        pass

    def is_closing(self) -> bool:
        return self.over

    def close(self) -> None:
        self.over = True

    abort = close


@dataclass
class Served:
    """What came of a client's bytes."""

    handed: list[tuple]
    written: bytes


def serve(pieces: list[bytes]) -> Served:
    """Feed a connection; return what its handler saw and what it answered."""
    handed: list[tuple] = []
    unheard: list[dict] = []

    async def handler(request) -> Response:
        content, end = b"", "whole"
        handed.append(())
        try:
            while piece := await request.body.read():
                content += piece
        except WireError as exc:
            end = type(exc).__name__
        handed[-1] = (
            request.method,
            request.target,
            tuple(request.headers),
            request.keep_alive,
            content,
            end,
        )
        headers = [(b"Date", b"now")]
        return Response(status=200, headers=headers, content=b"%d" % len(content))

    async def scenario() -> bytes:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: unheard.append(context))
        refuse = lambda code, message: ([(b"Date", b"now")], b"")  # noqa: E731
        server = Server(handler, refuse=refuse, clock=VirtualClock())
        transport = Transport()
        connection = Connection(server)
        connection.connection_made(transport)
        for piece in pieces:
            if not transport.over:
                connection.data_received(piece)
            await settle(6)
        connection.eof_received()
        await settle(20)
        task = connection.abort()
        connection.connection_lost(None)
        assert task is not None
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled() or task.exception() is None
        assert server.connections == {}
        return transport.written

    written = asyncio.run(scenario())
    assert unheard == []
    return Served(handed, written)


HONEST = b"POST /api/v1/pods HTTP/1.1\r\nHost: a\r\n"
CHUNKED = HONEST + b"Transfer-Encoding: chunked\r\n\r\n"
SIZED = HONEST + b"Content-Length: 5\r\n\r\nhello"


@settings(max_examples=CASES, deadline=None)
@given(cut_streams(REQUESTS, HONEST, CHUNKED, SIZED))
@example((b"\r\n" + SIZED, [b"\r", b"\n" + SIZED]))
@example((b"\r\n\r\n" + SIZED, [b"\r\n", b"\r\n" + SIZED]))
@example(
    (
        CHUNKED + b"0\r\n" + b"x" * 4096 + b"\r\n\r\n",
        [CHUNKED + b"0\r\n" + b"x" * 4096 + b"\r", b"\n\r\n"],
    )
)
def test_a_client_s_bytes_mean_the_same_however_they_are_cut(case) -> None:
    raw, pieces = case
    assert serve(pieces) == serve([raw])


@settings(max_examples=CASES, deadline=None)
@given(streams(REQUESTS))
def test_what_the_handler_gets_is_what_llhttp_reads(raw: bytes) -> None:
    """Nothing is handed on of what a second reader would not frame the same way."""
    found = serve([raw]).handed
    assert all(one[5] == "whole" for one in found[:-1])
    whole = [one for one in found if one[5] == "whole"]
    theirs = read_by_llhttp(raw)
    for ours, other in zip(whole, theirs, strict=False):
        assert (ours[0].encode(), ours[1], ours[4]) == other
    assert len(whole) <= len(theirs)


def read_by_llhttp(raw: bytes) -> list[tuple]:
    """Return method, target and body of each request that llhttp finds whole."""
    found: list[tuple] = []

    class Seen:
        def on_message_begin(self) -> None:
            self.url, self.body = b"", b""

        def on_url(self, url: bytes) -> None:
            self.url += url

        def on_body(self, piece: bytes) -> None:
            self.body += piece

        def on_message_complete(self) -> None:
            found.append((parser.get_method(), self.url, self.body))

    parser = httptools.HttpRequestParser(Seen())
    while raw:
        try:
            parser.feed_data(raw)
            return found
        except httptools.HttpParserUpgrade as exc:
            raw = raw[exc.args[0] :]  # declined: HTTP goes on
            parser = httptools.HttpRequestParser(Seen())
        except httptools.HttpParserError:
            return found
    return found


# -- an upstream's answer --------------------------------------------------------------


def read(pieces: list[bytes], method: str, upgrade: str) -> tuple:
    """Feed a reader as a connection would; return all that can be told of it."""
    reader = ResponseReader(
        method, upgrade=upgrade, pause=lambda _: None, on_close=lambda: None
    )
    end, rest = "open", b""
    for number, piece in enumerate(pieces):
        if reader.is_over:
            if not piece.strip(b"\r\n"):
                continue  # an empty line is skipped by the connection, too
            reader.keep_alive = False  # the connection takes it for unasked bytes
            break
        try:
            reader.feed(piece)
        except Upgraded as upgraded:
            end, rest = "tunnel", upgraded.rest + b"".join(pieces[number + 1 :])
            break
        except BadResponseError:
            end = "bad"
            break
    if end == "open" and not reader.is_over and reader.ends_with_connection:
        reader.finish()
    answer = reader.answer
    if answer is None:
        return (end,)

    content = b""
    while answer.body.unread:
        content += at_once(answer.body.read())
    head = (answer.status, answer.reason, tuple(answer.headers), answer.body.length)
    return (end, rest, reader.is_over, reader.keep_alive, head, content)


def at_once(coroutine) -> bytes:
    """Return what a coroutine returns that has nothing to wait for."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waits")


LINE = b"HTTP/1.1 200 OK\r\n"


@settings(max_examples=2 * CASES, deadline=None)
@given(
    cut_streams(ANSWERS, LINE, LINE + b"Transfer-Encoding: chunked\r\n\r\n"),
    st.sampled_from(["GET", "HEAD", "POST"]),
    st.sampled_from(["", "SPDY/3.1"]),
)
@example(
    (
        LINE + b"Content-Length: 2\r\n\r\nok\r\n",
        [LINE, b"Content-Length: 2\r\n\r\nok", b"\r", b"\n"],
    ),
    "GET",
    "",
)
@example(
    (
        LINE + b"Content-Length: 2\r\n\r\nokX",
        [LINE, b"Content-Length: 2\r\n\r\nok", b"X"],
    ),
    "GET",
    "",
)
def test_a_server_s_bytes_mean_the_same_however_they_are_cut(
    case, method: str, upgrade: str
) -> None:
    raw, pieces = case
    assert read(pieces, method, upgrade) == read([raw] if raw else [], method, upgrade)


@settings(max_examples=CASES, deadline=None)
@given(streams(ANSWERS))
def test_no_answer_can_put_a_line_end_into_a_head(raw: bytes) -> None:
    found = read([LINE + raw], "GET", "")
    if len(found) > 1:
        status, reason, headers, _ = found[4]
        assert 100 <= status <= 599
        text = b"".join([reason, *[name + value for name, value in headers]])
        assert not set(text) & set(b"\r\n\x00")


# -- heads that must be refused --------------------------------------------------------


@settings(max_examples=CASES, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 200))
def test_noise_in_a_head_is_refused_or_harmless(noise: bytes, place: int) -> None:
    """A handler is reached only by what the gate reads whole."""
    head = HONEST + b"Content-Length: 5\r\n\r\n"
    raw = head[: place % len(head)] + noise + head[place % len(head) :] + b"hello"
    found = serve([raw])
    for one in found.handed:
        assert one[0] in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
        assert one[1].startswith(b"/")
    if not found.handed:
        assert found.written == b"" or found.written.startswith(b"HTTP/1.1 4")


def test_the_kit_itself_tells_refusal_from_answer() -> None:
    assert serve([SIZED]).handed[0][4:] == (b"hello", "whole")
    refused = serve([SIZED.replace(b"Host", b"Ho st")])
    assert refused.handed == []
    assert refused.written.startswith(b"HTTP/1.1 400 ")
    assert RejectedRequestError(400, "x").status == 400
