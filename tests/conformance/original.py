# SPDX-License-Identifier: Apache-2.0
"""A real kube-apiserver with the recorded world made anew in it."""

import asyncio
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.conformance.conversation import ask
from tests.conformance.exchanges import Exchange, had_by
from tests.conformance.world import Object, told
from toono.runtime.clock import SystemClock
from toono.testing.real import RealServer

CRONTABS = "/apis/x.example.com/v1/namespaces/default/crontabs"
PATHS = {
    "nodes": "/api/v1/nodes",
    "endpointslices": "/apis/discovery.k8s.io/v1",
    "leases": "/apis/coordination.k8s.io/v1",
    "crontabs": "/apis/x.example.com/v1",
}
GIVEN = ("uid", "resourceVersion", "creationTimestamp", "managedFields", "generation")
"""What the server gives an object by itself."""

ADDED = {
    "pods": ("priority", "preemptionPolicy", "tolerations"),
    "nodes": ("taints",),
    "services": ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"),
}


class Original:
    """A kube-apiserver as a party of the conversation."""

    def __init__(self, programs: Path, directory: Path) -> None:
        self._server = RealServer(programs, directory)
        self._node = self._server.authority.node("edge-1")
        self._clock = SystemClock()

    async def __aenter__(self) -> Self:
        await self._server.__aenter__()
        try:
            for name in ("shop", "kube-node-lease"):
                await self._create_namespace(name)
            for plural, content in told():
                if plural != "crontabs" and not _is_own(content):
                    await self._create(plural, content)
        except BaseException:
            await self._server.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._server.__aexit__(kind, error, trace)

    async def connect(
        self, exchange: Exchange | None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        clients = {"": None, "admin": self._server.admin, "edge-1": self._node}
        return await self._server.connect(clients[had_by(exchange)])

    def as_sent(self, plural: str, content: Object) -> Object:
        """Leave out what admission adds, or the writer would be told to own it."""
        added = ADDED.get(plural, ())
        spec = {k: v for k, v in content.get("spec", {}).items() if k not in added}
        if plural == "services":
            spec["ports"] = [_unnumbered(port) for port in spec["ports"]]
        content = {k: v for k, v in content.items() if k != "status"}
        return content | ({"spec": spec} if spec or "spec" in content else {})

    async def let_time_pass(self) -> None:
        await self._clock.sleep(0.02)

    async def before(self, name: str) -> None:
        if name == "discovery-api-legacy":
            await self._until_served(CRONTABS)
            for plural, content in told():
                if plural == "crontabs":
                    await self._create(plural, content)
        elif name == "watch-rv-expired":
            await self._server.restart()

    async def _until_served(self, path: str) -> None:
        """A CRD is established within moments of its creation."""
        async with asyncio.timeout(20):
            while True:
                try:
                    await ask(self, "GET", path)
                except AssertionError:
                    await self._clock.sleep(0.05)
                else:
                    return

    async def _create_namespace(self, name: str) -> None:
        """The server makes some by itself, in its own time."""
        try:
            await ask(self, "GET", f"/api/v1/namespaces/{name}")
        except AssertionError:
            content = {"metadata": {"name": name}}
            await ask(self, "POST", "/api/v1/namespaces", content)

    async def _create(self, plural: str, content: Object) -> None:
        meta = {k: v for k, v in content["metadata"].items() if k not in GIVEN}
        root = PATHS.get(plural, "/api/v1")
        if plural != "nodes":
            root += f"/namespaces/{meta['namespace']}/{plural}"
        sent = self.as_sent(plural, {**content, "metadata": meta})
        await ask(self, "POST", root, sent)


def _is_own(content: Object) -> bool:
    """Whether each kube-apiserver makes this by itself."""
    name = content["metadata"]["name"]
    return name == "kubernetes" or name.startswith("apiserver-")


def _unnumbered(port: Object) -> Object:
    return {key: value for key, value in port.items() if key != "nodePort"}
