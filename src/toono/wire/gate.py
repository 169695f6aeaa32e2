# SPDX-License-Identifier: Apache-2.0
"""The strict gate: what a request's head must be before anything of it is believed.

No parser at hand refuses all that must be refused (of 88 smuggling vectors the best
stopped 77 before the upstream saw them), so this stands in front of everything. Any
doubt about framing is a 400 and the end of the connection. Paths are refused, never
normalised: a path that two readers could read in two ways has no right answer.

Sources: RFC 9110 5 (fields), 7.2 (Host), 7.6.1 (Connection), RFC 9112 2 (lines), 3
(request line), 6 (framing), 11 (smuggling); CVE-2021-31999 for Connection.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from toono.errors import RejectedRequestError
from toono.wire.messages import Body, Headers, Interim, Peer, Request
from toono.wire.pages import WHY, is_from_page, is_loopback

MAX_HEAD_BYTES = 64 * 1024
MAX_FIELDS = 100
MAX_LINE_BYTES = 16 * 1024
MAX_TARGET_BYTES = 16 * 1024
MAX_BODY_DIGITS = 19
MAX_KEPT_HEAD_BYTES = 2048
MAX_VIA = 3

METHODS = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"})

_BAD_BYTES = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|(?<!\r)\n")
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_TARGET = re.compile(rb"/[!-~]*\Z")
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_DIGITS = re.compile(rb"[0-9]+\Z")
_HOST = re.compile(rb"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?\Z")
_DANGEROUS_ESCAPE = re.compile(
    rb"%(?:2f|5c|00|25|0[0-9a-f]|1[0-9a-f]|7f)", re.IGNORECASE
)
_BEARER = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +[!-~]+\Z")
MAX_TOKEN_BYTES = 16 * 1024

CONNECTION_OPTIONS = frozenset(
    {
        b"close",
        b"keep-alive",
        b"upgrade",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"proxy-connection",
        b"http2-settings",
    }
)
"""What Connection may name; anything else could strip a field that protects us."""
ONCE = frozenset(
    {
        b"host",
        b"content-length",
        b"transfer-encoding",
        b"authorization",
        b"user-agent",
        b"content-type",
        b"expect",
        b"upgrade",
    }
)


class Head(NamedTuple):
    """A request's head that may be believed."""

    method: str
    target: bytes
    keep_alive: bool
    headers: Headers
    fields: dict[bytes, bytes]
    length: int | None
    """Bytes of the body; None for chunked."""
    impersonates: bool
    old: bool
    """HTTP/1.0: its client knows neither chunks nor 100 Continue."""


def request_of(head: Head, body: Body, peer: Peer, interim: Interim) -> Request:
    """Return the request that a head begins."""
    return Request(
        method=head.method,
        target=head.target,
        headers=head.headers,
        fields=head.fields,
        body=body,
        peer=peer,
        keep_alive=head.keep_alive,
        impersonates=head.impersonates,
        old=head.old,
        interim=None if head.old else interim,
    )


def end_of_head(raw: bytes, *, searched: int) -> int:
    """Return where the first head in `raw` ends, -1 while its end is to come.

    In the first `searched` bytes there is none.
    """
    if not raw[:1].isalpha() and raw not in (b"", b"\r"):
        raise RejectedRequestError(400, "this is no HTTP request")
    end = raw.find(b"\r\n\r\n", max(0, searched - 3))
    if end > MAX_HEAD_BYTES or (end < 0 and len(raw) > MAX_HEAD_BYTES + 3):
        raise RejectedRequestError(431, "the request's head is too long")
    return end


def read_head(raw: bytes) -> Head:
    """Read a head (without its last empty line), or raise RejectedRequestError.

    Clients send the same head again and again (a kubelet's polls); one without a
    token is read once. What is returned is shared: nobody may change it.
    """
    if len(raw) <= MAX_KEPT_HEAD_BYTES and b"uthorization:" not in raw:
        return _read_kept(raw)
    return _read(raw)


def head_reader(local: str, *, tls: bool) -> Callable[[bytes], Head]:
    """Return what reads the heads of a connection to an address of this machine."""
    return read_near_head if not tls and is_loopback(local) else read_head


def read_near_head(raw: bytes) -> Head:
    """Read a head that came over loopback in the clear, where the node calls.

    Who has a token is its owner; without one a page in a browser is nobody.
    """
    if len(raw) <= MAX_KEPT_HEAD_BYTES and b"uthorization:" not in raw:
        return _read_near_kept(raw)
    return _read_near(raw)


def _read_near(raw: bytes) -> Head:
    head = _read(raw)
    if b"authorization" not in head.fields and is_from_page(head.fields):
        raise RejectedRequestError(403, WHY)
    return head


def _read(raw: bytes) -> Head:
    if _BAD_BYTES.search(raw):
        raise _bad("a control byte or a bare line end in the head")
    lines = raw.split(b"\r\n")
    method, target, version = _request_line(lines[0])
    headers, fields = _fields(lines)
    old = version == b"HTTP/1.0"
    length = _framing(fields, old=old)
    _check_host(fields, old=old)
    options = _connection(fields)
    _check_identity(headers, fields)
    if fields.get(b"via", b"").count(b"toono") >= MAX_VIA:
        raise _bad("this request has been through toono before: a proxy loop")
    if b"upgrade" in fields and (b"upgrade" not in options or length != 0):
        raise _bad("Upgrade needs Connection: upgrade and no body")
    keep_alive = b"close" not in options and (not old or b"keep-alive" in options)
    impersonates = any(name.startswith(b"impersonate-") for name in fields)
    return Head(method, target, keep_alive, headers, fields, length, impersonates, old)


_read_kept = lru_cache(maxsize=1024)(_read)
_read_near_kept = lru_cache(maxsize=1024)(_read_near)


def _bad(message: str) -> RejectedRequestError:
    return RejectedRequestError(400, message)


def _request_line(line: bytes) -> tuple[str, bytes, bytes]:
    if len(line) > MAX_LINE_BYTES + 64:
        raise RejectedRequestError(414, "the request line is too long")
    parts = line.split(b" ")
    if len(parts) != 3:
        raise _bad("the request line is not: method, target, version")
    method, target, version = parts
    if version not in (b"HTTP/1.1", b"HTTP/1.0"):
        raise _bad("only HTTP/1.1 and HTTP/1.0 are spoken here")
    if method not in METHODS:
        raise _bad("a method that the Kubernetes API does not know")
    if len(target) > MAX_TARGET_BYTES:
        raise RejectedRequestError(414, "the request target is too long")
    _check_target(target)
    return method.decode(), target, version


@lru_cache(maxsize=4096)
def _check_target(target: bytes) -> None:
    """Refuse any target that could be read in two ways."""
    if not _TARGET.match(target) or b"#" in target:
        raise _bad("the request target must be a path (origin form)")
    path = target.partition(b"?")[0]
    if _BAD_ESCAPE.search(target):
        raise _bad("a % in the target that begins no escape")
    if b"//" in path or b"\\" in path or b";" in path:
        raise _bad("the path has an empty segment, a backslash or a semicolon")
    if _DANGEROUS_ESCAPE.search(path):
        raise _bad("the path escapes a slash, a percent or a control byte")
    for segment in path.split(b"/"):
        if _unescaped(segment) in (b".", b".."):
            raise _bad("the path has a dot segment")
    try:
        _unescaped(path).decode("utf-8")
    except UnicodeDecodeError as exc:
        raise _bad("the path is not UTF-8") from exc


def _unescaped(text: bytes) -> bytes:
    if b"%" not in text:
        return text
    return re.sub(rb"%([0-9A-Fa-f]{2})", lambda match: bytes([int(match[1], 16)]), text)


def _fields(lines: list[bytes]) -> tuple[Headers, dict[bytes, bytes]]:
    if len(lines) > MAX_FIELDS + 1:
        raise RejectedRequestError(431, f"more than {MAX_FIELDS} header fields")
    headers: Headers = []
    fields: dict[bytes, bytes] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        if not colon:
            raise _bad("a header line without a colon, or folded")
        lower = _lower_name(name)
        if len(line) > MAX_LINE_BYTES:
            raise RejectedRequestError(431, "a header line is too long")
        value = value.strip(b" \t")
        if lower.startswith(b"x-remote-"):
            continue  # the API server would take it for an identity
        if lower in fields:
            if lower in ONCE:
                raise _bad(f"{lower.decode()} more than once")
            fields[lower] += b", " + value
        else:
            fields[lower] = value
        headers.append((name, value))
    return headers, fields


@lru_cache(maxsize=1024)
def _lower_name(name: bytes) -> bytes:
    """Return a field's name in lower case, `_` read as `-` where that is a trick."""
    if not _TOKEN.match(name):
        raise _bad("a header name that is no token")
    lower = name.lower()
    dashed = lower.replace(b"_", b"-")
    if dashed != lower and (
        dashed.startswith((b"x-remote-", b"impersonate-"))
        or dashed in (b"content-length", b"transfer-encoding")
    ):
        return dashed
    return lower


def _framing(fields: dict[bytes, bytes], *, old: bool) -> int | None:
    """Return the body's length, None for chunked (RFC 9112, 6.3)."""
    coding = fields.get(b"transfer-encoding")
    length = fields.get(b"content-length")
    if coding is not None:
        if length is not None or old or coding.lower() != b"chunked":
            raise _bad("Transfer-Encoding must be chunked, alone, and in HTTP/1.1")
        return None
    if length is None:
        return 0
    if not _DIGITS.match(length) or len(length) > MAX_BODY_DIGITS:
        raise _bad("Content-Length is no plain number")
    return int(length)


def _check_host(fields: dict[bytes, bytes], *, old: bool) -> None:
    host = fields.get(b"host")
    if host is None:
        if old:
            return
        raise _bad("a request without Host")
    if not _HOST.match(host):
        raise _bad("Host is no host and port")


def _connection(fields: dict[bytes, bytes]) -> frozenset[bytes]:
    value = fields.get(b"connection")
    if value is None:
        return frozenset()
    return _connection_options(value)


@lru_cache(maxsize=64)
def _connection_options(value: bytes) -> frozenset[bytes]:
    options = frozenset(part.strip().lower() for part in value.split(b",")) - {b""}
    if not options <= CONNECTION_OPTIONS:
        raise _bad("Connection names a field that is not hop-by-hop")
    return options


def _check_identity(headers: Headers, fields: dict[bytes, bytes]) -> None:
    authorization = fields.get(b"authorization")
    if authorization is not None:
        if len(authorization) > MAX_TOKEN_BYTES:
            raise RejectedRequestError(431, "the bearer token is too long")
        if not _BEARER.match(authorization):
            raise _bad("Authorization must be: Bearer, a space, a token")
    elif any(name.startswith(b"impersonate-") for name in fields):
        raise _bad("impersonation needs a token of the caller's own")
    expect = fields.get(b"expect")
    if expect is not None and expect.lower() != b"100-continue":
        raise RejectedRequestError(417, "only Expect: 100-continue is understood")
