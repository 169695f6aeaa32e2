# SPDX-License-Identifier: Apache-2.0
"""What the server fills in that a writer left out, where clients look at it.

A real server defaults hundreds of fields. Here are those of kinds that tests create
without them; objects of other kinds are kept as they were sent.
"""

from toono.testing.apiserver.query import JSON
from toono.testing.apiserver.resources import Resource

_NAMES = ("plural", "singular", "shortNames", "kind", "listKind", "categories")
_VERSION = (
    "name", "served", "storage", "deprecated", "deprecationWarning", "schema",
    "subresources", "additionalPrinterColumns", "selectableFields",
)  # fmt: skip

_CONDITIONS = {
    "nodes": (
        "type", "status", "lastHeartbeatTime", "lastTransitionTime", "reason",
        "message",
    ),
    "pods": (
        "type", "observedGeneration", "status", "lastProbeTime", "lastTransitionTime",
        "reason", "message",
    ),
}  # fmt: skip


def created(resource: Resource, content: JSON) -> JSON:
    """Return a new object with its defaults."""
    if resource.qualified == "customresourcedefinitions.apiextensions.k8s.io":
        return _definition(content)
    return written(resource, content)


def written(resource: Resource, content: JSON) -> JSON:
    """Return any object that is written with its defaults."""
    if not resource.custom:
        content = _full(resource.zero, _sparse(content))
    order = _CONDITIONS.get(resource.qualified)
    status = content.get("status")
    if order is None or not isinstance(status, dict) or not status.get("conditions"):
        return content
    times = {key: None for key in order if key.endswith("Time")}
    conditions = [_in_order(times | each, order) for each in status["conditions"]]
    return {**content, "status": {**status, "conditions": conditions}}


def _full(zero: JSON, content: JSON) -> JSON:
    """Fill in what an object of this kind always has: fields without omitempty."""
    missing = {
        key: value
        for key, value in zero.items()
        if key not in content and value is not None
    }
    both = zero.keys() & content.keys()
    deep = {
        key: _full(zero[key], content[key])
        for key in both
        if isinstance(zero[key], dict) and isinstance(content[key], dict)
    }
    return {**content, **missing, **deep}


def _sparse(content: JSON) -> JSON:
    """Leave out maps and lists that are empty, where Go leaves them out."""
    meta = content["metadata"]
    meta = {key: value for key, value in meta.items() if value not in ({}, [], None)}
    content = {**content, "metadata": meta}
    return {
        key: value
        for key, value in content.items()
        if not (key in ("data", "binaryData") and not value)
    }


def _definition(content: JSON) -> JSON:
    """A CRD: singular and list names, conversion, a status that says nothing yet."""
    spec = dict(content.get("spec") or {})
    names = dict(spec.get("names") or {})
    kind = names.get("kind", "")
    names.setdefault("singular", kind.lower())
    names.setdefault("listKind", kind + "List")
    spec["names"] = _in_order(names, _NAMES)
    versions = spec.get("versions") or []
    spec["versions"] = [_in_order(each, _VERSION) for each in versions]
    spec.setdefault("conversion", {"strategy": "None"})
    stored = [each["name"] for each in versions if each.get("storage")]
    status = {
        "conditions": None,
        "acceptedNames": {"plural": "", "kind": ""},
        "storedVersions": stored,
    }
    return {"status": status, **content, "spec": spec}


def _in_order(content: JSON, order: tuple[str, ...]) -> JSON:
    first = {key: content[key] for key in order if key in content}
    return first | content
