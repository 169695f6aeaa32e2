# SPDX-License-Identifier: Apache-2.0
"""Requests for metadata only, as cilium-agent and client-go's metadata client send them:
recognised by Accept, kept apart from whole objects, answered while cut off."""

import asyncio
import json
import os
from pathlib import Path

import pytest

from tests.rig import ask, begin, body, get, headers_of, hub_over, status_of, until
from toono.codec.protobuf import ProtobufCodec
from toono.testing import APIServer

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
MINE = frozenset({os.getuid()})
META = "g=meta.k8s.io;v=v1"
PROTOBUF = "application/vnd.kubernetes.protobuf"
OF_LIST = (
    f"{PROTOBUF};as=PartialObjectMetadataList;{META},"
    f"application/json;as=PartialObjectMetadataList;{META},application/json"
)
OF_ONE = (
    f"{PROTOBUF};as=PartialObjectMetadata;{META},"
    f"application/json;as=PartialObjectMetadata;{META},application/json"
)
JSON_LIST = f"application/json;as=PartialObjectMetadataList;{META}"
JSON_ONE = f"application/json;as=PartialObjectMetadata;{META}"
CILIUM = "cilium-agent/1.16"


def definition(name: str) -> dict:
    return {
        "metadata": {"name": f"{name}s.cilium.io", "labels": {"of": name}},
        "spec": {
            "group": "cilium.io",
            "names": {"plural": f"{name}s", "kind": name.capitalize()},
            "scope": "Cluster",
            "versions": [{"name": "v2", "served": True, "storage": True}],
        },
    }


async def filled() -> APIServer:
    server = APIServer()
    await server.start()
    for name in ("policy", "identity"):
        server.create(
            "customresourcedefinitions.apiextensions.k8s.io", definition(name)
        )
    return server


def names(answer: bytes) -> list[str]:
    return [item["metadata"]["name"] for item in json.loads(body(answer))["items"]]


def test_metadata_of_definitions_is_answered_cut_off_as_it_was_online(tmp_path) -> None:
    async def scenario() -> None:
        server = await filled()
        asked = [
            get(f"{CRDS}?limit=500", agent=CILIUM, accept=accept)
            for accept in (OF_LIST, JSON_LIST)
        ]
        settings = {"node_uids": MINE, "agents": ("cilium-agent",)}
        async with hub_over([server.address], tmp_path, **settings) as hub:
            await until(lambda: hub.upstream.online)
            online = [await ask(hub, one) for one in asked]
        await server.aclose()
        async with hub_over([server.address], tmp_path, **settings) as hub:
            offline = [await ask(hub, one) for one in asked]
        assert [status_of(one) for one in offline] == [200, 200]
        assert [body(one) for one in offline] == [body(one) for one in online]
        kind = json.loads(body(offline[1]))["kind"]
        assert kind == "PartialObjectMetadataList"
        types = [dict(headers_of(one))["Content-Type"] for one in offline]
        assert types == [dict(headers_of(one))["Content-Type"] for one in online]

    asyncio.run(scenario())


def test_metadata_never_answers_for_whole_objects_nor_overwrites_them(tmp_path) -> None:
    async def scenario() -> None:
        server = await filled()
        settings = {"node_uids": MINE, "agents": ("*",)}
        async with hub_over([server.address], tmp_path, **settings) as hub:
            await until(lambda: hub.upstream.online)
            await ask(hub, get(CRDS, agent=CILIUM, accept=JSON_LIST))
            one = f"{CRDS}/policys.cilium.io"
            await server.aclose()
            whole = await ask(hub, get(CRDS, agent=CILIUM))
            assert status_of(whole) == 503
            assert b"only metadata or a table of it was seen" in whole
            assert status_of(await ask(hub, get(one, agent=CILIUM))) == 503
            await server.start(port=server.address[1])
            await until(lambda: hub.upstream.online)
            online = await ask(hub, get(CRDS, agent=CILIUM))
            await ask(hub, get(CRDS, agent=CILIUM, accept=JSON_LIST))
            await server.aclose()
            assert body(await ask(hub, get(CRDS, agent=CILIUM))) == body(online)

    asyncio.run(scenario())


@pytest.mark.parametrize("accept", [OF_LIST, JSON_LIST])
def test_metadata_is_derived_from_whole_objects(tmp_path: Path, accept: str) -> None:
    async def scenario() -> None:
        server = await filled()
        asked = get(CRDS, agent=CILIUM, accept=accept)
        async with hub_over([server.address], tmp_path, node_uids=MINE) as hub:
            await until(lambda: hub.upstream.online)
            online = await ask(hub, asked)  # of an agent that is not kept
            assert [s.question.component for s in hub.scopes.all()] == []
            await ask(hub, get(CRDS, agent="kubelet/v1"))
            await server.aclose()
            assert body(await ask(hub, asked)) == body(online)
            narrower = get(
                f"{CRDS}?labelSelector=of%3Dpolicy", agent=CILIUM, accept=JSON_LIST
            )
            assert names(await ask(hub, narrower)) == ["policys.cilium.io"]

    asyncio.run(scenario())


def test_one_object_s_metadata_and_its_absence(tmp_path: Path) -> None:
    async def scenario() -> None:
        server = await filled()
        settings = {"node_uids": MINE, "agents": ("cilium-agent",)}
        one = f"{CRDS}/policys.cilium.io"
        none = f"{CRDS}/nones.cilium.io"
        async with hub_over([server.address], tmp_path, **settings) as hub:
            await until(lambda: hub.upstream.online)
            online = await ask(hub, get(one, agent=CILIUM, accept=OF_ONE))
            missing = await ask(hub, get(none, agent=CILIUM, accept=JSON_ONE))
            assert (status_of(online), status_of(missing)) == (200, 404)
            await server.aclose()
            again = await ask(hub, get(one, agent=CILIUM, accept=OF_ONE))
            assert body(again) == body(online)
            assert json.loads(
                body(await ask(hub, get(one, agent=CILIUM, accept=JSON_ONE)))
            )["metadata"]["name"] == ("policys.cilium.io")
            gone = await ask(hub, get(none, agent=CILIUM, accept=JSON_ONE))
            assert (status_of(gone), body(gone)) == (404, body(missing))

    asyncio.run(scenario())


def test_a_watch_of_metadata_feeds_its_scope_and_is_held_cut_off(tmp_path) -> None:
    async def scenario() -> None:
        server = await filled()
        settings = {"node_uids": MINE, "agents": ("cilium-agent",)}
        async with hub_over([server.address], tmp_path, **settings) as hub:
            await until(lambda: hub.upstream.online)
            listed = await ask(hub, get(CRDS, agent=CILIUM, accept=JSON_LIST))
            version = json.loads(body(listed))["metadata"]["resourceVersion"]
            watch = get(
                f"{CRDS}?watch=true&resourceVersion={version}",
                agent=CILIUM,
                accept=JSON_ONE,
            )
            reader, writer = await begin(hub, watch)
            await reader.readuntil(b"\r\n\r\n")
            server.create(
                "customresourcedefinitions.apiextensions.k8s.io", definition("node")
            )
            async with asyncio.timeout(10):
                frame = await reader.readuntil(b"\n")
                while b'"ADDED"' not in frame:
                    frame = await reader.readuntil(b"\n")
            assert b'"kind":"PartialObjectMetadata"' in frame
            assert b"nodes.cilium.io" in frame
            await server.aclose()
            writer.close()
            offline = await ask(hub, get(CRDS, agent=CILIUM, accept=JSON_LIST))
            assert "nodes.cilium.io" in names(offline)
            burst = get(
                f"{CRDS}?watch=true&sendInitialEvents=true&allowWatchBookmarks=true"
                "&resourceVersionMatch=NotOlderThan&timeoutSeconds=1",
                agent=CILIUM,
                accept=JSON_ONE,
            )
            frames = body(await ask(hub, burst)).splitlines()
            kinds = [json.loads(one)["type"] for one in frames]
            assert kinds == ["ADDED", "ADDED", "ADDED", "BOOKMARK"]
            end = json.loads(frames[-1])["object"]
            assert end["kind"] == "PartialObjectMetadata"
            assert end["metadata"]["annotations"] == {
                "k8s.io/initial-events-end": "true"
            }

    asyncio.run(scenario())


def test_a_list_of_metadata_in_protobuf_is_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        server = await filled()
        settings = {"node_uids": MINE, "agents": ("cilium-agent",)}
        async with hub_over([server.address], tmp_path, **settings) as hub:
            await until(lambda: hub.upstream.online)
            await ask(hub, get(CRDS, agent=CILIUM, accept=JSON_LIST))
            await server.aclose()
            answer = await ask(hub, get(CRDS, agent=CILIUM, accept=OF_LIST))
            parts = ProtobufCodec().split_list(body(answer))
            assert parts.kind == "PartialObjectMetadataList"
            assert [item.name for item in parts.items] == [
                "identitys.cilium.io",
                "policys.cilium.io",
            ]

    asyncio.run(scenario())
