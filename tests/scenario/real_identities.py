# SPDX-License-Identifier: Apache-2.0
"""The cluster of `identities`, made anew in a real kube-apiserver."""

import asyncio
import base64
import http.client
import json
from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.scenario.identities import RESOURCES, pod
from toono.runtime.clock import SystemClock
from toono.testing.apiserver.tokens import TokenKeys
from toono.testing.certificates import Pair
from toono.testing.real import RealServer

ISSUER = "https://kubernetes.default.svc"
CORE = "/api/v1"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
SCHEMA = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
WIDGETS = {
    "metadata": {"name": "widgets.example.org"},
    "spec": {
        "group": "example.org",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "kind": "Widget"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": SCHEMA},
            }
        ],
    },
}
RULE = {
    "verbs": ["get", "list", "watch"],
    "apiGroups": ["", "example.org"],
    "resources": [
        *("pods", "secrets", "configmaps", "services", "nodes", "widgets"),
    ],
}
Content = dict


def volumes() -> list[Content]:
    return [
        {"name": "db", "secret": {"secretName": "db"}},
        {"name": "settings", "configMap": {"name": "settings"}},
    ]


class RealCluster:
    """What `identities.Cluster` is, by the original."""

    def __init__(self, programs: Path, directory: Path) -> None:
        self.clock = SystemClock()
        self.server = RealServer(programs, directory)
        self.authority = self.server.authority
        self.keys = TokenKeys(issuer=ISSUER, algorithm="ES256")
        self.others = TokenKeys(issuer=ISSUER, algorithm="ES256")
        self.seen: list[str] = []
        self._uids: dict[str, str] = {}

    async def start(self) -> None:
        await self.server.__aenter__()
        file = self.authority.file.parent / "user-service-accounts.key"
        self.keys.use_key(load_pem_private_key(file.read_bytes(), None), "ES256")
        try:
            await asyncio.to_thread(self._fill)
            await self._until_the_node_may()
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        await self.server.__aexit__(None, None, None)

    def token(self, account: str, **claims) -> str:
        """Return a token of the server's own making, or one with odd claims of ours."""
        if not claims:
            return self._requested(account)
        now = claims.pop("now", self.clock.wall())
        uid = claims.pop("uid", self._uids[account])
        return self.keys.mint("shop", account, now=now, uid=uid, **claims)

    def _requested(self, account: str) -> str:
        target = f"{CORE}/namespaces/shop/serviceaccounts/{account}/token"
        pods = f"{CORE}/namespaces/shop/pods/web-0"
        _, bound = self._ask("GET", pods, pair=self.server.admin)
        reference = {
            "kind": "Pod",
            "apiVersion": "v1",
            "name": "web-0",
            "uid": bound["metadata"]["uid"],
        }
        # Of the pod's own account alone: admission holds a bound token to it.
        spec = {"boundObjectRef": reference} if account == "web" else {}
        made = self._create(target, {"spec": spec})
        return made["status"]["token"]

    async def direct(
        self, target: str, *, token: str = "", pair: Pair | None = None
    ) -> int:
        code, _ = await asyncio.to_thread(
            self._ask, "GET", target, token=token, pair=pair
        )
        return code

    def _ask(
        self,
        method: str,
        target: str,
        content: Content | None = None,
        *,
        token: str = "",
        pair: Pair | None = None,
    ) -> tuple[int, Content]:
        host, port = self.server.address
        context = self.server.tls(pair)
        link = http.client.HTTPSConnection(host, port, context=context, timeout=20)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        body = json.dumps(content) if content is not None else None
        try:
            link.request(method, target, body, headers)
            answer = link.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            link.close()

    def _create(self, target: str, content: Content) -> Content:
        code, made = self._ask("POST", target, content, pair=self.server.admin)
        assert code in (201, 409), made
        return made

    def _fill(self) -> None:
        create = self._create
        create(CRDS, WIDGETS)
        for name in ("shop", "bank"):
            create(f"{CORE}/namespaces", {"metadata": {"name": name}})
        shop, bank = (f"{CORE}/namespaces/{name}" for name in ("shop", "bank"))
        for name in ("web", "reader"):
            made = create(f"{shop}/serviceaccounts", {"metadata": {"name": name}})
            self._uids[name] = made["metadata"]["uid"]
        create(f"{CORE}/nodes", {"metadata": {"name": "edge-1"}})
        own = pod("web-0", "edge-1", serviceAccountName="web", volumes=volumes())
        create(f"{shop}/pods", own)
        create(f"{bank}/pods", pod("bank-0", "edge-2"))
        for where, name in ((shop, "db"), (bank, "vault")):
            data = {"password": base64.b64encode(b"canary").decode()}
            create(f"{where}/secrets", {"metadata": {"name": name}, "data": data})
        create(f"{shop}/configmaps", {"metadata": {"name": "settings"}})
        ports = {"spec": {"ports": [{"port": 80}]}}
        create(f"{shop}/services", {"metadata": {"name": "web"}, **ports})
        create(
            f"{RBAC}/clusterroles", {"metadata": {"name": "reader"}, "rules": [RULE]}
        )
        binding = {
            "metadata": {"name": "reader"},
            "subjects": [
                {"kind": "ServiceAccount", "name": "reader", "namespace": "shop"}
            ],
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "reader",
            },
        }
        create(f"{RBAC}/clusterrolebindings", binding)

    async def _until_the_node_may(self) -> None:
        """Its rights and a CRD come within moments of what they follow from."""
        node, reader = self.authority.node("edge-1"), self.token("reader")
        widgets = "/apis/example.org/v1/namespaces/shop/widgets"
        async with asyncio.timeout(30):
            while await self.direct(widgets, pair=self.server.admin) != 200:
                await asyncio.sleep(0.05)
            self._create(widgets, widget())
            secret = RESOURCES["secret of a pod here"]
            while await self.direct(secret, pair=node) != 200:
                await asyncio.sleep(0.05)
            while await self.direct(secret, token=reader) != 200:
                await asyncio.sleep(0.05)


def widget() -> Content:
    return {
        "apiVersion": "example.org/v1",
        "kind": "Widget",
        "metadata": {"name": "w"},
    }
