# SPDX-License-Identifier: Apache-2.0
"""One writer on the node's Lease: a hub as a process, kubelets of two shapes.

Kubelet-shaped: all of the kubelet's calls go through the hub. K3s-shaped: the agent
writes its Lease straight to the server, pods use the hub. In the usual run a Lease of
one second makes everything forty times as fast; TOONO_LEASE_SECONDS plays so many
seconds with the Lease of a real kubelet (`make prove`: 180).
"""

import asyncio
import json
import os
import ssl
import sys
import urllib.request
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from urllib.error import HTTPError, URLError

import pytest

from tests.rig import until
from toono.runtime.clock import SystemClock
from toono.runtime.tasks import cancel_and_wait, spawn
from toono.testing import APIServer
from toono.testing.certificates import Authority
from toono.testing.real import free_port
from toono.wire.messages import Response
from toono.wire.tls import ServerFiles, make_context

REAL_SECONDS = float(os.environ.get("TOONO_LEASE_SECONDS", "0"))
DURATION = 40 if REAL_SECONDS else 1
EVERY = DURATION / 4
SECONDS = REAL_SECONDS or 4.0
LOOK_SECONDS = DURATION + EVERY + 3.0
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
LEASE = f"{LEASES}/edge-1"
AGENTS = {
    "kubelet": "kubelet/v1.34.2 (linux/amd64) kubernetes/8d5b2f1",
    "k3s": "k3s/v1.34.2+k3s1 (linux/amd64) kubernetes/8d5b2f1",
}


class Node:
    """A server here, a hub in a process of its own, and who wrote the Lease when."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.authority = Authority(directory / "pki")
        self.server = APIServer()
        self.server.fault = self._note
        self.writes: list[tuple[float, str]] = []
        self.conflicts = 0
        self.address = ""
        self.status = ""
        self.log = directory / "log"

    async def _note(self, request) -> Response | None:
        if request.method in ("PUT", "POST") and request.target.startswith(
            LEASES.encode()
        ):
            agent = request.fields.get(b"user-agent", b"").decode()
            through = " via hub" if b"via" in request.fields else ""
            now = asyncio.get_running_loop().time()
            self.writes.append((now, agent.partition("/")[0] + through))
        return None

    async def connect(self) -> None:
        """Have the server answer, at the address that it had."""
        pair = self.authority.server("127.0.0.1")
        files = ServerFiles(certificate=pair.certificate, key=pair.key)
        port = self.server.address[1]
        await self.server.start(port=port, tls=make_context(files))

    async def start(self, *options: str) -> asyncio.subprocess.Process:
        node = self.authority.node("edge-1")
        with self.log.open("wb") as log:
            child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "toono.cli", "run"),
                f"--server-addr={self.server.url}",
                f"--ca-file={self.authority.file}",
                f"--client-cert-file={node.certificate}",
                f"--client-key-file={node.key}",
                f"--disk-cache-path={self.directory / 'cache'}",
                "--enable-dummy-if=false",
                *("--proxy-port=0", "--serve-port=0", "--proxy-secure-port=0"),
                *("--node-name=edge-1", f"--node-uids={os.getuid()}"),
                *("--log-format=json", *options),
                stderr=log,
                stdout=log,
            )
        await until(lambda: b"serving on http://" in self.log.read_bytes())
        text = self.log.read_text()
        self.address = text.split("serving on ", 1)[1].split()[0]
        return child

    def decisions(self) -> list[tuple[str, str]]:
        """Return what the hub's log says of the Lease."""
        lines = [
            json.loads(line)
            for line in self.log.read_text().splitlines()
            if line.startswith("{")
        ]
        return [
            (one["state"], one["evidence"])
            for one in lines
            if "node lease" in one.values()
        ]

    def writers(self, after: float) -> set[str]:
        return {who for at, who in self.writes if at >= after}

    def gaps(self, after: float) -> list[float]:
        times = [at for at, _ in self.writes if at >= after]
        return [b - a for a, b in pairwise(times)]


class Kubelet:
    """Renews as a kubelet does, through the hub or straight to the server."""

    def __init__(self, node: Node, agent: str, *, straight: bool) -> None:
        self.node = node
        self.agent = AGENTS[agent]
        self.heard: list[int] = []
        self.base = node.server.url if straight else node.address
        self.context: ssl.SSLContext | None = None
        if straight:
            pair = node.authority.node("edge-1")
            self.context = ssl.create_default_context(cafile=node.authority.file)
            self.context.load_cert_chain(pair.certificate, pair.key)

    def ask(self, method: str, path: str, content: dict | None = None):
        request = urllib.request.Request(
            self.base + path,
            data=None if content is None else json.dumps(content).encode(),
            method=method,
            headers={"User-Agent": self.agent, "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(
                request, context=self.context, timeout=10
            ) as answer:
                return answer.status, json.loads(answer.read())
        except HTTPError as exc:
            with exc:
                return exc.code, json.loads(exc.read())
        except URLError:
            return 0, {}

    async def run(self) -> None:
        lease = None
        while True:
            status, lease = await asyncio.to_thread(self.renew, lease)
            self.node.conflicts += status == 409
            self.heard.append(status)
            await asyncio.sleep(EVERY if lease else 0.2)

    def renew(self, lease: dict | None) -> tuple[int, dict | None]:
        """Renew once; without a Lease to do it over, read it again."""
        if lease is None:
            status, lease = self.ask("GET", LEASE)
            if status != 200:
                return status, None
        lease["spec"] |= {"renewTime": _moment(), "leaseDurationSeconds": DURATION}
        status, lease = self.ask("PUT", LEASE, lease)
        return status, lease if status == 200 else None


def _moment() -> str:
    now = datetime.fromtimestamp(SystemClock().wall(), UTC)
    return now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@asynccontextmanager
async def node_of(directory: Path):
    node = Node(directory)
    lease = {
        "metadata": {"name": "edge-1"},
        "spec": {
            "holderIdentity": "edge-1",
            "leaseDurationSeconds": DURATION,
            "renewTime": "2026-11-21T09:00:00.000000Z",
        },
    }
    node.server.create("leases.coordination.k8s.io", lease, namespace="kube-node-lease")
    await node.connect()
    try:
        yield node
    finally:
        await node.server.aclose()


@asynccontextmanager
async def hub_of(node: Node, *options: str):
    child = await node.start(*options)
    try:
        yield child
    finally:
        child.terminate()
        await child.wait()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("shape", ["kubelet", "k3s"])
def test_one_writer_and_one_update_an_interval(shape, tmp_path) -> None:
    async def scenario() -> None:
        async with node_of(tmp_path) as node, hub_of(node):
            kubelet = Kubelet(node, shape, straight=shape == "k3s")
            task = spawn(kubelet.run(), name="kubelet")
            try:
                begun = asyncio.get_running_loop().time()
                await asyncio.sleep(LOOK_SECONDS)
                if shape == "k3s":  # pods use the hub meanwhile
                    path = "/api/v1/namespaces/default/pods"
                    pod = Kubelet(node, shape, straight=False)
                    await asyncio.to_thread(pod.ask, "GET", path)
                decided = {"kubelet": "renewing", "k3s": "silent"}[shape]
                await until(lambda: node.decisions()[-1][0] == decided, 30)
                await asyncio.sleep(2 * EVERY)  # what was under way then is over
                settled = asyncio.get_running_loop().time()
                await asyncio.sleep(SECONDS)
            finally:
                await cancel_and_wait(task)
            writer = {"kubelet": "toono", "k3s": "k3s"}[shape]
            assert node.writers(settled) == {writer}
            assert node.conflicts == 0
            assert max(node.gaps(begun)) <= EVERY * 1.5 + 0.5
            updates = len(node.gaps(settled)) + 1
            assert SECONDS / EVERY / 2 <= updates <= SECONDS / EVERY + 2
            told = node.decisions()
            assert told[0] == ("looking", "it starts: who renews is not known yet")
            if shape == "kubelet":
                evidence = (
                    "the kubelet renews through the hub, and in"
                    f" {DURATION}s nobody else has"
                )
                assert told[1:] == [("renewing", evidence)]
            else:
                assert told[1][0] == "silent"
                assert "somebody else renewed it at" in told[1][1]
                mark = "the node's calls come from k3s/v1.34.2+k3s1"
                assert told[2:] == [("silent", f"this is K3s: {mark}")]

    asyncio.run(scenario())


def hits(port: int) -> float:
    """Return how many lists of pods the hub has answered alone, by its own count."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    wanted = ('verb="list"', 'resource="pods"', 'route="local"', 'code="200"')
    return sum(
        float(line.rpartition(" ")[2])
        for line in lines
        if line.startswith("toono_requests_total{")
        and all(one in line for one in wanted)
    )


@pytest.mark.timeout(300)
def test_a_node_that_is_cut_off_and_reboots_goes_on(tmp_path) -> None:
    """As an operator would: cut, look, reboot, look, mend; the Lease has one writer."""
    options = (f"--proxy-port={free_port()}", f"--serve-port={free_port()}")
    status = int(options[1].partition("=")[2])
    pods = "/api/v1/pods?fieldSelector=spec.nodeName%3Dedge-1"

    async def scenario() -> None:
        async with node_of(tmp_path) as node:
            pod = {"metadata": {"name": "web-0"}, "spec": {"nodeName": "edge-1"}}
            node.server.create("pods", pod, namespace="default")
            async with hub_of(node, *options):
                kubelet = Kubelet(node, "kubelet", straight=False)
                task = spawn(kubelet.run(), name="kubelet")

                def renewing() -> bool:
                    return "renewing" in dict(node.decisions())

                def listed() -> bool:
                    code, answer = kubelet.ask("GET", pods)
                    return code == 200 and len(answer["items"]) == 1

                while not await asyncio.to_thread(listed):
                    await asyncio.sleep(0.1)
                await until(renewing, LOOK_SECONDS + 20.0)
                assert await asyncio.to_thread(hits, status) == 0
                await node.server.aclose()
                kubelet.heard.clear()
                await asyncio.sleep(2.0 + EVERY)
                assert await asyncio.to_thread(listed)
                assert await asyncio.to_thread(hits, status) == 1
                assert set(kubelet.heard) == {200}
            async with hub_of(node, *options):
                assert await asyncio.to_thread(listed)
                assert await asyncio.to_thread(hits, status) == 1
                await node.connect()
                mended = asyncio.get_running_loop().time()
                await until(renewing, LOOK_SECONDS + 30.0)
                await asyncio.sleep(1.0)
                assert node.writes[-1][1] == "toono"
                assert node.writers(mended) <= {"kubelet via hub", "toono"}
                assert node.conflicts == 0
                await cancel_and_wait(task)

    asyncio.run(scenario())
