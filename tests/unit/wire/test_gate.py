# SPDX-License-Identifier: Apache-2.0
"""Each must-reject vector a row; numbers are those of the list of bad inputs."""

import asyncio

import httptools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toono.errors import RejectedRequestError
from toono.runtime.clock import SystemClock
from toono.testing.clock import settle
from toono.wire.gate import head_reader, read_head, read_near_head
from toono.wire.messages import Response
from toono.wire.server import Server

LONG = b"x" * 20_000


def head(line: bytes = b"GET /api/v1/pods HTTP/1.1", *fields: bytes) -> bytes:
    return b"\r\n".join([line, b"Host: a:1", *fields])


def line(target: bytes) -> bytes:
    return head(b"GET " + target + b" HTTP/1.1")


TARGETS = [
    ("1", b"/api/v1/pods/.."),
    ("2", b"/api/v1/./pods"),
    ("3", b"/api/v1/%2e%2e%2fpods"),
    ("4", b"/api/v1/..%2f..%2fpods"),
    ("5", b"/api/v1/%252e"),
    ("6", b"/api/v1/pods/a%00"),
    ("7", b"/api/v1/pods/a%2fb"),
    ("8", b"/api/v1/pods/a%5cb"),
    ("8b", b"/api\\v1"),
    ("9", b"//api/v1"),
    ("9b", b"/api//v1"),
    ("10", b"/api/v1/pods;x=1"),
    ("12", b"/api/v1/pods/%c0%ae"),
    ("13", b"/api/v1/pods/%ff"),
    ("14", b"/api/v1/pods/%0d%0a"),
    ("14b", b"/api/v1/pods/%09"),
    ("escape", b"/api/v1/pods/%zz"),
    ("fragment", b"/api/v1/pods#x"),
    ("high", b"/api/v1/\xff"),
    ("56", b"http://evil/api"),
    ("57", b"*"),
    ("63", b"/api/" + b"x" * 20_000),
]
HEADS = [
    ("23", head(b"GET / HTTP/1.1", b"User-Agent: a", b"User-Agent: b")),
    (
        "27",
        head(b"POST / HTTP/1.1", b"Content-Length: 1", b"Transfer-Encoding: chunked"),
    ),
    (
        "28",
        head(b"POST / HTTP/1.1", b"Transfer-Encoding: chunked", b"Content-Length: 1"),
    ),
    ("29", head(b"POST / HTTP/1.1", b"Content-Length: 1", b"Content-Length: 2")),
    ("30", head(b"POST / HTTP/1.1", b"Content-Length: 1, 2")),
    ("33", head(b"POST / HTTP/1.1", "Content-Length: ٣".encode())),
    ("34", head(b"POST / HTTP/1.1", b"Content-Length : 1")),
    ("35", head(b"POST / HTTP/1.1", b"Transfer-Encoding : chunked")),
    ("37", head(b"POST / HTTP/1.1", *[b"Transfer-Encoding: chunked"] * 2)),
    ("38", head(b"POST / HTTP/1.1", b"Transfer-Encoding:\r\n chunked")),
    ("39", head(b"POST / HTTP/1.0", b"Transfer-Encoding: chunked")),
    ("46", head(b"GET / HTTP/1.1", b"A: b\nX: y")),
    ("47", head(b"GET / HTTP/1.1", b"A: b\rc")),
    ("47b", head(b"GET / HTTP/1.1", b"A: b\x00")),
    ("47c", head(b"GET / HTTP/1.1", b"A: \x7f")),
    ("48", head(b"GET / HTTP/1.1", b"A: b", b" folded")),
    ("49", head(b"GET / HTTP/1.1", b"A b: c")),
    ("49b", head(b"GET / HTTP/1.1", b": c")),
    ("50", head(b"GET / HTTP/1.1", b"no colon")),
    ("51", b" GET / HTTP/1.1\r\nHost: a"),
    ("52", b"GET / HTTP/1.1"),
    ("52b", head(b"GET / HTTP/1.1", b"Host: b")),
    ("52c", b"GET / HTTP/1.1\r\nHost: a,b"),
    ("52d", b"GET / HTTP/1.1\r\nHost: a@b"),
    ("52e", b"GET / HTTP/1.1\r\nHost: a/b"),
    ("52f", b"GET / HTTP/1.1\r\nHost:"),
    ("53", b"GET /"),
    ("53b", head(b"GET / HTTP/1.32")),
    ("53c", head(b"GET / HTTP/2.0")),
    ("53d", head(b"GET / http/1.1")),
    ("54", head(b"GET\t/ HTTP/1.1")),
    ("54b", head(b"GET  / HTTP/1.1")),
    ("55", head(b"G\xffT / HTTP/1.1")),
    ("55b", head(b"get / HTTP/1.1")),
    ("57", head(b"CONNECT a:1 HTTP/1.1")),
    ("58", b"PRI * HTTP/2.0"),
    ("59", b"\x16\x03\x01\x02\x00\x01"),
    ("60", bytes(range(256))),
    ("62", head(b"POST / HTTP/1.1", b"Expect: 200-ok")),
    ("63", head(b"GET / HTTP/1.1", *[b"A: b"] * 200)),
    ("63b", head(b"GET / HTTP/1.1", b"A: " + LONG)),
    ("71", head(b"GET / HTTP/1.1", *[b"Authorization: Bearer x"] * 2)),
    ("71b", head(b"GET / HTTP/1.1", b"Authorization: Bearer " + LONG)),
    ("71c", head(b"GET / HTTP/1.1", b"Authorization: Bearer")),
    ("73", head(b"GET / HTTP/1.1", b"Impersonate-User: admin")),
    ("73b", head(b"GET / HTTP/1.1", b"Impersonate_Group: system:masters")),
    ("74", head(b"GET / HTTP/1.1", b"Connection: authorization")),
    ("74b", head(b"GET / HTTP/1.1", b"Connection: close, impersonate-user")),
    ("75", head(b"POST / HTTP/1.1", b"Upgrade: SPDY/3.1", b"Content-Length: 3")),
    ("75b", head(b"GET / HTTP/1.1", b"Upgrade: websocket")),
    ("76", head(b"GET / HTTP/1.1", *[b"Via: 1.1 toono"] * 3)),
]
LENGTHS = [b"+1", b"-1", b"-0", b"0x1", b"1_0", b"1 0", b"", b"9" * 5000]
CODINGS = [
    b"xchunked",
    b"identity",
    b",chunked",
    b"chunked, identity",
    b'"chunked"',
    b"gzip",
    b"",
]
HEADS += [
    (f"31-{n}", head(b"POST / HTTP/1.1", b"Content-Length: " + text))
    for n, text in enumerate(LENGTHS)
]
HEADS += [
    (f"36-{n}", head(b"POST / HTTP/1.1", b"Transfer-Encoding: " + text))
    for n, text in enumerate(CODINGS)
]
VECTORS = [(number, line(target)) for number, target in TARGETS] + HEADS


@pytest.mark.parametrize(("number", "raw"), VECTORS, ids=[n for n, _ in VECTORS])
def test_a_head_that_must_be_refused_is(number: str, raw: bytes) -> None:
    with pytest.raises(RejectedRequestError) as caught:
        read_head(raw)
    assert 400 <= caught.value.status < 500


CHUNKS = [
    b"0x1\r\na\r\n",
    b"+1\r\na\r\n",
    b"-1\r\na\r\n",
    b"1_0\r\n",
    b" 1\r\na\r\n",
    b"1 \r\na\r\n",
    b"\r\n",
    b"g\r\n",
    b"1z\r\na\r\n",
    b"1" * 17 + b"\r\n",
    b"1\na\r\n",
    b"1\r\na\n",
    b"1\r\naXX",
    b"1;x=" + b"y" * 70_000,
    b"1;a\x00b\r\na\r\n",
    b"1;a\rb\r\na\r\n",
]


def answers(raw: bytes) -> tuple[bytes, list]:
    """Send bytes to a server; return what came back and the bodies it handed on."""
    handed: list = []

    async def scenario() -> bytes:
        async def handler(request) -> Response:
            pieces = []
            handed.append((request, pieces))
            while piece := await request.body.read():
                pieces.append(piece)
            return Response(status=200, content=b"answered")

        refuse = lambda code, message: ([], message.encode())  # noqa: E731
        server = Server(handler, refuse=refuse, clock=SystemClock())
        host, port = await server.start("127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(raw)
        writer.write_eof()
        heard = await reader.read()
        writer.close()
        await server.aclose()
        await settle()
        return heard

    return asyncio.run(scenario()), handed


@pytest.mark.parametrize(("number", "raw"), VECTORS, ids=[n for n, _ in VECTORS])
def test_nothing_of_it_reaches_the_handler(number: str, raw: bytes) -> None:
    heard, handed = answers(raw + b"\r\n\r\n")
    assert handed == []
    assert heard == b"" or heard.startswith(b"HTTP/1.1 4")


@pytest.mark.parametrize("chunk", CHUNKS)
def test_a_chunk_that_must_be_refused_hands_nothing_on(chunk: bytes) -> None:
    raw = head(b"POST /api/v1/pods HTTP/1.1", b"Transfer-Encoding: chunked")
    heard, handed = answers(raw + b"\r\n\r\n" + chunk + b"0\r\n\r\n")
    assert heard.startswith(b"HTTP/1.1 4")
    assert b"answered" not in heard
    for _, pieces in handed:
        assert b"".join(pieces) in (b"", b"a")


def test_trailers_are_dropped() -> None:
    raw = head(b"POST /api/v1/pods HTTP/1.1", b"Transfer-Encoding: chunked")
    trailer = b"1\r\na\r\n0\r\nX-Remote-User: admin\r\nContent-Length: 5\r\n\r\n"
    heard, handed = answers(raw + b"\r\n\r\n" + trailer)
    assert heard.startswith(b"HTTP/1.1 200")
    ((request, pieces),) = handed
    assert pieces == [b"a"]
    assert b"x-remote-user" not in request.fields


PASSING = [
    head(b"GET /API/v1 HTTP/1.1"),
    line(b"/api/v1/namespaces/a/pods/" + b"x" * 253),
    line(b"/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode"),
    head(b"GET /x HTTP/1.1", b"Authorization: bearer abc"),
    head(b"GET /x HTTP/1.1", b"Authorization: Bearer a", b"Impersonate-User: b"),
    head(b"POST /exec HTTP/1.1", b"Connection: Upgrade", b"Upgrade: SPDY/3.1"),
    b"GET /x HTTP/1.0",
]


@pytest.mark.parametrize("raw", PASSING)
def test_what_clients_send_passes(raw: bytes) -> None:
    assert read_head(raw).target.startswith(b"/")


@pytest.mark.parametrize(
    "name", [b"X-Remote-User", b"X_Remote_User", b"x-remote-extra-a%2fb"]
)
def test_identities_that_a_front_proxy_would_set_are_taken_off(name: bytes) -> None:
    found = read_head(head(b"GET / HTTP/1.1", name + b": admin", b"A: b"))
    assert [key for key, _ in found.headers] == [b"Host", b"A"]


WORDS = st.sampled_from(
    [
        b"GET",
        b"POST",
        b" ",
        b"/",
        b"/api",
        b"HTTP/1.1",
        b"\r\n",
        b"Host: a",
        b":",
        b"\n",
        b"Content-Length: 1",
        b"Transfer-Encoding: chunked",
        b"\t",
        b"\r",
        b"a",
        b"%41",
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(WORDS, max_size=14))
def test_what_the_gate_believes_llhttp_reads_the_same(words: list[bytes]) -> None:
    raw = b"GET / HTTP/1.1\r\nHost: a" if not words else b"".join(words)
    try:
        found = read_head(raw)
    except RejectedRequestError:
        return

    class Seen:
        def __init__(self) -> None:
            self.url = b""
            self.headers: list = []

        def on_url(self, url: bytes) -> None:
            self.url += url

        def on_header(self, name: bytes, value: bytes) -> None:
            self.headers.append((name, value))

    seen = Seen()
    parser = httptools.HttpRequestParser(seen)
    parser.feed_data(raw + b"\r\n\r\n")
    assert seen.url == found.target
    assert parser.get_method().decode() == found.method
    assert [name for name, _ in seen.headers] == [name for name, _ in found.headers]


PAGE = b"GET /api HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://evil.example"


def test_page_in_a_browser_is_refused_where_the_node_calls_and_a_token_is_its_owner():
    for _ in range(2):
        with pytest.raises(RejectedRequestError) as caught:
            read_near_head(PAGE)
        assert caught.value.status == 403
    assert read_head(PAGE).method == "GET"
    owned = PAGE + b"\r\nAuthorization: Bearer abc"
    assert read_near_head(owned).method == "GET"
    assert read_near_head(PAGE.replace(b"evil.example", b"127.0.0.1")).method == "GET"


def test_only_what_comes_over_loopback_in_the_clear_may_be_the_node_s():
    assert head_reader("127.0.0.1", tls=False) is read_near_head
    assert head_reader("127.0.0.1", tls=True) is read_head
    assert head_reader("169.254.2.1", tls=False) is read_head
