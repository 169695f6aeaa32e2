# SPDX-License-Identifier: Apache-2.0
"""What a user sees of a list: a real kube-apiserver, asked by real clients.

A list of 1,000 pods is asked of the API server and through toono in turn, by the
official Python client (one connection, kept) and by kubectl (a process and a connection
each time, the answer in gzip). Toono records what it passes, and as a pod changes before
each question no list is as the last. The API server's own work is in both times.
"""

import asyncio
import json
import os
import shutil
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

REST_SECONDS = 0.1
"""Before each: what the last one left to do must not be the next one's burden."""

Ask = Callable[[], int]
"""Asks once; returns the bytes of the list."""


@dataclass(slots=True)
class Times:
    """Seconds of one client by each way: direct, the bare relay, toono."""

    client: str
    ways: dict[str, list[float]] = field(default_factory=dict)
    size: int = 0

    def cells(self) -> dict[str, str]:
        """Return "min / median" for each way."""
        return {
            name: f"{min(took) * 1e3:.1f} / {statistics.median(took) * 1e3:.1f} ms"
            for name, took in self.ways.items()
        }

    @property
    def factor(self) -> float:
        """The median through toono, by that of direct."""
        return statistics.median(self.ways["toono"]) / statistics.median(
            self.ways["direct"]
        )

    @property
    def best_factor(self) -> float:
        """The same of the best times."""
        return min(self.ways["toono"]) / min(self.ways["direct"])


async def measure(directory: Path, *, rounds: int = ROUNDS) -> list[Times] | str:
    """Return what each client took, or why there is no real server to ask."""
    programs = assets()
    if isinstance(programs, str):
        return programs
    if shutil.which("kubectl") is None:
        return "no kubectl on this machine"
    async with RealServer(programs, directory / "real") as server:
        await _fill(server)
        node = server.authority.node("edge-1")
        address = f"{server.address[0]}:{server.address[1]}"
        hub = Child(
            *hub_arguments(address, server.authority, node, directory / "kept"),
            stream="stderr",
            mark="serving on",
        )
        floor = Child(
            *("-m", "bench.floor", "--upstream", address),
            *("--ca", str(server.authority.file)),
            *("--pair", str(node.certificate), str(node.key)),
        )
        ports = {"floor": floor.port, "toono": hub.port}
        try:
            found = []
            for name, client in CLIENTS.items():
                near = {way: client(server, node, port) for way, port in ports.items()}
                ways = {"direct": client(server, node, None), **near}
                times = Times(name, {way: [] for way in ways})
                await _alternate(server, times, ways, rounds)
                found.append(times)
            return found
        finally:
            hub.stop()
            floor.stop()


async def _alternate(
    server: RealServer, times: Times, ways: dict[str, Ask], rounds: int
) -> None:
    """Ask by each way in turn. A pod changes before each: no list is the last again."""
    for number in range(WARM + rounds):
        for way, ask in ways.items():
            await _change(server, number)
            await asyncio.sleep(REST_SECONDS)
            began = time.perf_counter()
            times.size = await asyncio.to_thread(ask)
            spent = time.perf_counter() - began
            if number >= WARM:
                times.ways[way].append(spent)


# -- clients ------------------------------------------------------------------------


def _python(server: RealServer, node: Pair, port: int | None) -> Ask:
    """The client's own code, up to the bytes: what it makes of them is the same."""
    settings = official.Configuration()
    if port is None:
        settings.host = f"https://{server.address[0]}:{server.address[1]}"
        settings.ssl_ca_cert = str(server.authority.file)
        settings.cert_file, settings.key_file = str(node.certificate), str(node.key)
    else:
        settings.host = f"http://127.0.0.1:{port}"
    return _lister(settings)


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


def _kubectl(server: RealServer, node: Pair, port: int | None) -> Ask:
    options = [f"--server=http://127.0.0.1:{port}"]
    if port is None:
        options = [
            f"--server=https://{server.address[0]}:{server.address[1]}",
            f"--certificate-authority={server.authority.file}",
            f"--client-certificate={node.certificate}",
            f"--client-key={node.key}",
        ]
    command = ["kubectl", *options, "get", "--raw", LIST]
    environment = dict(os.environ, KUBECONFIG="/dev/null")

    def ask() -> int:
        done = subprocess.run(command, env=environment, capture_output=True, check=True)
        assert done.stdout.count(b'"nodeName":"edge-1"') == PODS
        return len(done.stdout)

    return ask


CLIENTS = {"the official Python client": _python, "kubectl": _kubectl}


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
    # A real server tells of each field who owns it: these make it 3.2 KB again.
    del content["spec"]["containers"][2:]
    for container in content["spec"]["containers"]:
        del container["env"][2:]
    del content["status"]
    await _write(server, "POST", ITEMS, {"kind": "Pod", "apiVersion": "v1", **content})


async def _change(server: RealServer, number: int) -> None:
    labels = {"asked": str(time.time_ns())}
    path = f"{ITEMS}/web-{number % PODS}"
    await _write(server, "PATCH", path, {"metadata": {"labels": labels}})


async def _write(server: RealServer, method: str, path: str, content: dict) -> None:
    kind = "merge-patch+json" if method == "PATCH" else "json"
    text = json.dumps(content)
    reader, writer = await server.connect(server.admin)
    writer.write(
        f"{method} {path} HTTP/1.1\r\nHost: server\r\nConnection: close\r\n"
        f"Content-Type: application/{kind}\r\n"
        f"Content-Length: {len(text)}\r\n\r\n{text}".encode()
    )
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 20"), answer[-500:]
