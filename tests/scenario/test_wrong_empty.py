# SPDX-License-Identifier: Apache-2.0
"""An API server that suddenly has no pods for this node: nobody loses one by it."""

import asyncio
import json

import pytest

from tests.rig import ask, begin, body, get, hub_over, status_of, until
from toono.testing import APIServer
from toono.wire.messages import Response

PODS = "/api/v1/pods?fieldSelector=spec.nodeName%3Dedge-1"
LIST = f"{PODS}&limit=500&resourceVersion=0"
WATCH = (
    f"{PODS}&watch=true&sendInitialEvents=true&allowWatchBookmarks=true"
    "&resourceVersionMatch=NotOlderThan"
)
EMPTY = (
    b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"90000"},'
    b'"items":[]}\n'
)
BOOKMARK = (
    b'{"type":"BOOKMARK","object":{"kind":"Pod","apiVersion":"v1","metadata":'
    b'{"resourceVersion":"90000","creationTimestamp":null,"annotations":'
    b'{"k8s.io/initial-events-end":"true"}},"spec":{"containers":null},"status":{}}}\n'
)
JSON = [(b"Content-Type", b"application/json")]


async def cloud(pods: int) -> APIServer:
    server = APIServer()
    await server.start()
    for number in range(pods):
        pod = {"metadata": {"name": f"p{number}"}, "spec": {"nodeName": "edge-1"}}
        server.create("pods", pod, namespace="default")
    return server


def forget(server: APIServer, what: bytes, *, second=None) -> list[bytes]:
    """Have questions that hold `what` answered with nothing; return all asked."""
    heard: list[bytes] = []

    async def fault(request) -> Response | None:
        if not request.target.startswith(b"/api/v1/pods"):
            return None
        heard.append(request.target)
        if what not in request.target:
            return second
        content = BOOKMARK if b"watch=" in request.target else EMPTY
        return Response(status=200, headers=JSON, content=content)

    server.fault = fault
    return heard


def names(answer: bytes) -> set[str]:
    return {one["metadata"]["name"] for one in json.loads(body(answer))["items"]}


@pytest.mark.parametrize("pods", [1, 3, 110])
def test_a_wrong_empty_list_never_reaches_the_kubelet(pods, tmp_path) -> None:
    async def scenario() -> None:
        server = await cloud(pods)
        async with hub_over([server.address], tmp_path) as hub:
            await until(lambda: hub.upstream.online)
            assert len(names(await ask(hub, get(LIST)))) == pods
            heard = forget(server, b"resourceVersion=0")
            refused = await ask(hub, get(LIST))
            assert status_of(refused) == 503
            assert b"this list lacks pods" in body(refused)
            assert b"Retry-After" not in refused
            assert b"resourceVersion" not in heard[-1]
            assert "held back" in hub.board.notes["pods"]()
            server.fault = None
            assert len(names(await ask(hub, get(LIST)))) == pods
            assert hub.board.notes["pods"]() == ""
            forget(server, b"resourceVersion=0")
            await ask(hub, get(LIST))
        await server.aclose()
        async with hub_over([server.address], tmp_path) as hub:
            assert len(names(await ask(hub, get(LIST)))) == pods

    asyncio.run(scenario())


@pytest.mark.parametrize("status", [401, 403, 429, 500, 200])
def test_an_error_confirms_nothing(status, tmp_path) -> None:
    async def scenario() -> None:
        server = await cloud(3)
        async with hub_over([server.address], tmp_path) as hub:
            await until(lambda: hub.upstream.online)
            await ask(hub, get(LIST))
            page = Response(status=status, content=b"<html>Sign in</html>")
            forget(server, b"resourceVersion=0", second=page)
            assert status_of(await ask(hub, get(LIST))) == 503
        await server.aclose()

    asyncio.run(scenario())


def test_pods_that_are_gone_indeed_are_gone_at_once(tmp_path) -> None:
    async def scenario() -> None:
        server = await cloud(3)
        async with hub_over([server.address], tmp_path) as hub:
            await until(lambda: hub.upstream.online)
            await ask(hub, get(LIST))
            for number in range(3):
                server.delete("pods", f"p{number}", namespace="default")
            assert names(await ask(hub, get(LIST))) == set()
        await server.aclose()
        async with hub_over([server.address], tmp_path) as hub:
            assert names(await ask(hub, get(LIST))) == set()

    asyncio.run(scenario())


def test_a_wrong_empty_burst_never_ends(tmp_path) -> None:
    """A watch-list without its bookmark changes nothing in its client."""

    async def scenario() -> None:
        server = await cloud(3)
        async with hub_over([server.address], tmp_path) as hub:
            await until(lambda: hub.upstream.online)
            await ask(hub, get(LIST))
            forget(server, b"sendInitialEvents")
            answer = await ask(hub, get(WATCH))
            assert status_of(answer) == 200
            assert body(answer) == b""
            server.fault = None
            reader, writer = await begin(hub, get(WATCH))
            text = await reader.readuntil(b"initial-events-end")
            assert text.count(b'"ADDED"') == 3
            writer.close()
            for number in range(3):
                server.delete("pods", f"p{number}", namespace="default")
            reader, writer = await begin(hub, get(WATCH))
            text = await reader.readuntil(b"initial-events-end")
            assert b'"ADDED"' not in text
            writer.close()
        await server.aclose()

    asyncio.run(scenario())
