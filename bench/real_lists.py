# SPDX-License-Identifier: Apache-2.0
"""What a user sees of a list: a real kube-apiserver, asked by real clients.

A list of 1,000 pods is asked of the API server and through toono in turn, by the
official Python client (one connection, kept) and by kubectl (a process and a connection
each time). Toono records what it passes; the API server's own work is in both times.
"""

import asyncio
import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from kubernetes import client as official

from bench.origin import pod
from bench.stage import Child, hub_arguments
from toono.testing.certificates import Pair
from toono.testing.real import RealServer, assets

PODS = 1000
MAKERS = 8
ROUNDS = 30
WARM = 3
LIST = "/api/v1/pods?fieldSelector=spec.nodeName%3Dedge-1"
ITEMS = "/api/v1/namespaces/default/pods"

Ask = Callable[[], int]
"""Asks once; returns the bytes of the list."""


@dataclass(slots=True)
class Times:
    """Seconds of one client by each way."""

    client: str
    direct: list[float] = field(default_factory=list)
    through: list[float] = field(default_factory=list)
    size: int = 0

    def cells(self) -> dict[str, str]:
        """Return "min / median" for each way."""
        ways = {"direct": self.direct, "toono": self.through}
        return {
            name: f"{min(took) * 1e3:.1f} / {statistics.median(took) * 1e3:.1f} ms"
            for name, took in ways.items()
        }

    @property
    def factor(self) -> float:
        """The median through toono, by that of direct."""
        return statistics.median(self.through) / statistics.median(self.direct)


async def measure(directory: Path, *, rounds: int = ROUNDS) -> list[Times] | str:
    """Return what each client took, or why there is no real server to ask."""
    programs = assets()
    if isinstance(programs, str):
        return programs
    async with RealServer(programs, directory / "real") as server:
        await _fill(server)
        node = server.authority.node("edge-1")
        address = f"{server.address[0]}:{server.address[1]}"
        hub = Child(
            *hub_arguments(address, server.authority, node, directory / "kept"),
            stream="stderr",
            mark="serving on",
        )
        try:
            ways = _python(server, node, hub.port), _kubectl(server, node, hub.port)
            names = ("the official Python client", "kubectl get --raw")
            found = []
            for name, (direct, through) in zip(names, ways, strict=True):
                times = Times(name)
                await asyncio.to_thread(_alternate, times, direct, through, rounds)
                found.append(times)
            return found
        finally:
            hub.stop()


def _alternate(times: Times, direct: Ask, through: Ask, rounds: int) -> None:
    for number in range(WARM + rounds):
        for ask, took in ((direct, times.direct), (through, times.through)):
            began = time.perf_counter()
            times.size = ask()
            spent = time.perf_counter() - began
            if number >= WARM:
                took.append(spent)


# -- clients ------------------------------------------------------------------------


def _python(server: RealServer, node: Pair, port: int) -> tuple[Ask, Ask]:
    """The client's own code, up to the bytes: what it makes of them is the same."""
    settings = official.Configuration()
    settings.host = f"https://{server.address[0]}:{server.address[1]}"
    settings.ssl_ca_cert = str(server.authority.file)
    settings.cert_file, settings.key_file = str(node.certificate), str(node.key)
    near = official.Configuration()
    near.host = f"http://127.0.0.1:{port}"
    return _lister(settings), _lister(near)


def _lister(settings: official.Configuration) -> Ask:
    api = official.ApiClient(settings)
    api.user_agent = "kubelet/v1.34.0"  # what is recorded, and guarded
    pods = official.CoreV1Api(api)

    def ask() -> int:
        answer = pods.list_pod_for_all_namespaces(
            field_selector="spec.nodeName=edge-1", _preload_content=False
        )
        content = answer.data
        assert answer.status == 200
        assert content.count(b'"nodeName":"edge-1"') == PODS
        return len(content)

    return ask


def _kubectl(server: RealServer, node: Pair, port: int) -> tuple[Ask, Ask]:
    direct = (
        f"--server=https://{server.address[0]}:{server.address[1]}",
        f"--certificate-authority={server.authority.file}",
        f"--client-certificate={node.certificate}",
        f"--client-key={node.key}",
    )
    return _command(*direct), _command(f"--server=http://127.0.0.1:{port}")


def _command(*options: str) -> Ask:
    command = ["kubectl", *options, "get", "--raw", LIST]
    environment = dict(os.environ, KUBECONFIG="/dev/null")

    def ask() -> int:
        done = subprocess.run(command, env=environment, capture_output=True, check=True)
        assert done.stdout.count(b'"nodeName":"edge-1"') == PODS
        return len(done.stdout)

    return ask


# -- the cluster's contents ---------------------------------------------------------


async def _fill(server: RealServer) -> None:
    """Make the pods, over a few connections at once."""
    numbers = iter(range(PODS))

    async def make() -> None:
        for number in numbers:
            await _create(server, number)

    async with asyncio.TaskGroup() as group:
        for _ in range(MAKERS):
            group.create_task(make())


async def _create(server: RealServer, number: int) -> None:
    content = pod(f"web-{number}", 0)
    content["metadata"] = {
        key: content["metadata"][key] for key in ("name", "labels", "annotations")
    }
    del content["status"]
    text = json.dumps({"kind": "Pod", "apiVersion": "v1", **content}).encode()
    reader, writer = await server.connect(server.admin)
    writer.write(
        b"POST %b HTTP/1.1\r\nHost: server\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\nConnection: close\r\n\r\n%b"
        % (ITEMS.encode(), len(text), text)
    )
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 201"), answer[-500:]
