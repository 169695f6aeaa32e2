# SPDX-License-Identifier: Apache-2.0
"""The speed table: each row of the design's goals, as ratios within this one run.

make bench                    prints the table and writes bench/results/speed.md
python -m bench.run listing   prints that row alone, and writes nothing

Beside toono stand the floor (bench/floor.py), HAProxy and nginx where they are
installed, and YurtHub where TOONO_YURTHUB names it (scripts/build_yurthub.sh).
"""

import asyncio
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from bench.load import load, request
from bench.peers import YurtHub, start_yurthub, yurthub_program
from bench.real_lists import measure as measure_lists
from bench.relays import Relay, start_relays
from bench.shared import WATCHERS as SHARED_WATCHERS
from bench.shared import measure as measure_shared
from bench.shared import raise_limits
from bench.stage import Child, Stage, cpu_seconds, resident_mb, written_bytes

GET = "/api/v1/namespaces/default/pods/web-0"
LIST = "/api/v1/pods?fieldSelector=spec.nodeName%3Dedge-1"
KUBELET = "kubelet/v1.34.0"
STRANGER = "bench/1"
REQUESTS = 4_000
ROUNDS = 10
"""Of those that are compared; they take turns."""
WATCHERS = 10
EVENTS = 300
RELISTS = 10
RESULTS = Path(__file__).parent / "results"
Process = Child | Relay | YurtHub


@dataclass(slots=True)
class Table:
    """Rows of what was measured, one column for each contestant."""

    names: list[str]
    rows: list[tuple[str, dict[str, str], str, str]] = field(default_factory=list)

    def add(
        self, work: str, cells: dict[str, str], goal: str = "", verdict: str = ""
    ) -> None:
        self.rows.append((work, cells, goal, verdict))
        told = ", ".join(f"{name} {cell}" for name, cell in cells.items())
        print(f"{work}: {told} {verdict}", flush=True)

    def markdown(self) -> str:
        lines = [
            f"| Work | {' | '.join(self.names)} | Goal | |",
            "|---" * (len(self.names) + 3) + "|",
        ]
        for work, cells, goal, verdict in self.rows:
            values = " | ".join(cells.get(name, "") for name in self.names)
            lines.append(f"| {work} | {values} | {goal} | {verdict} |")
        return "\n".join(lines) + "\n"


@dataclass(slots=True)
class Bench:
    """One run: its processes and its table."""

    stage: Stage
    peers: dict[str, Process]
    table: Table
    rates: dict[str, float] = field(default_factory=dict)

    @property
    def hub(self) -> Child:
        hub = self.peers["toono"]
        assert isinstance(hub, Child)
        return hub

    @property
    def caches(self) -> dict[str, Process]:
        """Return the contestants that remember."""
        return {n: p for n, p in self.peers.items() if n in ("toono", "YurtHub")}


async def rate(process: Process, target: str, agent: str, count: int) -> float:
    """Return requests a CPU-second, after a warm-up; 0 where answers were errors."""
    await load(process.port, target, agent, min(count, 1000))
    before = cpu_seconds(process.pid)
    found = await load(process.port, target, agent, count)
    spent = cpu_seconds(process.pid) - before
    return 0.0 if found.errors else count / max(spent, 0.01)


async def until_answers(port: int, target: str, *, patience: float = 60.0) -> float:
    """Return the seconds until `target` is answered with 200."""
    started = time.perf_counter()
    while time.perf_counter() - started < patience:
        try:
            if not (await load(port, target, KUBELET, 1, links=1)).errors:
                return time.perf_counter() - started
        except (ConnectionError, OSError):
            pass
        await asyncio.sleep(0.02)
    return float("inf")


# -- rows ---------------------------------------------------------------------------


async def passing(bench: Bench) -> None:
    """GET: passed on, and passed on and kept."""
    for turn in range(ROUNDS):
        for name, process in bench.peers.items():
            if turn < 2 or name in ("floor", "toono"):
                await best(bench.rates, name, process, STRANGER)
    against(bench, "GET passed through, over TLS upstream", bench.rates, 0.70)
    kept: dict[str, float] = {}
    for turn in range(ROUNDS):
        await best(bench.rates, "floor", bench.peers["floor"], STRANGER)
        for name, process in bench.caches.items():
            if turn < 2 or name == "toono":
                await best(kept, name, process, KUBELET)
    against(bench, "GET passed through and cached", kept, 0.55)


async def best(
    rates: dict[str, float], name: str, process: Process, agent: str
) -> None:
    """Measure once more, and keep the best: what a machine adds, it only takes away."""
    found = await rate(process, GET, agent, REQUESTS)
    rates[name] = max(found, rates.get(name, 0.0))


def against(bench: Bench, work: str, rates: dict[str, float], least: float) -> None:
    """Add a row of rates: the goal is a share of the floor."""
    share = rates["toono"] / bench.rates["floor"]
    bench.table.add(
        f"{work}, requests a CPU-second",
        {name: f"{found:,.0f}" for name, found in rates.items()},
        f">= {least:.2f} of the floor",
        f"{share:.2f}: {verdict(share >= least)}",
    )


async def latency(bench: Bench) -> None:
    """One client, one request after another: what the hub adds to each."""
    context = bench.stage.client_context()
    port = bench.stage.origin_port
    direct = await load(port, GET, KUBELET, 2000, links=1, tls=context)
    base = statistics.median(direct.seconds)
    cells = {"direct": f"{base * 1e3:.2f} ms"}
    added = 0.0
    for name, process in bench.peers.items():
        found = await load(process.port, GET, KUBELET, 2000, links=1)
        median = statistics.median(found.seconds)
        cells[name] = f"{median * 1e3:.2f} ms"
        added = median - base if name == "toono" else added
    bench.table.add(
        "GET passed through, p50 of one client after another",
        cells,
        "<= 0.3 ms added",
        f"{added * 1e3:.2f} ms: {verdict(added <= 0.0003)}",
    )


async def listing(bench: Bench) -> None:
    """A list of 1,000 pods (3.2 MB) online, recorded: the client's time, our CPU."""
    context = bench.stage.client_context()
    best: dict[str, float] = {}
    spent: dict[str, float] = {}
    for _ in range(12):
        for name in ("direct", *bench.peers):
            process = bench.peers.get(name)
            port = process.port if process else bench.stage.origin_port
            before = cpu_seconds(process.pid) if process else 0.0
            found = await load(
                port, LIST, KUBELET, 1, links=1, tls=None if process else context
            )
            if process:
                more = cpu_seconds(process.pid) - before
                spent[name] = spent.get(name, 0.0) + more
            best[name] = min(best.get(name, 1e9), found.seconds[0])
    factor, floor = (best[name] / best["direct"] for name in ("toono", "floor"))
    bench.table.add(
        "LIST of 1,000 pods that the server has ready: best time of the client",
        {name: f"{seconds * 1e3:.1f} ms" for name, seconds in best.items()},
        "the goal is of a real server, below",
        f"{factor:.2f} x direct; the floor {floor:.2f}",
    )
    each = {name: seconds * 1e3 / 12 for name, seconds in spent.items()}
    bench.table.add(
        "the same: CPU of the relay, each",
        {name: f"{ms:.1f} ms" for name, ms in each.items()},
        "<= 30 ms in the end",
        verdict(each["toono"] <= 30),
    )


async def listing_real(bench: Bench) -> None:
    """The same of a real kube-apiserver, asked by real clients, a pod changed each time."""
    work = "LIST of 1,000 pods of a real kube-apiserver, recorded"
    found = await measure_lists(bench.stage.directory / "lists")
    if isinstance(found, str):
        bench.table.add(work, {}, "<= 1.10 x direct", f"not measured: {found}")
        return
    for times in found:
        bench.table.add(
            f"{work}, {times.size / 1e6:.1f} MB: best and median of {times.client}",
            times.cells(),
            "<= 1.10 x direct",
            f"{times.best_factor:.2f} / {times.factor:.2f}:"
            f" {verdict(times.factor <= 1.10)}",
        )


async def watching(bench: Bench) -> None:
    """A watch with 100 events a second, recorded, to ten watchers."""
    cells = {}
    cost = 0.0
    for name, process in bench.caches.items():
        found = await watch_cost(process, WATCHERS, EVENTS)
        cells[name] = f"{found:.3f} ms"
        cost = found if name == "toono" else cost
    bench.table.add(
        "WATCH recorded and forwarded, CPU an event a watcher",
        cells,
        "<= 0.25 ms",
        verdict(cost <= 0.25),
    )


async def watch_cost(process: Process, watchers: int, events: int) -> float:
    """Return CPU milliseconds for an event to a watcher."""
    version = 5000 + int(os.environ.get("TOONO_BENCH_PODS", "1000"))
    target = f"{LIST}&watch=true&resourceVersion={version}"
    streams = []
    for _ in range(watchers):
        reader, writer = await asyncio.open_connection("127.0.0.1", process.port)
        writer.write(request(target, KUBELET))
        await reader.readuntil(b"\r\n\r\n")
        streams.append((reader, writer))
    before = cpu_seconds(process.pid)

    async def drain(reader: asyncio.StreamReader) -> None:
        seen = 0
        while seen < events:
            piece = await reader.read(1 << 20)
            if not piece:
                raise RuntimeError("a watch ended early")
            seen += piece.count(b'"type":"MODIFIED"')

    await asyncio.gather(*[drain(reader) for reader, _ in streams])
    spent = cpu_seconds(process.pid) - before
    for _, writer in streams:
        writer.close()
    return spent * 1000 / (watchers * events)


async def writing(bench: Bench) -> None:
    """What goes to the disk for a list that is as it was."""
    cells = {}
    each = 0.0
    for name, process in bench.caches.items():
        await load(process.port, LIST, KUBELET, 1, links=1)
        await asyncio.sleep(6)
        before = written_bytes(process.pid)
        await load(process.port, LIST, KUBELET, RELISTS, links=1)
        await asyncio.sleep(6)
        found = (written_bytes(process.pid) - before) / RELISTS / 1024
        cells[name] = f"{found:.0f} KiB"
        each = found if name == "toono" else each
    bench.table.add(
        "relist of 1,000 unchanged objects, written to the disk",
        cells,
        "<= 128 KiB",
        verdict(each <= 128),
    )


async def memory(bench: Bench) -> None:
    """Resident memory with the list, the watches and the GETs behind it."""
    found = {name: resident_mb(process.pid) for name, process in bench.caches.items()}
    bench.table.add(
        "memory, 1,000 pods cached",
        {name: f"{size:.0f} MB" for name, size in found.items()},
        "<= 60 MB (72 with cryptography)",
        verdict(found["toono"] <= 72),
    )


async def cut_off(bench: Bench) -> None:
    """The server dies: how soon is its answer given from the cache, at what cost."""
    bench.stage.origin.stop()
    started = time.perf_counter()
    found = {}
    for name, process in bench.caches.items():
        await until_answers(process.port, GET, patience=90)
        found[name] = time.perf_counter() - started
    bench.table.add(
        "from the server's death to its answer from the cache",
        {name: f"{seconds:.2f} s" for name, seconds in found.items()},
        "<= 4 s",
        verdict(found["toono"] <= 4),
    )
    rates = {
        name: await rate(process, GET, KUBELET, REQUESTS)
        for name, process in bench.caches.items()
    }
    against(bench, "GET offline, hot", rates, 1.4)
    each = {}
    for name, process in bench.caches.items():
        before = cpu_seconds(process.pid)
        await load(process.port, LIST, KUBELET, 20, links=1)
        each[name] = (cpu_seconds(process.pid) - before) * 1000 / 20
    bench.table.add(
        "LIST of 1,000 pods offline, CPU",
        {name: f"{ms:.1f} ms" for name, ms in each.items()},
        "<= 15 ms",
        verdict(each["toono"] <= 15),
    )


async def cold_start(directory: Path) -> tuple[float, int]:
    """Return the seconds from the process's start to the first list, offline."""
    count = 10_000
    os.environ["TOONO_BENCH_PODS"] = str(count)
    stage = Stage(directory)
    try:
        hub = stage.start_hub()
        await until_answers(hub.port, GET)
        await load(hub.port, LIST, KUBELET, 1, links=1)
        await asyncio.sleep(3)
        hub.stop()
        stage.origin.stop()
        started = time.perf_counter()
        hub = stage.start_hub()
        waited = await until_answers(hub.port, LIST)
        assert waited < 60, "the list was not remembered"
        return time.perf_counter() - started, count
    finally:
        del os.environ["TOONO_BENCH_PODS"]
        stage.close()


ROWS = (passing, latency, listing, watching, writing, memory, listing_real, cut_off)
"""In this order: each leaves the next something to remember; the last ends the cloud."""


async def sharing(table: Table, directory: Path) -> None:
    """1,000 watchers of ten shared watches, by a hub of their own (`bench.shared`)."""
    found = await measure_shared(directory, SHARED_WATCHERS)
    work = "1,000 watchers over 10 shared watches"
    heard = found["heard"] == found["expected"]
    for what, digits, most in (
        ("ms of CPU an event and watcher", 3, 0.03),
        ("p99 ms late", 1, 20.0),
        ("MB", 0, 160.0),
    ):
        value = found[what]
        table.add(
            f"{work}: {what}",
            {"toono": f"{value:.{digits}f}"},
            f"<= {most:g}",
            verdict(heard and value <= most),
        )


async def measure(directory: Path, wanted: frozenset[str]) -> Table:
    """Run every row, or those that are wanted."""
    stage = Stage(directory)
    origin = stage.origin_port
    peers: dict[str, Process] = {"floor": stage.start_floor()}
    peers |= start_relays(directory, authority=stage.authority, origin=origin)
    program = yurthub_program()
    if isinstance(program, Path):
        place = directory / "yurthub"
        (place / "cache").mkdir(parents=True)
        peers["YurtHub"] = start_yurthub(
            program,
            place,
            authority=stage.authority,
            server=("127.0.0.1", origin),
            cache=place / "cache",
        )
    else:
        print(f"without YurtHub: {program}", flush=True)
    peers["toono"] = stage.start_hub()
    bench = Bench(stage, peers, Table(["direct", *peers]))
    try:
        for name, process in peers.items():
            waited = await until_answers(process.port, GET, patience=120)
            assert waited < 120, f"{name} does not answer"
        for row in ROWS:
            if not wanted or row.__name__ in wanted:
                await row(bench)
    finally:
        for process in peers.values():
            process.stop()
        stage.hub = stage.floor = None
        stage.close()
    if not wanted or sharing.__name__ in wanted:
        await sharing(bench.table, directory / "shared")
    if wanted:
        return bench.table
    seconds, count = await cold_start(directory / "cold")
    bench.table.add(
        f"process start to the first list, offline, {count:,} objects",
        {"toono": f"{seconds:.2f} s"},
        "<= 1 s",
        verdict(seconds <= 1),
    )
    return bench.table


def verdict(holds: bool) -> str:
    return "holds" if holds else "MISSED"


def page(table: Table) -> str:
    """Return the table as a page, with machine and commit."""
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
        "All columns are of this one run; CPU is that of the whole process tree.",
        "",
        table.markdown(),
    ]
    return "\n".join(lines)


async def main() -> None:
    raise_limits()
    with tempfile.TemporaryDirectory(prefix="toono-bench-") as directory:
        wanted = frozenset(sys.argv[1:])
        table = await measure(Path(directory), wanted)
    text = page(table)
    print(text)
    if wanted:
        return
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "speed.md").write_text(text)


if __name__ == "__main__":
    uvloop.run(main())
