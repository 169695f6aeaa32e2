# SPDX-License-Identifier: Apache-2.0
"""What one look takes for a plain answer is what the full reader takes it for."""

import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toono.errors import BadResponseError
from toono.wire.plain import MAX_CONTENT_BYTES, NotPlainError, fields_of, read_plain
from toono.wire.response import ResponseReader

DATE = b"Date: Sat, 21 Nov 2026 01:00:00 GMT"
LINES = b"HTTP/1.1 200 OK\r\nAudit-Id: 1\r\n" + DATE + b"\r\n"


def sized(content: bytes, lines: bytes = LINES) -> bytes:
    return lines + b"Content-Length: %d\r\n\r\n" % len(content) + content


def chunked(*pieces: bytes, lines: bytes = LINES) -> bytes:
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return lines + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


def fully(raw: bytes) -> tuple[int, dict[bytes, bytes], bytes, bool] | None:
    """Return what the full reader makes of an answer, None where it refuses it."""
    reader = ResponseReader(
        "GET", upgrade="", pause=lambda _: None, on_close=lambda: None
    )
    try:
        reader.feed(raw)
    except BadResponseError:
        return None
    if not reader.is_over or reader.answer is None:
        return None

    async def content() -> bytes:
        assert reader.answer is not None
        return b"".join([piece async for piece in _pieces(reader.answer.body)])

    answer = reader.answer
    return answer.status, answer.fields, asyncio.run(content()), reader.keep_alive


async def _pieces(body):
    while piece := await body.read():
        yield piece


@pytest.mark.parametrize(
    "raw",
    [
        sized(b"x" * 4000),
        sized(b""),
        chunked(b"x" * 3109),
        chunked(b"x" * 2048, b"y" * 637),
        sized(b"x" * MAX_CONTENT_BYTES),
    ],
)
def test_a_plain_answer_is_waited_for_until_its_last_byte(raw: bytes) -> None:
    lines, content = read_plain(raw)
    assert (lines, content) == (LINES, fully(raw)[2])
    for cut in {*range(0, len(raw), max(1, len(raw) // 400)), len(raw) - 1}:
        assert read_plain(raw[:cut]) is None


@pytest.mark.parametrize(
    "raw",
    [
        sized(b"no").replace(b"200 OK", b"404 Not Found"),
        sized(b"ok").replace(b"HTTP/1.1", b"HTTP/1.0"),
        sized(b"ok").replace(DATE, b"Last-Modified: now"),
        sized(b"ok").replace(b"Audit-Id: 1", b"Connection: close"),
        sized(b"ok").replace(b"Audit-Id: 1", b"keep-alive: timeout=5"),
        sized(b"ok").replace(b"Audit-Id: 1", b"TRAILER: X-A"),
        sized(b"ok").replace(b"Audit-Id: 1", b"Upgrade: h2c"),
        sized(b"ok").replace(b"Audit-Id: 1", b"Content-Length: 2"),
        sized(b"ok").replace(b"Audit-Id: 1", b"Transfer-Encoding: chunked"),
        sized(b"ok").replace(b"Audit-Id: 1", b"Audit-Id:  1"),
        sized(b"ok").replace(b"Audit-Id: 1", b"Audit-Id: 1 "),
        sized(b"ok").replace(b"Audit-Id: 1", b"Audit-Id : 1"),
        sized(b"ok").replace(b"Audit-Id: 1", b"Audit-Id: \x011"),
        sized(b"ok").replace(b"Audit-Id: 1", b" folded"),
        sized(b"ok") + b"x",
        chunked(b"ok") + b"HTTP/1.1 200 OK\r\n",
        chunked(b"ok").replace(b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n"),
        chunked(b"ok").replace(b"2\r\n", b"2;a=b\r\n"),
        chunked(b"ok").replace(b"2\r\n", b"zz\r\n"),
        chunked(b"ok").replace(b"ok\r\n", b"ok\n\n"),
        chunked(*[b"x"] * 200),
        sized(b"x" * (MAX_CONTENT_BYTES + 1)),
        LINES + b"Content-Length: 999999999\r\n\r\n",
        b"x" * 100_000,
        LINES + b"\r\n",
        chunked(b"ok").replace(b"2\r\n", b"2;name=value\r\n"),
        chunked(b"ok").replace(b"2\r\n", b"00000002\r\n"),
        chunked(b"ok").replace(b"2\r\n", b"2       \r\n"),
        chunked(b"ok").replace(b"0\r\n\r\n", b"0;name=value\r\n\r\n"),
        chunked(b"ok").replace(b"0\r\n\r\n", b"no"),
        LINES.replace(b"\r\n", b"\n") + b"\n",
        b"HTTP/1.1 404 ",
        b"\r\n",
        b"SSH-2.0\r\n",
        LINES + b"Content-Length: 2 0\r\n",
        LINES + b"X: \x00",
        LINES + b"\nX",
    ],
)
def test_whatever_is_not_plain_is_left_to_the_full_reader(raw: bytes) -> None:
    with pytest.raises(NotPlainError):
        read_plain(raw)


names = st.sampled_from(
    [b"Audit-Id", b"X-A", b"Connection", b"TE", b"Via", b"Trailer", b"Cache-Control"]
)
values = st.one_of(
    st.sampled_from(
        [b"a", b"a b", b"close", b"no-cache, private", b"", b" x", b"\xff"]
    ),
    st.binary(max_size=6),
)
contents = st.binary(max_size=40)


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    fields = draw(st.lists(st.tuples(names, values), max_size=4))
    lines = b"HTTP/1.1 200 OK\r\n" + DATE + b"\r\n"
    lines += b"".join(b"%b: %b\r\n" % field for field in fields)
    if draw(st.booleans()):
        raw = sized(draw(contents), lines)
    else:
        raw = chunked(*filter(None, draw(st.lists(contents, max_size=3))), lines=lines)
    spots = st.tuples(st.integers(0, len(raw)), st.binary(max_size=3))
    for spot, put in draw(st.lists(spots, max_size=2)):
        raw = raw[:spot] + put + raw[spot + draw(st.integers(0, 2)) :]
    return raw


@given(answers())
def test_what_is_plain_is_the_same_answer_to_the_full_reader(raw: bytes) -> None:
    try:
        plain = read_plain(raw)
    except NotPlainError:
        return
    if plain is None:
        return
    lines, content = plain
    assert fully(raw) == (200, fields_of(lines) | framing(raw), content, True)


def framing(raw: bytes) -> dict[bytes, bytes]:
    """Return the framing field of an answer: the full reader keeps it."""
    head = raw[: raw.index(b"\r\n\r\n")]
    if b"\r\nTransfer-Encoding: chunked" in head:
        return {b"transfer-encoding": b"chunked"}
    length = head.partition(b"\r\nContent-Length: ")[2].partition(b"\r\n")[0]
    return {b"content-length": length}


@given(st.binary(max_size=300))
def test_no_bytes_break_the_look(raw: bytes) -> None:
    with contextlib.suppress(NotPlainError):
        read_plain(b"HTTP/1.1 200 OK\r\n" + raw)
