# SPDX-License-Identifier: Apache-2.0
"""A real etcd, started and killed by tests; `scripts/install_etcd.sh` gets it.

Where it is missing, tests that need it are skipped and say so; never in CI.
"""

import os
import re
import shutil
import signal
import subprocess
import time
import urllib.request
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from toono.store.etcd_client import Etcd
from toono.testing.real import free_port

OLDEST = (3, 5, 16)
"""Older ones lose data when they are killed."""
RAISED = ("--max-txn-ops=102400", "--max-request-bytes=100000000")
READY_SECONDS = 20.0


@cache
def find_etcd(name: str = "etcd") -> Path | None:
    """Return a program of etcd that is new enough, None where there is none."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    for path in (home / "toono" / "bin" / name, Path(shutil.which(name) or "")):
        if path.is_file():
            command = [path, "--version"] if name == "etcd" else [path, "version"]
            told = subprocess.run(command, capture_output=True, text=True, check=False)
            found = re.search(
                r"version: (\d+)\.(\d+)\.(\d+)", told.stdout, re.IGNORECASE
            )
            if found and tuple(map(int, found.groups())) >= OLDEST:
                return path
    return None


def need_etcd(name: str = "etcd") -> Path:
    """Return the program, or skip the test and say why; fail in CI."""
    path = find_etcd(name)
    if path is not None:
        return path
    reason = f"no {name} >= 3.5.16 (scripts/install_etcd.sh): not tested against etcd"
    if os.environ.get("TOONO_CI"):
        pytest.fail(reason)
    print(f"WARNING: {reason}")
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.warn(reason, stacklevel=2)
    pytest.skip(f"LOUD: {reason}")


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listened on just now."""
    ports: set[int] = set()
    while len(ports) < count:
        ports.add(free_port())
    return list(ports)


class EtcdMember:
    """One etcd process on loopback, and its data."""

    def __init__(self, directory: Path, command: list[str], port: int) -> None:
        self.directory = directory
        self.port = port
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it on the data it has; see `wait`."""
        assert self._process is None
        with open(self.directory / "log", "ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, cwd=self.directory
            )

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def pause(self) -> None:
        """Stop it where it stands; its sockets stay open."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def wait(self) -> None:
        """Wait until it answers (it has a leader then)."""
        end = time.monotonic() + READY_SECONDS
        while not self._healthy():
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > end:
                pytest.fail((self.directory / "log").read_text()[-3000:])
            time.sleep(0.02)

    def _healthy(self) -> bool:
        url = f"http://127.0.0.1:{self.metrics}/health"
        try:
            with urllib.request.urlopen(url, timeout=1) as answer:
                return answer.status == 200
        except OSError:
            return False

    metrics = 0


class EtcdCluster:
    """One etcd or several."""

    def __init__(self, members: list[EtcdMember]) -> None:
        self.members = members

    @property
    def endpoints(self) -> list[tuple[str, int]]:
        return [("127.0.0.1", member.port) for member in self.members]

    def client(self, **options) -> Etcd:
        return Etcd(self.endpoints, **options)

    def kill(self) -> None:
        for member in self.members:
            member.kill()

    def start(self) -> None:
        for member in self.members:
            member.start()
        for member in self.members:
            member.wait()


@contextmanager
def running_etcd(
    directory: Path,
    *flags: str,
    members: int = 1,
    tls: tuple[Path, Path, Path] | None = None,
    token: str = "pool",
) -> Iterator[EtcdCluster]:
    """Run etcd until the block ends. `tls`: certificate, key and the clients' CA."""
    program = need_etcd()
    ports = free_ports(3 * members)
    names = [f"m{number}" for number in range(members)]
    peers = [f"http://127.0.0.1:{port}" for port in ports[:members]]
    together = ",".join(f"{n}={url}" for n, url in zip(names, peers, strict=True))
    found = []
    for number, (name, peer) in enumerate(zip(names, peers, strict=True)):
        port, metrics = ports[members + number], ports[2 * members + number]
        url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        place = directory / name
        place.mkdir(parents=True, exist_ok=True)
        command = [
            str(program), "--name", name, "--data-dir", str(place / "data"),
            "--listen-client-urls", url, "--advertise-client-urls", url,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
            "--initial-cluster", together, "--initial-cluster-token", token,
            "--listen-metrics-urls", f"http://127.0.0.1:{metrics}",
            "--heartbeat-interval", "50", "--election-timeout", "500",
            "--unsafe-no-fsync", "--log-level", "error", *flags,
        ]  # fmt: skip
        if tls:
            certificate, key, authority = map(str, tls)
            command += ["--cert-file", certificate, "--key-file", key]
            command += ["--trusted-ca-file", authority, "--client-cert-auth"]
        member = EtcdMember(place, command, port)
        member.metrics = metrics
        found.append(member)
    cluster = EtcdCluster(found)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.kill()
