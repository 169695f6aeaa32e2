# SPDX-License-Identifier: Apache-2.0
"""An upstream's answers, honest and hostile, without a socket."""

import asyncio

import pytest

from toono.errors import BadResponseError, BodyCutError
from toono.testing.clock import settle
from toono.wire.response import MAX_HEAD_BYTES, MAX_INTERIM, ResponseReader, Upgraded

HEAD = b"HTTP/1.1 200 OK\r\n"
SIZED = HEAD + b"Content-Length: 2\r\n\r\nok"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


class Reading:
    """A reader, and what it told its connection."""

    def __init__(self, method: str = "GET", upgrade: str = "") -> None:
        self.pauses: list[bool] = []
        self.closed = 0
        self.reader = ResponseReader(
            method, upgrade=upgrade, pause=self.pauses.append, on_close=self.close
        )

    def close(self) -> None:
        self.closed += 1

    def feed(self, raw: bytes, size: int = 0) -> "Reading":
        step = size or len(raw)
        for start in range(0, len(raw), step):
            self.reader.feed(raw[start : start + step])
        return self

    @property
    def answer(self):
        assert self.reader.answer is not None
        return self.reader.answer

    def content(self) -> bytes:
        """Return the body as far as it came, without waiting for more."""

        async def reading() -> bytes:
            content = b""
            while self.answer.body.unread:
                content += await self.answer.body.read()
            return content

        return asyncio.run(reading())


@pytest.mark.parametrize("size", [0, 1, 7])
def test_a_sized_answer_ends_at_its_length(size: int) -> None:
    found = Reading().feed(SIZED, size)
    assert (found.answer.status, found.answer.reason) == (200, b"OK")
    assert found.answer.headers == [(b"Content-Length", b"2")]
    assert found.answer.fields == {b"content-length": b"2"}
    assert (found.answer.body.length, found.content()) == (2, b"ok")
    assert found.reader.is_over
    assert found.reader.keep_alive
    assert not found.reader.ends_with_connection


@pytest.mark.parametrize("size", [0, 1, 7])
def test_a_chunked_answer_ends_at_its_last_chunk(size: int) -> None:
    found = Reading().feed(CHUNKED + b"2\r\nok\r\n1;why=not\r\n!\r\n", size)
    assert (found.answer.body.length, found.reader.is_over) == (None, False)
    found.feed(b"0\r\n\r\n", size)
    assert found.content() == b"ok!"
    assert found.reader.is_over
    assert found.reader.keep_alive


def test_an_answer_without_an_end_ends_with_its_connection() -> None:
    found = Reading().feed(HEAD + b"\r\nhello")
    assert found.reader.ends_with_connection
    assert not found.reader.is_over
    found.reader.finish()
    assert found.content() == b"hello"
    assert found.reader.is_over
    assert not found.reader.keep_alive


@pytest.mark.parametrize(
    ("line", "kept"),
    [(b"HTTP/1.1", True), (b"HTTP/1.0", False)],
    ids=["new", "old"],
)
def test_an_old_answer_s_connection_is_not_kept(line: bytes, kept: bool) -> None:
    found = Reading().feed(line + b" 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert found.reader.is_over
    assert found.reader.keep_alive is kept


def test_a_server_that_says_close_is_believed() -> None:
    raw = SIZED.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    assert not Reading().feed(raw).reader.keep_alive


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 204 No Content\r\n",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n",
        b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n",
    ],
)
def test_an_answer_that_has_no_body_is_over_at_its_head(head: bytes) -> None:
    found = Reading().feed(head + b"\r\n")
    assert (found.answer.body.length, found.content()) == (0, b"")
    assert found.reader.is_over
    assert found.reader.keep_alive


@pytest.mark.parametrize("framing", [b"Content-Length: 500", b"X: y"])
def test_head_is_over_at_its_head_and_its_connection_is_not_kept(framing) -> None:
    """A body that follows against the rule could be taken for the next answer."""
    found = Reading("HEAD").feed(HEAD + framing + b"\r\n\r\n")
    assert (found.answer.body.length, found.content()) == (0, b"")
    assert found.reader.is_over
    assert not found.reader.keep_alive


def test_head_has_no_body_even_if_one_comes() -> None:
    found = Reading("HEAD").feed(SIZED)
    assert found.content() == b""
    assert not found.reader.keep_alive


@pytest.mark.parametrize("size", [0, 1])
@pytest.mark.parametrize(
    "interim",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 7\r\n\r\n",
    ],
)
def test_answers_before_the_answer_leave_no_trace(interim: bytes, size: int) -> None:
    found = Reading().feed(interim * MAX_INTERIM + SIZED, size)
    assert found.answer.headers == [(b"Content-Length", b"2")]
    assert found.answer.reason == b"OK"
    assert found.content() == b"ok"


def test_a_flood_of_interim_answers_is_refused() -> None:
    with pytest.raises(BadResponseError, match="endless"):
        Reading().feed(b"HTTP/1.1 100 Continue\r\n\r\n" * (MAX_INTERIM + 1))


BAD = {
    "both lengths": HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
    "both, other way": HEAD
    + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    "one length twice": HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    "list of lengths": HEAD + b"Content-Length: 2, 2\r\n\r\nok",
    "signed": HEAD + b"Content-Length: +2\r\n\r\nok",
    "hexadecimal": HEAD + b"Content-Length: 0x2\r\n\r\nok",
    "5,000 digits": HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\nok",
    "no digits": HEAD + b"Content-Length:\r\n\r\nok",
    "gzip coding": HEAD + b"Transfer-Encoding: gzip\r\n\r\nok",
    "gzip, chunked": HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": HEAD + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n0\r\n\r\n",
    "xchunked": HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "old chunks": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "folded": HEAD + b"A: b\r\n c\r\n\r\n",
    "bare line feed": HEAD + b"A: b\nB: c\r\n\r\n",
    "bare carriage return": HEAD + b"A: b\rB: c\r\n\r\n",
    "NUL": HEAD + b"A: b\x00c\r\n\r\n",
    "space before colon": HEAD + b"Content-Length : 2\r\n\r\nok",
    "no name": HEAD + b": b\r\n\r\n",
    "no colon": HEAD + b"abc\r\n\r\n",
    "status 0": b"HTTP/1.1 000 OK\r\nContent-Length: 2\r\n\r\nok",
    "status 600": b"HTTP/1.1 600 OK\r\nContent-Length: 2\r\n\r\nok",
    "status 1000": b"HTTP/1.1 1000 OK\r\nContent-Length: 2\r\n\r\nok",
    "control in reason": b"HTTP/1.1 200 O\x00K\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/2.0": b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/9.9": b"HTTP/9.9 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "a request": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "a page": b"<html>captive portal</html>\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01",
    "unasked 101": b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: a\r\n\r\n",
}


@pytest.mark.parametrize("size", [0, 1, 5])
@pytest.mark.parametrize("raw", BAD.values(), ids=BAD.keys())
def test_what_is_no_honest_head_is_never_an_answer(raw: bytes, size: int) -> None:
    found = Reading()
    with pytest.raises(BadResponseError):
        found.feed(raw, size)
    assert found.reader.answer is None


@pytest.mark.parametrize(
    "chunks",
    [
        b"0x2\r\nok\r\n",
        b"+2\r\nok\r\n",
        b"-1\r\n",
        b"\r\nok",
        b"g\r\n",
        b"2 \r\nok\r\n",
        b"2\nok\r\n",
        b"2\r\nokXX",
        b"2\r\nok\n",
        b"f" * 17 + b"\r\n",
        b"0\r\nA: b\nC: d\r\n\r\n",
        b"0\r\nContent-Length: 5\r\n\r\n",
    ],
)
@pytest.mark.parametrize("size", [0, 1])
def test_a_bad_chunk_never_ends_well(chunks: bytes, size: int) -> None:
    found = Reading()
    with pytest.raises(BadResponseError):
        found.feed(CHUNKED + chunks, size)
    assert not found.reader.is_over
    assert not found.reader.keep_alive


def test_trailers_are_dropped() -> None:
    """They come when the head is long passed on; none may change what it said."""
    found = Reading().feed(CHUNKED + b"2\r\nok\r\n0\r\nX-Evil: 1\r\nWarning: 2\r\n\r\n")
    assert found.answer.headers == [(b"Transfer-Encoding", b"chunked")]
    assert found.answer.fields == {b"transfer-encoding": b"chunked"}
    assert found.content() == b"ok"
    assert found.reader.keep_alive


EXTRA = [SIZED, b"XX", b"\x00", b"HTTP/1.1 100 Continue\r\n\r\n"]


@pytest.mark.parametrize("extra", EXTRA)
@pytest.mark.parametrize("end", [b"", b"Connection: close\r\n"])
def test_bytes_after_the_answer_change_nothing_but_end_the_connection(
    extra: bytes, end: bytes
) -> None:
    found = Reading().feed(HEAD + end + b"Content-Length: 2\r\n\r\nok" + extra)
    assert found.answer.status == 200
    assert found.content() == b"ok"
    assert found.reader.is_over
    assert not found.reader.keep_alive


@pytest.mark.parametrize("start", [HEAD, CHUNKED + b"0\r\n", CHUNKED + b"5;"])
def test_lines_without_end_are_cut(start: bytes) -> None:
    found = Reading().feed(start)
    piece = b"X: " + b"y" * 60_000 if start.endswith(b"\n") else b"z" * 60_000
    with pytest.raises(BadResponseError):
        found.feed(piece * (MAX_HEAD_BYTES // 60_000 + 1), 60_000)


def test_many_fields_are_cut_however_they_come() -> None:
    field = b"X: " + b"y" * 1000 + b"\r\n"
    fields = field * (MAX_HEAD_BYTES // 1000 + 1)
    for size in (0, 100_000):
        with pytest.raises(BadResponseError):
            Reading().feed(HEAD + fields + b"Content-Length: 0\r\n\r\n", size)


def test_a_large_body_behind_a_small_head_is_no_large_head() -> None:
    found = Reading().feed(HEAD + b"Content-Length: %d\r\n" % (2 * MAX_HEAD_BYTES))
    found.feed(b"\r\n" + b"x" * (2 * MAX_HEAD_BYTES))
    assert found.reader.is_over


def test_a_slow_reader_pauses_the_server() -> None:
    found = Reading().feed(HEAD + b"Content-Length: 900000\r\n\r\n")
    found.feed(b"x" * 800_000, 100_000)
    assert found.pauses == [True]
    assert len(found.content()) == 800_000
    assert found.pauses == [True, False]


def test_a_reader_that_closes_early_ends_the_connection_and_late_does_not() -> None:
    found = Reading().feed(SIZED[:-1])
    found.answer.body.close()
    assert found.closed == 1
    found = Reading().feed(SIZED)
    found.answer.body.close()
    assert found.closed == 0


def test_a_cut_reaches_the_reader_of_the_body() -> None:
    async def scenario() -> None:
        found = Reading().feed(SIZED[:-1])
        assert await found.answer.body.read() == b"o"
        waiting = asyncio.create_task(found.answer.body.read())
        await settle()
        found.reader.fail(BodyCutError("cut"))
        with pytest.raises(BodyCutError):
            await waiting

    asyncio.run(scenario())


def test_a_cut_before_the_head_is_nobody_s_news() -> None:
    reading = Reading()
    reading.reader.fail(BodyCutError("cut"))
    reading.reader.finish()
    assert reading.reader.answer is None


SWITCH = b"HTTP/1.1 101 Switching Protocols\r\n"
SPDY = SWITCH + b"Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n"


@pytest.mark.parametrize("size", [0, 1])
def test_a_checked_101_hands_over_what_follows(size: int) -> None:
    found = Reading("POST", upgrade="SPDY/3.1")
    with pytest.raises(Upgraded) as caught:
        found.feed(SPDY + b"\x80\x03raw", size)
    assert caught.value.rest == (b"" if size else b"\x80\x03raw")
    assert found.answer.status == 101


def test_one_of_several_protocols_may_be_chosen() -> None:
    with pytest.raises(Upgraded):
        Reading("GET", upgrade="h2c, spdy/3.1").feed(SPDY)


@pytest.mark.parametrize(
    "raw",
    [
        SPDY.replace(b"SPDY/3.1", b"websocket"),
        SPDY.replace(b"Upgrade: SPDY/3.1\r\n", b""),
        SPDY.replace(b"Connection: Upgrade\r\n", b""),
        SPDY.replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\n"),
        SPDY.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ],
)
def test_a_101_for_something_else_is_refused(raw: bytes) -> None:
    found = Reading("POST", upgrade="SPDY/3.1")
    with pytest.raises(BadResponseError):
        found.feed(raw)
    assert found.reader.answer is None


@pytest.mark.parametrize("code", [b"200", b"403", b"500"])
def test_an_upgrade_that_is_refused_is_an_ordinary_answer(code: bytes) -> None:
    found = Reading("POST", upgrade="SPDY/3.1").feed(SIZED.replace(b"200", code))
    assert found.answer.status == int(code)
    assert found.content() == b"ok"


def test_interim_answers_are_told_but_for_100() -> None:
    told: list[tuple] = []
    reader = ResponseReader(
        "GET",
        upgrade="",
        pause=lambda _: None,
        on_close=lambda: None,
        interim=lambda *facts: told.append(facts),
    )
    reader.feed(b"HTTP/1.1 100 Continue\r\n\r\n")
    reader.feed(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + SIZED)
    assert told == [(103, b"Early Hints", [(b"Link", b"</a>")])]
