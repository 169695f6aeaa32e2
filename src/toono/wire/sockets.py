# SPDX-License-Identifier: Apache-2.0
"""What the kernel is told about a connection, so that it notices a silent peer.

A peer that lost its power or its cable never says so. The kernel asks it (keep-alive)
and gives up on bytes that it does not acknowledge (TCP_USER_TIMEOUT, RFC 5482).
"""

import asyncio
import os
import socket

KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, KEEPALIVE_COUNT = 10, 5, 3
TCP_USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", 18)


def watch_over(transport: asyncio.BaseTransport, *, unacknowledged_ms: int) -> None:
    """Have the kernel end a connection whose peer is silent; no matter if not TCP."""
    raw = _tcp(transport)
    if raw is None:
        return
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    raw.setsockopt(socket.IPPROTO_TCP, TCP_USER_TIMEOUT, unacknowledged_ms)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_COUNT)


def allow(transport: asyncio.BaseTransport, *, unacknowledged_ms: int) -> None:
    """Change how long bytes may wait for the peer.

    Linux counts the time of a closed window too: a peer that is alive but does not
    read is given up like a dead one (RFC 5482, 3 leaves that open).
    """
    raw = _tcp(transport)
    if raw is not None and not transport.is_closing():
        raw.setsockopt(socket.IPPROTO_TCP, TCP_USER_TIMEOUT, unacknowledged_ms)


def _tcp(transport: asyncio.BaseTransport) -> socket.socket | None:
    raw: socket.socket | None = transport.get_extra_info("socket")
    if raw is None or raw.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    return raw


def why_not_bound(exc: OSError) -> str:
    """Return the system's words alone: Python's own repeat the address."""
    if exc.errno is None or exc.errno <= 0:  # a resolver's codes are negative
        return exc.strerror or str(exc)
    return os.strerror(exc.errno).lower()
