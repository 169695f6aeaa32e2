# SPDX-License-Identifier: Apache-2.0
"""The four patch types of a PATCH request, by its Content-Type."""

from toono.testing.apiserver.bodies import json_of, yaml_of
from toono.testing.apiserver.json_patch import (
    PatchError,
    json_patched,
    merge_patched,
)
from toono.testing.apiserver.query import JSON, Refusal
from toono.testing.apiserver.refusals import bad_request, unsupported_patch
from toono.testing.apiserver.resources import Resource
from toono.testing.apiserver.strategic import strategically_merged

APPLY = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


def patched(resource: Resource, old: JSON, *, kind: str, body: bytes) -> JSON:
    """Return the object that a patch makes of `old`."""
    check_kind(resource, kind)
    if kind == JSON_PATCH:
        return _by_operations(old, body)
    patch = yaml_of(body) if kind == APPLY else json_of(body)
    if not isinstance(patch, dict):
        raise bad_request("error decoding patch: a patch is an object")
    if kind == MERGE or resource.custom:
        found = merge_patched(old, patch)
    else:
        found = strategically_merged(old, patch)
    assert isinstance(found, dict)
    return found


def applied(resource: Resource, body: bytes, *, name: str) -> JSON:
    """Return the object that server-side apply makes where none is there yet."""
    content = yaml_of(body)
    if not isinstance(content, dict):
        raise bad_request("error decoding YAML: an object is applied")
    meta = {**(content.get("metadata") or {}), "name": name}
    head = {"kind": resource.kind, "apiVersion": resource.api_version}
    return {**head, **content, "metadata": meta}


def check_kind(resource: Resource, kind: str) -> None:
    """Raise 415 for a type of patch that is unknown, or not for this resource."""
    known = {APPLY, JSON_PATCH, MERGE}
    if not resource.custom:
        known.add(STRATEGIC)
    if kind not in known:
        raise unsupported_patch(resource)


def _by_operations(old: JSON, body: bytes) -> JSON:
    operations = json_of(body)
    if not isinstance(operations, list):
        raise bad_request("error decoding patch: a JSON patch is a list of operations")
    try:
        found = json_patched(old, operations)
    except PatchError as exc:
        text = "the server rejected our request due to an error in our request"
        raise Refusal(422, "Invalid", text, {}) from exc
    if not isinstance(found, dict) or not isinstance(found.get("metadata"), dict):
        raise bad_request("error decoding patch: it leaves no object")
    return found
