# SPDX-License-Identifier: Apache-2.0
"""The API server of the bench: one pod's GET and a list of 1,000, made once; a watch
of events on a clock. Bytes are ready beforehand: it must not be what is measured.

    python -m bench.origin CERTIFICATE KEY
"""

import asyncio
import json
import sys

import uvloop

from toono.runtime.clock import SystemClock
from toono.wire.messages import Request, Response
from toono.wire.server import Server, ServerSettings
from toono.wire.tls import ServerFiles, make_context

COUNT = 1000
JSON = [(b"Content-Type", b"application/json")]
EVENTS_PER_SECOND = 100


def pod(name: str, version: int) -> dict:
    """Return a pod of about 3.2 KB."""
    return {
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": f"uid-{name}",
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


HEAD = {"kind": "Pod", "apiVersion": "v1"}
ONE = encode(HEAD | pod("web-0", 5)) + b"\n"
PODS = [pod(f"web-{n}", 5 + n) for n in range(COUNT)]
LIST = (
    encode(
        {
            "kind": "PodList",
            "apiVersion": "v1",
            "metadata": {"resourceVersion": "5000"},
            "items": PODS,
        }
    )
    + b"\n"
)
CLOCK = SystemClock()


class Events:
    """A watch that sends so many changes a second."""

    length: int | None = None

    def __init__(self, count: int) -> None:
        self.version = 5000
        self.count = count

    async def read(self) -> bytes:
        if self.version >= 5000 + self.count:
            await CLOCK.sleep(3600)
        await CLOCK.sleep(1 / EVENTS_PER_SECOND)
        self.version += 1
        content = HEAD | pod(f"web-{self.version % COUNT}", self.version)
        return b'{"type":"MODIFIED","object":%b}\n' % encode(content)

    def close(self) -> None:
        return


async def handle(request: Request) -> Response:
    target = request.target
    if b"watch=true" in target:
        return Response(status=200, headers=JSON, body=Events(2000))
    if target.startswith(b"/api/v1/namespaces/default/pods/"):
        return Response(status=200, headers=JSON, content=ONE)
    if target.startswith(b"/api/v1/pods"):
        return Response(status=200, headers=JSON, content=LIST)
    return Response(status=200, content=b"ok")


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
