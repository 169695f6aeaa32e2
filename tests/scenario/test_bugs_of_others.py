# SPDX-License-Identifier: Apache-2.0
"""What other caches got wrong, one test a bug (`kubernetes-wire.md`, 6).

3, the power cut at every byte, is tests/crash (explorer, bad bytes, kill); 5, the
kubelet, tests/scenario/test_kubelet_boot.py with a recorded one; 9 needs a real API
server to judge a token. All others are here, by their number.
"""

import asyncio
import gzip
import json
import os

import pytest

from tests.reflector import Reflector
from tests.rig import ask, begin, body, get, hub_over, status_of, until
from tests.scenario.test_watch_list import staged
from tests.unit.wire.kit import Pieces
from toono.codec.protobuf import ProtobufCodec
from toono.testing import APIServer
from toono.wire.messages import Response

PODS = "/api/v1/pods"
MAPS = "/api/v1/namespaces/default/configmaps"
MINE = frozenset({os.getuid()})
POD = {"spec": {"nodeName": "edge-1", "containers": [{"name": "c", "image": "i"}]}}
BURST = (
    f"{PODS}?watch=true&allowWatchBookmarks=true&sendInitialEvents=true"
    "&resourceVersionMatch=NotOlderThan&timeoutSeconds=1"
)
PROTOBUF = "application/vnd.kubernetes.protobuf"
META = "g=meta.k8s.io;v=v1"


def pod(name: str, **labels: str) -> dict:
    return POD | {"metadata": {"name": name, "labels": labels}}


async def cloud(*names: str) -> APIServer:
    server = APIServer(too_large_seconds=0)
    await server.start()
    for name in names:
        server.create("pods", pod(name), namespace="default")
    return server


def hub_of(server: APIServer, tmp_path, **settings):
    chosen = {"agents": ("*",), "node_uids": MINE} | settings
    return hub_over([server.address], tmp_path, **chosen)


async def online(hub) -> None:
    await until(lambda: hub.upstream.online)


def names(answer: bytes) -> list[str]:
    assert status_of(answer) == 200, answer
    return [item["metadata"]["name"] for item in json.loads(body(answer))["items"]]


@pytest.mark.parametrize("how", ["list", "bookmark"])
def test_1_what_was_deleted_while_the_hub_was_away_is_gone(tmp_path, how: str) -> None:
    question = PODS if how == "list" else BURST

    async def scenario() -> None:
        server = await cloud("a", "b")
        async with hub_of(server, tmp_path) as hub:
            await online(hub)
            await ask(hub, get(question))
        server.delete("pods", "a", namespace="default")
        async with hub_of(server, tmp_path) as hub:
            await online(hub)
            await ask(hub, get(question))
        await server.aclose()
        async with hub_of(server, tmp_path) as hub:  # from the disk alone
            assert names(await ask(hub, get(PODS))) == ["b"]
            gone = await ask(hub, get("/api/v1/namespaces/default/pods/a"))
            assert status_of(gone) == 404

    asyncio.run(scenario())


def test_2_an_empty_burst_is_empty_and_an_empty_stream_is_unknown(tmp_path) -> None:
    async def scenario() -> None:
        server = await cloud()
        async with hub_of(server, tmp_path) as hub:
            await online(hub)
            await ask(hub, get(BURST))

            async def nothing(request) -> Response | None:
                if b"/services" not in request.target:
                    return None
                kind = [(b"Content-Type", b"application/json")]
                return Response(status=200, headers=kind, body=Pieces())

            server.fault = nothing
            await ask(hub, get(BURST.replace("pods", "services")))
            await ask(hub, get("/api/v1/services"))
            server.fault = None
            await server.aclose()
            assert names(await ask(hub, get(PODS))) == []
            for path in ("/api/v1/services", "/api/v1/secrets"):
                unknown = await ask(hub, get(path))
                assert status_of(unknown) == 503
                assert json.loads(body(unknown))["kind"] == "Status"
                assert b"Retry-After" not in unknown

    asyncio.run(scenario())


def test_4_questions_that_look_alike_are_never_mixed(tmp_path) -> None:
    """Two selectors of one client, two groups of one plural, objects and metadata."""

    async def scenario() -> None:
        server = await cloud()
        for name, color in (("a", "red"), ("b", "blue")):
            server.create("pods", pod(name, color=color), namespace="default")
        event = {"metadata": {"name": "e"}, "reason": "old"}
        server.create("events", event, namespace="default")
        asked = {
            target: get(target)
            for target in (
                f"{PODS}?labelSelector=color%3Dred",
                f"{PODS}?labelSelector=color%3Dblue",
                "/api/v1/events",
                "/apis/events.k8s.io/v1/events",
            )
        }
        part = f"application/json;as=PartialObjectMetadataList;{META}"
        asked["metadata"] = get("/api/v1/services", accept=part)
        async with hub_of(server, tmp_path) as hub:
            await online(hub)
            seen = {name: body(await ask(hub, one)) for name, one in asked.items()}
            await server.aclose()
            for name, one in asked.items():
                assert body(await ask(hub, one)) == seen[name], name
            assert status_of(await ask(hub, get("/api/v1/services"))) == 503
            whole = await ask(hub, get(PODS))
            assert status_of(whole) == 503, "two halves are not a whole"

    asyncio.run(scenario())


def test_6_an_informer_neither_spins_nor_hangs_nor_misses_a_delete(tmp_path) -> None:
    """The long form is in test_watch_list; here the hub restarts meanwhile, too."""

    async def scenario() -> None:
        async with staged(tmp_path) as stage:
            one = stage.reflect()
            await stage.until(lambda: one.synced_at is not None)
            await stage.cut()
            late = Reflector(stage.send, PODS, clock=stage.clock)
            stage.tasks.append(asyncio.create_task(late.run()))
            await stage.until(lambda: late.synced_at is not None)
            stage.server.delete("pods", "a", namespace="default")
            await stage.pass_time(60)
            assert len(late.requests) <= 2
            await stage.mend()
            await stage.until(lambda: late.store == stage.names())
            assert late.events == [("DELETED", "default/a")]

    asyncio.run(scenario())


BIG = "ü" * (700 * 1024)
"""1.4 MB in UTF-8: near etcd's limit of an object."""


def test_7_chains_of_gzip_and_large_objects_come_through_whole(tmp_path) -> None:
    async def scenario() -> None:
        server = await cloud()
        content = {"metadata": {"name": "big"}, "data": {"x": BIG, "y": BIG}}
        server.create("configmaps", content, namespace="default")

        async def chained(request) -> Response | None:
            if b"/configmaps" not in request.target:
                return None
            server.fault = None
            response = await server.handle(request)
            server.fault = chained
            plain = response.content
            assert isinstance(plain, bytes)
            third = len(plain) // 3
            pieces = plain[:third], plain[third : 2 * third], plain[2 * third :]
            members = b"".join(gzip.compress(piece, 1) for piece in pieces)
            coded = (b"Content-Encoding", b"gzip")
            return Response(
                status=200, headers=[*response.headers, coded], content=members
            )

        async with hub_of(server, tmp_path) as hub:
            await online(hub)
            plain = body(await ask(hub, get(MAPS)))
            server.fault = chained
            packed = await ask(hub, get(f"{MAPS}?limit=500"))
            assert gzip.decompress(body(packed)) == plain
            await ask(hub, get(MAPS + "/big"))
            await server.aclose()
            assert body(await ask(hub, get(MAPS))) == plain
            one = json.loads(body(await ask(hub, get(MAPS + "/big"))))
            assert one["data"] == content["data"]
            binary = body(await ask(hub, get(MAPS, accept=PROTOBUF)))
            (item,) = ProtobufCodec().split_list(binary).items
            assert BIG.encode() in item.data

    asyncio.run(scenario())


def test_7_frames_of_protobuf_may_be_split_at_every_byte(tmp_path) -> None:
    async def scenario() -> None:
        server = await cloud("a", "b")
        burst = get(BURST, accept=PROTOBUF)

        async def drop_by_drop(request) -> Response | None:
            if b"sendInitialEvents" not in request.target:
                return None
            server.fault = None
            response = await server.handle(request)
            whole = b""
            while piece := await response.body.read():
                whole += piece
            response.body.close()
            response.body = Pieces(*(whole[n : n + 1] for n in range(len(whole))))
            return response

        async with hub_of(server, tmp_path) as hub:
            await online(hub)
            server.fault = drop_by_drop
            heard = body(await ask(hub, burst))
            frames = ProtobufCodec().frames()
            assert len(frames.feed(heard)) >= 3
            assert frames.pending == b""
            await server.aclose()
            assert names(await ask(hub, get(PODS))) == ["a", "b"]

    asyncio.run(scenario())


def version_of(answer: bytes) -> int:
    return int(json.loads(body(answer))["metadata"]["resourceVersion"])


def test_8_versions_never_go_back_but_for_a_cluster_from_a_backup(tmp_path) -> None:
    async def scenario() -> None:
        server = await cloud("a")
        before = server.storage.version
        async with hub_of(server, tmp_path) as hub:
            await online(hub)
            told = [version_of(await ask(hub, get(PODS)))]
            server.create("pods", pod("b"), namespace="default")
            told.append(version_of(await ask(hub, get(PODS))))
        await server.aclose()
        async with hub_of(server, tmp_path) as hub:  # restarted, cut off
            told.append(version_of(await ask(hub, get(PODS))))
            second = APIServer(server.storage, too_large_seconds=0)  # another server
            await second.start(port=server.address[1])
            await online(hub)
            told.append(version_of(await ask(hub, get(f"{PODS}?resourceVersion=0"))))
            assert told == sorted(told)
            second.storage.restore(before)
            await ask(hub, get(PODS))  # asks for the newest, and hears of the past
            await second.aclose()
            again = await ask(hub, get(f"{PODS}?resourceVersion=0"))
            assert (version_of(again), names(again)) == (before, ["a"])

    asyncio.run(scenario())


def test_10_a_watcher_that_never_reads_slows_nobody(tmp_path) -> None:
    async def scenario() -> None:
        server = await cloud()
        watch = get(f"{MAPS}?watch=true&resourceVersion=0")
        async with hub_of(server, tmp_path) as hub:
            await online(hub)
            _, dead = await begin(hub, watch)  # reads nothing, ever
            reader, quick = await begin(hub, watch)
            for number in range(40):
                meta = {"metadata": {"name": f"m{number}"}}
                content = {"data": {"x": "z" * 200_000}}
                server.create("configmaps", meta | content, namespace="default")
            async with asyncio.timeout(10):
                heard = b""
                while b'"m39"' not in heard[-300_000:]:
                    heard += await reader.read(1 << 20)
            answer = await ask(hub, get("/api/v1/nodes"), seconds=2)
            assert status_of(answer) == 200
            for writer in (dead, quick):
                writer.close()
        await server.aclose()

    asyncio.run(scenario())
