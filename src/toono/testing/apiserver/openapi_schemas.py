# SPDX-License-Identifier: Apache-2.0
"""OpenAPI v3 of what objects hold: their fields and types.

Built-in kinds are told from the field table of the wire format, custom ones from their
definitions; what every document has of metadata is a table here, held to a
kube-apiserver's. What a field is for is told only where a definition does.
"""

import json
from collections.abc import Mapping, Sequence

from toono.codec.schema import Field, fields_of, message_of, messages
from toono.testing.apiserver.openapi_paths import META, SCHEMAS, gvk
from toono.testing.apiserver.query import JSON
from toono.testing.apiserver.resources import Resource

_SCALARS: Mapping[str, JSON] = {
    "string": {"type": "string"},
    "bytes": {"type": "string", "format": "byte"},
    "bool": {"type": "boolean"},
    "int32": {"type": "integer", "format": "int32"},
    "int64": {"type": "integer", "format": "int64"},
    "float64": {"type": "number", "format": "double"},
    "list:string": {"type": "array", "items": {"type": "string"}},
    "Time": {"type": "string", "format": "date-time"},
    "MicroTime": {"type": "string", "format": "date-time"},
    "Quantity": {"type": "string"},
    "IntOrString": {"type": "string", "format": "int-or-string"},
}
"""What is no message of its own; any other type is some object."""
_PACKAGES = {
    "meta": META.removesuffix("v1."),
    "apiextensions": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.",
    "apiregistration": "io.k8s.kube-aggregator.pkg.apis.apiregistration.",
}
_STRING: JSON = {"type": "string"}
_FILLED: JSON = {"type": "string", "default": ""}
_LONG: JSON = {"type": "integer", "format": "int64"}
_SHORT: JSON = {"type": "integer", "format": "int32"}
_FLAG: JSON = {"type": "boolean"}
_ATOMIC = {"x-kubernetes-list-type": "atomic"}
_KEY_ORDER = (
    "description", "type", "format", "title", "default", "maximum", "minimum",
    "maxLength", "minLength", "pattern", "maxItems", "minItems", "uniqueItems", "enum",
    "required", "items", "allOf", "oneOf", "anyOf", "not", "properties",
    "additionalProperties",
)  # fmt: skip
"""Of a schema; extensions follow by name."""


def _reference(name: str) -> JSON:
    return {"allOf": [{"$ref": SCHEMAS + name}]}


def _meta(name: str) -> JSON:
    return _reference(META + name)


def _given(name: str) -> JSON:
    return {"default": {}, **_meta(name)}


def _strings(**marks: object) -> JSON:
    return {"type": "array", "items": _FILLED, **(marks or _ATOMIC)}


def _object(properties: JSON, *, required: Sequence[str] = ()) -> JSON:
    told = {"required": list(required)} if required else {}
    return {"type": "object", **told, "properties": properties}


_FILLED_MAP: JSON = {"type": "object", "additionalProperties": _FILLED}
_MERGED = {"x-kubernetes-patch-strategy": "merge"}
_BY_UID = {
    "x-kubernetes-list-map-keys": ["uid"],
    "x-kubernetes-list-type": "map",
    "x-kubernetes-patch-merge-key": "uid",
    **_MERGED,
}
_TYPED = {"apiVersion": _STRING, "kind": _STRING}
OF_METADATA: Mapping[str, JSON] = {
    "DeleteOptions": _object(
        {
            "apiVersion": _STRING,
            "dryRun": _strings(),
            "gracePeriodSeconds": _LONG,
            "ignoreStoreReadErrorWithClusterBreakingPotential": _FLAG,
            "kind": _STRING,
            "orphanDependents": _FLAG,
            "preconditions": _meta("Preconditions"),
            "propagationPolicy": _STRING,
        }
    ),
    "FieldsV1": {"type": "object"},
    "ListMeta": _object(
        {
            "continue": _STRING,
            "remainingItemCount": _LONG,
            "resourceVersion": _STRING,
            "selfLink": _STRING,
        }
    ),
    "ManagedFieldsEntry": _object(
        {
            "apiVersion": _STRING,
            "fieldsType": _STRING,
            "fieldsV1": _meta("FieldsV1"),
            "manager": _STRING,
            "operation": _STRING,
            "subresource": _STRING,
            "time": _meta("Time"),
        }
    ),
    "ObjectMeta": _object(
        {
            "annotations": _FILLED_MAP,
            "creationTimestamp": _meta("Time"),
            "deletionGracePeriodSeconds": _LONG,
            "deletionTimestamp": _meta("Time"),
            "finalizers": _strings(**{"x-kubernetes-list-type": "set"}, **_MERGED),
            "generateName": _STRING,
            "generation": _LONG,
            "labels": _FILLED_MAP,
            "managedFields": {
                "type": "array",
                "items": _given("ManagedFieldsEntry"),
                **_ATOMIC,
            },
            "name": _STRING,
            "namespace": _STRING,
            "ownerReferences": {
                "type": "array",
                "items": _given("OwnerReference"),
                **_BY_UID,
            },
            "resourceVersion": _STRING,
            "selfLink": _STRING,
            "uid": _STRING,
        }
    ),
    "OwnerReference": {
        **_object(
            {
                "apiVersion": _FILLED,
                "blockOwnerDeletion": _FLAG,
                "controller": _FLAG,
                "kind": _FILLED,
                "name": _FILLED,
                "uid": _FILLED,
            },
            required=("apiVersion", "kind", "name", "uid"),
        ),
        "x-kubernetes-map-type": "atomic",
    },
    "Patch": {"type": "object"},
    "Preconditions": _object({"resourceVersion": _STRING, "uid": _STRING}),
    "Status": _object(
        {
            "apiVersion": _STRING,
            "code": _SHORT,
            "details": {**_meta("StatusDetails"), **_ATOMIC},
            "kind": _STRING,
            "message": _STRING,
            "metadata": _given("ListMeta"),
            "reason": _STRING,
            "status": _STRING,
        }
    ),
    "StatusCause": _object({"field": _STRING, "message": _STRING, "reason": _STRING}),
    "StatusDetails": _object(
        {
            "causes": {"type": "array", "items": _given("StatusCause"), **_ATOMIC},
            "group": _STRING,
            "kind": _STRING,
            "name": _STRING,
            "retryAfterSeconds": _SHORT,
            "uid": _STRING,
        }
    ),
    "Time": {"type": "string", "format": "date-time"},
}
"""What documents hold of meta/v1, by name."""
_OPTIONS_GROUPS = """
/v1 admissionregistration/v1,v1alpha1,v1beta1 apps/v1,v1beta1,v1beta2
authentication/v1,v1alpha1,v1beta1 authorization/v1,v1beta1
autoscaling/v1,v2,v2beta1,v2beta2 batch/v1,v1beta1 certificates/v1,v1alpha1,v1beta1
coordination/v1,v1alpha2,v1beta1 discovery/v1,v1beta1 events/v1,v1beta1
extensions/v1beta1 flowcontrol.apiserver/v1,v1beta1,v1beta2,v1beta3
internal.apiserver/v1alpha1 networking/v1,v1beta1 node/v1,v1alpha1,v1beta1
policy/v1,v1beta1 rbac.authorization/v1,v1alpha1,v1beta1
resource/v1,v1alpha3,v1beta1,v1beta2 scheduling/v1,v1alpha1,v1beta1
storage/v1,v1alpha1,v1beta1 storagemigration/v1alpha1
"""
"""Where DeleteOptions are registered, by group without .k8s.io."""
_BARE = frozenset({"", "apps", "autoscaling", "batch", "extensions", "policy"})


class Schemas:
    """The schemas of one document, each told of once however often it is named."""

    def __init__(self) -> None:
        self._told: dict[str, JSON] = {}

    def document(self) -> JSON:
        """Return them by name."""
        return {name: self._told[name] for name in sorted(self._told)}

    def add(self, resource: Resource) -> str:
        """Tell of a resource's objects and lists; returns the objects' name."""
        name = name_of(resource)
        self._told[name] = self._objects(resource)
        self._told[name + "List"] = {
            **_object(
                {
                    "apiVersion": _STRING,
                    "items": {"type": "array", "items": {"$ref": SCHEMAS + name}},
                    "kind": _STRING,
                    "metadata": _meta("ListMeta"),
                },
                required=("items",),
            ),
            **_marks((resource.group, resource.version, resource.list_kind)),
        }
        for each in ("DeleteOptions", "ListMeta", "ObjectMeta", "Patch", "Status"):
            self._add_meta(each)
        return name

    def _objects(self, resource: Resource) -> JSON:
        told = gvk(resource)
        marks = _marks((told["group"], told["version"], told["kind"]))
        if not resource.custom:
            message = message_of(resource.kind, resource.api_version)
            fields = self._message(message)["properties"] if message else {}
            return _object({**_TYPED, **fields}) | marks
        schema = _defined(resource)
        properties = {**_TYPED, **schema.get("properties", {})}
        properties["metadata"] = _meta("ObjectMeta")
        whole = {**schema, "type": "object", "properties": properties}
        return _in_order(whole) | marks

    def _add_meta(self, name: str) -> None:
        if META + name in self._told:
            return
        told = OF_METADATA[name]
        if name == "DeleteOptions":
            told = told | _marks(*_options())
        elif name == "Status":
            told = told | _marks(("", "v1", "Status"))
        self._told[META + name] = told
        text = json.dumps(told)
        for piece in text.split(SCHEMAS + META)[1:]:
            self._add_meta(piece.partition('"')[0])

    def _message(self, name: str) -> JSON:
        properties: JSON = {}
        for field in fields_of(name):
            if field.inline:
                if field.type in messages():
                    properties |= self._message(field.type)["properties"]
            else:
                properties[field.name] = self._typed(field)
        return _object(properties)

    def _typed(self, field: Field) -> JSON:
        told = _SCALARS.get(field.type)
        if told is None:
            known = field.type in messages()
            told = self._refer(field.type) if known else {"type": "object"}
        if field.map:
            return {"type": "object", "additionalProperties": told}
        return {"type": "array", "items": told} if field.repeated else told

    def _refer(self, message: str) -> JSON:
        name = _in_full(message)
        if name.startswith(META) and name.removeprefix(META) in OF_METADATA:
            self._add_meta(name.removeprefix(META))
        elif name not in self._told:
            self._told[name] = {}
            self._told[name] = self._message(message)
        return _reference(name)


def name_of(resource: Resource) -> str:
    """Return the name of a resource's schema."""
    message = message_of(resource.kind, resource.api_version)
    if message is not None and not resource.custom:
        return _in_full(message)
    turned = ".".join(reversed(resource.group.split(".")))
    return f"{turned}.{resource.version}.{resource.kind}"


def _in_full(message: str) -> str:
    """core.v1.Pod → io.k8s.api.core.v1.Pod, as documents name it."""
    package, _, rest = message.partition(".")
    return _PACKAGES.get(package, f"io.k8s.api.{package}.") + rest


def _defined(resource: Resource) -> JSON:
    definition = json.loads(resource.definition or b"{}")
    for version in definition.get("spec", {}).get("versions", ()):
        if version["name"] == resource.version:
            schema = version.get("schema") or {}
            return dict(schema.get("openAPIV3Schema") or {"type": "object"})
    return {"type": "object"}


def _in_order(schema: JSON) -> JSON:
    """Return a definition's schema with its keys as documents have them."""
    told = {key: schema[key] for key in _KEY_ORDER if key in schema}
    told |= {key: schema[key] for key in sorted(schema.keys() - told.keys())}
    if "properties" in told:
        properties = told["properties"]
        told["properties"] = {
            key: _in_order(properties[key]) for key in sorted(properties)
        }
    for key in ("items", "additionalProperties"):
        if isinstance(told.get(key), dict):
            told[key] = _in_order(told[key])
    return told


def _marks(*kinds: tuple[str, str, str]) -> JSON:
    told = [
        {"group": group, "kind": kind, "version": version}
        for group, version, kind in kinds
    ]
    return {"x-kubernetes-group-version-kind": told}


def _options() -> list[tuple[str, str, str]]:
    found = []
    for word in _OPTIONS_GROUPS.split():
        group, _, versions = word.partition("/")
        group += "" if group in _BARE else ".k8s.io"
        found += [(group, version, "DeleteOptions") for version in versions.split(",")]
    return found
