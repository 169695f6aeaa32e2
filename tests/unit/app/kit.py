# SPDX-License-Identifier: Apache-2.0
"""A cloud that answers what the tests ask, and hubs over it."""

import asyncio
import contextlib
from pathlib import Path

from tests.rig import hub_over
from tests.unit.cache.kit import one, pod, pod_list
from tests.unit.wire.kit import refuse, until
from toono.app import Hub
from toono.runtime.clock import SystemClock
from toono.wire.messages import Response
from toono.wire.server import Server

PODS = "/api/v1/pods"
POD = "/api/v1/namespaces/default/pods/a"
JSON = [(b"Content-Type", b"application/json")]


class Stream:
    """A watch whose events the test sends."""

    length = None

    def __init__(self) -> None:
        self.events: asyncio.Queue[bytes] = asyncio.Queue()
        self.closed = 0

    async def read(self) -> bytes:
        return await self.events.get()

    def close(self) -> None:
        self.closed += 1


class Cloud:
    """One API server that answers what the tests ask."""

    def __init__(self) -> None:
        self.streams: list[Stream] = []
        self.asked: list[bytes] = []
        self.certificates: set[bytes | None] = set()
        self.slow = asyncio.Event()
        self.server = Server(self.serve, refuse=refuse, clock=SystemClock())

    async def serve(self, request) -> Response:
        self.certificates.add(request.peer.certificate)
        if request.target == b"/readyz":
            return Response(status=200, content=b"ok")
        self.asked.append(request.target)
        if request.fields.get(b"user-agent") == b"toono":
            return Response(status=403)  # what the hub asks of its own accord
        if b"watch=" in request.target:
            self.streams.append(Stream())
            return Response(status=200, headers=JSON, body=self.streams[-1])
        if request.target.startswith(b"/slow"):
            await self.slow.wait()
        if request.target == POD.encode():
            return Response(status=200, headers=JSON, content=one(pod("a", 3)))
        return Response(status=200, headers=JSON, content=pod_list(9, pod("a", 3)))


@contextlib.asynccontextmanager
async def hubs(tmp_path: Path, **settings):
    """A cloud, and a hub over it that knows it is online."""
    cloud = Cloud()
    address = await cloud.server.start("127.0.0.1", 0)
    async with hub_over([address], tmp_path, **settings) as hub:
        await until(lambda: hub.upstream.online)
        yield cloud, hub
        await cloud.server.aclose()


async def cut(cloud: Cloud, hub: Hub) -> None:
    await cloud.server.aclose()
    await hub.upstream.servers[0].verdict()
    assert not hub.upstream.online
