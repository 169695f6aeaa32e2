# SPDX-License-Identifier: Apache-2.0
"""The processes of a bench: an API server, the floor, a hub.

Figures are CPU seconds of a process tree for a counted piece of work, read from
/proc/PID/stat, so that noise of the machine weighs little; ratios are within one run.
"""

import os
import ssl
import subprocess
import sys
from pathlib import Path

import toono
from toono.testing.certificates import Authority, Pair


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process and its children have used, to the nanosecond.

    Of the threads that live: all that matter here do, and the kernel's other count goes
    by hundredths of a second, a tenth of what one round takes.
    """
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    own = sum(int(file.read_text().split()[0]) for file in tasks) / 1e9
    return own + sum(map(cpu_seconds, children(pid)))


def children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(one) for file in tasks for one in file.read_text().split()]


def written_bytes(pid: int) -> int:
    """Return how much a process has had written to disks."""
    for line in Path(f"/proc/{pid}/io").read_text().splitlines():
        if line.startswith("write_bytes"):
            return int(line.split()[1])
    return 0


def resident_mb(pid: int) -> float:
    """Return a process's resident memory in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def compile_sources() -> None:
    """Have bytecode of toono, as every installation by pip has it.

    Without it a hub that starts compiles 350 modules first, where the environment
    forbids to write what it compiled (PYTHONDONTWRITEBYTECODE, as images set it).
    """
    source = str(Path(toono.__file__).parent)
    command = [sys.executable, "-m", "compileall", "-q", source]
    subprocess.run(command, check=True)


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


def hub_arguments(
    server: str, authority: Authority, node: Pair, cache: Path
) -> tuple[str, ...]:
    """Return the command line of `toono run` as the node edge-1, on free ports."""
    return (
        *("-m", "toono.cli", "run", f"--server-addr={server}"),
        f"--ca-file={authority.file}",
        f"--client-cert-file={node.certificate}",
        f"--client-key-file={node.key}",
        f"--disk-cache-path={cache}",
        "--enable-dummy-if=false",
        *("--proxy-port=0", "--serve-port=0", f"--node-uids={os.getuid()}"),
        *("--node-name=edge-1", "--log-level=error"),
    )


class Stage:
    """One of each."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(exist_ok=True)
        compile_sources()
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

    def client_context(self) -> ssl.SSLContext:
        """Return the context of a client that asks the server directly."""
        return ssl.create_default_context(cafile=str(self.authority.file))

    def start_hub(self, *more: str) -> Child:
        """Start `toono run`."""
        self.hub = Child(
            *hub_arguments(
                f"127.0.0.1:{self.origin_port}",
                self.authority,
                self.authority.node("edge-1"),
                self.directory / "cache",
            ),
            *more,
            stream="stderr",
            mark="serving on",
        )
        return self.hub

    def close(self) -> None:
        """End everything."""
        for child in (self.hub, self.floor, self.origin):
            if child is not None and child.process.poll() is None:
                child.stop()
