# SPDX-License-Identifier: Apache-2.0
"""What a CustomResourceDefinition says will be served, read without its schemas. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from toono.restmapper.errors import BadDocumentError
from toono.restmapper.values import (
    APIResource,
    GroupVersion,
    GroupVersionKind,
    Scope,
    Subresource,
    guess_plural,
)

VERBS = (
    "delete", "deletecollection", "get", "list", "patch", "create", "update", "watch",
)  # fmt: skip
TERMINATING_VERBS = ("delete", "deletecollection", "get", "list", "watch")
"""A CRD that waits for its objects' finalizers takes no more writes."""
SUBRESOURCE_VERBS = ("get", "patch", "update")
SCALE = GroupVersionKind("autoscaling", "v1", "Scale")


class _Metadata(msgspec.Struct, rename="camel"):
    name: str = ""
    resource_version: str = ""


class _Names(msgspec.Struct, rename="camel"):
    plural: str = ""
    singular: str = ""
    kind: str = ""
    short_names: tuple[str, ...] | None = ()
    categories: tuple[str, ...] | None = ()


class _Subresources(msgspec.Struct):
    status: dict[str, msgspec.Raw] | None = None
    scale: dict[str, msgspec.Raw] | None = None


class _Version(msgspec.Struct):
    name: str
    served: bool = False
    subresources: _Subresources | None = None


class _Spec(msgspec.Struct):
    group: str = ""
    scope: str = ""
    versions: list[_Version] | None = None


class _Condition(msgspec.Struct):
    type: str = ""
    status: str = ""


class _Status(msgspec.Struct, rename="camel"):
    accepted_names: _Names = msgspec.field(default_factory=_Names)
    conditions: list[_Condition] | None = None


class _Definition(msgspec.Struct):
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)
    spec: _Spec = msgspec.field(default_factory=_Spec)
    status: _Status = msgspec.field(default_factory=_Status)


_definition = msgspec.json.Decoder(_Definition)


class Definition(NamedTuple):
    """One CRD: what it names, and what it serves by now."""

    group: str
    plural: str
    is_served: bool
    """Established, with its names accepted."""
    resources: tuple[tuple[GroupVersion, APIResource], ...]
    """By version, () unless it is served."""


def read_definition(body: bytes) -> Definition:
    """Read a CRD (apiextensions.k8s.io/v1); raises BadDocumentError."""
    try:
        told = _definition.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise BadDocumentError(f"no CustomResourceDefinition: {exc}") from exc
    plural, _, group = told.metadata.name.partition(".")
    if not plural or not group:
        raise BadDocumentError(f"a CRD named {told.metadata.name!r}")
    true = {each.type for each in told.status.conditions or () if each.status == "True"}
    names = told.status.accepted_names
    is_served = {"Established", "NamesAccepted"} <= true and bool(names.kind)
    if not is_served:
        return Definition(group, plural, False, ())
    verbs = TERMINATING_VERBS if "Terminating" in true else VERBS
    scope = Scope.CLUSTER if told.spec.scope == "Cluster" else Scope.NAMESPACED
    resources = [
        _resource(GroupVersion(group, each.name), each, names, scope, verbs)
        for each in told.spec.versions or ()
        if each.served
    ]
    return Definition(group, plural, True, tuple(resources))


def _resource(
    gv: GroupVersion,
    version: _Version,
    names: _Names,
    scope: Scope,
    verbs: Sequence[str],
) -> tuple[GroupVersion, APIResource]:
    kind = GroupVersionKind(gv.group, gv.version, names.kind)
    below = []
    if version.subresources and version.subresources.status is not None:
        below.append(Subresource("status", kind, SUBRESOURCE_VERBS))
    if version.subresources and version.subresources.scale is not None:
        below.append(Subresource("scale", SCALE, SUBRESOURCE_VERBS))
    resource = APIResource(
        names.plural,
        names.singular or guess_plural(names.kind)[1],
        kind,
        scope,
        tuple(verbs),
        names.short_names or (),
        names.categories or (),
        tuple(below),
    )
    return gv, resource
