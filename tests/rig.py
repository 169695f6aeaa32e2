# SPDX-License-Identifier: Apache-2.0
"""A hub over real sockets, and what tests ask of it."""

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from toono.app import Hub, HubSettings
from toono.testing.replay import Recorded, body_of, read_exchange
from toono.upstream.health import HealthSettings

SHARED = Path(__file__).parent / "data"
WIRE = SHARED / "wire"
QUICK = HealthSettings(down_interval=0.05, up_after=1)


def recordings(folder: str) -> list[Recorded]:
    """Return the recorded exchanges of a folder of the wire recordings."""
    if not WIRE.is_dir():
        pytest.fail(f"the recordings are not there: {WIRE}")
    return [
        one
        for path in sorted((WIRE / folder).glob("*.request"))
        for one in read_exchange(path)
    ]


def in_order(mode: str) -> list[Recorded]:
    """Return a recorded kubelet's exchanges in the order of time, by their log."""
    folder = WIRE / "kubelet" / mode
    links = {path.stem: read_exchange(path) for path in folder.glob("*.request")}
    found = []
    for line in (WIRE / "kubelet" / f"{mode}.log").read_text().splitlines():
        number = line.split("conn ", 1)[1].split()[0]
        if links.get(number):
            found.append(links[number].pop(0))
    return found


@asynccontextmanager
async def hub_over(addresses, directory: Path, *, clock=None, owner=None, **settings):
    """Run a hub over plain HTTP servers, on a free port, until the block ends."""
    defaults = {
        "tls": None,
        "node_name": "edge-1",
        "listen": (("127.0.0.1", 0),),
        "status_listen": None,
        "health": QUICK,
    }
    chosen = HubSettings(
        servers=tuple(addresses),
        cache_path=directory,
        **(defaults | settings),
    )
    async with Hub(chosen, clock=clock, owner=owner) as hub:
        yield hub


async def until(fact, seconds: float = 60.0) -> None:
    """Wait until `fact()` holds; each look is a turn of the loop."""
    async with asyncio.timeout(seconds):
        while not fact():
            await asyncio.sleep(0.002)


async def ask(hub: Hub, request: bytes, seconds: float = 60.0) -> bytes:
    """Send raw bytes to the hub, return the raw answer until the connection ends."""
    reader, writer = await asyncio.open_connection(*hub.addresses[0])
    try:
        writer.write(request)
        async with asyncio.timeout(seconds):
            return await reader.read()
    finally:
        writer.close()


async def begin(hub: Hub, request: bytes) -> tuple:
    """Send raw bytes, return the streams for a test that reads step by step."""
    reader, writer = await asyncio.open_connection(*hub.addresses[0])
    writer.write(request)
    return reader, writer


def get(target: str, *, agent: str = "kubelet/v1.34.0", accept: str = "") -> bytes:
    """Return a GET that closes its connection."""
    lines = [
        f"GET {target} HTTP/1.1",
        "Host: hub",
        f"User-Agent: {agent}",
        f"Accept: {accept or 'application/json'}",
        "Connection: close",
        "\r\n",
    ]
    return "\r\n".join(lines).encode()


def status_of(answer: bytes) -> int:
    """Return the status code of a raw answer."""
    return int(answer.split(b" ", 2)[1])


def headers_of(answer: bytes) -> list[tuple[str, str]]:
    """Return the header lines of a raw answer."""
    head = answer.partition(b"\r\n\r\n")[0].decode("latin-1")
    lines = (line.partition(":") for line in head.split("\r\n")[1:])
    return [(name, value.strip()) for name, _, value in lines]


def body(answer: bytes) -> bytes:
    """Return the body of a raw answer, without chunks."""
    return body_of(answer)[0]
