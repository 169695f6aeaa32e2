# SPDX-License-Identifier: Apache-2.0
"""Which resources the server knows, and what each one's objects look like on the wire."""

from dataclasses import dataclass
from typing import Any

from toono.testing.apiserver.served import NOT_STORED, lines
from toono.testing.apiserver.zeros import ZERO

JSON = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One resource of one group and version."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    custom: bool = False
    fields: frozenset[str] = frozenset()
    """Field selectors beside metadata.name and metadata.namespace."""
    singular: str = ""
    """The kind in lower case where it is not said."""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()
    """All, in the order of built-in kinds, where they are not said."""
    subresources: tuple[str, ...] = ()
    definition: bytes = b""
    """Of a custom resource: its CustomResourceDefinition, for the columns it names."""

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """As messages name it: deployments.apps."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def stored_as(self) -> str:
        """The resource's place in etcd."""
        return f"{self.group}/{self.plural}" if self.custom else self.plural

    @property
    def list_kind(self) -> str:
        return self.kind + "List"

    @property
    def zero(self) -> JSON:
        """What an empty object of a built-in kind holds beside metadata."""
        return ZERO.get(f"{self.api_version}/{self.kind}", {})

    @property
    def has_status(self) -> bool:
        """Whether status is written at a path of its own alone."""
        return "status" in self.subresources

    @property
    def counts_generation(self) -> bool:
        """Whether changes of what is wanted are counted in metadata.generation."""
        return self.custom or self.plural in _COUNTED

    @property
    def is_stored(self) -> bool:
        """Whether it has objects: reviews and bindings are only ever asked."""
        return self.plural not in NOT_STORED and self.verbs != ("create",)


_POD_FIELDS = frozenset(
    {
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
    }
)
_FIELDS = {
    "pods": _POD_FIELDS,
    "services": frozenset({"spec.clusterIP", "spec.type"}),
    "nodes": frozenset({"spec.unschedulable"}),
    "secrets": frozenset({"type"}),
    "namespaces": frozenset({"status.phase"}),
    "events": frozenset(
        {
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        }
    ),
}
_COUNTED = frozenset(
    {
        "pods", "deployments", "daemonsets", "statefulsets", "replicasets", "jobs",
        "cronjobs", "customresourcedefinitions", "endpointslices", "ingresses",
    }
)  # fmt: skip


def built_in() -> dict[tuple[str, str, str], Resource]:
    """Return the built-in resources by (group, version, plural)."""
    found = [
        Resource(
            **line._asdict(),
            fields=_FIELDS.get(line.plural, frozenset()),
        )
        for line in lines()
    ]
    return {(one.group, one.version, one.plural): one for one in found}


_META_ORDER = (
    "name",
    "generateName",
    "namespace",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "managedFields",
)
_ORDER = ("kind", "apiVersion", "metadata", "spec", "data", "status")
_EVENT_ORDER = (
    "kind", "apiVersion", "metadata", "involvedObject", "reason", "message", "source",
    "firstTimestamp", "lastTimestamp", "count", "type", "eventTime", "series",
    "action", "related", "reportingComponent", "reportingInstance",
)  # fmt: skip


_NESTED_META = {
    "ownerReferences": (
        "apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion",
    ),
    "managedFields": (
        "manager", "operation", "apiVersion", "time", "fieldsType", "fieldsV1",
        "subresource",
    ),
}  # fmt: skip
_PARTS = {
    ("nodes", "status"): (
        "capacity", "allocatable", "phase", "conditions", "addresses",
        "daemonEndpoints", "nodeInfo", "images", "volumesInUse", "volumesAttached",
        "config", "runtimeHandlers", "features",
    ),
    ("pods", "status"): (
        "observedGeneration", "phase", "conditions", "message", "reason",
        "nominatedNodeName", "hostIP", "hostIPs", "podIP", "podIPs", "startTime",
        "initContainerStatuses", "containerStatuses", "qosClass",
        "ephemeralContainerStatuses", "resize", "resourceClaimStatuses",
    ),
    ("customresourcedefinitions", "spec"): (
        "group", "names", "scope", "versions", "conversion", "preserveUnknownFields",
    ),
}  # fmt: skip
"""The order within what several writers write by turns."""


def ordered_metadata(meta: JSON) -> JSON:
    """Return metadata in the order of built-in kinds."""
    meta = _in_order(meta, _META_ORDER)
    for key, order in _NESTED_META.items():
        if meta.get(key):
            meta[key] = [_in_order(each, order) for each in meta[key]]
    return meta


def shaped(resource: Resource, content: JSON) -> JSON:
    """Return an object with its keys in the order that an API server writes.

    Built-in kinds: kind, apiVersion, metadata first; custom ones alphabetically.
    """
    if resource.custom:
        return {key: _alphabetical(content[key]) for key in sorted(content)}
    whole = content | {"metadata": _in_order(content["metadata"], _META_ORDER)}
    for (plural, part), order in _PARTS.items():
        if plural == resource.plural and isinstance(whole.get(part), dict):
            whole[part] = _in_order(whole[part], order)
    if resource.plural == "events" and not resource.group:
        return _in_order(resource.zero | whole, _EVENT_ORDER)
    return _in_order(whole, _ORDER)


def in_version(resource: Resource, content: JSON) -> JSON:
    """A custom object in the version that was asked for (conversion "None")."""
    if not resource.custom or content["apiVersion"] == resource.api_version:
        return content
    return {**content, "apiVersion": resource.api_version}


def _in_order(content: JSON, order: tuple[str, ...]) -> JSON:
    first = {key: content[key] for key in order if key in content}
    return first | {key: value for key, value in content.items() if key not in first}


def _alphabetical(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _alphabetical(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_alphabetical(item) for item in value]
    return value
