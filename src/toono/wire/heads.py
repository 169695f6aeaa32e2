# SPDX-License-Identifier: Apache-2.0
"""Heads as bytes: the line, the fields, the framing, Date."""

from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

from toono.runtime.clock import SystemClock
from toono.wire.messages import Body, Headers, Request, Response

_HOP = frozenset({b"connection", b"keep-alive", b"transfer-encoding", b"upgrade"})
_OURS = _HOP | {b"content-length", b"date"}
"""Fields of an answer that are not simply passed on."""
_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}
_CLOCK = SystemClock()
_NO_BODY = frozenset({204, 304})


def request_bytes(
    method: str, target: bytes, headers: Headers, body: Body | None, upgrade: str
) -> bytes:
    """Return a request's head; `headers` hold no framing and no hop-by-hop field."""
    lines = [b"%b %b HTTP/1.1" % (method.encode(), target)]
    lines += [b"%b: %b" % line for line in headers]
    if body is not None:
        if body.length is None:
            lines.append(b"Transfer-Encoding: chunked")
        else:
            lines.append(b"Content-Length: %d" % body.length)
    elif method in ("POST", "PUT", "PATCH"):
        lines.append(b"Content-Length: 0")
    if upgrade:
        lines.append(b"Connection: Upgrade")
        lines.append(b"Upgrade: " + upgrade.encode("latin-1"))
    lines.append(b"\r\n")
    return b"\r\n".join(lines)


def interim_bytes(status: int, reason: bytes, headers: Headers) -> bytes:
    """Return a 1xx answer that goes before another's answer."""
    lines = [b"HTTP/1.1 %d %b" % (status, reason or _REASONS.get(status, b"Unknown"))]
    for name, value in headers:
        if name.lower() not in _HOP and name.lower() != b"content-length":
            lines.append(b"%b: %b" % (name, value))
    return b"\r\n".join([*lines, b"\r\n"])


def has_no_body(request: Request, response: Response) -> bool:
    """Say whether the answer ends with its head (RFC 9112, 6.3)."""
    return request.method == "HEAD" or response.status in _NO_BODY


def framing_of(
    request: Request, response: Response, size: int | None, *, close: bool
) -> list[bytes]:
    """Return the fields that say where an answer of `size` bytes ends (None: later)."""
    framing = []
    if response.status in _NO_BODY:
        pass
    elif size is None:
        if not request.old:
            framing.append(b"Transfer-Encoding: chunked")
    elif size or request.method != "HEAD":
        framing.append(b"Content-Length: %d" % size)
    else:
        # What a GET would bring is known to who made the head, if to anybody.
        for name, value in response.headers:
            if name.lower() == b"content-length":
                framing.append(b"Content-Length: " + value)
    if close:
        framing.append(b"Connection: close")
    elif request.old:
        framing.append(b"Connection: keep-alive")
    return framing


def head_bytes(response: Response, framing: list[bytes]) -> bytes:
    """Return an answer's head; hop-by-hop fields only where it upgrades."""
    reason = response.reason or _REASONS.get(response.status, b"Unknown")
    lines = [b"HTTP/1.1 %d %b" % (response.status, reason)]
    dated = response.status == 101
    upgrade = dated
    for line in response.headers:
        lower = line[0].lower()
        if lower in _OURS:
            if lower == b"date":
                dated = True
            elif not upgrade or lower == b"content-length":
                continue
        lines.append(b"%b: %b" % line)
    if not dated:
        lines.append(b"Date: " + _now())
    lines += framing
    lines.append(b"\r\n")
    return b"\r\n".join(lines)


@lru_cache(maxsize=1)
def _date_at(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode()


def _now() -> bytes:
    return _date_at(int(_CLOCK.wall()))
