# SPDX-License-Identifier: Apache-2.0
"""A cluster's discovery in memory, behind a transport that counts requests."""

import asyncio
import hashlib
import json
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.unit.restmapper.virtual import VirtualClock
from toono.restmapper import GVK, GVR, GroupKind, MapperSettings, Reply, RESTMapper
from toono.restmapper.transport import TransportError
from toono.restmapper.values import guess_plural, version_rank

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
VERBS = [
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "create",
    "update",
    "watch",
]
MODES = ["aggregated", "legacy"]
X = "x.example.com"
CRD_PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
API_SERVICE_PATH = "/apis/apiregistration.k8s.io/v1/apiservices"


def gk(group, kind):
    return GroupKind(group, kind)


def gvk(group, version, kind):
    return GVK(group, version, kind)


def gvr(group, version, resource):
    return GVR(group, version, resource)


@dataclass
class Served:
    """One resource of one group-version."""

    plural: str
    kind: str
    singular: str = ""
    namespaced: bool = True
    verbs: list = field(default_factory=lambda: list(VERBS))
    short: list = field(default_factory=list)
    categories: list = field(default_factory=list)
    subresources: dict = field(default_factory=dict)


class Cluster:
    """What one API server (or several that agree) serves."""

    def __init__(self, mode="aggregated"):
        self.mode = mode
        self.groups = {}
        """group → version → plural → Served, groups in the server's order."""
        self.preferred = {}
        self.down = set()
        """(group, version) whose aggregated API cannot be reached."""

    def add(self, group, version, kind, plural="", **facts):
        plural = plural or guess_plural(kind)[0]
        facts.setdefault("singular", kind.lower())
        versions = self.groups.setdefault(group, {})
        versions.setdefault(version, {})[plural] = Served(plural, kind, **facts)
        return self

    def remove(self, group, version=None, plural=None):
        versions = self.groups[group]
        for each in [version] if version else list(versions):
            if plural:
                versions[each].pop(plural, None)
            if not plural or not versions[each]:
                del versions[each]
        if not versions:
            del self.groups[group]

    def copy(self):
        other = Cluster(self.mode)
        other.groups = {
            group: {version: dict(served) for version, served in versions.items()}
            for group, versions in self.groups.items()
        }
        other.preferred, other.down = dict(self.preferred), set(self.down)
        return other

    def versions(self, group):
        first = self.preferred.get(group)
        return sorted(
            self.groups[group], key=lambda each: (each != first, version_rank(each))
        )

    # -- documents ---------------------------------------------------------------

    def answer(self, path, accept):
        """(status, content type, body, etag)."""
        aggregated = "APIGroupDiscoveryList" in accept
        if path in ("/api", "/apis"):
            if self.mode == "refuse" and aggregated:
                return 406, "application/json", b"{}", ""
            mode = self.mode if isinstance(self.mode, str) else self.mode[path]
            if mode == "aggregated" and aggregated:
                return self._aggregated(path)
            return self._groups(path)
        parts = path.strip("/").split("/")
        if parts[0] == "apis" and len(parts) == 2 and parts[1] in self.groups:
            return self._json({"kind": "APIGroup", **self._group(parts[1])})
        if parts[0] == "api":
            return self._resources("", parts[1])
        if len(parts) == 3:
            return self._resources(parts[1], parts[2])
        return self.missing()

    @staticmethod
    def missing():
        return 404, "text/plain; charset=utf-8", b"404 page not found\n", ""

    @staticmethod
    def _json(content):
        return 200, "application/json", json.dumps(content).encode(), ""

    def _listed(self, path):
        return [group for group in self.groups if bool(group) == (path == "/apis")]

    def _aggregated(self, path):
        groups = self._listed(path)
        if not groups and path == "/api":
            return self.missing()
        items = [self._discovery(group) for group in groups]
        content = {
            "kind": "APIGroupDiscoveryList",
            "apiVersion": "apidiscovery.k8s.io/v2",
            "metadata": {},
            "items": items,
        }
        body = json.dumps(content).encode()
        etag = f'"{hashlib.sha512(body).hexdigest().upper()}"'
        return 200, AGGREGATED, body, etag

    def _discovery(self, group):
        versions = []
        for version in self.versions(group):
            if (group, version) in self.down:
                versions.append({"version": version, "freshness": "Stale"})
                continue
            served = self.groups[group][version].values()
            versions.append(
                {
                    "version": version,
                    "resources": [self._resource(each) for each in served],
                    "freshness": "Current",
                }
            )
        return {"metadata": {"name": group} if group else {}, "versions": versions}

    @staticmethod
    def _resource(served):
        told = {
            "resource": served.plural,
            "responseKind": {"group": "", "version": "", "kind": served.kind},
            "scope": "Namespaced" if served.namespaced else "Cluster",
            "singularResource": served.singular,
            "verbs": served.verbs,
        }
        if served.short:
            told["shortNames"] = served.short
        if served.categories:
            told["categories"] = served.categories
        if served.subresources:
            told["subresources"] = [
                {
                    "subresource": name,
                    "responseKind": {"group": "", "version": "", "kind": kind},
                    "verbs": ["get"],
                }
                for name, kind in served.subresources.items()
            ]
        return told

    def _groups(self, path):
        if path == "/api":
            if "" not in self.groups:
                return self.missing()
            return self._json({"kind": "APIVersions", "versions": self.versions("")})
        groups = [self._group(group) for group in self._listed(path)]
        return self._json({"kind": "APIGroupList", "groups": groups})

    def _group(self, group):
        listed = [
            {"groupVersion": f"{group}/{version}", "version": version}
            for version in self.versions(group)
        ]
        return {"name": group, "versions": listed, "preferredVersion": listed[0]}

    def _resources(self, group, version):
        if (group, version) in self.down:
            return 503, "text/plain; charset=utf-8", b"service unavailable", ""
        if version not in self.groups.get(group, {}):
            return self.missing()
        rows = []
        for each in self.groups[group][version].values():
            if each.kind:
                rows.append(
                    {
                        "name": each.plural,
                        "singularName": each.singular,
                        "namespaced": each.namespaced,
                        "kind": each.kind,
                        "verbs": each.verbs,
                        "shortNames": each.short,
                        "categories": each.categories,
                    }
                )
            for name, kind in each.subresources.items():
                rows.append(
                    {
                        "name": f"{each.plural}/{name}",
                        "singularName": "",
                        "namespaced": each.namespaced,
                        "kind": kind,
                        "verbs": ["get"],
                    }
                )
        gv = f"{group}/{version}" if group else version
        content = {"kind": "APIResourceList", "groupVersion": gv, "resources": rows}
        return self._json(content)


class Wire:
    """A transport to one or more servers behind one address."""

    def __init__(self, *clusters, latency=0.001):
        self.clusters = list(clusters)
        self.latency = latency
        self.requests = []
        """(path, status) in order."""
        self.faults = {}
        """path (or "*") → what to do instead: an exception, or (status, type, body)."""
        self.hang = set()
        self.git_version = "v1.34.0"
        self.watch_status = 403
        self.watchers = {}
        self.listed = {}
        self.cut = False
        self.turns = {}
        """path → how often it was answered: the servers take turns at each."""

    @property
    def cluster(self):
        return self.clusters[0]

    @property
    def count(self):
        """Discovery requests so far."""
        return len(self.paths())

    def paths(self):
        return [
            path
            for path, _ in self.requests
            if path != "/version" and not path.startswith((CRD_PATH, API_SERVICE_PATH))
        ]

    @asynccontextmanager
    async def get(self, target, headers):
        path = target.partition("?")[0]
        place = len(self.requests)
        self.requests.append((target, 0))
        await asyncio.sleep(self.latency)
        if self.cut:
            raise TransportError("the link is down")
        if path in self.hang or "*" in self.hang:
            await asyncio.sleep(3600)
        if path in (CRD_PATH, API_SERVICE_PATH):
            yield await self._collection(path, target)
            return
        status, content_type, body, etag = self._plain(path, headers)
        if etag and headers.get("if-none-match") == etag:
            status, body = 304, b""
        self.requests[place] = (target, status)
        answered = {"content-type": content_type} | ({"etag": etag} if etag else {})
        yield Reply(status=status, headers=answered, chunks=chunks(body))

    def _plain(self, path, headers):
        fault = self.faults.get(path, self.faults.get("*"))
        if isinstance(fault, Exception):
            raise fault
        if fault is not None:
            return (*fault, "")
        if path == "/version":
            body = json.dumps({"gitVersion": self.git_version}).encode()
            return 200, "application/json", body, ""
        turn = self.turns.get(path, 0)
        self.turns[path] = turn + 1
        cluster = self.clusters[turn % len(self.clusters)]
        return cluster.answer(path, headers["accept"])

    # -- watches -------------------------------------------------------------------

    async def _collection(self, path, target):
        if self.watch_status != 200:
            return Reply(status=self.watch_status, headers={}, chunks=chunks(b"{}"))
        if "watch=true" not in target:
            items = [
                {"metadata": {"name": name, "resourceVersion": version}}
                for name, version in self.listed.get(path, {}).items()
            ]
            content = {"metadata": {"resourceVersion": "10"}, "items": items}
            return Reply(
                status=200, headers={}, chunks=chunks(json.dumps(content).encode())
            )
        queue = self.watchers[path] = asyncio.Queue()
        return Reply(status=200, headers={}, chunks=drained(queue))

    def tell(self, event, content, path=CRD_PATH):
        """One event to the watcher of `path`."""
        frame = {"type": event, "object": content}
        self.watchers[path].put_nowait(json.dumps(frame).encode() + b"\n")

    def end_watch(self, path=CRD_PATH):
        self.watchers[path].put_nowait(None)


async def chunks(body):
    half = len(body) // 2
    for piece in (body[:half], body[half:]):
        if piece:
            yield piece


async def drained(queue):
    while (piece := await queue.get()) is not None:
        yield piece


def crd(
    kind,
    group=X,
    versions=("v1",),
    *,
    plural="",
    scope="Namespaced",
    established=True,
    accepted=True,
    terminating=False,
    resource_version="11",
    **names,
):
    """A CustomResourceDefinition as a watch shows it."""
    plural = plural or guess_plural(kind)[0]
    told = {"plural": plural, "singular": kind.lower(), "kind": kind, **names}
    conditions = [
        {"type": "NamesAccepted", "status": str(accepted)},
        {"type": "Established", "status": str(established)},
    ]
    if terminating:
        conditions.append({"type": "Terminating", "status": "True"})
    return {
        "metadata": {
            "name": f"{plural}.{group}",
            "resourceVersion": resource_version,
        },
        "spec": {
            "group": group,
            "scope": scope,
            "names": told,
            "versions": [
                {
                    "name": each,
                    "served": True,
                    "storage": each == versions[0],
                    "schema": {"openAPIV3Schema": {"type": "object"}},
                    "subresources": {"status": {}},
                }
                for each in versions
            ],
        },
        "status": {"acceptedNames": told, "conditions": conditions},
    }


def standard(mode="aggregated"):
    """A small cluster: the core group and a few of the built-in ones."""
    cluster = Cluster(mode)
    core = {
        "Pod": {"short": ["po"], "categories": ["all"]},
        "Service": {"short": ["svc"], "categories": ["all"]},
        "Node": {"namespaced": False, "short": ["no"]},
        "Endpoints": {"plural": "endpoints"},
        "ConfigMap": {"short": ["cm"]},
    }
    for kind, facts in core.items():
        cluster.add("", "v1", kind, **facts)
    cluster.groups[""]["v1"]["pods"].subresources = {"status": "Pod", "log": "Pod"}
    cluster.add("apps", "v1", "Deployment", short=["deploy"], categories=["all"])
    cluster.add("apps", "v1", "DaemonSet", short=["ds"])
    cluster.add("networking.k8s.io", "v1", "Ingress", short=["ing"])
    cluster.add("authentication.k8s.io", "v1", "TokenReview", namespaced=False)
    cluster.add(
        "scheduling.k8s.io", "v1", "PriorityClass", namespaced=False, short=["pc"]
    )
    cluster.add("policy", "v1", "PodDisruptionBudget", short=["pdb"])
    cluster.add("storage.k8s.io", "v1", "StorageClass", namespaced=False, short=["sc"])
    return cluster


BAD = {
    "503": (503, "text/plain", b"unavailable"),
    "401": (401, "application/json", b"{}"),
    "403": (403, "application/json", b"{}"),
    "500": (500, "text/plain", b""),
    "html": (200, "text/html", b"<html>log in</html>"),
    "html-as-json": (200, "application/json", b"<html>log in</html>"),
    "html-404": (404, "text/html", b"<html>not here</html>"),
    "truncated": (200, "application/json", b'{"kind":"APIResourceList","resour'),
    "not-utf-8": (200, "application/json", b'{"kind":"\xff\xfe"}'),
    "null": (200, "application/json", b"null"),
    "another-document": (200, "application/json", b'{"kind":"PodList","items":[]}'),
    "timeout": TimeoutError(),
    "reset": ConnectionResetError("reset by peer"),
    "tls": ssl.SSLError("handshake failure"),
    "broken-gzip": (200, "application/json", b"\x1f\x8b\x08garbage"),
}
"""What may stand where a document should: (status, content type, body) or an error."""


def mapper_over(wire, **settings):
    return RESTMapper(wire, settings=MapperSettings(**settings), clock=VirtualClock())
