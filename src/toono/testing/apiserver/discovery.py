# SPDX-License-Identifier: Apache-2.0
"""Discovery: which groups, versions and resources are served, in both forms.

The aggregated form (KEP-3352) comes with an ETag and answers 304; the legacy one has a
document a group-version and no ETag. What an aggregated API that is down serves is
told as stale, and its own document is a 503.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence

from toono.testing.apiserver.discovery_rows import in_protobuf, rows_of, told
from toono.testing.apiserver.forms import PROTOBUF, wants_protobuf
from toono.testing.apiserver.query import JSON
from toono.testing.apiserver.resources import Resource
from toono.testing.apiserver.served import groups
from toono.testing.apiserver.storage import encode
from toono.wire.messages import Headers, Response

GROUPS_FIRST = tuple(groups())
"""In the order of a kube-apiserver 1.34; groups of CRDs follow by name."""
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_PRIVATE = (b"Cache-Control", b"no-cache, private")
_JSON_TYPE = (b"Content-Type", b"application/json")
_KUBE_VERSION = re.compile(r"v([0-9]+)(?:(alpha|beta)([0-9]+))?\Z")

GroupVersion = tuple[str, str]


class Discovery:
    """What one server tells of itself; `stale` and `preferred` are for tests to set."""

    def __init__(self) -> None:
        self.address = ""
        """Host and port, as told to clients; those that listen on 0.0.0.0 tell one."""
        self.aggregated = True
        """False: a server before 1.26, which answers in the legacy form."""
        self.stale: set[GroupVersion] = set()
        """Group-versions of aggregated APIs that are down."""
        self.preferred: dict[str, str] = {}
        """Group → the version to put first, where not the highest."""

    def answer(
        self, path: str, fields: dict[bytes, bytes], resources: Iterable[Resource]
    ) -> Response | None:
        """Answer a path of discovery; None for any other path."""
        parts = [part for part in path.split("/") if part]
        served = _by_version(resources)
        if parts in (["api"], ["apis"]):
            groups = [
                each for each in _groups(served) if bool(each) == (parts != ["api"])
            ]
            accept = fields.get(b"accept", b"").decode("latin-1").replace(" ", "")
            if self.aggregated and AGGREGATED in accept.split(","):
                known = fields.get(b"if-none-match", b"").decode("latin-1")
                return self._aggregated(groups, served, known)
            return self._root(parts[0], groups, served)
        if len(parts) == 2 and parts[0] == "apis":
            return self._group_document(parts[1], served)
        if len(parts) == 2 and parts[0] == "api":
            return self._version_document(("", parts[1]), served, fields)
        if len(parts) == 3 and parts[0] == "apis":
            return self._version_document((parts[1], parts[2]), served, fields)
        return None

    def versions(self, group: str, served: "Served") -> list[str]:
        """The versions of a group, the preferred one first."""
        first = self.preferred.get(group)
        found = [version for each, version in served if each == group]
        return sorted(found, key=lambda each: (each != first, _rank(each)))

    # -- legacy ------------------------------------------------------------------

    def _root(self, name: str, groups: Sequence[str], served: "Served") -> Response:
        if name == "api":
            versions = self.versions("", served)
            content: JSON = {"kind": "APIVersions", "versions": versions}
            address = {"clientCIDR": "0.0.0.0/0", "serverAddress": self.address}
            return _json(content | {"serverAddressByClientCIDRs": [address]})
        listed = [self._group(each, served) for each in groups]
        return _json({"kind": "APIGroupList", "apiVersion": "v1", "groups": listed})

    def _group(self, name: str, served: "Served") -> JSON:
        versions = [
            {"groupVersion": f"{name}/{version}", "version": version}
            for version in self.versions(name, served)
        ]
        return {"name": name, "versions": versions, "preferredVersion": versions[0]}

    def _group_document(self, name: str, served: "Served") -> Response:
        if not any(group == name for group, _ in served):
            return page_not_found()
        head = {"kind": "APIGroup", "apiVersion": "v1"}
        return _json(head | self._group(name, served))

    def _version_document(
        self, gv: GroupVersion, served: "Served", fields: dict[bytes, bytes]
    ) -> Response:
        if gv in self.stale:
            return unavailable()
        if gv not in served:
            return page_not_found()
        group, version = gv
        content: JSON = {"kind": "APIResourceList"}
        content |= {"apiVersion": "v1"} if group else {}
        content["groupVersion"] = f"{group}/{version}" if group else version
        content["resources"] = [row for each in served[gv] for row in rows_of(each)]
        if wants_protobuf(fields.get(b"accept", b"").decode("latin-1")):
            headers = [_PRIVATE, (b"Content-Type", PROTOBUF.encode())]
            return Response(status=200, headers=headers, content=in_protobuf(content))
        return _json(content)

    # -- aggregated --------------------------------------------------------------

    def _aggregated(
        self, groups: Sequence[str], served: "Served", known: str
    ) -> Response:
        head = {
            "kind": "APIGroupDiscoveryList",
            "apiVersion": "apidiscovery.k8s.io/v2",
        }
        content = {
            "metadata": {},
            "items": [self._item(group, served) for group in groups],
        }
        # As kube-apiserver takes it: of the list before it is given its type.
        etag = f'"{hashlib.sha512(encode(content)).hexdigest().upper()}"'
        headers: Headers = [
            (b"Cache-Control", b"public"),
            (b"Etag", etag.encode()),
            (b"Vary", b"Accept"),
        ]
        if known == etag:
            return Response(status=304, headers=headers)
        headers.append((b"Content-Type", AGGREGATED.encode()))
        body = encode(head | content) + b"\n"
        return Response(status=200, headers=headers, content=body)

    def _item(self, group: str, served: "Served") -> JSON:
        versions: list[JSON] = []
        for version in self.versions(group, served):
            if (group, version) in self.stale:
                versions.append({"version": version, "freshness": "Stale"})
                continue
            rows = [told(each) for each in served[group, version]]
            versions.append(
                {"version": version, "resources": rows, "freshness": "Current"}
            )
        return {"metadata": {"name": group} if group else {}, "versions": versions}


Served = dict[GroupVersion, list[Resource]]


def _by_version(resources: Iterable[Resource]) -> Served:
    served: Served = {}
    for each in sorted(resources, key=lambda one: one.plural):
        served.setdefault((each.group, each.version), []).append(each)
    return served


def _groups(served: Served) -> list[str]:
    order = {name: place for place, name in enumerate(GROUPS_FIRST)}
    names = {group for group, _ in served}
    return sorted(names, key=lambda name: (order.get(name, len(order)), name))


def _rank(version: str) -> tuple[int, int, int, str]:
    """GA before beta before alpha, higher before lower, then anything else."""
    match = _KUBE_VERSION.match(version)
    if match is None:
        return (3, 0, 0, version)
    stability = {None: 0, "beta": 1, "alpha": 2}[match[2]]
    return (stability, -int(match[1]), -int(match[3] or 0), "")


def _json(content: JSON) -> Response:
    body = encode(content) + b"\n"
    return Response(status=200, headers=[_JSON_TYPE, _PRIVATE], content=body)


def _text(status: int, content: bytes) -> Response:
    headers = [
        _PRIVATE,
        (b"Content-Type", b"text/plain; charset=utf-8"),
        (b"X-Content-Type-Options", b"nosniff"),
    ]
    return Response(status=status, headers=headers, content=content)


def page_not_found() -> Response:
    """What a path below no served group gets."""
    return _text(404, b"404 page not found\n")


def unavailable() -> Response:
    """What anything of an aggregated API gets that is down."""
    return _text(503, b"service unavailable\n")


def is_served(group: str, resources: Iterable[Resource]) -> bool:
    """Whether anything of a group is served."""
    return any(each.group == group for each in resources)
