# SPDX-License-Identifier: Apache-2.0
"""The API server of the bench: one pod's GET and a list of 1,000, made once; a watch
of events on a clock. Bytes are ready beforehand: it must not be what is measured.

    python -m bench.origin CERTIFICATE KEY
"""

import asyncio
import json
import os
import sys
import uuid

import uvloop

from toono.runtime.clock import SystemClock
from toono.wire.messages import Request, Response
from toono.wire.server import Server, ServerSettings
from toono.wire.tls import ServerFiles, make_context

COUNT = int(os.environ.get("TOONO_BENCH_PODS", "1000"))
JSON = [(b"Content-Type", b"application/json")]
EVENTS_PER_SECOND = 100


def pod(name: str, version: int) -> dict:
    """Return a pod of about 3.2 KB."""
    return {
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": str(uuid.uuid5(uuid.NAMESPACE_DNS, name)),
            "resourceVersion": str(version),
            "labels": {"app": "web", "tier": "front"},
            "annotations": {"note": "x" * 1200},
        },
        "spec": {
            "nodeName": "edge-1",
            "containers": [
                {
                    "name": f"c{n}",
                    "image": "registry.example/web:1",
                    "env": [
                        {"name": f"VARIABLE_{k}", "value": "value" * 4}
                        for k in range(6)
                    ],
                }
                for n in range(4)
            ],
        },
        "status": {"phase": "Running", "podIP": "10.0.0.1"},
    }


def encode(content: dict) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()


VERSION = 5000 + COUNT
HEAD = {"kind": "Pod", "apiVersion": "v1"}
ONE = encode(HEAD | pod("web-0", 5)) + b"\n"
PODS = [pod(f"web-{n}", 5 + n) for n in range(COUNT)]
LIST = (
    encode(
        {
            "kind": "PodList",
            "apiVersion": "v1",
            "metadata": {"resourceVersion": str(VERSION)},
            "items": PODS,
        }
    )
    + b"\n"
)
KINDS = {
    "nodes": "NodeList",
    "services": "ServiceList",
    "configmaps": "ConfigMapList",
    "endpoints": "EndpointsList",
    "endpointslices": "EndpointSliceList",
    "nodepools": "NodePoolList",
}
SINGLE = {
    "/leases": {
        "kind": "Lease",
        "apiVersion": "coordination.k8s.io/v1",
        "metadata": {
            "name": "edge-1",
            "namespace": "kube-node-lease",
            "uid": "lease",
            "resourceVersion": "9",
        },
        "spec": {"holderIdentity": "edge-1", "leaseDurationSeconds": 40},
    },
    "/nodes/edge-1": {
        "kind": "Node",
        "apiVersion": "v1",
        "metadata": {"name": "edge-1", "uid": "node", "resourceVersion": "9"},
    },
    "/services/kubernetes": {
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": {"name": "kubernetes", "namespace": "default", "uid": "s"},
        "spec": {"clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1"]},
    },
}
"""What YurtHub needs to begin: its node's lease, its node, the API's service."""
CLOCK = SystemClock()


class Events:
    """A watch that sends so many changes a second."""

    length: int | None = None

    def __init__(self, count: int) -> None:
        self.version = VERSION
        self.last = VERSION + count

    async def read(self) -> bytes:
        if self.version >= self.last:
            await CLOCK.sleep(3600)
        await CLOCK.sleep(1 / EVENTS_PER_SECOND)
        self.version += 1
        content = HEAD | pod(f"web-{self.version % COUNT}", self.version)
        return b'{"type":"MODIFIED","object":%b}\n' % encode(content)

    def close(self) -> None:
        return


SEEN = {"watches": 0, "lists": 0, "requests": 0, "accepted": 0}
COUNTS = b"/bench/counts"


async def handle(request: Request) -> Response:
    target = request.target
    SEEN["accepted"] = max(SEEN["accepted"], request.peer.connection)
    if target == COUNTS:
        return Response(status=200, headers=JSON, content=encode(SEEN))
    SEEN["requests"] += 1
    if b"watch=true" in target:
        SEEN["watches"] += 1
    elif b"resourceVersion=" in target:
        SEEN["lists"] += 1
    if b"watch=true" in target or b"watch=1" in target:
        pods = target.startswith(b"/api/v1/pods")
        return Response(status=200, headers=JSON, body=Events(2000 if pods else 0))
    if target.startswith(b"/api/v1/namespaces/default/pods/"):
        return Response(status=200, headers=JSON, content=ONE)
    if target.startswith(b"/api/v1/pods"):
        return Response(status=200, headers=JSON, content=LIST)
    if target.startswith((b"/api/", b"/apis/")):
        return nothing(target)
    return Response(status=200, content=b"ok")


def nothing(target: bytes) -> Response:
    """Answer an empty list of what is asked, so that whoever waits for it goes on."""
    path = target.partition(b"?")[0].decode()
    for part, content in SINGLE.items():
        if part in path:
            return Response(status=200, headers=JSON, content=encode(content))
    resource = path.rpartition("/")[2]
    kind = KINDS.get(resource)
    if kind is None:
        content = encode({"kind": "Status", "apiVersion": "v1", "code": 404})
        return Response(status=404, headers=JSON, content=content)
    version = "v1" if path.startswith("/api/") else "/".join(path.split("/")[2:4])
    content = {
        "kind": kind,
        "apiVersion": version,
        "metadata": {"resourceVersion": str(VERSION)},
        "items": [],
    }
    return Response(status=200, headers=JSON, content=encode(content))


async def serve(certificate: str, key: str) -> None:
    server = Server(
        handle,
        refuse=lambda _, message: ([], message.encode()),
        clock=CLOCK,
        settings=ServerSettings(connections_loopback=2000),
    )
    files = ServerFiles(certificate=certificate, key=key)  # type: ignore[arg-type]
    port = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    _, port = await server.start("127.0.0.1", port, tls=make_context(files))
    print(port, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], sys.argv[2]))
