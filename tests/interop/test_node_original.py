# SPDX-License-Identifier: Apache-2.0
"""The node's Lease, condition and pods over a real kube-apiserver with a node's rights.

Runs where KUBEBUILDER_ASSETS names its programs; what it skips it says loudly.
"""

import asyncio
import json
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.interop.test_writes_original import CALM, NODE, request
from tests.rig import ask, body, get, hub_over, status_of, until
from toono.autonomy.node import AUTONOMY
from toono.autonomy.renewal import LEASES
from toono.codec.sent import JSON, PROTOBUF
from toono.testing.real import RealServer, assets
from toono.wire.tls import ClientFiles

LEASE = f"{LEASES}/edge-1"


@asynccontextmanager
async def cluster(directory: Path):
    found = assets()
    if isinstance(found, str):
        pytest.skip(f"LOUD: {found}")
    async with RealServer(found, directory / "real") as server:
        yield server


async def admin(server: RealServer, method: str, target: str, values=None) -> dict:
    reader, writer = await server.connect(server.admin)
    writer.write(request(method, target, values))
    answer = await reader.read()
    writer.close()
    assert status_of(answer) < 300, answer
    return json.loads(body(answer))


def hub_of(server: RealServer, directory: Path, **settings):
    node = server.authority.node("edge-1")
    files = ClientFiles(
        ca=server.authority.file, certificate=node.certificate, key=node.key
    )
    return hub_over(
        [server.address], directory / "hub", tls=files, health=CALM, **settings
    )


@pytest.mark.timeout(180)
def test_the_lease_and_the_condition_are_the_server_s_to_judge(tmp_path) -> None:
    async def scenario() -> None:
        async with cluster(tmp_path) as server:
            node = NODE | {
                "metadata": {"name": "edge-1", "annotations": {AUTONOMY: "true"}}
            }
            await admin(server, "POST", "/api/v1/nodes", node)
            async with hub_of(server, tmp_path, lease_interception="always") as hub:
                keeper = hub.chain.lease.keeper
                await until(lambda: keeper.renewals > 0, 30.0)
                lease = await admin(server, "GET", LEASE)
                assert lease["spec"]["holderIdentity"] == "edge-1"
                assert lease["metadata"]["ownerReferences"][0]["kind"] == "Node"
                told = await ask(hub, get(LEASE, accept=PROTOBUF))
                assert status_of(told) == 200
                put = request("PUT", LEASE, body(told), kind=PROTOBUF, accept=PROTOBUF)
                assert status_of(await ask(hub, put)) == 200
                assert keeper.conflicts == 0
                await until(lambda: hub.status()["autonomy"] == "True", 30.0)
                asked = get("/api/v1/nodes/edge-1?resourceVersion=0")
                await ask(hub, asked)
                async with asyncio.timeout(20):
                    while b"toono; hit" not in await ask(hub, asked):
                        await asyncio.sleep(0.05)
            async with hub_of(server, tmp_path, lease_interception="auto") as hub:
                duty = hub.chain.lease.keeper.duty
                await until(lambda: duty._looked, 30.0)
                lease = await admin(server, "GET", LEASE)
                passed = await ask(hub, request("PUT", LEASE, lease, kind=JSON))
                assert status_of(passed) == 200
                assert (
                    duty._known.resource_version
                    == (json.loads(body(passed))["metadata"]["resourceVersion"])
                )
                assert duty.foreign == 0

    asyncio.run(scenario())


@pytest.mark.timeout(180)
def test_pods_that_are_gone_are_confirmed_by_the_server(tmp_path) -> None:
    pods = "/api/v1/pods?fieldSelector=spec.nodeName%3Dedge-1&resourceVersion=0"

    async def scenario() -> None:
        async with cluster(tmp_path) as server:
            await admin(server, "POST", "/api/v1/nodes", NODE)
            space = {
                "kind": "Namespace",
                "apiVersion": "v1",
                "metadata": {"name": "shop"},
            }
            await admin(server, "POST", "/api/v1/namespaces", space)
            account = {
                "kind": "ServiceAccount",
                "apiVersion": "v1",
                "metadata": {"name": "default"},
            }
            target = "/api/v1/namespaces/shop/serviceaccounts"
            await admin(server, "POST", target, account)
            pod = {
                "kind": "Pod",
                "apiVersion": "v1",
                "metadata": {"name": "web"},
                "spec": {
                    "nodeName": "edge-1",
                    "containers": [{"name": "a", "image": "a"}],
                },
            }
            at = "/api/v1/namespaces/shop/pods"
            await admin(server, "POST", at, pod)
            async with hub_of(server, tmp_path) as hub:
                await until(lambda: hub.upstream.online, 30.0)
                for accept in (JSON, PROTOBUF):
                    first = await ask(hub, get(pods, accept=accept))
                    assert b"web" in body(first)
                gone = {"gracePeriodSeconds": 0}
                await admin(server, "DELETE", f"{at}/web", gone)
                for accept in (JSON, PROTOBUF):
                    async with asyncio.timeout(10):
                        while b"web" in (
                            answer := await ask(hub, get(pods, accept=accept))
                        ):
                            await asyncio.sleep(0.05)
                    assert status_of(answer) == 200
                guard = hub.chain.forward._guard
                assert (guard.confirmed, guard.refused) == (2, 0)

    asyncio.run(scenario())
