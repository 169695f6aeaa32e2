# SPDX-License-Identifier: Apache-2.0
"""One resource as discovery tells of it: in the legacy form, the aggregated one, and
legacy in protobuf. Knows no request and no group's other resources."""

import base64
import hashlib
from collections.abc import Iterable

from toono.codec.protobuf import ProtobufCodec
from toono.codec.wireformat import encode_bytes, encode_number, encode_text
from toono.testing.apiserver.query import JSON
from toono.testing.apiserver.resources import Resource
from toono.testing.apiserver.served import ALL_VERBS, PARTS, STORED_IN, Part


def rows_of(resource: Resource) -> Iterable[JSON]:
    """Yield the rows of a legacy document: the resource and its subresources."""
    row: JSON = {
        "name": resource.plural,
        "singularName": resource.singular or resource.kind.lower(),
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs or ALL_VERBS),
    }
    if resource.short_names:
        row["shortNames"] = list(resource.short_names)
    if resource.categories:
        row["categories"] = list(resource.categories)
    if resource.is_stored:
        row["storageVersionHash"] = storage_hash(resource)
    yield row
    for name in resource.subresources:
        part = PARTS[name]
        of = {"group": part.group, "version": part.version} if part.group else {}
        yield {
            "name": f"{resource.plural}/{name}",
            "singularName": "",
            "namespaced": resource.namespaced,
            **of,
            "kind": part.kind.format(resource.kind),
            "verbs": list(part.verbs),
        }


def storage_hash(resource: Resource) -> str:
    """Return eight bytes of the kind that etcd holds: it changes with a migration."""
    api_version = f"{resource.group}/{resource.version}"
    stored = f"{STORED_IN.get(api_version, api_version)}/{resource.kind}"
    return base64.b64encode(hashlib.sha256(stored.encode()).digest()[:8]).decode()


def told(resource: Resource) -> JSON:
    """Return a row of the aggregated form; built-in kinds leave their group out."""
    group, version = resource.group, resource.version
    if not resource.custom:
        group = version = ""
    row: JSON = {
        "resource": resource.plural,
        "responseKind": {"group": group, "version": version, "kind": resource.kind},
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular or resource.kind.lower(),
        "verbs": list(resource.verbs or ALL_VERBS),
    }
    if resource.short_names:
        row["shortNames"] = list(resource.short_names)
    if resource.categories:
        row["categories"] = list(resource.categories)
    parts = [(name, PARTS[name]) for name in resource.subresources]
    if parts:
        row["subresources"] = [
            {
                "subresource": name,
                "responseKind": _kind(part, resource, group, version),
                "verbs": list(part.verbs),
            }
            for name, part in parts
        ]
    return row


def _kind(part: Part, resource: Resource, group: str, version: str) -> JSON:
    return {
        "group": part.group or group,
        "version": part.version or version,
        "kind": part.kind.format(resource.kind),
    }


def in_protobuf(document: JSON) -> bytes:
    """Return a legacy document of a group-version (an APIResourceList) in protobuf.

    Numbers are those of k8s.io/apimachinery's meta/v1; strings are never left out.
    """
    content = encode_text(1, document["groupVersion"])
    content += b"".join(encode_bytes(2, _row(row)) for row in document["resources"])
    return ProtobufCodec().write_single(
        kind="APIResourceList",
        api_version=document.get("apiVersion", ""),
        style="typed",
        data=content,
    )


def _row(row: JSON) -> bytes:
    verbs = b"".join(encode_text(1, verb) for verb in row["verbs"])
    pieces = [
        encode_text(1, row["name"]),
        encode_number(2, int(row["namespaced"])),
        encode_text(3, row["kind"]),
        encode_bytes(4, verbs),
        *(encode_text(5, name) for name in row.get("shortNames", ())),
        encode_text(6, row["singularName"]),
        *(encode_text(7, name) for name in row.get("categories", ())),
        encode_text(8, row.get("group", "")),
        encode_text(9, row.get("version", "")),
        encode_text(10, row.get("storageVersionHash", "")),
    ]
    return b"".join(pieces)
