# SPDX-License-Identifier: Apache-2.0
"""An hour of one node's Lease: a server, a hub, kubelets that write it, virtual time."""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Self

from toono.autonomy.cloud import Told
from toono.autonomy.renewal import LEASES, LeaseKeeper
from toono.errors import UnreachableError
from toono.kube.request import Call, Caller, parse
from toono.runtime.tasks import cancel_and_wait, spawn
from toono.testing.clock import VirtualClock, settle

NODE = "edge-1"
CALLER = Caller(connection=1, local=("", 0), remote=("", 0))


def call_of(method: str, agent: str = "kubelet/v1.34.0") -> Call:
    path = LEASES if method == "POST" else f"{LEASES}/{NODE}"
    return parse(method, path.encode(), {b"user-agent": agent.encode()}, CALLER)


def compact(content: dict) -> bytes:
    """Write as the API server does."""
    return json.dumps(content, separators=(",", ":")).encode()


class LeaseServer:
    """The API server of one Lease; counts who writes it, and who meets a conflict."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.lease: dict | None = None
        self.version = 100
        self.updates: list[tuple[float, str]] = []
        self.conflicts: Counter[str] = Counter()
        self.online = True
        self.loses_answers = False
        self.asked = 0

    async def ask(self, method, target, content=b"", **_) -> Told:
        """Be the hub's `Cloud`."""
        self.asked += 1
        if not self.online:
            raise UnreachableError("cut")
        if "/nodes/" in target:
            return Told(200, "application/json", b'{"metadata":{"uid":"u-1"}}')
        status, body = self.take(method, content, by="hub")
        if self.loses_answers and method != "GET":
            raise UnreachableError("the answer was lost")
        return Told(status, "application/json", body)

    def take(self, method: str, content: bytes, *, by: str) -> tuple[int, bytes]:
        if method == "GET":
            if self.lease is None:
                return 404, self._missing()
            return 200, compact(self.lease)
        given = json.loads(content)
        if method == "POST":
            if self.lease is not None:
                self.conflicts[by] += 1
                return 409, b"{}"
        else:
            if self.lease is None:
                return 404, self._missing()
            mine = self.lease["metadata"]["resourceVersion"]
            if given["metadata"].get("resourceVersion") != mine:
                self.conflicts[by] += 1
                return 409, b"{}"
        self.version += 1
        given["metadata"]["resourceVersion"] = str(self.version)
        self.lease = given
        self.updates.append((self.clock.monotonic(), by))
        return 200 if method == "PUT" else 201, compact(given)

    @staticmethod
    def _missing() -> bytes:
        told = {"kind": "Status", "reason": "NotFound", "details": {"name": NODE}}
        return json.dumps(told).encode()

    def writers(self, after: float = 0.0) -> set[str]:
        return {by for at, by in self.updates if at >= after}

    def gaps(self, after: float, until: float) -> list[float]:
        times = [at for at, _ in self.updates if at >= after]
        return [b - a for a, b in zip(times, [*times[1:], until], strict=True)]


@dataclass
class Kubelet:
    """Renews every 10 s as a kubelet does: its last answer's version, GET on conflict."""

    server: LeaseServer
    hub: "HubOfOne | None" = None
    agent: str = "kubelet/v1.34.0"
    name: str = "kubelet"
    lease: dict | None = None
    number: int = 0

    async def run(self) -> None:
        while True:
            await self.renew()
            await self.server.clock.sleep(10.0)

    async def renew(self) -> None:
        for _ in range(5):
            if self.lease is None:
                status, body = await self._send("GET", b"")
                if status == 404:
                    body = json.dumps({"metadata": {"name": NODE}, "spec": {}}).encode()
                    status, body = await self._send("POST", self._renewed(body))
                    if status == 201:
                        self.lease = json.loads(body)
                        return
                if status != 200:
                    continue
                self.lease = json.loads(body)
            content = self._renewed(json.dumps(self.lease).encode())
            status, body = await self._send("PUT", content)
            self.lease = json.loads(body) if status == 200 else None
            if status == 200:
                return

    def _renewed(self, body: bytes) -> bytes:
        lease = json.loads(body)
        self.number += 1
        lease["spec"] |= {
            "holderIdentity": NODE,
            "leaseDurationSeconds": 40,
            "renewTime": f"2026-11-21T09:00:00.{self.number:06d}Z-{self.name}",
        }
        return json.dumps(lease).encode()

    async def _send(self, method: str, content: bytes) -> tuple[int, bytes]:
        if self.hub is None or self.hub.keeper is None:
            return self.server.take(method, content, by=self.name)
        return await self.hub.take(method, content, agent=self.agent, by=self.name)


class HubOfOne:
    """A hub of nothing but its lease's keeper, that can stop and start again."""

    def __init__(self, server: LeaseServer, mode="auto") -> None:
        self.server = server
        self.mode = mode
        self.keeper: LeaseKeeper | None = None
        self.answered = 0

    def start(self) -> None:
        self.keeper = LeaseKeeper(
            self.server, self.mode, node_name=NODE, grace=40.0, clock=self.server.clock
        )
        self.task = spawn(self.keeper.run(), name="lease")

    async def stop(self) -> None:
        if self.keeper is not None:
            self.keeper = None
            await cancel_and_wait(self.task)

    async def take(self, method, content, *, agent, by) -> tuple[int, bytes]:
        keeper = self.keeper
        assert keeper is not None
        call = call_of(method, agent)
        assert keeper.concerns(call)
        answered = await keeper.answer(call, content)
        if answered is not None:
            self.answered += 1
            return answered[0], answered[2]
        if not self.server.online:
            if method != "GET":
                keeper.passed(0, "", b"")
            return 503, b""
        status, body = self.server.take(method, content, by=by)
        if method != "GET":
            keeper.passed(status, "application/json", body)
        return status, body


class World:
    """The clock, the server, a hub, and kubelets at work."""

    def __init__(self, mode="auto") -> None:
        self.clock = VirtualClock()
        self.server = LeaseServer(self.clock)
        self.hub = HubOfOne(self.server, mode)
        self.tasks: list = []

    def begin(self, kubelet: Kubelet):
        task = spawn(kubelet.run(), name=kubelet.name)
        self.tasks.append(task)
        return task

    def through(self, agent: str = "kubelet/v1.34.0") -> Kubelet:
        return Kubelet(self.server, self.hub, agent=agent)

    def direct(self) -> Kubelet:
        return Kubelet(self.server, name="agent")

    async def advance(self, seconds: float) -> None:
        await self.clock.advance(seconds)

    async def __aenter__(self) -> Self:
        await settle()
        return self

    async def __aexit__(self, *_: object) -> None:
        await cancel_and_wait(*self.tasks)
        await self.hub.stop()
