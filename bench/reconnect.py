# SPDX-License-Identifier: Apache-2.0
"""The API server comes back: what 150 watches of one node cost it.

Run: python -m bench.reconnect. Watches go directly, each on a connection as HTTP/1.1
has it, and through the hub: as one client's of 150 objects, and as 50 agents' of the
three resources that are shared. Beside them stands what one HTTP/2 connection would
cost at least: one handshake and 150 small requests on it, one after the other.
"""

import asyncio
import json
import os
import ssl
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import uvloop

from bench.load import load, request
from bench.origin import COUNTS
from bench.stage import Child, Stage, cpu_seconds

WATCHES = 150
AGENTS = 50
SHARED = (
    "/api/v1/services",
    "/api/v1/nodes",
    "/apis/discovery.k8s.io/v1/endpointslices",
)
POD = "/api/v1/namespaces/default/pods"
VERSION = 6000
DOWN_SECONDS = 5.0
RETRY_SECONDS = 0.5
PATIENCE_SECONDS = 120.0
Asked = tuple[str, str]
"""Target and User-Agent of a watch."""


def own_watches() -> list[Asked]:
    """Return what a kubelet of 150 secrets and config maps watches."""
    return [
        (
            f"{POD}?fieldSelector=metadata.name%3Dweb-{number}&watch=true"
            f"&resourceVersion={VERSION}",
            "kubelet/v1.34.0",
        )
        for number in range(WATCHES)
    ]


def shared_watches() -> list[Asked]:
    """Return what 50 agents watch that all want the same."""
    return [
        (f"{path}?watch=true&resourceVersion={VERSION}", f"agent-{number}/1")
        for number in range(AGENTS)
        for path in SHARED
    ]


async def keep_watching(port: int, asked: Asked, tls: ssl.SSLContext | None) -> None:
    """Watch as an informer does: what ends is asked for again from where it was."""
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
            try:
                writer.write(request(*asked))
                head = await reader.readuntil(b"\r\n\r\n")
                while b" 200 " in head[:16] and await reader.read(1 << 16):
                    continue
            finally:
                writer.close()
        except (OSError, asyncio.IncompleteReadError):
            pass
        await asyncio.sleep(RETRY_SECONDS)


class Counts:
    """One connection to the API server that asks it what it was asked."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def look(self) -> dict[str, int]:
        """Return how many requests and connections there were, this one not counted."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(
                "127.0.0.1",
                self._stage.origin_port,
                ssl=self._stage.client_context(),
            )
        reader, writer = self._streams
        writer.write(request(COUNTS.decode(), "bench/1"))
        await reader.readuntil(b"\r\n\r\n")
        found: dict[str, int] = json.loads(await reader.readuntil(b"}"))
        return found

    async def until(self, watches: int) -> None:
        """Return once that many watches have come, or patience is over."""
        started = time.perf_counter()
        while time.perf_counter() - started < PATIENCE_SECONDS:
            if (await self.look())["watches"] >= watches:
                return
            await asyncio.sleep(0.5)

    def close(self) -> None:
        """Ask no more."""
        if self._streams is not None:
            self._streams[1].close()


async def returned(stage: Stage, watches: int) -> dict[str, float]:
    """End the API server, start it, and count until that many watches are back."""
    port = stage.origin_port
    stage.origin.stop()
    await asyncio.sleep(DOWN_SECONDS)
    stage.origin = Child(*stage.origin_arguments, str(port))
    started = time.perf_counter()
    counts = Counts(stage)
    await counts.until(watches)
    seconds = time.perf_counter() - started
    await asyncio.sleep(2.0)
    found = await counts.look()
    counts.close()
    return {
        "seconds until all are back": seconds,
        "connections": found["accepted"] - 1,
        "requests": found["requests"],
        "lists": found["lists"],
        "ms of the server's CPU": cpu_seconds(stage.origin.pid) * 1000,
    }


async def measure(
    stage: Stage, asked: Sequence[Asked], *, direct: bool, upstream: int
) -> dict[str, float]:
    """Open watches, end and start the API server, return what that cost it."""
    port = stage.origin_port if direct else stage.start_hub().port
    tls = stage.client_context() if direct else None
    if not direct:
        await asyncio.sleep(3.0)
    tasks = [asyncio.ensure_future(keep_watching(port, one, tls)) for one in asked]
    try:
        counts = Counts(stage)
        await counts.until(upstream)
        counts.close()
        return await returned(stage, upstream)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if stage.hub is not None:
            stage.hub.stop()
            stage.hub = None


async def one_connection(stage: Stage) -> dict[str, float]:
    """Return what 150 small requests on one connection cost a server just started."""
    port = stage.origin_port
    stage.origin.stop()
    stage.origin = Child(*stage.origin_arguments, str(port))
    tls = stage.client_context()
    await load(port, f"{POD}/web-0", "bench/1", WATCHES, links=1, tls=tls)
    return {
        "connections": 1,
        "requests": WATCHES,
        "lists": 0,
        "ms of the server's CPU": cpu_seconds(stage.origin.pid) * 1000,
    }


async def idle(stage: Stage) -> float:
    """Return the milliseconds of CPU that the server's start alone takes."""
    port = stage.origin_port
    stage.origin.stop()
    stage.origin = Child(*stage.origin_arguments, str(port))
    await asyncio.sleep(2.0)
    return cpu_seconds(stage.origin.pid) * 1000


async def main() -> None:
    """Print the table."""
    os.environ.setdefault("TOONO_BENCH_PODS", "1")
    with tempfile.TemporaryDirectory(prefix="toono-bench-") as directory:
        stage = Stage(Path(directory) / "stage")
        try:
            start = await idle(stage)
            own, shared = own_watches(), shared_watches()
            rows = {
                "one connection, as HTTP/2 at least": await one_connection(stage),
                "direct, HTTP/1.1": await measure(
                    stage, own, direct=True, upstream=WATCHES
                ),
                "toono, 150 of one client": await measure(
                    stage, own, direct=False, upstream=WATCHES
                ),
                "toono, 3 of 50 clients": await measure(
                    stage, shared, direct=False, upstream=len(SHARED)
                ),
            }
        finally:
            stage.close()
    for name, row in rows.items():
        row["ms of the server's CPU"] -= start
        told = ", ".join(f"{what} {value:,.1f}" for what, value in row.items())
        print(f"{name}: {told}")
    floor = rows["one connection, as HTTP/2 at least"]["ms of the server's CPU"]
    for name in list(rows)[2:]:
        cost = rows[name]["ms of the server's CPU"]
        holds = "holds" if cost <= floor else "MISSED"
        print(f"{name}: no worse than one HTTP/2 connection: {holds}")


if __name__ == "__main__":
    uvloop.run(main())
