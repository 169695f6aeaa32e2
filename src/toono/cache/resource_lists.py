# SPDX-License-Identifier: Apache-2.0
"""The list of a group-version's resources (APIResourceList), JSON ↔ protobuf.

The one document of discovery that clients ask for in both forms. Field numbers are
those of meta/v1 generated.proto. What it does not know it does not turn: CodecError.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from toono.codec.protobuf import MAGIC
from toono.codec.wireformat import (
    VARINT,
    encode_bytes,
    encode_number,
    encode_text,
    tag_of,
    text,
    walk,
)
from toono.errors import CodecError

PATH = re.compile(r"/(?:api/[^/]+|apis/[^/]+/[^/]+)\Z")
"""Of the documents that are such lists."""
KIND = "APIResourceList"
_NAMES = {
    "name": 1, "kind": 3, "singularName": 6, "group": 8, "version": 9,
    "storageVersionHash": 10,
}  # fmt: skip
_ALWAYS = frozenset({"name", "kind", "singularName", "namespaced", "verbs"})
_ORDER = (
    "name", "singularName", "namespaced", "group", "version", "kind", "verbs",
    "shortNames", "categories", "storageVersionHash",
)  # fmt: skip
_NAMESPACED, _VERBS, _SHORT, _CATEGORIES = 2, 4, 5, 7

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.encode


def to_protobuf(body: bytes) -> bytes:
    """Return a JSON list as protobuf; CodecError where that would lose something."""
    try:
        told = _decode(body)
        if told.keys() - {"kind", "apiVersion", "groupVersion", "resources"}:
            raise CodecError("it has fields that are not known here")
        rows = [_row(each) for each in told["resources"]]
        head = encode_text(1, told.get("apiVersion", "")) + encode_text(2, KIND)
        content = encode_text(1, told["groupVersion"])
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError) as exc:
        raise CodecError(f"no list of resources: {exc}") from exc
    content += b"".join(encode_bytes(2, row) for row in rows)
    parts = (encode_bytes(1, head), encode_bytes(2, content))
    return MAGIC + b"".join(parts) + encode_text(3, "") + encode_text(4, "")


def _row(told: dict[str, Any]) -> bytes:
    if told.keys() - set(_ORDER):
        raise CodecError("a resource has fields that are not known here")
    verbs = b"".join(encode_text(1, verb) for verb in told["verbs"])
    parts = [
        (number, encode_text(number, told.get(name, "")))
        for name, number in _NAMES.items()
    ]
    parts.append((_NAMESPACED, encode_number(_NAMESPACED, bool(told["namespaced"]))))
    parts.append((_VERBS, encode_bytes(_VERBS, verbs)))
    for number, name in ((_SHORT, "shortNames"), (_CATEGORIES, "categories")):
        listed = (encode_text(number, one) for one in told.get(name, ()))
        parts.append((number, b"".join(listed)))
    return b"".join(part for _, part in sorted(parts))


def to_json(body: bytes) -> bytes:
    """Return a protobuf list as JSON; CodecError for anything else."""
    types, content = _opened(body)
    if types.get(2) != KIND:
        raise CodecError(f"no list of resources: {types.get(2)!r}")
    told: dict[str, Any] = {"kind": KIND}
    told |= {"apiVersion": types[1]} if types.get(1) else {}
    resources = []
    for tag, a, b in walk(content, 0, len(content)):
        if tag == tag_of(1):
            told["groupVersion"] = text(content, a, b)
        elif tag == tag_of(2):
            resources.append(_told(content, a, b))
        else:
            raise CodecError("it has fields that are not known here")
    return _encode(told | {"resources": resources}) + b"\n"


def _opened(body: bytes) -> tuple[dict[int, str], bytes]:
    """Return (number → text of the type, content) of an envelope.

    The core group's lists name no apiVersion, as no object does.
    """
    if not body.startswith(MAGIC):
        raise CodecError("no protobuf object")
    parts = {tag: (a, b) for tag, a, b in walk(body, len(MAGIC), len(body))}
    start, end = parts.get(tag_of(2), (0, 0))
    return dict(_texts(body, *parts.get(tag_of(1), (0, 0)))), body[start:end]


def _told(body: bytes, start: int, end: int) -> dict[str, Any]:
    names = {tag_of(number): name for name, number in _NAMES.items()}
    row: dict[str, Any] = {"namespaced": False, "verbs": [], "singularName": ""}
    for tag, a, b in walk(body, start, end):
        if tag in names:
            row[names[tag]] = text(body, a, b)
        elif tag == tag_of(_NAMESPACED, VARINT):
            row["namespaced"] = bool(a)
        elif tag == tag_of(_VERBS):
            row["verbs"] = [verb for _, verb in _texts(body, a, b)]
        elif tag == tag_of(_SHORT):
            row.setdefault("shortNames", []).append(text(body, a, b))
        elif tag == tag_of(_CATEGORIES):
            row.setdefault("categories", []).append(text(body, a, b))
        else:
            raise CodecError("a resource has fields that are not known here")
    return {name: row[name] for name in _ORDER if name in _ALWAYS or row.get(name)}


def _texts(body: bytes, start: int, end: int) -> Iterator[tuple[int, str]]:
    for tag, a, b in walk(body, start, end):
        yield tag >> 3, text(body, a, b)
