# SPDX-License-Identifier: Apache-2.0
"""What was written while cut off, taken by a real kube-apiserver with a node's rights.

Runs where KUBEBUILDER_ASSETS names its programs; what it skips it says loudly.
"""

import asyncio
import json
from pathlib import Path

import pytest

from tests.rig import ask, body, headers_of, hub_over, status_of, until
from toono.autonomy.writes import WriteTable
from toono.codec.sent import JSON, PROTOBUF, read_sent, write_sent
from toono.testing.faults import FaultProxy
from toono.testing.real import RealServer, assets
from toono.upstream.health import HealthSettings
from toono.wire.tls import ClientFiles

EVENTS = "/api/v1/namespaces/shop/events"
NEWER = "/apis/events.k8s.io/v1/namespaces/shop/events"
MERGE = "application/strategic-merge-patch+json"
POD = "/api/v1/namespaces/shop/pods/web"
TOKEN = "/api/v1/namespaces/shop/serviceaccounts/seller/token"
REVIEW = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
NODE = {"kind": "Node", "apiVersion": "v1", "metadata": {"name": "edge-1"}}
NEWER_EVENTS = {
    "metadata": {"name": "newer-events"},
    "rules": [
        {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create"]}
    ],
}
"""system:node has the right to events of the core group alone."""
FOR_THE_NODE = {
    "metadata": {"name": "newer-events"},
    "roleRef": {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "ClusterRole",
        "name": "newer-events",
    },
    "subjects": [
        {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "User",
            "name": "system:node:edge-1",
        }
    ],
}
CALM = HealthSettings(down_interval=0.1, up_after=1, probe_timeout=10.0, silence=10.0)


def request(method: str, target: str, values=None, kind=JSON, accept=JSON) -> bytes:
    content = values if isinstance(values, bytes) else json.dumps(values).encode()
    content = b"" if values is None else content
    head = (
        f"{method} {target} HTTP/1.1\r\nHost: a\r\nUser-Agent: kubelet/v1.34.0\r\n"
        f"Accept: {accept}\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + content


class World:
    """A cluster with one pod on edge-1, and a hub whose link a test cuts."""

    def __init__(self, server: RealServer, proxy: FaultProxy, hub) -> None:
        self.server, self.proxy, self.hub = server, proxy, hub
        self.uid = ""

    async def admin(self, method: str, target: str, values=None, kind=JSON) -> dict:
        reader, writer = await self.server.connect(self.server.admin)
        writer.write(request(method, target, values, kind))
        answer = await reader.read()
        writer.close()
        assert status_of(answer) < 300, answer
        return json.loads(body(answer))

    async def node(self, *asked, code: int, **kind) -> dict:
        answer = await ask(self.hub, request(*asked, **kind), seconds=60)
        assert status_of(answer) == code, answer
        told = {name.lower(): value for name, value in headers_of(answer)}
        return read_sent(body(answer), told["content-type"])

    async def cut(self) -> None:
        await self.proxy.cut()
        await until(lambda: not self.hub.upstream.online, 30)

    async def back(self) -> None:
        await self.proxy.restore()
        spool = self.hub.chain.alone.spooling._spool
        await until(lambda: self.hub.upstream.online and not len(spool), 60)

    async def events(self) -> dict[str, dict]:
        listed = await self.admin("GET", EVENTS)
        return {one["metadata"]["name"]: one for one in listed["items"]}

    async def fill(self) -> None:
        await self.admin("POST", "/api/v1/namespaces", {"metadata": {"name": "shop"}})
        account = {"metadata": {"name": "seller"}}
        await self.admin("POST", "/api/v1/namespaces/shop/serviceaccounts", account)
        rbac = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
        await self.admin("POST", rbac, NEWER_EVENTS)
        await self.admin("POST", rbac.replace("roles", "rolebindings"), FOR_THE_NODE)
        await self.node("POST", "/api/v1/nodes", NODE, code=201)
        spec = {
            "nodeName": "edge-1",
            "serviceAccountName": "seller",
            "containers": [{"name": "c", "image": "c:1"}],
        }
        pod = {"metadata": {"name": "web"}, "spec": spec}
        made = await self.admin("POST", "/api/v1/namespaces/shop/pods", pod)
        self.uid = made["metadata"]["uid"]
        await self.node("GET", POD, code=200)


def event(name: str, reason: str = "Started", **more) -> dict:
    about = {"kind": "Pod", "namespace": "shop", "name": "web", "apiVersion": "v1"}
    return {
        "kind": "Event",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": "shop"},
        "involvedObject": about,
        "reason": reason,
        "message": "m",
        "source": {"component": "kubelet", "host": "edge-1"},
        "firstTimestamp": "2026-11-21T01:00:00Z",
        "lastTimestamp": "2026-11-21T01:00:00Z",
        "count": 1,
        "type": "Normal",
    } | more


NEWER_EVENT = {
    "kind": "Event",
    "apiVersion": "events.k8s.io/v1",
    "metadata": {"name": "newer", "namespace": "shop"},
    "eventTime": "2026-11-21T01:00:00.000000Z",
    "reportingController": "kubelet",
    "reportingInstance": "edge-1",
    "action": "Start",
    "reason": "Started",
    "regarding": {"kind": "Pod", "namespace": "shop", "name": "web"},
    "note": "n",
    "type": "Normal",
}


async def play(world: World) -> None:
    await world.fill()
    asked = {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "spec": {
            "audiences": ["https://kubernetes.default.svc"],
            "expirationSeconds": 3607,
            "boundObjectRef": {
                "kind": "Pod",
                "apiVersion": "v1",
                "name": "web",
                "uid": world.uid,
            },
        },
    }
    token = ("POST", TOKEN, write_sent(asked, PROTOBUF), PROTOBUF, PROTOBUF)
    given = await world.node(*token, code=201)
    who = {"user": "jane", "resourceAttributes": {"verb": "get", "resource": "nodes"}}
    review = {
        "kind": "SubjectAccessReview",
        "apiVersion": "authorization.k8s.io/v1",
        "spec": who,
    }
    verdict = await world.node("POST", REVIEW, review, code=201)
    await world.node("POST", EVENTS, event("before"), code=201)

    await world.cut()
    again = await world.node(*token, code=201)
    assert again["status"]["token"] == given["status"]["token"]
    told = await world.node("POST", REVIEW, review, code=201)
    assert told["status"] == verdict["status"]
    packed = write_sent(event("packed"), PROTOBUF)
    await world.node("POST", EVENTS, packed, PROTOBUF, PROTOBUF, code=201)
    await world.node("POST", EVENTS, event("plain"), code=201)
    await world.node("POST", NEWER, NEWER_EVENT, code=201)
    moved = {"count": 7, "lastTimestamp": "2026-11-21T02:00:00Z"}
    for name in ("before", "plain"):
        await world.node("PATCH", f"{EVENTS}/{name}", moved, MERGE, code=200)
    condition = {"type": "Ready", "status": "True"}
    patch = {"status": {"phase": "Running", "conditions": [condition]}}
    await world.node("PATCH", POD + "/status", patch, MERGE, code=200)
    stray = event("stray")
    stray["metadata"] = {"name": "stray", "namespace": "gone"}
    await world.node("POST", EVENTS.replace("shop", "gone"), stray, code=201)
    await world.back()

    landed = await world.events()
    assert landed.keys() >= {"before", "packed", "plain", "newer"}
    for name in ("before", "plain"):
        assert landed[name]["count"] == 7
        assert landed[name]["lastTimestamp"] == moved["lastTimestamp"]
    assert landed["packed"]["firstTimestamp"] == "2026-11-21T01:00:00Z"
    pod = await world.admin("GET", POD)
    assert pod["status"]["phase"] == "Running"
    counts = world.hub.chain.alone.spooling._spool.counts
    assert (counts["landed"], counts["refused"]) == (6, 1)

    await world.cut()
    await world.node("POST", EVENTS, event("plain"), code=201)
    await world.node("POST", EVENTS, event("packed", "Killing"), code=201)
    await world.back()
    now = await world.events()
    new = now.keys() - landed.keys()
    assert [name.split(".")[0] for name in new] == ["packed"]
    assert now["plain"] == landed["plain"]


@pytest.mark.timeout(300)
def test_a_real_api_server_takes_what_was_written_cut_off(
    tmp_path: Path, capsys
) -> None:
    programs = assets()
    if isinstance(programs, str):
        with capsys.disabled():
            print(f"\nSKIPPED: nothing was sent to a real server: {programs}")
        pytest.skip(f"LOUD: {programs}")

    async def scenario() -> None:
        async with RealServer(programs, tmp_path / "run") as server:
            proxy = FaultProxy(server.address)
            await proxy.start()
            node = server.authority.node("edge-1")
            files = ClientFiles(
                ca=server.authority.file, certificate=node.certificate, key=node.key
            )
            async with hub_over(
                [("127.0.0.1", proxy.address[1])],
                tmp_path / "cache",
                tls=files,
                health=CALM,
                writes=WriteTable(statuses="spool"),
            ) as hub:
                await until(lambda: hub.upstream.online, 30)
                await play(World(server, proxy, hub))
            await proxy.aclose()

    asyncio.run(scenario())
