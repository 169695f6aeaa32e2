# SPDX-License-Identifier: Apache-2.0
"""Objects in both forms, and one call that filters both and compares."""

import json
from typing import Any

from toono.codec.transcode import to_json, to_protobuf
from toono.filters.base import Filter
from toono.filters.fields import FORMS

JSON, PROTOBUF = "application/json", "application/vnd.kubernetes.protobuf"
DOOR = ("169.254.2.1", 10268)
VERSIONS = {"EndpointSlice": "discovery.k8s.io/v1"}


def meta(name: str, namespace: str = "default", **more: object) -> dict[str, object]:
    """Return the metadata of a stored object."""
    return {"name": name, "namespace": namespace, "resourceVersion": "7", **more}


def normal(kind: str, value: dict[str, object]) -> bytes:
    """Return an object as an API server writes it in JSON."""
    of = {"kind": kind, "api_version": VERSIONS.get(kind, "v1")}
    data = to_protobuf(json.dumps(value).encode(), **of)
    return to_json(data, **of)


def in_protobuf(kind: str, data: bytes) -> bytes:
    """Return a stored object of JSON as protobuf."""
    return to_protobuf(data, kind=kind, api_version=VERSIONS.get(kind, "v1"))


def in_json(kind: str, data: bytes) -> bytes:
    """Return a stored object of protobuf as JSON."""
    return to_json(data, kind=kind, api_version=VERSIONS.get(kind, "v1"))


def filtered(
    one: Filter, kind: str, value: dict[str, object]
) -> dict[str, Any] | str | None:
    """Return what is left of an object, the same in both forms; "same" if untouched."""
    data = normal(kind, value)
    packed = in_protobuf(kind, data)
    after = one(FORMS[JSON], data)
    other = one(FORMS[PROTOBUF], packed)
    if after is None:
        assert other is None
        return None
    assert other is not None
    if after is data:
        assert other is packed
        return "same"
    assert any(mark in data for mark in one.marks or (b"",)), "a mark that misses"
    assert any(mark in packed for mark in one.marks or (b"",))
    # Go writes a nil list as null where JSON may say [].
    again = in_json(kind, other)
    assert again.replace(b"null", b"[]") == after.replace(b"null", b"[]")
    assert in_protobuf(kind, after) == other
    found = json.loads(after)
    assert isinstance(found, dict)
    return found
