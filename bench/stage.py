# SPDX-License-Identifier: Apache-2.0
"""The processes of a bench: an API server, the floor, a hub; and a load that counts.

Figures are CPU seconds of one process for a counted piece of work, read from
/proc/PID/stat, so that noise of the machine weighs little; ratios are within one run.
"""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from toono.testing.certificates import Authority

TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Return the user and system time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def resident_mb(pid: int) -> float:
    """Return a process's resident memory in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


class Child:
    """A process that says on a line where it listens."""

    def __init__(self, *arguments: str, stream: str = "stdout", mark: str = "") -> None:
        pipes = {stream: subprocess.PIPE}
        self.process = subprocess.Popen(
            [sys.executable, *arguments], text=True, stdin=subprocess.PIPE, **pipes
        )
        out = self.process.stdout if stream == "stdout" else self.process.stderr
        assert out is not None
        self.out = out
        for line in out:
            if mark in line:
                self.port = int(line.strip().rpartition(":")[2])
                return
            print(line, end="", file=sys.stderr)
        raise RuntimeError(f"{arguments} did not start")

    @property
    def pid(self) -> int:
        return self.process.pid

    def stop(self) -> None:
        """End the process."""
        self.process.terminate()
        self.process.wait(20)
        self.out.close()
        if self.process.stdin:
            self.process.stdin.close()


class Stage:
    """One of each."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.authority = Authority(directory / "pki")
        pair = self.authority.server("127.0.0.1", "localhost")
        self.origin_arguments = (
            *("-m", "bench.origin", str(pair.certificate), str(pair.key)),
        )
        self.origin = Child(*self.origin_arguments)
        self.origin_port = self.origin.port
        self.floor: Child | None = None
        self.hub: Child | None = None

    def start_floor(self) -> Child:
        """Start the bare relay."""
        upstream = f"127.0.0.1:{self.origin_port}"
        ca = str(self.authority.file)
        self.floor = Child("-m", "bench.floor", "--upstream", upstream, "--ca", ca)
        return self.floor

    def start_hub(self, *more: str) -> Child:
        """Start `toono run`."""
        node = self.authority.node("edge-1")
        self.hub = Child(
            *("-m", "toono.cli", "run", f"--server-addr=127.0.0.1:{self.origin_port}"),
            f"--ca-file={self.authority.file}",
            f"--client-cert-file={node.certificate}",
            f"--client-key-file={node.key}",
            f"--disk-cache-path={self.directory / 'cache'}",
            *("--proxy-port=0", "--serve-port=0", f"--node-uids={os.getuid()}"),
            *("--node-name=edge-1", "--log-level=error", *more),
            stream="stderr",
            mark="serving on",
        )
        return self.hub

    def close(self) -> None:
        """End everything."""
        for child in (self.hub, self.floor, self.origin):
            if child is not None and child.process.poll() is None:
                child.stop()


class Load(asyncio.Protocol):
    """One keep-alive connection that asks the same thing again and again."""

    def __init__(self, request: bytes, counter: "Counter") -> None:
        self.request = request
        self.counter = counter
        self.need = -1
        self.have = 0
        self.head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        if self.counter.take():
            self.transport.write(self.request)  # type: ignore[attr-defined]
        else:
            self.transport.close()

    def data_received(self, piece: bytes) -> None:
        if self.need < 0:
            self.head += piece
            end = self.head.find(b"\r\n\r\n")
            if end < 0:
                return
            lower = self.head[:end].lower()
            if b" 200 " not in self.head[:16]:
                self.counter.errors += 1
            at = lower.index(b"content-length:") + 15
            self.need = int(lower[at:].split(b"\r\n", 1)[0])
            self.have = len(self.head) - end - 4
        else:
            self.have += len(piece)
        if self.have >= self.need:
            self.need, self.have, self.head = -1, 0, b""
            self.ask()

    def connection_lost(self, exc: Exception | None) -> None:
        self.counter.leave()


class Counter:
    """How many requests are left, and who still works."""

    def __init__(self, requests: int, connections: int) -> None:
        self.left = requests
        self.working = connections
        self.errors = 0
        self.done = asyncio.Event()

    def take(self) -> bool:
        self.left -= 1
        return self.left >= 0

    def leave(self) -> None:
        self.working -= 1
        if self.working == 0:
            self.done.set()


def request(target: str, agent: str) -> bytes:
    """Return a keep-alive GET."""
    return (
        f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: {agent}\r\n"
        "Accept: application/json\r\nAccept-Encoding: identity\r\n\r\n"
    ).encode()


async def load(port: int, target: str, agent: str, count: int, links: int = 8) -> int:
    """Ask `count` times over `links` connections; return the errors."""
    counter = Counter(count, links)
    loop = asyncio.get_running_loop()
    for _ in range(links):
        await loop.create_connection(
            lambda: Load(request(target, agent), counter), "127.0.0.1", port
        )
    await counter.done.wait()
    return counter.errors
