# SPDX-License-Identifier: Apache-2.0
"""kill -9 of a real hub under load: what clients saw is there after the restart.

Eight clients watch through the hub while objects are created, changed and deleted;
the hub is killed at a random moment, the cloud goes away, the hub starts again. Its
list must be exactly what the cloud held at the version it names, and that version not
older than anything shown 5 ms before the kill. What the machine itself took away in
that time is allowed for: a process beside the hub, which only writes a little to the
same disk every millisecond, notes how late it was, and the kernel tells how long the
hub's threads were ready to run and had no processor. TOONO_KILLS sets how many cycles
(`make prove`: 100).
"""

import asyncio
import contextlib
import itertools
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest

from toono.testing import APIServer
from toono.testing.certificates import Authority
from toono.wire.tls import ServerFiles, make_context

KILLS = int(os.environ.get("TOONO_KILLS", "4"))
CLIENTS = 8
PROBE = """
import os, sys, time
file = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
while True:
    start = time.monotonic()
    time.sleep(0.001)
    os.write(file, bytes(64))
    late = time.monotonic() - start - 0.001
    if late > 0.001:
        print(start, late, flush=True)
"""
LOOK_BACK_SECONDS = 0.25
"""Longer than any stall that was seen; a sum over it is what the machine took."""
SURVIVES_SECONDS = 0.005
PODS = "/api/v1/namespaces/default/pods"


class Rig:
    """A server here, a hub in a process of its own, clients, and what they saw."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.directory = directory
        self.rng = random.Random(seed)
        self.authority = Authority(directory / "pki")
        self.server = APIServer()
        self.seen: list[tuple[float, int]] = []
        self.port = 0
        self.child: asyncio.subprocess.Process | None = None
        self.stalls: list[tuple[float, float]] = []
        self.waits: list[tuple[float, dict[str, float]]] = []

    async def note_stalls(self) -> None:
        """Run the probe until cancelled."""
        probe = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", PROBE, str(self.directory / "probe")),
            stdout=asyncio.subprocess.PIPE,
        )
        assert probe.stdout is not None
        try:
            async for line in probe.stdout:
                start, late = line.split()
                self.stalls.append((float(start), float(late)))
        finally:
            probe.kill()
            await probe.wait()

    async def note_waits(self) -> None:
        """Note how long the hub has waited for a processor, until cancelled."""
        assert self.child is not None
        while True:
            self.waits.append((time.monotonic(), waited(self.child.pid)))
            await asyncio.sleep(0.01)

    def taken_away(self, moment: float) -> float:
        """Seconds that the machine was late in the time before `moment`."""
        since = moment - LOOK_BACK_SECONDS
        late = sum(
            late for at, late in self.stalls if since < at + late and at < moment
        )
        waits = [wait for at, wait in self.waits if at > since]
        return late + sum(
            seconds - earlier.get(thread, 0.0)
            for earlier, later in itertools.pairwise(waits)
            for thread, seconds in later.items()
        )

    async def start_server(self) -> None:
        pair = self.authority.server("127.0.0.1")
        files = ServerFiles(certificate=pair.certificate, key=pair.key)
        port = self.server.address[1]
        await self.server.start(port=port, tls=make_context(files))

    async def start_hub(self) -> None:
        node = self.authority.node("edge-1")
        self.child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "toono.cli", "run"),
            f"--server-addr={self.server.url}",
            f"--ca-file={self.authority.file}",
            f"--client-cert-file={node.certificate}",
            f"--client-key-file={node.key}",
            "--node-name=edge-1",
            f"--disk-cache-path={self.directory / 'cache'}",
            *(f"--proxy-port={self.port}", "--serve-port=0"),
            "--enable-dummy-if=false",
            *(f"--node-uids={os.getuid()}", "--log-level=error"),
            stderr=asyncio.subprocess.PIPE,
        )
        assert self.child.stderr is not None
        async with asyncio.timeout(20):
            while b"serving on" not in (line := await self.child.stderr.readline()):
                assert line, "the hub did not start"
        self.port = int(line.rsplit(b":", 1)[1])

    async def get(self, target: str) -> tuple[int, bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request(target, close=True))
        answer = await reader.read()
        writer.close()
        head, _, content = answer.partition(b"\r\n\r\n")
        return int(head.split(b" ", 2)[1]), content

    async def until_listed(self) -> str:
        async with asyncio.timeout(20):
            while True:
                status, content = await self.get(PODS)
                if status == 200:
                    return json.loads(content)["metadata"]["resourceVersion"]
                await asyncio.sleep(0.02)

    async def change_often(self) -> None:
        """At least 50 changes a second: half of them to a few names."""
        while True:
            name = f"p{self.rng.randrange(20)}"
            now = self.server.storage.collection("pods").now
            old = now.get(("default", name))
            if old is None:
                content = {"metadata": {"name": name}, "spec": {"nodeName": "edge-1"}}
                self.server.create("pods", content, namespace="default")
            elif self.rng.random() < 0.4:
                self.server.delete("pods", name, namespace="default")
            else:
                mark = str(self.rng.random())
                meta = {**old.object["metadata"], "labels": {"mark": mark}}
                self.server.update(
                    "pods", {**old.object, "metadata": meta}, namespace="default"
                )
            await asyncio.sleep(0.005)

    async def watch(self, version: str) -> None:
        """Note the version of each event as it is shown."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        target = f"{PODS}?watch=true&resourceVersion={version}"
        writer.write(request(target, close=False))
        try:
            await reader.readuntil(b"\r\n\r\n")
            while line := await reader.readline():
                if line.startswith(b'{"type"'):
                    meta = json.loads(line)["object"]["metadata"]
                    now = asyncio.get_running_loop().time()
                    self.seen.append((now, int(meta["resourceVersion"])))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    def truth(self, version: int) -> dict[str, str]:
        state = self.server.storage.collection("pods").at(version)
        return {key[1]: str(one.version) for key, one in state.items()}


def waited(pid: int) -> dict[str, float]:
    """Return the seconds that each thread of a process was ready to run and did not."""
    found: dict[str, float] = {}
    for file in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with contextlib.suppress(OSError):  # that thread has just ended
            found[file.parent.name] = int(file.read_text().split()[1]) / 1e9
    return found


def request(target: str, *, close: bool) -> bytes:
    ending = "Connection: close\r\n" if close else ""
    return (
        f"GET {target} HTTP/1.1\r\nHost: a\r\nUser-Agent: kubelet/v1\r\n"
        f"Accept: application/json\r\n{ending}\r\n"
    ).encode()


async def one_cycle(rig: Rig) -> None:
    await rig.start_server()
    await rig.start_hub()
    assert rig.child is not None
    version = await rig.until_listed()
    changing = asyncio.ensure_future(rig.change_often())
    watching = [asyncio.ensure_future(rig.watch(version)) for _ in range(CLIENTS)]
    async with asyncio.timeout(20):
        while not rig.seen:
            await asyncio.sleep(0.002)
    rig.waits.clear()
    noting = asyncio.ensure_future(rig.note_waits())
    await asyncio.sleep(rig.rng.uniform(0.05, 0.5))
    killed_at = await killed(rig)
    noting.cancel()
    changing.cancel()
    await asyncio.gather(changing, *watching, return_exceptions=True)
    await rig.server.aclose()
    await what_was_shown_is_there(rig, killed_at)


async def killed(rig: Rig) -> float:
    """Kill the hub; return when."""
    assert rig.child is not None
    rig.waits.append((time.monotonic(), waited(rig.child.pid)))
    killed_at = asyncio.get_running_loop().time()
    rig.child.send_signal(signal.SIGKILL)
    await rig.child.wait()
    return killed_at


async def what_was_shown_is_there(rig: Rig, killed_at: float) -> None:
    """Start the hub again, cut off, and compare its list."""
    await rig.start_hub()
    assert rig.child is not None
    status, content = await rig.get(PODS)
    assert status == 200, content
    listed = json.loads(content)
    held = int(listed["metadata"]["resourceVersion"])
    assert rig.seen, "no client saw anything: the run proves nothing"
    older = [killed_at - at for at, version in rig.seen if version > held]
    allowed = SURVIVES_SECONDS + rig.taken_away(killed_at)
    assert max(older, default=0) <= allowed
    names = {
        item["metadata"]["name"]: item["metadata"]["resourceVersion"]
        for item in listed["items"]
    }
    assert names == rig.truth(held)
    rig.seen.clear()
    rig.child.terminate()
    await rig.child.wait()


async def one_cycle_of_large_lists(rig: Rig) -> None:
    """List, change a few objects or most, list again, and kill soon after its end."""
    await rig.start_server()
    await rig.start_hub()
    await rig.until_listed()
    rig.waits.clear()
    noting = asyncio.ensure_future(rig.note_waits())
    for number in range(rig.rng.choice([1, 20, LARGE])):
        fill(rig, number)
    status, content = await rig.get(PODS)
    shown_at = asyncio.get_running_loop().time()
    assert status == 200
    assert len(content) > LARGE * FILLING
    version = int(json.loads(content)["metadata"]["resourceVersion"])
    rig.seen.append((shown_at, version))
    await asyncio.sleep(rig.rng.uniform(0.0, 0.02))
    killed_at = await killed(rig)
    noting.cancel()
    await rig.server.aclose()
    await what_was_shown_is_there(rig, killed_at)


def fill(rig: Rig, number: int) -> None:
    """Make a large pod, or change it."""
    name = f"large-{number}"
    meta = {"name": name, "annotations": {"x": f"{rig.rng.random()}" + "x" * FILLING}}
    content = {"metadata": meta, "spec": {"nodeName": "edge-1"}}
    known = rig.server.storage.collection("pods").now
    if ("default", name) in known:
        meta["namespace"] = "default"
        rig.server.update("pods", content, namespace="default")
    else:
        rig.server.create("pods", content, namespace="default")


LARGE, FILLING = 300, 5000
"""Objects and bytes: a list of 1.5 MB, written in pieces where most of it is new."""


@pytest.mark.parametrize("cycle", [one_cycle, one_cycle_of_large_lists])
def test_what_was_shown_survives_kill_9(tmp_path, cycle) -> None:
    async def scenario() -> None:
        rig = Rig(tmp_path, seed=int(os.environ.get("TOONO_SEED", "7")))
        if cycle is one_cycle_of_large_lists:
            for number in range(LARGE):
                fill(rig, number)
        noting = asyncio.ensure_future(rig.note_stalls())
        try:
            for _ in range(KILLS):
                await cycle(rig)
        finally:
            noting.cancel()
            await asyncio.wait((noting,))
            if rig.child is not None and rig.child.returncode is None:
                rig.child.kill()
                await rig.child.wait()

    asyncio.run(scenario())
