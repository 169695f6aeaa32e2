# SPDX-License-Identifier: Apache-2.0
"""`--working-mode=cloud`: a node beside its cloud has a proxy, and no memory."""

import asyncio
import json
from pathlib import Path

from tests.rig import ask, begin, body, get, headers_of, hub_over, status_of, until
from toono.multiplex.shared import Resource
from toono.testing import APIServer

PODS = "/api/v1/pods"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/edge-1"
EVENT = {"metadata": {"name": "e", "namespace": "default"}, "reason": "Started"}
TOLD = b"cut off: this request needs the API server"


def posted(target: str, content: dict) -> bytes:
    sent = json.dumps(content).encode()
    head = (
        f"POST {target} HTTP/1.1\r\nHost: hub\r\nUser-Agent: kubelet/v1\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(sent)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + sent


async def cloud() -> APIServer:
    server = APIServer()
    await server.start()
    server.create("namespaces", {"metadata": {"name": "default"}})
    server.create("pods", {"metadata": {"name": "a"}}, namespace="default")
    server.create("nodes", {"metadata": {"name": "edge-1"}})
    return server


def hub_beside(server: APIServer, directory: Path, **more):
    return hub_over([server.address], directory, agents=("*",), keeps=False, **more)


def test_all_is_passed_on_and_nothing_kept_or_answered_alone(tmp_path) -> None:
    async def scenario() -> None:
        server = await cloud()
        asked = [PODS, f"{PODS}?resourceVersion=0", "/api/v1/nodes/edge-1", "/api"]
        async with hub_beside(server, tmp_path) as hub:
            await until(lambda: hub.upstream.online)
            for target in asked:
                answer = await ask(hub, get(target))
                assert status_of(answer) == 200, target
                told = dict(headers_of(answer))["Cache-Status"]
                assert told == "toono; fwd=bypass", target
            status = status_of(await ask(hub, posted(f"{PODS[:-4]}events", {})))
            assert status != 503
            assert list(hub.scopes.all()) == []
            assert hub.status()["cache"].startswith("nothing is kept")
            _, watch = await begin(hub, get(f"{PODS}?watch=true&resourceVersion=1"))
            await server.aclose()
            await until(lambda: not hub.upstream.online)
            for target in [*asked, LEASE, "/readyz", f"{PODS}?watch=true"]:
                answer = await ask(hub, get(target))
                assert status_of(answer) == 503, target
                assert TOLD in body(answer)
            namespaced = "/api/v1/namespaces/default/events"
            assert status_of(await ask(hub, posted(namespaced, EVENT))) == 503
            watch.close()
        names = {path.name for path in tmp_path.iterdir()}
        assert names <= {"_internal"}

    asyncio.run(scenario())


def test_nothing_is_done_unasked_that_an_edge_needs(tmp_path) -> None:
    """Neither the Lease nor the Node is kept, and no sweep or prefetch runs."""

    async def scenario() -> None:
        server = await cloud()
        only_edge = {"lease", "sweep", "follow-node", "node", "prefetch", "replay"}
        async with hub_beside(server, tmp_path / "a") as hub:
            beside = {name for name, _ in hub.board.duties}
            assert hub.chain.lease is None
        async with hub_over([server.address], tmp_path / "b") as hub:
            edge = {name for name, _ in hub.board.duties}
        assert edge - beside == only_edge
        await server.aclose()

    asyncio.run(scenario())


def test_watches_are_shared_beside_the_cloud_too(tmp_path) -> None:
    async def scenario() -> None:
        server = await cloud()
        services = "/api/v1/services?resourceVersion=0"
        shared = (Resource("", "v1", "services"),)
        async with hub_beside(server, tmp_path, shared=shared) as hub:
            await until(lambda: hub.upstream.online)
            told = ""
            while "shared" not in told:
                answer = await ask(hub, get(services, agent="kube-proxy/v1"))
                assert status_of(answer) == 200
                told = dict(headers_of(answer))["Cache-Status"]
            assert list(hub.scopes.all()) == []
        await server.aclose()

    asyncio.run(scenario())
