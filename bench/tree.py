# SPDX-License-Identifier: Apache-2.0
"""What the copy in YurtHub's layout costs, and that nobody who asks pays for it.

python -m bench.tree     prints a table

1,000 pods of 4 KiB in protobuf over a real store. Beside each pass a task on the loop
wants to run every millisecond; how late it was is what any answer would have been. Its
own CPU, as it is where nothing else runs, is taken off.
"""

import asyncio
import os
import statistics
import tempfile
import time
from pathlib import Path

from bench.stage import written_bytes
from toono.cache.policy import Policy
from toono.cache.record import Recorder
from toono.cache.scopes import Scopes
from toono.cache.tree import read_tree
from toono.cache.tree_write import PAUSE_SECONDS, TreeWriter
from toono.codec.base import Page
from toono.codec.protobuf import ProtobufCodec
from toono.codec.transcode import to_protobuf
from toono.kube.request import Caller, parse
from toono.runtime.clock import SystemClock
from toono.store.sqlite import open_store

PODS = 1000
TARGET = b"/api/v1/pods?fieldSelector=spec.nodeName%3Dedge-1"
PROTOBUF = b"application/vnd.kubernetes.protobuf"
POD = (
    '{"metadata":{"name":"pod-%d","namespace":"default","uid":"uid-%d","resourceVersion"'
    ':"%d","annotations":{"filler":"%s"}},"spec":{"nodeName":"edge-1","containers":['
    '{"name":"c","image":"registry/app:1","resources":{"limits":{"cpu":"1"}}}]},'
    '"status":{"phase":"Running"}}'
)
CALLER = Caller(connection=1, local=("127.0.0.1", 1), remote=("127.0.0.1", 2))


class World:
    """The pods of one node; a list of them in protobuf."""

    def __init__(self) -> None:
        self.versions = [1] * PODS
        self.version = 1

    def change(self, count: int) -> bytes:
        """Change so many pods and return the list after that."""
        self.version += 1
        self.versions[:count] = [self.version] * count
        return pod_list(self.version, self.versions)


def pod_list(version: int, versions: list[int]) -> bytes:
    items = [
        to_protobuf(
            (POD % (number, number, at, "x" * 3700)).encode(),
            kind="Pod",
            api_version="v1",
        )
        for number, at in enumerate(versions)
    ]
    pieces = ProtobufCodec().join_list(
        kind="PodList",
        api_version="v1",
        style="typed",
        page=Page(str(version)),
        items=items,
    )
    return b"".join(pieces)


async def lateness(until: asyncio.Task[None] | asyncio.Future[None]) -> list[float]:
    """Return how late a task that wants to run each millisecond was, in ms."""
    late = []
    while not until.done():
        wanted = time.perf_counter() + 0.001
        await asyncio.sleep(0.001)
        late.append((time.perf_counter() - wanted) * 1000)
    return late


def told(
    name: str, late: list[float], cpu: float, seconds: float, written: int = 0
) -> str:
    late.sort()
    middle, high = statistics.median(late), late[int(len(late) * 0.99)]
    return (
        f"| {name} | {cpu * 1000:.0f} ms | {seconds:.1f} s | {written // 1024} KiB"
        f" | {middle:.2f} | {high:.2f} | {late[-1]:.1f} |"
    )


async def main() -> None:
    print(
        "| | CPU | took | written | late p50 | p99 | max, ms |\n|---|---|---|---|---|---|---|"
    )
    with tempfile.TemporaryDirectory(dir=Path.home()) as directory:
        path = Path(directory)
        store = await open_store(path / "_internal" / "toono", clock=SystemClock())
        scopes = Scopes(store, clock=SystemClock())
        await scopes.open()
        recorder = Recorder(scopes, Policy.of("*"))
        writer = TreeWriter(scopes, path, clock=SystemClock())
        world = World()
        rest = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(3, rest.set_result, None)
        used = time.process_time()
        late = await lateness(rest)
        idle = (time.process_time() - used) / 3
        print(told("nothing", late, 0.0, 3.0))
        for name, changed, pause in (
            ("first pass, 1,000 pods, with rests", PODS, PAUSE_SECONDS),
            ("100 changed, with rests", 100, PAUSE_SECONDS),
            ("1,000 changed, at the end", PODS, 0.0),
            ("none changed", 0, PAUSE_SECONDS),
        ):
            await list_again(recorder, world, changed)
            wrote = written_bytes(os.getpid())
            begun, used = time.perf_counter(), time.process_time()
            task = asyncio.ensure_future(writer.bring_up_to_date(pause=pause))
            late = await lateness(task)
            await task
            took = time.perf_counter() - begun
            spent = time.process_time() - used - idle * took
            wrote = written_bytes(os.getpid()) - wrote
            print(told(name, late, spent, took, wrote))
        await writer.aclose()
        await scopes.aclose()
        await store.aclose()
        begun = time.perf_counter()
        objects = sum(len(one.singles) for one in read_tree(path))
        print(f"\nread in: {objects} objects, {time.perf_counter() - begun:.2f} s")
        own = path / "_internal" / "toono" / "scopes.json"
        print(f"manifest: {own.stat().st_size} bytes")


async def list_again(recorder: Recorder, world: World, changed: int) -> None:
    fields = {b"user-agent": b"kubelet/v1", b"accept": PROTOBUF}
    recording = await recorder.begin(parse("GET", TARGET, fields, CALLER))
    assert recording is not None
    body = await asyncio.to_thread(world.change, changed)
    kept = await recording.finish(200, {b"content-type": PROTOBUF}, body)
    if kept is not None:
        await kept
    await asyncio.sleep(1)


if __name__ == "__main__":
    asyncio.run(main())
