# SPDX-License-Identifier: Apache-2.0
"""What a node writes while it is cut off, and what of it the cloud has after."""

import asyncio
import json
import os
import time

import pytest

from tests.rig import ask, body, get, hub_over, status_of, until
from toono.autonomy.writes import WriteTable
from toono.testing import APIServer
from toono.testing.apiserver.access import Access
from toono.testing.apiserver.rbac import Rule
from toono.testing.apiserver.tokens import TokenKeys

COUNT = 1000 if os.environ.get("TOONO_PROVE") else 300
EVENTS = "/api/v1/namespaces/shop/events"
MERGE = "application/strategic-merge-patch+json"


def write(method: str, target: str, values: object, content_type="application/json"):
    content = json.dumps(values).encode()
    head = (
        f"{method} {target} HTTP/1.1\r\nHost: a\r\nUser-Agent: kubelet/v1.34\r\n"
        f"Accept: application/json\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + content


def event(number: int) -> dict:
    return {
        "kind": "Event",
        "apiVersion": "v1",
        "metadata": {"name": f"web.{number:05}", "namespace": "shop"},
        "involvedObject": {"kind": "Pod", "namespace": "shop", "name": "web"},
        "reason": f"Reason{number}",
        "message": "said while cut off",
        "source": {"component": "kubelet", "host": "edge-1"},
        "firstTimestamp": "2026-11-21T01:00:00Z",
        "lastTimestamp": "2026-11-21T01:00:00Z",
        "count": 1,
        "type": "Normal",
    }


async def cut_off(server: APIServer, hub) -> None:
    await server.aclose()
    await until(lambda: not hub.upstream.online)


async def back(server: APIServer, hub=None) -> None:
    await server.start(port=server.address[1])
    if hub is not None:
        await until(lambda: hub.upstream.online)


async def cloud() -> APIServer:
    server = APIServer()
    await server.start()
    server.create("namespaces", {"metadata": {"name": "shop"}})
    return server


def landed(server: APIServer) -> list[dict]:
    """The events that the cloud has, in the order in which it took them."""
    now = server.storage.collection("events").now.values()
    return [one.object for one in sorted(now, key=lambda one: one.version)]


@pytest.mark.parametrize("restarts", [False, True])
def test_events_land_once_soon_after_the_link_is_back(tmp_path, restarts: bool) -> None:
    async def scenario() -> None:
        server = await cloud()
        async with hub_over([server.address], tmp_path) as hub:
            await until(lambda: hub.upstream.online)
            await cut_off(server, hub)
            for start in range(0, COUNT, 50):
                several = (
                    ask(hub, write("POST", EVENTS, event(number)))
                    for number in range(start, start + 50)
                )
                for answer in await asyncio.gather(*several):
                    assert status_of(answer) == 201, answer
            if not restarts:
                began = time.monotonic()
                await back(server)
                await until(lambda: len(landed(server)) == COUNT)
                assert time.monotonic() - began < 10
        if restarts:
            await back(server)
            began = time.monotonic()
            async with hub_over([server.address], tmp_path):
                await until(lambda: len(landed(server)) == COUNT)
                assert time.monotonic() - began < 10
        found = landed(server)
        sent = [one for method, one in server.requests if method == "POST"]
        assert len(sent) == COUNT
        assert {one["metadata"]["name"] for one in found} == {
            event(number)["metadata"]["name"] for number in range(COUNT)
        }
        assert {one["firstTimestamp"] for one in found} == {"2026-11-21T01:00:00Z"}
        await server.aclose()

    asyncio.run(scenario())


def test_events_land_in_the_order_in_which_they_were_taken(tmp_path) -> None:
    async def scenario() -> None:
        server = await cloud()
        async with hub_over([server.address], tmp_path) as hub:
            await until(lambda: hub.upstream.online)
            await cut_off(server, hub)
            for number in range(60):
                answer = await ask(hub, write("POST", EVENTS, event(number)))
                assert json.loads(body(answer)) == event(number)
            again = await ask(hub, write("POST", EVENTS, event(7)))
            assert status_of(again) == 409
            for count in range(2, 6):
                one = {"count": count, "lastTimestamp": "2026-11-21T02:00:00Z"}
                answer = await ask(
                    hub, write("PATCH", f"{EVENTS}/web.00007", one, MERGE)
                )
                assert status_of(answer) == 200
                assert json.loads(body(answer)) == event(7) | one
            await back(server)
            await until(lambda: len(hub.chain.alone.spooling._spool) == 0)
            found = landed(server)
            assert len(found) == 60
            reasons = [one["reason"] for one in found if one["reason"] != "Reason7"]
            assert reasons == [f"Reason{n}" for n in range(60) if n != 7]
            (seventh,) = [one for one in found if one["reason"] == "Reason7"]
            assert seventh["count"] == 5
            assert [m for m, _ in server.requests].count("PATCH") == 1
        await server.aclose()

    asyncio.run(scenario())


def with_token(request: bytes, token: str) -> bytes:
    line = f"\r\nAuthorization: Bearer {token}\r\n".encode()
    return request.replace(b"\r\n", line, 1)


def test_a_pods_event_goes_with_its_own_token_or_not_at_all(tmp_path) -> None:
    async def scenario() -> None:
        server = await cloud()
        access = Access(server.storage, TokenKeys(algorithm="ES256"))
        own = "system:serviceaccount:shop:seller"
        access.rbac.grant(own, Rule(verbs=("*",), resources=("events",)))
        access.rbac.grant("system:unauthenticated", Rule(verbs=("get",), paths=("*",)))
        server.authorizer = access
        account = {"metadata": {"name": "seller"}}
        server.create("serviceaccounts", account, namespace="shop")
        now = server.clock.wall()
        good = access.tokens.mint("shop", "seller", now=now)
        ending = access.tokens.mint("shop", "seller", now=now - 700, seconds=600)
        async with hub_over([server.address], tmp_path) as hub:
            await until(lambda: hub.upstream.online)
            listed = with_token(get(EVENTS, agent="app/1"), good)
            assert status_of(await ask(hub, listed)) == 200
            await hub.ahead.idle()
            await cut_off(server, hub)
            for number, token, code in [
                (1, good, 201),
                (2, ending, 201),  # a clock may be wrong by so much
                (3, good[:-8] + "AAAAAAAA", 401),
                (4, "stranger", 503),
            ]:
                one = with_token(write("POST", EVENTS, event(number)), token)
                assert status_of(await ask(hub, one)) == code, number
            access.seen.clear()
            await back(server)
            spool = hub.chain.alone.spooling._spool
            await until(lambda: not len(spool))
            assert [one["reason"] for one in landed(server)] == ["Reason1"]
            assert (spool.counts["landed"], spool.counts["expired"]) == (1, 1)
            assert own in {user.name for user in access.seen}
        await server.aclose()

    asyncio.run(scenario())


STATUS = "/api/v1/namespaces/shop/pods/web/status"
SPOOLING = WriteTable(statuses="spool")


async def pod_seen(server: APIServer, hub) -> dict:
    """Create a pod that the hub has seen; return it."""
    server.create(
        "pods",
        {"metadata": {"name": "web"}, "spec": {"nodeName": "edge-1"}},
        namespace="shop",
    )
    await until(lambda: hub.upstream.online)
    request = (
        b"GET /api/v1/namespaces/shop/pods/web HTTP/1.1\r\nHost: a\r\n"
        b"User-Agent: kubelet/v1.34\r\nConnection: close\r\n\r\n"
    )
    return json.loads(body(await ask(hub, request)))


def phase(text: str) -> bytes:
    return write("PATCH", STATUS, {"status": {"phase": text}}, MERGE)


def phases(server: APIServer) -> list[str]:
    """Every phase that the pod had, in order."""
    return [
        one.object.get("status", {}).get("phase", "")
        for one in server.storage.collection("pods").now.values()
    ]


def test_the_newest_status_lands_and_the_cached_object_answers(tmp_path) -> None:
    async def scenario() -> None:
        server = await cloud()
        async with hub_over([server.address], tmp_path, writes=SPOOLING) as hub:
            known = await pod_seen(server, hub)
            await cut_off(server, hub)
            for text in ("Pending", "Running", "Failed"):
                answer = await ask(hub, phase(text))
                assert status_of(answer) == 200
                assert json.loads(body(answer)) == known
            await back(server)
            await until(lambda: phases(server) == ["Failed"])
            patches = [t for m, t in server.requests if m == "PATCH"]
            assert patches == [STATUS]
        await server.aclose()

    asyncio.run(scenario())


def test_a_spooled_status_never_lands_after_a_newer_one(tmp_path) -> None:
    async def scenario() -> None:
        server = await cloud()
        async with hub_over([server.address], tmp_path, writes=SPOOLING) as hub:
            await pod_seen(server, hub)
            await cut_off(server, hub)
            assert status_of(await ask(hub, phase("Old"))) == 200
            await back(server)
            await until(lambda: hub.upstream.online)
            assert status_of(await ask(hub, phase("New"))) == 200
            await until(lambda: not len(hub.chain.alone.spooling._spool))
            assert phases(server) == ["New"]
        async with hub_over([server.address], tmp_path, writes=SPOOLING) as hub:
            await until(lambda: hub.upstream.online)
            assert len(hub.chain.alone.spooling._spool) == 0
            assert phases(server) == ["New"]
        await server.aclose()

    asyncio.run(scenario())


def test_a_status_of_a_pod_made_anew_is_dropped(tmp_path) -> None:
    async def scenario() -> None:
        server = await cloud()
        async with hub_over([server.address], tmp_path, writes=SPOOLING) as hub:
            await pod_seen(server, hub)
            await cut_off(server, hub)
            assert status_of(await ask(hub, phase("Failed"))) == 200
            server.delete("pods", "web", namespace="shop")
            server.create("pods", {"metadata": {"name": "web"}}, namespace="shop")
            await back(server)
            spool = hub.chain.alone.spooling._spool
            await until(lambda: spool.counts["refused"] == 1)
            assert "Failed" not in phases(server)
        await server.aclose()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("method", "target", "values"),
    [
        ("PATCH", STATUS, {"status": {}}),
        ("POST", "/api/v1/namespaces/shop/pods", {"kind": "Pod"}),
        ("DELETE", "/api/v1/namespaces/shop/pods/web", {}),
        ("POST", "/api/v1/namespaces/shop/serviceaccounts/default/token", {}),
        ("POST", "/apis/authentication.k8s.io/v1/tokenreviews", {}),
    ],
)
def test_all_else_is_refused_without_a_time_to_retry(
    tmp_path, method: str, target: str, values: object
) -> None:
    async def scenario() -> None:
        async with hub_over([("127.0.0.1", 1)], tmp_path) as hub:
            kind = MERGE if method == "PATCH" else "application/json"
            answer = await ask(hub, write(method, target, values, kind))
            assert status_of(answer) == 503
            assert b"retry-after" not in answer.lower()
            assert json.loads(body(answer))["message"].startswith("cut off: ")

    asyncio.run(scenario())
