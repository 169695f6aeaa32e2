# SPDX-License-Identifier: Apache-2.0
"""Which GETs have a short way at all; how one goes is in the scenarios."""

from types import SimpleNamespace

import pytest

from tests.unit.cache.kit import Cache
from toono.filters.approval import Approval
from toono.identity.book import Book
from toono.kube.request import Caller, parse
from toono.pipeline import heads
from toono.pipeline.again import PassedAgain, Shortcuts
from toono.pipeline.forward import Barrier
from toono.pipeline.limits import InFlight
from toono.store.memory import MemoryStore
from toono.testing.clock import VirtualClock
from toono.upstream.pool import Credential, Upstream
from toono.wire.gate import read_head
from toono.wire.messages import NO_BODY, BytesBody, Peer, Request, Response
from toono.wire.plain import MAX_CONTENT_BYTES

PEER = Peer(connection=1, local=("127.0.0.1", 1), remote=("127.0.0.1", 2))
CALLER = Caller(connection=1, local=PEER.local, remote=PEER.remote)
POD = "/api/v1/namespaces/default/pods/a"


def shortcuts(counted: list | None = None) -> Shortcuts:
    clock, cache = VirtualClock(), Cache()
    return Shortcuts(
        upstream=Upstream([("127.0.0.1", 1)], tls=lambda _: None, clock=clock),
        recorder=cache.recorder,
        barrier=Barrier(clock),
        in_flight=InFlight(),
        book=Book(MemoryStore()),
        filters=SimpleNamespace(approval=Approval()),
        drill=None,
        clock=clock,
        counting=lambda *one: (counted if counted is not None else []).append,
    )


def request(target: str = POD, *, method: str = "GET", more: str = "") -> Request:
    raw = f"{method} {target} HTTP/1.1\r\nHost: a\r\nUser-Agent: kubelet/v1{more}"
    head = read_head(raw.encode())
    return Request(
        method=head.method,
        target=head.target,
        headers=head.headers,
        fields=head.fields,
        body=NO_BODY if head.length == 0 else BytesBody(b"x"),
        peer=PEER,
    )


def passed(asked: Request, **changes) -> object:
    chosen = {"status": 200, "headers": [heads.BYPASSED], "content": b"{}"} | changes
    call = parse(asked.method, asked.target, asked.fields, CALLER)
    response = Response(**chosen)
    return shortcuts().passed(call, asked, Credential.NODE, response)


@pytest.mark.parametrize(
    "target",
    [POD, POD + "/status", "/apis/apps/v1/namespaces/d/deployments/a/scale"],
)
def test_a_get_of_an_object_has_a_short_way(target: str) -> None:
    assert isinstance(passed(request(target)), PassedAgain)


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(request(method="HEAD"), id="HEAD"),
        pytest.param(request("/api/v1/pods"), id="list"),
        pytest.param(request("/api/v1/pods?watch=1"), id="watch"),
        pytest.param(request("/version"), id="no resource"),
        pytest.param(request(POD + "/log?follow=true"), id="what may be streamed"),
        pytest.param(request("/api/v1/nodes/edge-1"), id="a node"),
        pytest.param(
            request("/apis/coordination.k8s.io/v1/namespaces/n/leases/edge-1"),
            id="a lease",
        ),
        pytest.param(request(more="\r\nContent-Length: 1"), id="with a body"),
        pytest.param(
            request(more="\r\nConnection: upgrade\r\nUpgrade: websocket"), id="upgrade"
        ),
    ],
)
def test_other_requests_have_none(asked: Request) -> None:
    assert passed(asked) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"status": 404},
        {"status": 304},
        {"body": BytesBody(b"x")},
        {"content": [b"a", b"b"]},
        {"content": b"x" * (MAX_CONTENT_BYTES + 1)},
    ],
)
def test_other_answers_leave_none(changes) -> None:
    assert passed(request(), **changes) is None


def test_without_a_link_that_stands_nothing_is_begun() -> None:
    of = shortcuts()
    asked = request()
    call = parse(asked.method, asked.target, asked.fields, CALLER)
    response = Response(status=200, headers=[heads.BYPASSED], content=b"{}")
    again = of.passed(call, asked, Credential.NODE, response)
    assert again.begin(None, 1.0) is None, "cut off"
    of.upstream.online = True
    assert again.begin(None, 1.0) is None, "no server is healthy"
    again.abandon()
    assert of.in_flight.reading == 0
