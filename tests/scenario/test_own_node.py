# SPDX-License-Identifier: Apache-2.0
"""The kubelet's looks at its own Node cost the cloud nothing while nothing changes."""

import asyncio
import json

from tests.rig import ask, body, get, hub_over, until
from toono.autonomy.node import AUTONOMY
from toono.kube.request import Caller, parse
from toono.testing import APIServer

NODE = "/api/v1/nodes/edge-1?resourceVersion=0"
STATUS = ("127.0.0.1", 0)


async def cloud(**meta: object) -> tuple[APIServer, list[str]]:
    server = APIServer()
    await server.start()
    server.create("nodes", {"metadata": {"name": "edge-1", **meta}})
    heard: list[str] = []

    async def note(request) -> None:
        if request.target.startswith(b"/api/v1/nodes/"):
            heard.append(f"{request.method} {request.target.decode()}")

    server.fault = note
    return server, heard


def condition(server: APIServer) -> dict | None:
    node = server.storage.collection("nodes").now["", "edge-1"].object
    found = node.get("status", {}).get("conditions") or []
    return next((one for one in found if one["type"] == "Autonomy"), None)


def test_an_unchanged_node_is_answered_from_the_cache(tmp_path) -> None:
    async def scenario() -> None:
        server, heard = await cloud()
        async with hub_over([server.address], tmp_path) as hub:
            await until(lambda: condition(server) is not None)
            asks = hub.chain.unchanged

            async def looked() -> dict:
                return json.loads(body(await ask(hub, get(NODE))))

            await looked()
            caller = Caller(connection=1, local=("", 0), remote=("", 0))
            call = parse("GET", NODE.encode(), {b"user-agent": b"kubelet"}, caller)
            await until(lambda: asks(call))
            heard.clear()
            first = await ask(hub, get(NODE))
            assert b"Cache-Status: toono; hit" in first
            assert b"Warning" not in first
            assert heard == []
            node = json.loads(body(first))
            node["metadata"]["labels"] = {"new": "label"}
            server.update("nodes", node)
            await until(lambda: not asks(call))
            assert (await looked())["metadata"]["labels"] == {"new": "label"}
            assert heard == [f"GET {NODE}"]
            exact = await ask(hub, get(NODE.partition("?")[0]))
            assert b"fwd=miss" in exact
            other = await ask(hub, get(NODE, agent="other/1"))
            assert b"toono; hit" not in other
        await server.aclose()

    asyncio.run(scenario())


def test_the_node_tells_of_its_autonomy(tmp_path) -> None:
    async def scenario() -> None:
        server, _ = await cloud(annotations={AUTONOMY: "true"})
        async with hub_over([server.address], tmp_path, status_listen=STATUS) as hub:
            await until(lambda: condition(server) is not None, 20.0)
            said = condition(server)
            assert said is not None
            assert said["status"] == "True"
            assert said["reason"] == "autonomy enabled successfully"
            await until(lambda: hub.status()["autonomy"] == "True")
        await server.aclose()

    asyncio.run(scenario())


def test_a_node_of_k3s_is_known_by_its_version(tmp_path) -> None:
    async def scenario() -> None:
        server, _ = await cloud(labels={"node.kubernetes.io/instance-type": "k3s"})
        async with hub_over([server.address], tmp_path, status_listen=STATUS) as hub:
            await until(lambda: str(hub.status()["lease"]).startswith("silent"))
            assert "this is K3s" in str(hub.status()["lease"])
        await server.aclose()

    asyncio.run(scenario())
