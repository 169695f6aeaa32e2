# SPDX-License-Identifier: Apache-2.0
"""v1 Status between its JSON form and protobuf: the one object that is decoded.

Field numbers are those of generated.proto in k8s.io/apimachinery: Status {1 ListMeta,
2 status, 3 message, 4 reason, 5 details, 6 code}. As the API server does, strings and
numbers are written even where they are empty, and read back as absent.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from toono.codec.wireformat import (
    VARINT,
    encode_bytes,
    encode_number,
    encode_text,
    signed,
    tag_of,
    text,
    walk,
)

_META = {1: "selfLink", 2: "resourceVersion", 3: "continue"}
_STATUS = {2: "status", 3: "message", 4: "reason"}
_DETAILS = {1: "name", 2: "group", 3: "kind"}
_CAUSE = {1: "reason", 2: "message", 3: "field"}
_ORDER = ("name", "group", "kind", "uid", "causes", "retryAfterSeconds")


def encode_status(status: Mapping[str, Any]) -> bytes:
    """Return the message of a Status that is given as its JSON form."""
    meta = status.get("metadata") or {}
    pieces = [encode_bytes(1, _texts(meta, _META)), _texts(status, _STATUS)]
    if status.get("details") is not None:
        pieces.append(encode_bytes(5, _details(status["details"])))
    pieces.append(encode_number(6, status.get("code", 0)))
    return b"".join(pieces)


def _texts(values: Mapping[str, Any], names: Mapping[int, str]) -> bytes:
    return b"".join(
        encode_text(number, values.get(name, "")) for number, name in names.items()
    )


def _details(details: Mapping[str, Any]) -> bytes:
    causes = (
        encode_bytes(4, _texts(cause, _CAUSE)) for cause in details.get("causes", ())
    )
    seconds = encode_number(5, details.get("retryAfterSeconds", 0))
    uid = encode_text(6, details.get("uid", ""))
    return _texts(details, _DETAILS) + b"".join(causes) + seconds + uid


def decode_status(body: bytes, start: int, end: int) -> dict[str, object]:
    """Return the JSON form of the Status in [start, end), kind and all."""
    status: dict[str, object] = {"kind": "Status", "apiVersion": "v1", "metadata": {}}
    code = 0
    for tag, a, b in walk(body, start, end):
        if tag == tag_of(1):
            status["metadata"] = _read_texts(body, a, b, _META)
        elif tag == tag_of(5):
            status["details"] = _read_details(body, a, b)
        elif tag == tag_of(6, VARINT):
            code = signed(a)
        elif (name := _named(tag, _STATUS)) and a < b:
            status[name] = text(body, a, b)
    if code:
        status["code"] = code
    return status


def _named(tag: int, names: Mapping[int, str]) -> str | None:
    return names.get(tag >> 3) if tag == tag_of(tag >> 3) else None


def _read_texts(
    body: bytes, start: int, end: int, names: Mapping[int, str]
) -> dict[str, str]:
    return {
        name: text(body, a, b)
        for tag, a, b in walk(body, start, end)
        if (name := _named(tag, names)) and a < b
    }


def _read_details(body: bytes, start: int, end: int) -> dict[str, object]:
    found: dict[str, object] = dict(_read_texts(body, start, end, _DETAILS))
    causes = []
    for tag, a, b in walk(body, start, end):
        if tag == tag_of(4):
            causes.append(_read_texts(body, a, b, _CAUSE))
        elif tag == tag_of(5, VARINT) and a:
            found["retryAfterSeconds"] = signed(a)
        elif tag == tag_of(6) and a < b:
            found["uid"] = text(body, a, b)
    if causes:
        found["causes"] = causes
    return _in_order(found, _ORDER)


def _in_order(found: Mapping[str, object], keys: Iterable[str]) -> dict[str, object]:
    return {key: found[key] for key in keys if key in found}
