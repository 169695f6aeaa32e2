# SPDX-License-Identifier: Apache-2.0
"""The head of an answer as bytes: status line, fields, framing, Date."""

from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

from toono.runtime.clock import SystemClock
from toono.wire.messages import Response

_HOP = frozenset({b"connection", b"keep-alive", b"transfer-encoding", b"upgrade"})
_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}
_CLOCK = SystemClock()


def head_bytes(response: Response, framing: list[bytes]) -> bytes:
    """Return an answer's head; hop-by-hop fields only where it upgrades."""
    reason = response.reason or _REASONS.get(response.status, b"Unknown")
    lines = [b"HTTP/1.1 %d %b" % (response.status, reason)]
    dated = response.status == 101
    upgrade = dated
    for name, value in response.headers:
        lower = name.lower()
        if lower == b"date":
            dated = True
        if lower in _HOP and not upgrade:
            continue
        if lower == b"content-length":
            continue
        lines.append(b"%b: %b" % (name, value))
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
