# SPDX-License-Identifier: Apache-2.0
"""What passing traffic tells about what is served. Pure.

For a proxy that hosts a mapper: which 404 says "this resource is not served" (and
not "this object is not there"), and which kind a body shows for the resource in its
URL. Bodies in another form than the object's own (Table, PartialObjectMetadata,
Status) tell nothing.
"""

from typing import NamedTuple

import msgspec

from toono.restmapper.values import (
    CORE,
    GroupVersion,
    GroupVersionKind,
    GroupVersionResource,
    Scope,
)

CRDS = ("apiextensions.k8s.io", "customresourcedefinitions")
API_SERVICES = ("apiregistration.k8s.io", "apiservices")

_FOREIGN_GROUPS = frozenset({"meta.k8s.io"})
_FOREIGN_KINDS = frozenset({"Status", "List", "APIResourceList", "WatchEvent", ""})


class Target(NamedTuple):
    """The parts of a request's path that name a resource."""

    resource: GroupVersionResource
    namespace: str
    name: str
    subresource: str


def parse_target(target: str) -> Target | None:
    """Read the path of a request for a resource; None for any other path."""
    parts = target.partition("?")[0].strip("/").split("/")
    if len(parts) >= 3 and parts[0] == "api":
        gv, rest = GroupVersion(CORE, parts[1]), parts[2:]
    elif len(parts) >= 4 and parts[0] == "apis":
        gv, rest = GroupVersion(parts[1], parts[2]), parts[3:]
    else:
        return None
    if rest[0] == "watch":
        rest = rest[1:]
    namespace = ""
    if len(rest) >= 3 and rest[0] == "namespaces" and rest[2] not in _OF_NAMESPACES:
        namespace, rest = rest[1], rest[2:]
    if not rest or not all(rest):
        return None
    name, subresource = (*rest[1:3], "", "")[:2]
    return Target(GroupVersionResource(*gv, rest[0]), namespace, name, subresource)


_OF_NAMESPACES = frozenset({"status", "finalize"})
"""Subresources of a namespace; what else follows one is a resource in it."""


class _Details(msgspec.Struct):
    name: str = ""


class _Status(msgspec.Struct):
    kind: str = ""
    reason: str = ""
    details: _Details | None = None


_status = msgspec.json.Decoder(_Status)


def is_not_served(status: int, content_type: str, body: bytes) -> bool:
    """Whether an answer says that the resource itself is not served.

    The API server says so in plain text for an unknown group, and with a Status
    without a name in its details for an unknown version or resource; a missing
    object has its name there. Pages of other servers on the way count for nothing.
    """
    if status != 404:
        return False
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == "text/plain":
        return body.strip() == b"404 page not found"
    if media_type != "application/json":
        return False
    try:
        told = _status.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    named = told.details is not None and told.details.name
    return told.kind == "Status" and told.reason == "NotFound" and not named


class Sighting(NamedTuple):
    """A resource and the kind that its body showed."""

    resource: GroupVersionResource
    kind: GroupVersionKind
    scope: Scope


def sighting(target: str, api_version: str, kind: str) -> Sighting | None:
    """What a 2xx body of `kind` at `target` tells; None where it tells nothing.

    `api_version` and `kind` are those of the body, be it an object or a list.
    """
    asked = parse_target(target)
    if asked is None or asked.subresource or kind in _FOREIGN_KINDS:
        return None
    gv = GroupVersion.parse(api_version)
    if gv.group in _FOREIGN_GROUPS or gv != asked.resource[:2]:
        return None
    if not asked.name:
        kind = kind.removesuffix("List")
    if not kind:
        return None
    shown = GroupVersionKind(gv.group, gv.version, kind)
    return Sighting(asked.resource, shown, _scope(asked))


def _scope(asked: Target) -> Scope:
    if asked.namespace:
        return Scope.NAMESPACED
    return Scope.CLUSTER if asked.name else Scope.UNKNOWN
