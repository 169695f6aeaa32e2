# SPDX-License-Identifier: Apache-2.0
"""What is new, or very old: passed on untouched online, and by rule while cut off."""

import asyncio
import gzip
import json
import os

import pytest

from tests.rig import ask, body, get, headers_of, hub_over, status_of, until
from tests.unit.wire.kit import Pieces
from toono.codec import cbor
from toono.testing import APIServer
from toono.wire.messages import Response

PODS = "/api/v1/pods"
MINE = frozenset({os.getuid()})
JSON = "application/json"
POD = {"spec": {"nodeName": "edge-1", "containers": [{"name": "c", "image": "i"}]}}
BURST = (
    "watch=true&allowWatchBookmarks=true&sendInitialEvents=true"
    "&resourceVersionMatch=NotOlderThan&timeoutSeconds=1"
)


async def cloud() -> APIServer:
    server = APIServer()
    await server.start()
    for name in ("a", "b"):
        content = POD | {"metadata": {"name": name, "labels": {"n": name}}}
        server.create("pods", content, namespace="default")
    return server


def hub_of(server: APIServer, tmp_path):
    return hub_over([server.address], tmp_path, agents=("*",), node_uids=MINE)


async def asked_twice(tmp_path, request: bytes, *, first: bytes | None = None):
    """Return the answer online and the one cut off; `first` is asked before both."""
    server = await cloud()
    async with hub_of(server, tmp_path) as hub:
        await until(lambda: hub.upstream.online)
        if first is not None:
            await ask(hub, first)
        online = await ask(hub, request)
        await server.aclose()
        return online, await ask(hub, request), hub


def kept(hub) -> list[str]:
    return [scope.question.media_type for scope in hub.scopes.all()]


def names(answer: bytes) -> list[str]:
    assert status_of(answer) == 200, answer
    return [item["metadata"]["name"] for item in json.loads(body(answer))["items"]]


@pytest.mark.parametrize(
    ("target", "accept"),
    [
        (f"{PODS}?shardSelector=shardRange(object.metadata.uid,0,1)", JSON),
        (f"{PODS}?optionOfTheFuture=1", JSON),
        (PODS, f"{JSON};drop=metadata.managedFields,{JSON}"),
        (PODS, f"{JSON};as=Future;g=meta.k8s.io;v=v1,{JSON}"),
        (PODS, f"{cbor.MEDIA_TYPE},{JSON};q=0.5"),
    ],
)
def test_what_is_new_passes_and_is_not_kept(tmp_path, target, accept) -> None:
    async def scenario() -> None:
        online, offline, hub = await asked_twice(tmp_path, get(target, accept=accept))
        assert status_of(online) == 200
        assert kept(hub) == []
        assert status_of(offline) == 503

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "accept",
    [
        f"{JSON};drop=metadata.managedFields,{JSON}",
        f"{JSON};as=Future;g=meta.k8s.io;v=v1,{JSON}",
        f"{JSON};profile=nopeer;sv=1;export=1",
        f"{JSON};q=0.9,{cbor.MEDIA_TYPE};q=1",
    ],
)
def test_cut_off_it_is_answered_from_what_was_seen_whole(tmp_path, accept) -> None:
    async def scenario() -> None:
        first, request = get(PODS), get(PODS, accept=accept)
        _, offline, _ = await asked_twice(tmp_path, request, first=first)
        content = body(offline)
        in_cbor = content.startswith(cbor.TAG)
        found = cbor.decode(content) if in_cbor else json.loads(content)
        assert [item["metadata"]["name"] for item in found["items"]] == ["a", "b"]

    asyncio.run(scenario())


def test_a_share_of_a_list_never_answers_for_the_whole(tmp_path) -> None:
    async def scenario() -> None:
        sharded = get(f"{PODS}?shardSelector=x")
        online, offline, _ = await asked_twice(tmp_path, sharded, first=get(PODS))
        assert status_of(online) == 200
        assert status_of(offline) == 503
        assert b"options that toono does not know" in body(offline)

    asyncio.run(scenario())


def test_indents_are_for_who_reads_and_the_facts_for_all(tmp_path) -> None:
    async def scenario() -> None:
        server = await cloud()
        async with hub_of(server, tmp_path) as hub:
            await until(lambda: hub.upstream.online)
            await ask(hub, get(f"{PODS}?pretty=true"))
            await server.aclose()
            shown = await ask(hub, get(f"{PODS}?pretty=true"))
            assert body(shown).startswith(b'{\n  "kind": "PodList",\n')
            assert names(shown) == ["a", "b"]
            plain = await ask(hub, get(PODS))
            assert body(plain).startswith(b'{"kind":"PodList","apiVersion":"v1",')

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/v1/watch/pods", ["a", "b"]),
        ("/api/v1/watch/namespaces/default/pods", ["a", "b"]),
        ("/api/v1/watch/namespaces/default/pods/a", ["a"]),
    ],
)
def test_watches_of_old_paths_are_watches(tmp_path, path, expected) -> None:
    async def scenario() -> None:
        request = get(f"{path}?timeoutSeconds=1&resourceVersion=0")
        online, offline, _ = await asked_twice(tmp_path, request, first=get(PODS))
        for answer in (online, offline):
            events = [json.loads(line) for line in body(answer).splitlines()]
            added = [e["object"]["metadata"] for e in events if e["type"] == "ADDED"]
            assert [meta["name"] for meta in added] == expected

    asyncio.run(scenario())


@pytest.mark.parametrize("accepts", [b"gzip", b"identity"])
def test_a_watch_list_in_a_chain_of_gzip_members(tmp_path, accepts: bytes) -> None:
    """A server that packs whether or not it was asked to: one member a flush."""

    async def scenario() -> None:
        server = await cloud()
        sent: list[bytes] = []

        async def packed(request) -> Response | None:
            if b"sendInitialEvents" not in request.target:
                return None
            sent.append(request.fields.get(b"accept-encoding", b""))
            server.fault = None
            response = await server.handle(request)
            frames = []
            while piece := await response.body.read():
                frames += piece.splitlines(keepends=True)
            response.body.close()
            if accepts == b"gzip":
                response.headers.append((b"Content-Encoding", b"gzip"))
                frames = [gzip.compress(frame) for frame in frames]
            response.body = Pieces(*frames)
            return response

        server.fault = packed
        async with hub_of(server, tmp_path) as hub:
            await until(lambda: hub.upstream.online)
            asked = get(f"{PODS}?{BURST}").replace(
                b"Connection", b"Accept-Encoding: gzip\r\nConnection"
            )
            online = await ask(hub, asked)
            assert sent == [b"identity"]
            plain = body(online)
            if "gzip" in dict(headers_of(online)).get("Content-Encoding", ""):
                plain = gzip.decompress(plain)
            assert plain.count(b'"ADDED"') == 2
            await server.aclose()
            after = await ask(hub, get(PODS))
            assert status_of(after) == (503 if accepts == b"gzip" else 200)

    asyncio.run(scenario())
