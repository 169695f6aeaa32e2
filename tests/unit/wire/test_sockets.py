# SPDX-License-Identifier: Apache-2.0
import asyncio
import errno
import socket

import pytest

from toono.wire.sockets import (
    KEEPALIVE_COUNT,
    KEEPALIVE_IDLE,
    KEEPALIVE_INTERVAL,
    watch_over,
    why_not_bound,
)


class Transport(asyncio.BaseTransport):
    def __init__(self, raw: socket.socket | None) -> None:
        super().__init__({} if raw is None else {"socket": raw})


def test_the_kernel_watches_a_tcp_connection() -> None:
    with socket.socket() as raw:
        watch_over(Transport(raw), unacknowledged_ms=4000)
        tcp = socket.IPPROTO_TCP
        assert raw.getsockopt(tcp, socket.TCP_USER_TIMEOUT) == 4000
        assert raw.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert raw.getsockopt(tcp, socket.TCP_KEEPIDLE) == KEEPALIVE_IDLE == 10
        assert raw.getsockopt(tcp, socket.TCP_KEEPINTVL) == KEEPALIVE_INTERVAL == 5
        assert raw.getsockopt(tcp, socket.TCP_KEEPCNT) == KEEPALIVE_COUNT == 3
        assert raw.getsockopt(tcp, socket.TCP_NODELAY) == 1


@pytest.mark.parametrize("family", [None, socket.AF_UNIX])
def test_what_is_no_tcp_is_left_alone(family: int | None) -> None:
    raw = None if family is None else socket.socket(family)
    watch_over(Transport(raw), unacknowledged_ms=4000)
    if raw is not None:
        assert raw.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0
        raw.close()


@pytest.mark.parametrize(
    ("exc", "said"),
    [
        (OSError(errno.EADDRINUSE, "on ('::', 1): in use"), "address already in use"),
        (socket.gaierror(socket.EAI_NONAME, "unknown name"), "unknown name"),
        (OSError("no number"), "no number"),
    ],
)
def test_why_a_listener_is_not_bound_is_said_without_its_address(exc, said) -> None:
    assert why_not_bound(exc) == said
