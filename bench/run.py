# SPDX-License-Identifier: Apache-2.0
"""The speed table: each row of the design's goals, as ratios within this one run.

make bench            prints the table and writes bench/results/speed.md
"""

import asyncio
import os
import platform
import subprocess
import tempfile
import time
from pathlib import Path

import uvloop

from bench.stage import Child, Stage, cpu_seconds, load, resident_mb

GET = "/api/v1/namespaces/default/pods/web-0"
LIST = "/api/v1/pods?fieldSelector=spec.nodeName%3Dedge-1"
REQUESTS = 12_000
RESULTS = Path(__file__).parent / "results"
Row = tuple[str, str, str, str]


async def rate(child: Child, port: int, target: str, agent: str, count: int) -> float:
    """Return requests a CPU-second of `child`, after a warm-up."""
    await load(port, target, agent, min(count, 1000))
    before = cpu_seconds(child.pid)
    errors = await load(port, target, agent, count)
    if errors:
        raise RuntimeError(f"{errors} of {count} answers were errors")
    return count / (cpu_seconds(child.pid) - before)


async def until_online(port: int) -> None:
    """Wait until the hub passes requests on."""
    while await load(port, "/readyz", "bench/1", 1, links=1):
        await asyncio.sleep(0.05)


async def list_seconds(port: int, count: int) -> float:
    """Return the best client-side time of one list."""
    best = 1e9
    for _ in range(count):
        start = time.perf_counter()
        await load(port, LIST, "kubelet/v1", 1, links=1)
        best = min(best, time.perf_counter() - start)
    return best


async def watch_cost(stage: Stage, hub: Child, watchers: int, events: int) -> float:
    """Return CPU milliseconds of the hub for an event to a watcher."""
    target = LIST + "&watch=true&resourceVersion=5000"
    streams = []
    for _ in range(watchers):
        reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
        writer.write(
            f"GET {target} HTTP/1.1\r\nHost: a\r\nUser-Agent: kubelet/v1\r\n"
            "Accept: application/json\r\n\r\n".encode()
        )
        await reader.readuntil(b"\r\n\r\n")
        streams.append((reader, writer))
    before = cpu_seconds(hub.pid)

    async def drain(reader: asyncio.StreamReader) -> None:
        seen = 0
        while seen < events:
            seen += (await reader.read(1 << 20)).count(b'"type":"MODIFIED"')

    await asyncio.gather(*[drain(reader) for reader, _ in streams])
    spent = cpu_seconds(hub.pid) - before
    for _, writer in streams:
        writer.close()
    return spent * 1000 / (watchers * events)


async def measure(stage: Stage) -> list[Row]:
    """Run every row."""
    floor = stage.start_floor()
    hub = stage.start_hub()
    await until_online(hub.port)
    floor_rate = await rate(floor, floor.port, GET, "bench/1", REQUESTS)
    passed = await rate(hub, hub.port, GET, "bench/1", REQUESTS)
    floor_again = await rate(floor, floor.port, GET, "bench/1", REQUESTS)
    floor_rate = (floor_rate + floor_again) / 2
    cached = await rate(hub, hub.port, GET, "kubelet/v1", REQUESTS)
    rows: list[Row] = [
        (
            "floor: bare relay, GET over TLS upstream",
            f"{floor_rate:,.0f} /CPU-s",
            "",
            "",
        ),
        versus("GET passed through", passed, floor_rate, 0.70),
        versus("GET passed through and cached", cached, floor_rate, 0.55),
    ]
    through_floor = await list_seconds(floor.port, 15)
    before = cpu_seconds(hub.pid)
    recorded = await list_seconds(hub.port, 15)
    list_cpu = (cpu_seconds(hub.pid) - before) * 1000 / 15
    rows.append(
        (
            "LIST of 1,000 (3.2 MB) online, recorded: client side against the floor",
            f"{recorded / through_floor:.2f} x",
            "<= 1.10 x direct",
            f"{list_cpu:.1f} ms CPU each",
        )
    )
    cost = await watch_cost(stage, hub, watchers=10, events=300)
    rows.append(
        (
            "WATCH recorded and forwarded, 10 watchers at 100 events/s",
            f"{cost:.3f} ms CPU an event a watcher",
            "<= 0.25",
            good(cost <= 0.25),
        )
    )
    memory = resident_mb(hub.pid)
    rows.append(
        ("memory, 1,000 pods cached", f"{memory:.0f} MB", "<= 60", good(memory <= 60))
    )
    stage.origin.stop()
    await asyncio.sleep(1)
    offline = await rate(hub, hub.port, GET, "kubelet/v1", REQUESTS)
    rows.append(versus("GET offline, hot", offline, floor_rate, 1.4))
    before = cpu_seconds(hub.pid)
    await load(hub.port, LIST, "kubelet/v1", 20, links=1)
    each = (cpu_seconds(hub.pid) - before) * 1000 / 20
    rows.append(
        ("LIST of 1,000 pods offline", f"{each:.1f} ms CPU", "<= 15", good(each <= 15))
    )
    hub.stop()
    start = time.perf_counter()
    hub = stage.start_hub()
    await load(hub.port, LIST, "kubelet/v1", 1, links=1)
    cold = time.perf_counter() - start
    rows.append(
        (
            "process start to the first answer, offline, 1,000 objects",
            f"{cold:.2f} s",
            "<= 1 (10,000)",
            good(cold <= 1),
        )
    )
    return rows


def versus(what: str, got: float, floor: float, least: float) -> Row:
    """Return a row that compares a rate with the floor's."""
    ratio = got / floor
    return (
        what,
        f"{ratio:.2f} of the floor ({got:,.0f} /CPU-s)",
        f">= {least:.2f}",
        good(ratio >= least),
    )


def good(holds: bool) -> str:
    return "holds" if holds else "MISSED"


def table(rows: list[Row]) -> str:
    """Return the table as Markdown, with machine and commit."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    lines = [
        "# Speed",
        "",
        f"`make bench`, {time.strftime('%Y-%m-%d', time.gmtime())}, commit {commit},"
        f" Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}.",
        "Ratios are within this one run.",
        "",
        "| Work | Measured | Goal | |",
        "|---|---|---|---|",
    ]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines) + "\n"


async def main() -> None:
    with tempfile.TemporaryDirectory(prefix="toono-bench-") as directory:
        stage = Stage(Path(directory))
        try:
            rows = await measure(stage)
        finally:
            stage.close()
    text = table(rows)
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "speed.md").write_text(text)


if __name__ == "__main__":
    uvloop.run(main())
