# SPDX-License-Identifier: Apache-2.0
"""A cluster with rights, a hub on its node edge-1, and everybody who may call it."""

import asyncio
import itertools
import ssl
from contextlib import asynccontextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.rig import body as body_in
from tests.rig import status_of
from tests.scenario.residents import Machine, Resident
from toono.app import Hub, HubSettings
from toono.identity.sockets import Address, Owner, owner_of
from toono.runtime.clock import Clock, SystemClock
from toono.testing import APIServer
from toono.testing.apiserver.access import Access
from toono.testing.apiserver.rbac import Rule
from toono.testing.apiserver.resources import Resource
from toono.testing.apiserver.tokens import TokenKeys
from toono.testing.certificates import Authority
from toono.upstream.health import HealthSettings
from toono.wire.messages import BytesBody, Peer, Request
from toono.wire.tls import ClientFiles, ServerFiles, make_context

QUICK = HealthSettings(interval=0.1, down_interval=0.05, up_after=1)
HOST = frozenset({"/system.slice/kubelet.service"})
POD = frozenset({"/kubepods.slice/kubepods-pod1.slice/c"})
WIDGETS = Resource(
    group="example.org", version="v1", plural="widgets", kind="Widget", custom=True
)
RESOURCES = {
    "own pod": "/api/v1/namespaces/shop/pods/web-0",
    "other pod": "/api/v1/namespaces/bank/pods/bank-0",
    "secret of a pod here": "/api/v1/namespaces/shop/secrets/db",
    "secret elsewhere": "/api/v1/namespaces/bank/secrets/vault",
    "config map": "/api/v1/namespaces/shop/configmaps/settings",
    "service": "/api/v1/namespaces/shop/services/web",
    "node": "/api/v1/nodes/edge-1",
    "custom resource": "/apis/example.org/v1/namespaces/shop/widgets/w",
}
ALL = Rule(
    verbs=("get", "list", "watch"),
    groups=("", "example.org"),
    resources=("pods", "secrets", "configmaps", "services", "nodes", "widgets"),
)


def pod(name: str, node: str, **spec) -> dict:
    containers = [{"name": "c", "image": "c:1"}]
    return {
        "metadata": {"name": name},
        "spec": {"nodeName": node, "containers": containers, **spec},
    }


class Cluster:
    """An API server with real tokens, certificates and rights."""

    def __init__(self, directory: Path, **keys) -> None:
        self.clock = SystemClock()
        self.authority = Authority(directory / "pki")
        self.server = APIServer()
        self.keys = TokenKeys(algorithm=keys.get("algorithm", "ES256"))
        self.others = TokenKeys(algorithm="ES256")
        self.access = Access(self.server.storage, self.keys)
        self.server.authorizer = self.access
        self.access.rbac.grant("system:serviceaccount:shop:reader", ALL)
        self._fill()

    def _fill(self) -> None:
        create = self.server.create
        self.server.add_resource(WIDGETS)
        volumes = [
            {"name": "db", "secret": {"secretName": "db"}},
            {"name": "settings", "configMap": {"name": "settings"}},
        ]
        own = pod("web-0", "edge-1", serviceAccountName="web", volumes=volumes)
        create("pods", own, namespace="shop")
        create("pods", pod("bank-0", "edge-2"), namespace="bank")
        secret = {"metadata": {"name": "db"}, "data": {"password": "Y2FuYXJ5LWRi"}}
        create("secrets", secret, namespace="shop")
        vault = {"metadata": {"name": "vault"}, "data": {"gold": "Y2FuYXJ5LXZhdWx0"}}
        create("secrets", vault, namespace="bank")
        settings = {"metadata": {"name": "settings"}, "data": {"a": "b"}}
        create("configmaps", settings, namespace="shop")
        service = {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}
        create("services", service, namespace="shop")
        create("nodes", {"metadata": {"name": "edge-1"}})
        widget = {"metadata": {"name": "w"}, "spec": {"size": 1}}
        create("widgets", widget, namespace="shop")
        for name in ("web", "reader"):
            create("serviceaccounts", {"metadata": {"name": name}}, namespace="shop")

    async def start(self, port: int = 0) -> None:
        pair = self.authority.server("127.0.0.1")
        files = ServerFiles(
            certificate=pair.certificate, key=pair.key, client_ca=self.authority.file
        )
        await self.server.start(port=port, tls=make_context(files))

    async def aclose(self) -> None:
        await self.server.aclose()

    @property
    def seen(self) -> list[str]:
        """Who each request was from, in order."""
        return [user.name for user in self.access.seen]

    def token(self, account: str, **claims) -> str:
        now = claims.pop("now", self.clock.wall())
        return self.keys.mint("shop", account, now=now, **claims)

    async def direct(self, target: str, *, token: str = "", pair=None) -> int:
        """Return the code that the API server itself gives to a credential."""
        peer = Peer(connection=1, local=("", 0), remote=("", 0))
        peer.certificate = der_of(pair) if pair else None
        fields = {b"authorization": f"Bearer {token}".encode()} if token else {}
        request = Request(
            method="GET",
            target=target.encode(),
            headers=[],
            fields=fields,
            body=BytesBody(),
            peer=peer,
        )
        return (await self.server.handle(request)).status


def der_of(pair) -> bytes:
    found = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
    return found.public_bytes(Encoding.DER)


class Site:
    """A hub on edge-1 over a cluster.

    With a machine of real callers the kernel tells who they are; without one, and for
    what the machine cannot have, the test says what the kernel would.
    """

    def __init__(
        self, cluster: Cluster, directory: Path, *, machine: Machine | None = None
    ) -> None:
        self.cluster = cluster
        self.directory = directory
        self.machine = machine
        self.owner: Owner | None = Owner(0, HOST)
        self.hub: Hub
        self._connections = itertools.count(1_000_000)

    def _owner_of(
        self, client: Address, server: Address, uids: frozenset[int]
    ) -> Owner:
        return owner_of(client, server, uids) if self.owner is None else self.owner

    @asynccontextmanager
    async def running(self, *, clock: Clock | None = None, **settings):
        authority = self.cluster.authority
        node = authority.node("edge-1")
        serving = authority.server("127.0.0.1", "kubernetes.default.svc")
        chosen = HubSettings(
            servers=(self.cluster.server.address,),
            tls=ClientFiles(
                ca=authority.file, certificate=node.certificate, key=node.key
            ),
            node_name="edge-1",
            cache_path=self.directory / "cache",
            listen=self._listen(),
            serving=ServerFiles(
                certificate=serving.certificate,
                key=serving.key,
                client_ca=authority.file,
            ),
            status_listen=None,
            agents=("*",),
            **{"health": QUICK, "listen_tls": (("127.0.0.1", 0),), **settings},
        )
        async with Hub(chosen, clock=clock, owner=self._owner_of) as hub:
            self.hub = hub
            yield self

    def _listen(self) -> tuple[tuple[str, int], ...]:
        if self.machine is None or not self.machine.bridge_address:
            return (("127.0.0.1", 0),)
        return ("127.0.0.1", 0), (self.machine.bridge_address, 0)

    async def ask(
        self,
        target: str,
        *,
        token: str = "",
        pair=None,
        owner: Owner | None = None,
        resident: Resident | None = None,
        remote: str = "",
        agent: str = "reader",
        more: tuple[str, ...] = (),
        method: str = "GET",
    ) -> tuple[int, bytes]:
        """Ask the hub as somebody; `remote` asks as from another address."""
        real = self.machine is not None and self.machine.root and owner is None
        self.owner = None if real else owner or Owner(0, HOST)
        lines = [*more, f"User-Agent: {agent}/v1", "Accept: application/json"]
        if token:
            lines.append(f"Authorization: Bearer {token}")
        if remote and resident is None:
            return await self._from_elsewhere(target, remote, lines)
        head = [f"{method} {target} HTTP/1.1", "Host: hub", *lines]
        raw = "\r\n".join([*head, "Connection: close", "\r\n"]).encode()
        if resident is not None:
            answer = await resident.ask(self.hub.addresses[1 if remote else 0], raw)
            return status_of(answer), body_in(answer)
        secure = token != "" or pair is not None
        answer = await (self._over_tls(raw, pair) if secure else self._plain(raw))
        return status_of(answer), body_in(answer)

    async def _plain(self, raw: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(*self.hub.addresses[0])
        return await _exchange(reader, writer, raw)

    async def _over_tls(self, raw: bytes, pair) -> bytes:
        context = ssl.create_default_context(cafile=str(self.cluster.authority.file))
        if pair is not None:
            context.load_cert_chain(pair.certificate, pair.key)
        reader, writer = await asyncio.open_connection(
            *self.hub.tls_addresses[0], ssl=context
        )
        return await _exchange(reader, writer, raw)

    async def _from_elsewhere(self, target, remote, lines) -> tuple[int, bytes]:
        """No other address is on this machine: what the wire would hand on."""
        peer = Peer(
            connection=next(self._connections),
            local=("10.244.0.1", 10261),
            remote=(remote, 40000),
        )
        fields = dict(line.split(": ", 1) for line in lines)
        headers = [(k.encode(), v.encode()) for k, v in fields.items()]
        request = Request(
            method="GET",
            target=target.encode(),
            headers=headers,
            fields={name.lower(): value for name, value in headers},
            body=BytesBody(),
            peer=peer,
        )
        response = await self.hub.chain.serve(request)
        content = response.content
        if response.body is not None:
            response.body.close()
        return response.status, content if isinstance(content, bytes) else b""


async def _exchange(reader, writer, raw: bytes) -> bytes:
    try:
        writer.write(raw)
        async with asyncio.timeout(20):
            return await reader.read()
    finally:
        writer.close()
