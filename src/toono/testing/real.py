# SPDX-License-Identifier: Apache-2.0
"""A real kube-apiserver with its etcd, where the machine has the programs.

KUBEBUILDER_ASSETS names their directory, as in envtest. What the embedded server is
held to can so be held against the original. Knows processes and certificates only.
"""

import asyncio
import os
import random
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from toono.runtime.clock import Clock, SystemClock
from toono.testing.certificates import Authority, Pair

VARIABLE = "KUBEBUILDER_ASSETS"
PROGRAMS = ("etcd", "kube-apiserver")
START_SECONDS = 120.0
STOP_SECONDS = 10.0
ANSWER_SECONDS = 5.0
POLL_SECONDS = 0.2
LOG_TAIL = 2000
FREE_PORTS = (16_384, 32_768)
"""The kernel's own range begins there (net.ipv4.ip_local_port_range)."""


class NotStartedError(Exception):
    """A program ended, or was not ready in time; holds the end of its log."""


def assets(environment: Mapping[str, str] = os.environ) -> Path | str:
    """Return the directory with the programs, or why there is none."""
    told = environment.get(VARIABLE, "")
    if not told:
        return f"{VARIABLE} names no directory with {' and '.join(PROGRAMS)}"
    for program in PROGRAMS:
        if not os.access(Path(told) / program, os.X_OK):
            return f"{VARIABLE}={told} holds no program {program}"
    return Path(told)


class RealServer:
    """One etcd and one kube-apiserver over it, on loopback, in a directory of a test.

    `etcd` is the URL of one that runs already, which is then not started here.
    """

    def __init__(
        self,
        programs: Path,
        directory: Path,
        *,
        clock: Clock | None = None,
        start_seconds: float = START_SECONDS,
        etcd: str = "",
    ) -> None:
        self._programs, self._directory = programs, directory
        self._clock = clock or SystemClock()
        self._seconds = start_seconds
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self.authority = Authority(directory / "pki")
        self.admin = self.authority.user("admin", "system:masters")
        self.address = ("127.0.0.1", free_port())
        self._starts_etcd = not etcd
        self._etcd = etcd or f"http://127.0.0.1:{free_port()}"

    async def __aenter__(self) -> Self:
        self._directory.mkdir(parents=True, exist_ok=True)
        try:
            if self._starts_etcd:
                await self._start("etcd", self._etcd_options())
            await self._start_api()
        except BaseException:
            await self._stop(*PROGRAMS)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stop(*PROGRAMS)

    async def restart(self) -> None:
        """Start the API server anew over the same etcd: its watch cache is empty."""
        await self._stop("kube-apiserver")
        await self._start_api()

    def tls(self, pair: Pair | None) -> ssl.SSLContext:
        """Return a client's TLS with this certificate, or without one."""
        context = ssl.create_default_context(cafile=str(self.authority.file))
        if pair is not None:
            context.load_cert_chain(pair.certificate, pair.key)
        return context

    async def connect(
        self, pair: Pair | None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection as the owner of a certificate."""
        host, port = self.address
        return await asyncio.open_connection(
            host, port, ssl=self.tls(pair), limit=2**20
        )

    async def _start_api(self) -> None:
        await self._start("kube-apiserver", self._api_options())
        ends = self._clock.monotonic() + self._seconds
        while not await self._is_ready():
            process = self._running["kube-apiserver"]
            if process.returncode is not None:
                raise NotStartedError(self._log_of("kube-apiserver"))
            if self._clock.monotonic() > ends:
                raise NotStartedError(self._log_of("kube-apiserver"))
            await self._clock.sleep(POLL_SECONDS)

    async def _is_ready(self) -> bool:
        try:
            reader, writer = await self.connect(self.admin)
        except OSError:
            return False
        try:
            head = b"GET /readyz HTTP/1.1\r\nHost: server\r\nConnection: close\r\n\r\n"
            writer.write(head)
            async with asyncio.timeout(ANSWER_SECONDS):
                line = await reader.readline()
        except OSError:  # TimeoutError too
            return False
        finally:
            writer.close()
        return line.split(b" ")[1:2] == [b"200"]

    def _etcd_options(self) -> list[str]:
        peers = f"http://127.0.0.1:{free_port()}"
        return [
            f"--data-dir={self._directory / 'etcd'}",
            f"--listen-client-urls={self._etcd}",
            f"--advertise-client-urls={self._etcd}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=default={peers}",
            "--unsafe-no-fsync",
        ]

    def _api_options(self) -> list[str]:
        """As the recordings were made: no ServiceAccount admission, CBOR served."""
        serving = self.authority.server("127.0.0.1", "localhost")
        accounts = self.authority.user("service-accounts")
        return [
            f"--etcd-servers={self._etcd}",
            f"--secure-port={self.address[1]}",
            f"--bind-address={self.address[0]}",
            f"--tls-cert-file={serving.certificate}",
            f"--tls-private-key-file={serving.key}",
            f"--client-ca-file={self.authority.file}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={accounts.certificate}",
            f"--service-account-signing-key-file={accounts.key}",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--endpoint-reconciler-type=none",
            "--authorization-mode=Node,RBAC",
            "--disable-admission-plugins=ServiceAccount",
            "--feature-gates=CBORServingAndStorage=true",
        ]

    async def _start(self, program: str, options: list[str]) -> None:
        with (self._directory / f"{program}.log").open("ab") as log:
            self._running[program] = await asyncio.create_subprocess_exec(
                str(self._programs / program), *options, stdout=log, stderr=log
            )

    async def _stop(self, *programs: str) -> None:
        """Stop in reverse order of dependence; what does not end is killed."""
        for program in reversed(programs):
            process = self._running.pop(program, None)
            if process is None or process.returncode is not None:
                continue
            process.terminate()
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()

    def _log_of(self, program: str) -> str:
        text = (self._directory / f"{program}.log").read_text(errors="replace")
        return f"{program} did not start:\n{text[-LOG_TAIL:]}"


def free_port() -> int:
    """Return a port that nobody listens on at this moment.

    One below those that the kernel gives to connections and to who asks for port 0:
    among them another program would have it before it is used.
    """
    for port in random.sample(range(*FREE_PORTS), 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise NotStartedError(
        f"no port between {FREE_PORTS[0]} and {FREE_PORTS[1]} is free"
    )
