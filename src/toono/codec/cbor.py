# SPDX-License-Identifier: Apache-2.0
"""CBOR as the Kubernetes API speaks it (RFC 8949), to and from JSON's values.

Every body begins with the tag that says it is CBOR (55799); texts go out as byte
strings, as API servers write them, and are read as either. A watch is a sequence of
such items, in each of which the object has the tag again. Off by default in clusters:
answers in it pass and are not kept; this is for who asks for it while cut off.
"""

import math
import struct
from typing import Any

import msgspec

from toono.errors import CodecError

MEDIA_TYPE = "application/cbor"
WATCH_MEDIA_TYPE = "application/cbor-seq"
TAG = b"\xd9\xd9\xf7"
MAX_DEPTH = 128
_INT, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAGGED, _SIMPLE = range(8)
_CONSTANTS = {20: False, 21: True, 22: None}
_FLOATS = {25: ("e", 2), 26: ("f", 4), 27: ("d", 8)}


def from_json(body: bytes) -> bytes:
    """Return a JSON document as a CBOR body."""
    return TAG + encode(_read_json(body))


def frame_from_json(frame: bytes) -> bytes:
    """Return a JSON watch frame as one item of a CBOR sequence."""
    event = _read_json(frame)
    if not isinstance(event, dict) or event.keys() != {"type", "object"}:
        raise CodecError("no watch frame")
    content = encode("object") + TAG + encode(event["object"])
    return TAG + _head(_MAP, 2) + encode("type") + encode(event["type"]) + content


def _read_json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError as exc:
        raise CodecError("no JSON to write as CBOR") from exc


def encode(value: Any) -> bytes:
    """Return a value's bytes, without the tag."""
    match value:
        case None | True | False:
            return bytes([0xF4 + (False, True, None).index(value)])
        case int() if -(2**63) <= value < 2**63:
            return _head(_INT, value) if value >= 0 else _head(_NEGATIVE, -1 - value)
        case int() | float():
            return b"\xfb" + struct.pack(">d", value)
        case str():
            text = value.encode()
            return _head(_BYTES, len(text)) + text
        case list():
            return _head(_ARRAY, len(value)) + b"".join(map(encode, value))
        case dict():
            pairs = (encode(key) + encode(item) for key, item in value.items())
            return _head(_MAP, len(value)) + b"".join(pairs)
        case _:
            raise CodecError(f"{type(value).__name__} has no place in JSON")


def _head(major: int, number: int) -> bytes:
    if number < 24:
        return bytes([major << 5 | number])
    for code, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if number < 1 << 8 * size:
            return bytes([major << 5 | code]) + number.to_bytes(size, "big")
    raise CodecError(f"{number} is too large")


def decode(body: bytes) -> Any:
    """Return the value of a body; CodecError where it is not one item and its end."""
    value, at = decode_item(body, 0)
    if at != len(body):
        raise CodecError(f"{len(body) - at} bytes behind the end")
    return value


def decode_item(body: bytes, at: int, *, depth: int = 0) -> tuple[Any, int]:
    """Return the item at a place, and the place behind it."""
    if depth > MAX_DEPTH:
        raise CodecError(f"nested deeper than {MAX_DEPTH}")
    major, number, at, code = _read_head(body, at)
    if major in (_BYTES, _TEXT):
        text, at = _taken(body, at, number)
        return _text(text), at
    if major == _ARRAY:
        items = []
        for _ in range(_counted(body, at, number)):
            item, at = decode_item(body, at, depth=depth + 1)
            items.append(item)
        return items, at
    if major == _MAP:
        pairs = {}
        for _ in range(_counted(body, at, number)):
            key, at = decode_item(body, at, depth=depth + 1)
            if not isinstance(key, str):
                raise CodecError("a key that is no text")
            pairs[key], at = decode_item(body, at, depth=depth + 1)
        return pairs, at
    if major == _TAGGED:
        return decode_item(body, at, depth=depth + 1)
    if major == _SIMPLE:
        return _simple(code, body[at - _FLOATS.get(code, ("", 0))[1] : at]), at
    return (number if major == _INT else -1 - number), at


def _read_head(body: bytes, at: int) -> tuple[int, int, int, int]:
    """Return major type, argument, the place behind them, and the argument's code."""
    first, at = _taken(body, at, 1)
    major, code = first[0] >> 5, first[0] & 31
    if code < 24:
        return major, code, at, code
    if code > 27:
        raise CodecError("an item of indefinite length")
    rest, at = _taken(body, at, 1 << code - 24)
    return major, int.from_bytes(rest, "big"), at, code


def _taken(body: bytes, at: int, size: int) -> tuple[bytes, int]:
    if at + size > len(body):
        raise CodecError("ends within an item")
    return body[at : at + size], at + size


def _counted(body: bytes, at: int, number: int) -> int:
    if number > len(body) - at:  # each item has a byte at least
        raise CodecError("fewer items than it says")
    return number


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as exc:
        raise CodecError("a text that is not UTF-8") from exc


def _simple(code: int, raw: bytes) -> float | bool | None:
    if code in _CONSTANTS:
        return _CONSTANTS[code]
    if code not in _FLOATS:
        raise CodecError(f"simple value {code}")
    (number,) = struct.unpack(">" + _FLOATS[code][0], raw)
    if not math.isfinite(number):
        raise CodecError("a number that JSON cannot hold")
    return float(number)
