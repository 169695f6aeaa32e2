# SPDX-License-Identifier: Apache-2.0
"""Discovery documents made from a snapshot: their JSON and their protobuf.

Field numbers are those of meta/v1 and apidiscovery/v2 generated.proto. The documents
of the core group say no apiVersion, as those of kube-apiserver.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from toono.restmapper.discovery import AGGREGATED_KIND
from toono.restmapper.snapshot import Snapshot, VersionRecord
from toono.restmapper.values import (
    CORE,
    APIResource,
    GroupVersion,
    GroupVersionKind,
    Scope,
    State,
    Subresource,
)

MAGIC = b"k8s\x00"
JSONObject = dict[str, Any]
Fields = Sequence[tuple[int, Any]]
"""A protobuf message: (number, str, bool, bytes of a message, or None) in order."""

_CONTENTS = {"group": 1, "version": 2, "kind": 3}


class Told(NamedTuple):
    """One document, to be written in either form."""

    json: JSONObject
    fields: Fields

    def protobuf(self) -> bytes:
        """The document in Kubernetes' envelope (runtime.Unknown)."""
        meta = message([(1, self.json.get("apiVersion", "")), (2, self.json["kind"])])
        return MAGIC + message([(1, meta), (2, message(self.fields)), (3, ""), (4, "")])


def message(fields: Fields) -> bytes:
    """Encode a message; None leaves a field out, a list repeats it."""
    out = bytearray()
    for number, value in fields:
        for each in value if isinstance(value, list) else [value]:
            if each is None:
                continue
            if isinstance(each, bool):
                out += bytes([number << 3, each])
                continue
            content = each.encode() if isinstance(each, str) else each
            out += bytes([number << 3 | 2]) + _varint(len(content)) + content
    return bytes(out)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _plain(pairs: Mapping[str, Any]) -> JSONObject:
    """Without what Go's omitempty leaves out."""
    return {name: value for name, value in pairs.items() if value not in ("", (), [])}


# -- legacy ------------------------------------------------------------------------


def core_versions(snapshot: Snapshot) -> Told:
    """APIVersions."""
    versions = [gv.version for gv in snapshot.order(CORE)]
    json = {
        "kind": "APIVersions",
        "versions": versions,
        "serverAddressByClientCIDRs": [],
    }
    return Told(json, [(1, versions)])


def group_list(snapshot: Snapshot, groups: Iterable[str]) -> Told:
    """APIGroupList."""
    told = [group(snapshot, name) for name in groups]
    items = [_plain({**each.json, "kind": "", "apiVersion": ""}) for each in told]
    json = {"kind": "APIGroupList", "apiVersion": "v1", "groups": items}
    return Told(json, [(1, [message(each.fields) for each in told])])


def group(snapshot: Snapshot, name: str) -> Told:
    """APIGroup."""
    versions = [
        {"groupVersion": str(gv), "version": gv.version} for gv in snapshot.order(name)
    ]
    json = {
        "kind": "APIGroup",
        "apiVersion": "v1",
        "name": name,
        "versions": versions,
        "preferredVersion": versions[0],
    }
    encoded = [
        message([(1, each["groupVersion"]), (2, each["version"])]) for each in versions
    ]
    return Told(json, [(1, name), (2, encoded), (3, encoded[0])])


def resource_list(record: VersionRecord) -> Told:
    """APIResourceList, subresources as rows of their own."""
    rows = [row for each in record.resources for row in _rows(record.gv, each)]
    json: JSONObject = {"kind": "APIResourceList"}
    json |= {"apiVersion": "v1"} if record.gv.group else {}
    json |= {
        "groupVersion": str(record.gv),
        "resources": [row.json for row in rows],
    }
    encoded = [message(row.fields) for row in rows]
    return Told(json, [(1, str(record.gv)), (2, encoded)])


def _rows(gv: GroupVersion, resource: APIResource) -> Iterable[Told]:
    namespaced = resource.scope is Scope.NAMESPACED
    if resource.kind.kind:
        yield _row(gv, resource.resource, resource, namespaced=namespaced)
    for each in resource.subresources:
        name = f"{resource.resource}/{each.name}"
        yield _row(gv, name, each, namespaced=namespaced)


def _row(
    gv: GroupVersion,
    name: str,
    served: APIResource | Subresource,
    *,
    namespaced: bool,
) -> Told:
    kind = served.kind
    foreign = kind[:2] != gv
    group, version = (kind.group, kind.version) if foreign else ("", "")
    singular = served.singular if isinstance(served, APIResource) else ""
    shorts = served.short_names if isinstance(served, APIResource) else ()
    categories = served.categories if isinstance(served, APIResource) else ()
    json = {"name": name, "singularName": singular, "namespaced": namespaced}
    json |= _plain({"group": group, "version": version})
    json |= {"kind": kind.kind, "verbs": list(served.verbs)}
    json |= _plain({"shortNames": list(shorts), "categories": list(categories)})
    fields: Fields = [
        (1, name),
        (2, namespaced),
        (3, kind.kind),
        (4, message([(1, list(served.verbs))])),
        (5, list(shorts)),
        (6, singular),
        (7, list(categories)),
        (8, group),
        (9, version),
        (10, ""),
    ]
    return Told(json, fields)


# -- aggregated --------------------------------------------------------------------


def aggregated(snapshot: Snapshot, groups: Iterable[str], version: str) -> Told:
    """APIGroupDiscoveryList; what has a last good answer is told as current.

    Offline nobody knows better, and a client that is told "stale" takes the whole
    group for gone.
    """
    told = [_aggregated_group(snapshot, name) for name in groups]
    json = {
        "kind": AGGREGATED_KIND,
        "apiVersion": f"apidiscovery.k8s.io/{version}",
        "metadata": {},
        "items": [each.json for each in told],
    }
    items = [message(each.fields) for each in told]
    return Told(json, [(1, b""), (2, items)])


def _aggregated_group(snapshot: Snapshot, name: str) -> Told:
    versions = [
        _aggregated_version(gv, snapshot.records.get(gv)) for gv in snapshot.order(name)
    ]
    json = {
        "metadata": {"name": name} if name else {},
        "versions": [each.json for each in versions],
    }
    encoded = [message(each.fields) for each in versions]
    return Told(json, [(1, message([(1, name)])), (2, encoded)])


def _aggregated_version(gv: GroupVersion, record: VersionRecord | None) -> Told:
    untold = record is None or record.state is State.FAILED
    freshness = "Stale" if untold else "Current"
    resources = (
        [] if record is None else [_aggregated(each) for each in record.resources]
    )
    json = {"version": gv.version}
    json |= _plain({"resources": [each.json for each in resources]})
    json |= {"freshness": freshness}
    encoded = [message(each.fields) for each in resources]
    return Told(json, [(1, gv.version), (2, encoded), (3, freshness)])


def _aggregated(resource: APIResource) -> Told:
    below = [_aggregated_subresource(each) for each in resource.subresources]
    kind = _kind(resource.kind)
    scope = "Namespaced" if resource.scope is Scope.NAMESPACED else "Cluster"
    json: JSONObject = {"resource": resource.resource}
    if kind is not None:
        json["responseKind"] = kind.json
    json |= {
        "scope": scope,
        "singularResource": resource.singular,
        "verbs": list(resource.verbs),
    }
    json |= _plain(
        {
            "shortNames": list(resource.short_names),
            "categories": list(resource.categories),
            "subresources": [each.json for each in below],
        }
    )
    fields: Fields = [
        (1, resource.resource),
        (2, None if kind is None else message(kind.fields)),
        (3, scope),
        (4, resource.singular),
        (5, list(resource.verbs)),
        (6, list(resource.short_names)),
        (7, list(resource.categories)),
        (8, [message(each.fields) for each in below]),
    ]
    return Told(json, fields)


def _aggregated_subresource(served: Subresource) -> Told:
    kind = _kind(served.kind)
    json: JSONObject = {"subresource": served.name}
    if kind is not None:
        json["responseKind"] = kind.json
    json["verbs"] = list(served.verbs)
    encoded = None if kind is None else message(kind.fields)
    return Told(json, [(1, served.name), (2, encoded), (4, list(served.verbs))])


def _kind(kind: GroupVersionKind) -> Told | None:
    """Always whole: a client that does not fill in blanks is served as well."""
    if not kind.kind:
        return None
    json = {"group": kind.group, "version": kind.version, "kind": kind.kind}
    return Told(json, [(1, kind.group), (2, kind.version), (3, kind.kind)])
