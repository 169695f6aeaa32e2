# SPDX-License-Identifier: Apache-2.0
"""The leader's list and watch, over the embedded API server."""

import asyncio
from contextlib import asynccontextmanager

from tests.rig import QUICK, until
from tests.unit.cache.kit import Cache
from tests.unit.wire.kit import play
from toono.cache.policy import Policy
from toono.pool.cloud import LISTED, Collection, Follower
from toono.runtime.clock import SystemClock
from toono.runtime.tasks import cancel_and_wait, spawn
from toono.testing import APIServer
from toono.testing.clock import VirtualClock
from toono.upstream.pool import Upstream
from toono.wire.messages import Response

SLICES = Collection("discovery.k8s.io", "v1", "endpointslices")
SERVICES = Collection("", "v1", "services")


def add(server: APIServer, name: str) -> None:
    content = {"metadata": {"name": name}, "addressType": "IPv4", "endpoints": []}
    server.create("endpointslices", content, namespace="default")


@asynccontextmanager
async def following(clock=None, *, fault=None, agents=("leader-yurthub",)):
    """A cloud with one slice, and a leader that follows it."""
    server, cache = APIServer(), Cache()
    cache.recorder.policy = Policy.of(*agents)
    await server.start()
    server.fault = fault
    add(server, "a")
    upstream = Upstream(
        [server.address], tls=lambda _: None, clock=SystemClock(), settings=QUICK
    )
    upstream.start()
    await until(lambda: upstream.online)
    one = Follower(SLICES, cache.recorder, upstream, clock=clock or SystemClock())
    task = spawn(one.run(), name="pool-cloud")
    try:
        yield server, cache, one
    finally:
        await cancel_and_wait(task)
        await upstream.aclose()
        await server.aclose()


def names(cache) -> set[str]:
    scope = SLICES.scope(cache.scopes)
    return {name for _, name in scope.rows} if scope is not None else set()


def asked(server, word: str) -> list[str]:
    return [
        one for _, one in server.requests if "endpointslices" in one and word in one
    ]


def test_paths_are_those_of_the_api() -> None:
    assert SERVICES.path == "/api/v1/services"
    assert SERVICES.api_version == "v1"
    assert SLICES.path == "/apis/discovery.k8s.io/v1/endpointslices"
    assert SLICES.api_version == "discovery.k8s.io/v1"
    assert str(SLICES.of) == "endpointslices.discovery.k8s.io"


def test_the_scope_is_as_the_cloud_is_in_the_form_that_is_stored() -> None:
    async def scenario() -> None:
        async with following() as (server, cache, one):
            await until(lambda: names(cache) == {"a"} and one.current)
            scope = SLICES.scope(cache.scopes)
            assert scope.question.media_type == LISTED.decode().partition(",")[0]
            assert scope.question.component == "leader-yurthub"
            add(server, "b")
            await until(lambda: names(cache) == {"a", "b"})
            server.delete("endpointslices", "a", namespace="default")
            await until(lambda: names(cache) == {"b"})
            assert len(asked(server, "watch")) == 1
            assert len(asked(server, "")) == 2
            assert one.problem == ""

    play(scenario)


def test_a_refusal_is_told_and_asked_again_later() -> None:
    async def scenario() -> None:
        clock, allowed = VirtualClock(), asyncio.Event()

        async def forbid(request):
            forbidden = b"endpointslices" in request.target and not allowed.is_set()
            return Response(status=403) if forbidden else None

        async with following(clock, fault=forbid) as (_, cache, one):
            await until(lambda: "HTTP 403" in one.problem)
            assert not one.current
            allowed.set()
            await clock.advance(60.0)
            await until(lambda: one.current)
            assert one.problem == ""
            assert names(cache) == {"a"}

    play(scenario)


def test_a_version_that_is_too_old_is_listed_anew() -> None:
    async def scenario() -> None:
        clock, gone = VirtualClock(), asyncio.Event()
        expired = (
            b'{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},'
            b'"status":"Failure","reason":"Expired","code":410}}\n'
        )

        async def expire(request):
            if b"watch" not in request.target or gone.is_set():
                return None
            gone.set()
            return Response(
                status=200,
                headers=[(b"Content-Type", b"application/json;stream=watch")],
                content=expired,
            )

        async with following(clock, fault=expire) as (server, cache, one):
            await until(gone.is_set)
            await until(lambda: not one.current)
            await clock.advance(1.0)
            await until(lambda: len(asked(server, "")) == 4)
            add(server, "b")
            await until(lambda: names(cache) == {"a", "b"})

    play(scenario)


def test_without_a_policy_that_keeps_it_nothing_is_asked() -> None:
    async def scenario() -> None:
        async with following(VirtualClock(), agents=()) as (server, _, one):
            await until(lambda: "is not kept" in one.problem)
            assert asked(server, "") == []

    play(scenario)
