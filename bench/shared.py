# SPDX-License-Identifier: Apache-2.0
"""1,000 watchers over 10 shared watches, and what 20 agents cost the cloud against one.

Run: python -m bench.shared. The hub is a process of its own; the API server and the
watchers are in this one, so lateness holds their time too. Whose a connection is, which
takes a look at every process of the machine, is not measured here.
"""

import asyncio
import resource
import sys
import tempfile
import time
from itertools import product
from pathlib import Path
from typing import cast

from bench.stage import Child, cpu_seconds, resident_mb
from toono.testing import APIServer

RESOURCES = (
    "services",
    "endpoints",
    "nodes",
    "pods",
    "configmaps",
    "secrets",
    "namespaces",
    "serviceaccounts",
    "persistentvolumes",
    "limitranges",
)
WHOLE = ("nodes", "namespaces", "persistentvolumes")
WATCHERS = 100
"""Of each resource."""
EVENTS = 40
"""Of each resource."""
PAUSE = 0.02
HUB = """
import asyncio, os, sys
from pathlib import Path
from toono.app import Hub, HubSettings
from toono.identity.sockets import Owner
from toono.multiplex.shared import Resource
from toono.wire.server import ServerSettings
async def run():
    settings = HubSettings(
        servers=(("127.0.0.1", int(sys.argv[1])),), tls=None, node_name="edge-1",
        cache_path=Path(sys.argv[2]), listen=(("127.0.0.1", 0),), status_listen=None,
        node_uids=frozenset({os.getuid()}),
        shared=tuple(Resource("", "v1", name) for name in sys.argv[3].split(",")),
    )
    async with Hub(settings, owner=lambda *_: Owner(os.getuid(), frozenset())) as hub:
        # One user holds here what a node's pods hold.
        hub.server.settings = ServerSettings(connections_loopback=2000)
        print(f"serving on {hub.addresses[0][1]}:{hub.addresses[0][1]}", flush=True)
        await asyncio.to_thread(sys.stdin.read)
try:
    import uvloop
except ImportError:
    asyncio.run(run())
else:
    uvloop.run(run())
"""


class Watcher(asyncio.Protocol):
    """One watch; notes when each event came."""

    def __init__(self, request: bytes, came: list[float]) -> None:
        self._request = request
        self._came = came
        self.stuck = False
        self.opened = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is another
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self.opened = True
        self._came.extend([time.perf_counter()] * data.count(b'"type":"MODIFIED"'))


def request_of(plural: str, number: int, version: str) -> bytes:
    """Return a watch as one of many agents asks it."""
    agent = "kubelet" if number >= WATCHERS * 4 // 5 else f"agent-{number % 5}"
    return (
        f"GET /api/v1/{plural}?watch=true&resourceVersion={version}&timeoutSeconds=600"
        f" HTTP/1.1\r\nHost: a\r\nUser-Agent: {agent}/1\r\n"
        "Accept: application/json\r\n\r\n"
    ).encode()


def made(name: str, number: int) -> dict[str, object]:
    """Return an object of about 1 KiB."""
    notes = {"number": str(number), "filling": "x" * 900}
    return {"metadata": {"name": name, "annotations": notes}}


async def fill(server: APIServer) -> None:
    """Create one object of each resource."""
    for plural in RESOURCES:
        namespace = "" if plural in WHOLE else "default"
        server.create(plural, made("one", 0), namespace=namespace)


async def listed(port: int, plural: str) -> str:
    """Ask for a shared list; return its version."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    target = f"/api/v1/{plural}?resourceVersion=0"
    head = "Host: a\r\nUser-Agent: kubelet/1\r\nAccept: application/json\r\n"
    writer.write(f"GET {target} HTTP/1.1\r\n{head}Connection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return answer.partition(b'"resourceVersion":"')[2].partition(b'"')[0].decode()


async def open_watches(port: int, count: int) -> tuple[list[Watcher], list[float]]:
    """Open `count` watches of each resource."""
    loop = asyncio.get_running_loop()
    came: list[float] = []
    watchers = []
    versions = {plural: await listed(port, plural) for plural in RESOURCES}
    # The kubelet comes last: four fifths of all watches are what others may have.
    for number, plural in product(range(count), RESOURCES):
        request = request_of(plural, number, versions[plural])
        _, one = await loop.create_connection(
            lambda request=request: Watcher(request, came),
            "127.0.0.1",
            port,
        )
        watchers.append(one)
    while not all(one.opened for one in watchers):
        await asyncio.sleep(0.01)
    return watchers, came


async def measure(directory: Path, count: int) -> dict[str, float]:
    """Return what watchers cost, and how late they hear."""
    server = APIServer()
    await server.start()
    await fill(server)
    port = str(server.address[1])
    hub = Child("-c", HUB, port, str(directory), ",".join(RESOURCES), mark="serving on")
    try:
        await asyncio.sleep(1.0)
        watchers, came = await open_watches(hub.port, count)
        watchers[0].transport.pause_reading()  # one that is stuck harms nobody
        asked = len(server.requests)
        before, late = cpu_seconds(hub.pid), []
        for number in range(1, EVENTS + 1):
            for plural in RESOURCES:
                namespace = "" if plural in WHOLE else "default"
                start, had = time.perf_counter(), len(came)
                server.update(plural, made("one", number), namespace=namespace)
                await asyncio.sleep(PAUSE)
                late += [moment - start for moment in came[had:]]
        await asyncio.sleep(0.5)
        used = cpu_seconds(hub.pid) - before
        late.sort()
        result = {
            "heard": float(len(came)),
            "expected": float((count * len(RESOURCES) - 1) * EVENTS),
            "ms of CPU an event and watcher": used * 1000 / max(1, len(came)),
            "p50 ms late": late[len(late) // 2] * 1000,
            "p99 ms late": late[int(len(late) * 0.99)] * 1000,
            "MB": resident_mb(hub.pid),
            "requests of the cloud": float(asked),
        }
        for one in watchers:
            one.transport.abort()
        return result
    finally:
        hub.stop()
        await server.aclose()


def raise_limits() -> None:
    """Allow as many sockets as this takes; children inherit it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 8192), most))


async def main() -> None:
    """Print the figures for one agent, twenty, and a thousand watchers."""
    for count in (1, 20, WATCHERS) if len(sys.argv) < 2 else map(int, sys.argv[1:]):
        with tempfile.TemporaryDirectory() as directory:
            found = await measure(Path(directory), count)
        print(f"{count} watchers of each of {len(RESOURCES)} resources")
        for name, value in found.items():
            print(f"  {name}: {value:.3f}")
    sys.stdout.flush()


if __name__ == "__main__":
    raise_limits()
    asyncio.run(main())
