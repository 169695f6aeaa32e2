# SPDX-License-Identifier: Apache-2.0
from email.utils import parsedate_to_datetime

import pytest

from toono.runtime.clock import SystemClock
from toono.wire.heads import (
    framing_of,
    has_no_body,
    head_bytes,
    interim_bytes,
    request_bytes,
)
from toono.wire.messages import BytesBody, Peer, Request, Response

PEER = Peer(connection=1, local=("127.0.0.1", 1), remote=("127.0.0.1", 2))


def request(method: str = "GET", *, old: bool = False) -> Request:
    return Request(
        method=method,
        target=b"/",
        headers=[],
        fields={},
        body=BytesBody(),
        peer=PEER,
        old=old,
    )


def lines(response: Response, framing: list[bytes] | None = None) -> list[bytes]:
    raw = head_bytes(response, framing or [])
    assert raw.endswith(b"\r\n\r\n")
    return raw[:-4].split(b"\r\n")


def test_a_head_has_its_line_its_fields_its_framing_and_a_date() -> None:
    found = lines(
        Response(status=200, headers=[(b"A", b"b"), (b"a", b"c")]), [b"Framing: x"]
    )
    assert found[:3] == [b"HTTP/1.1 200 OK", b"A: b", b"a: c"]
    assert found[3].startswith(b"Date: ")
    assert found[4:] == [b"Framing: x"]
    date = parsedate_to_datetime(found[3][6:].decode())
    assert abs(date.timestamp() - SystemClock().wall()) < 5


def test_a_date_of_the_server_s_is_kept() -> None:
    found = lines(Response(status=200, headers=[(b"dATE", b"then")]))
    assert found[1:] == [b"dATE: then"]


@pytest.mark.parametrize(
    ("status", "reason", "line"),
    [
        (404, b"", b"HTTP/1.1 404 Not Found"),
        (404, b"Nope", b"HTTP/1.1 404 Nope"),
        (599, b"", b"HTTP/1.1 599 Unknown"),
    ],
)
def test_a_status_has_a_reason(status: int, reason: bytes, line: bytes) -> None:
    assert lines(Response(status=status, reason=reason))[0] == line


HOPS = [
    (b"Connection", b"Upgrade"),
    (b"Keep-Alive", b"x"),
    (b"Transfer-Encoding", b"gzip"),
    (b"upgrade", b"SPDY/3.1"),
]


def test_hop_by_hop_fields_and_lengths_are_the_wire_s_own() -> None:
    headers = [*HOPS, (b"content-LENGTH", b"9"), (b"A", b"b")]
    found = lines(Response(status=200, headers=headers))
    assert [line for line in found[1:] if not line.startswith(b"Date")] == [b"A: b"]


def test_a_101_keeps_what_switches_and_has_no_date() -> None:
    headers = [HOPS[0], HOPS[3], (b"Content-Length", b"0")]
    found = lines(Response(status=101, headers=headers))
    assert found[1:] == [b"Connection: Upgrade", b"upgrade: SPDY/3.1"]


LENGTH = [(b"Content-Length", b"7")]
FRAMINGS = [
    ("GET", False, 200, 5, False, [b"Content-Length: 5"]),
    ("GET", False, 200, 0, False, [b"Content-Length: 0"]),
    ("GET", False, 200, None, False, [b"Transfer-Encoding: chunked"]),
    ("GET", False, 200, 5, True, [b"Content-Length: 5", b"Connection: close"]),
    ("GET", True, 200, None, True, [b"Connection: close"]),
    ("GET", True, 200, 5, False, [b"Content-Length: 5", b"Connection: keep-alive"]),
    ("GET", False, 204, 0, False, []),
    ("GET", False, 304, None, True, [b"Connection: close"]),
    ("HEAD", False, 200, 5, False, [b"Content-Length: 5"]),
    ("HEAD", False, 200, 0, False, [b"Content-Length: 7"]),
    ("HEAD", False, 200, None, False, [b"Transfer-Encoding: chunked"]),
]


@pytest.mark.parametrize(
    ("method", "old", "status", "size", "close", "found"), FRAMINGS
)
def test_framing_says_where_an_answer_ends(
    method, old, status, size, close, found
) -> None:
    response = Response(status=status, headers=LENGTH)
    assert framing_of(request(method, old=old), response, size, close=close) == found


def test_head_without_a_known_length_names_none() -> None:
    assert framing_of(request("HEAD"), Response(status=200), 0, close=False) == []


@pytest.mark.parametrize(
    ("method", "status", "bare"),
    [("GET", 200, False), ("HEAD", 200, True), ("GET", 204, True), ("GET", 304, True)],
)
def test_some_answers_end_with_their_head(method, status, bare) -> None:
    assert has_no_body(request(method), Response(status=status)) is bare


class Chunks(BytesBody):
    def __init__(self) -> None:
        super().__init__()
        self.length = None


@pytest.mark.parametrize(
    ("method", "body", "upgrade", "framing"),
    [
        ("GET", None, "", b""),
        ("DELETE", None, "", b""),
        ("POST", None, "", b"Content-Length: 0\r\n"),
        ("PUT", BytesBody(b"abc"), "", b"Content-Length: 3\r\n"),
        ("DELETE", Chunks(), "", b"Transfer-Encoding: chunked\r\n"),
        ("GET", None, "a/1", b"Connection: Upgrade\r\nUpgrade: a/1\r\n"),
    ],
)
def test_a_request_says_where_it_ends(method, body, upgrade, framing) -> None:
    raw = request_bytes(method, b"/a?b", [(b"Host", b"c")], body, upgrade)
    head = b"%b /a?b HTTP/1.1\r\nHost: c\r\n" % method.encode()
    assert raw == head + framing + b"\r\n"


def test_an_interim_answer_is_a_head_of_its_own() -> None:
    headers = [(b"Link", b"</a>"), *HOPS, (b"Content-Length", b"3")]
    raw = interim_bytes(103, b"", headers)
    assert raw == b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    assert interim_bytes(102, b"Wait", []) == b"HTTP/1.1 102 Wait\r\n\r\n"
