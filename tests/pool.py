# SPDX-License-Identifier: Apache-2.0
"""Whole hubs of one pool over a real etcd, with links that can be cut."""

import json
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.etcd import RAISED, EtcdCluster, running_etcd
from tests.rig import ask, body, get, hub_over, status_of, until
from toono.app import Hub
from toono.config.pool import PoolSettings
from toono.testing import APIServer
from toono.testing.faults import FaultProxy

SLICES = "/apis/discovery.k8s.io/v1/endpointslices"
PROXY = "kube-proxy/v1.34.0"
KUBELET = "kubelet/v1.34.0"
STATUS = ("127.0.0.1", 0)
QUICK = {"lease": 1.0, "renew": 0.25, "retry": 0.1}


@dataclass
class Node:
    """One hub of the pool, its link to the cloud and its links to etcd."""

    hub: Hub
    cloud: FaultProxy
    etcd: list[FaultProxy]

    @property
    def role(self) -> str:
        return self.hub.pooling.member.election.now.role.name.lower()

    @property
    def member(self):
        return self.hub.pooling.member

    async def names(self, target: str = SLICES, *, agent: str = PROXY) -> set | int:
        """Return the names in a list, or the code of what is none."""
        answer = await ask(self.hub, get(target, agent=agent))
        if status_of(answer) != 200:
            return status_of(answer)
        items = json.loads(body(answer))["items"]
        return {item["metadata"]["name"] for item in items}

    async def cut_cloud(self) -> None:
        await self.cloud.cut()
        for server in self.hub.upstream.servers:
            await server.verdict()
        await until(lambda: not self.hub.upstream.online)

    async def restore_cloud(self) -> None:
        await self.cloud.restore()
        await until(lambda: self.hub.upstream.online)

    async def cut_etcd(self) -> None:
        for one in self.etcd:
            await one.cut()

    async def restore_etcd(self) -> None:
        for one in self.etcd:
            await one.restore()


@dataclass
class Pool:
    """A cloud, an etcd and hubs."""

    server: APIServer
    cluster: EtcdCluster
    directory: Path
    stack: AsyncExitStack
    nodes: dict[str, Node] = field(default_factory=dict)

    async def join(self, name: str, **settings) -> Node:
        """Start one more hub."""
        cloud = await self._linked(self.server.address)
        links = [await self._linked(one) for one in self.cluster.endpoints]
        chosen = {"tls": None} | QUICK | settings.pop("pool", {})
        pool = PoolSettings(endpoints=tuple(one.address for one in links), **chosen)
        hub = await self.stack.enter_async_context(
            hub_over(
                [cloud.address],
                self.directory / name,
                node_name=name,
                pool=pool,
                **settings,
            )
        )
        await until(lambda: hub.upstream.online)
        self.nodes[name] = Node(hub, cloud, links)
        return self.nodes[name]

    async def _linked(self, target) -> FaultProxy:
        proxy = FaultProxy(target)
        await proxy.start()
        self.stack.push_async_callback(proxy.aclose)
        return proxy

    def leader(self) -> Node | None:
        found = [one for one in self.nodes.values() if one.role == "leader"]
        return found[0] if found else None

    async def follower(self) -> Node:
        """Return one that does not lead, once somebody does."""
        await until(lambda: self.leader() is not None)
        return next(one for one in self.nodes.values() if one.role != "leader")

    def add_slice(self, name: str) -> None:
        self.server.create(
            "endpointslices",
            {"metadata": {"name": name}, "addressType": "IPv4", "endpoints": []},
            namespace="default",
        )

    async def published(self, count: int) -> None:
        """Wait until the leader has published so many slices."""

        def is_so() -> bool:
            leader = self.leader()
            if leader is None:
                return False
            (page,) = [
                one
                for one in leader.member.page()["collections"]
                if "endpointslices" in one["resource"]
            ]
            return page["objects"] == count and page["published"] == page["version"]

        await until(is_so, 20)


@asynccontextmanager
async def pools(directory: Path, *, members: int = 1, flags: tuple = RAISED):
    """Run a cloud and an etcd; hubs join."""
    server = APIServer()
    await server.start()
    with running_etcd(directory / "etcd", *flags, members=members) as cluster:
        async with AsyncExitStack() as stack:
            yield Pool(server, cluster, directory, stack)
        await server.aclose()
