# SPDX-License-Identifier: Apache-2.0
"""The Struct of a message -> protobuf, byte for byte as Go's generated Marshal writes.

Fields by rising numbers; scalars and messages that are no pointers always, zero or
not; lists and maps only where they hold something; maps by their sorted keys.
"""

from collections.abc import Callable
from functools import cache
from struct import pack
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, Raw

from toono.codec import transcode_forms as forms
from toono.codec.json_strict import read as strictly
from toono.codec.schema import Field, fields_of
from toono.codec.transcode_times import write_micro_time, write_time
from toono.codec.wireformat import (
    BYTES,
    encode_bytes,
    encode_number,
    encode_varint,
    tag_of,
)
from toono.errors import CodecError

Content = Callable[[Any, int], bytes]
"""Turns what a Struct holds, at a depth, into a field's content."""
_Put = Callable[[list[bytes], Any, int], None]
"""Appends a whole field."""
_SMALL = tuple(map(encode_varint, range(128)))


class _Step(NamedTuple):
    """How to write one field of a message."""

    attribute: str
    """"" where the field is inlined: the Struct itself is its content."""
    absent: bytes
    """What is written where the Struct holds nothing."""
    put: _Put


def write(message: str, value: Any, depth: int) -> bytes:
    """Return the message of a Struct; CodecError where it holds what Go would not."""
    if depth > forms.MAX_DEPTH:
        raise CodecError(f"more than {forms.MAX_DEPTH} messages within each other")
    parts: list[bytes] = []
    for attribute, absent, put in _plan(message):
        found = getattr(value, attribute) if attribute else value
        if found is UNSET or found is None:
            parts.append(absent)
        else:
            put(parts, found, depth)
    return b"".join(parts)


# -- plans ---------------------------------------------------------------------


@cache
def _plan(message: str) -> tuple[_Step, ...]:
    fields = sorted(fields_of(message), key=lambda field: field.number)
    return tuple(map(_step, fields))


def _step(field: Field) -> _Step:
    attribute = "" if field.inline else forms.attribute(field)
    content = _LEAVES.get(field.type) or _message(field.type)
    wire_type = forms.WIRE_TYPES.get(field.type, BYTES)
    if field.map:
        head = encode_varint(tag_of(field.number))
        put = _put_map(head, content, nil_is_absent=field.type == "bytes")
    elif wire_type == BYTES:
        put = _put_content(encode_varint(tag_of(field.number)), content)
    else:
        put = _put_number(encode_varint(tag_of(field.number, wire_type)), content)
    absent = _absent(field, put)
    if field.type in forms.KEPT_RAW and not field.repeated and not field.map:
        put = _put_unless_null(put, absent)
    if field.repeated:
        put = _put_each(put)
    return _Step(attribute, absent, put)


def _absent(field: Field, put: _Put) -> bytes:
    """Return how the zero value of a field is written."""
    if field.pointer or field.repeated or field.map or field.type == "bytes":
        return b""
    if field.type in forms.WIRE_TYPES:
        parts: list[bytes] = []
        put(parts, "" if field.type == "string" else 0, 0)
        return b"".join(parts)
    zero = _ZEROS.get(field.type)
    if zero is None:
        zero = write(field.type, forms.form_of(field.type)(), 0)
    return encode_bytes(field.number, zero)


def _message(message: str) -> Content:
    def write_message(value: Any, depth: int) -> bytes:
        return write(message, value, depth + 1)

    return write_message


def _put_number(head: bytes, content: Content) -> _Put:
    def put(parts: list[bytes], value: Any, depth: int) -> None:
        parts.append(head + content(value, depth))

    return put


def _put_content(head: bytes, content: Content) -> _Put:
    def put(parts: list[bytes], value: Any, depth: int) -> None:
        found = content(value, depth)
        size = len(found)
        parts += (head, _SMALL[size] if size < 128 else encode_varint(size), found)

    return put


def _put_each(put_one: _Put) -> _Put:
    def put(parts: list[bytes], values: Any, depth: int) -> None:
        for value in values:
            put_one(parts, value, depth)

    return put


def _put_unless_null(put_one: _Put, absent: bytes) -> _Put:
    def put(parts: list[bytes], value: Any, depth: int) -> None:
        if bytes(value) == b"null":
            parts.append(absent)
        else:
            put_one(parts, value, depth)

    return put


def _put_map(head: bytes, content: Content, *, nil_is_absent: bool) -> _Put:
    def put(parts: list[bytes], values: Any, depth: int) -> None:
        for key, value in sorted(values.items()):
            entry = encode_bytes(1, key.encode())
            if value is not None:
                entry += encode_bytes(2, content(value, depth))
            elif not nil_is_absent:
                entry += encode_bytes(2, b"")
            parts += (head, encode_varint(len(entry)), entry)

    return put


# -- leaves --------------------------------------------------------------------


def _write_text(value: str, depth: int) -> bytes:
    return value.encode()


def _write_bytes(value: bytes, depth: int) -> bytes:
    return value


def _write_number(value: int, depth: int) -> bytes:
    return encode_varint(value)


def _write_float(value: float, depth: int) -> bytes:
    return pack("<d", value)


def _write_strings(values: list[str], depth: int) -> bytes:
    return b"".join(encode_bytes(1, value.encode()) for value in values)


def _write_quantity(value: str, depth: int) -> bytes:
    return encode_bytes(1, value.encode())


def _write_int_or_string(value: int | str, depth: int) -> bytes:
    if isinstance(value, int):
        return encode_number(1, 0) + encode_number(2, value) + encode_bytes(3, b"")
    return encode_number(1, 1) + encode_number(2, 0) + encode_bytes(3, value.encode())


def _write_raw(value: Raw, depth: int) -> bytes:
    raw = bytes(value)
    return b"" if raw == b"null" else encode_bytes(1, raw)


# -- schemas in a CustomResourceDefinition -------------------------------------


def _write_schema(value: Raw, depth: int) -> bytes:
    schema = strictly(forms.decoder_of(forms.JSON_SCHEMA).decode, bytes(value))
    return write(forms.JSON_SCHEMA, schema, depth + 1)


def _write_or_bool(value: Raw, depth: int) -> bytes:
    raw = bytes(value)
    if raw in (b"true", b"false"):
        return encode_number(1, raw == b"true")
    return encode_number(1, 1) + encode_bytes(2, _write_schema(value, depth))


def _write_or_array(value: Raw, depth: int) -> bytes:
    if not bytes(value).startswith(b"["):
        return encode_bytes(1, _write_schema(value, depth))
    schemas = strictly(_decode_raws, bytes(value))
    return b"".join(encode_bytes(2, _write_schema(one, depth)) for one in schemas)


def _write_or_strings(value: Raw, depth: int) -> bytes:
    raw = bytes(value)
    if raw == b"null":
        return b""
    if not raw.startswith(b"["):
        return encode_bytes(1, _write_schema(value, depth))
    strings = strictly(_decode_strings, raw)
    return b"".join(encode_bytes(2, one.encode()) for one in strings)


_decode_raws = msgspec.json.Decoder(list[Raw]).decode
_decode_strings = msgspec.json.Decoder(list[str]).decode

_LEAVES: dict[str, Content] = {
    "string": _write_text,
    "bytes": _write_bytes,
    "bool": _write_number,
    "int32": _write_number,
    "int64": _write_number,
    "float64": _write_float,
    "list:string": _write_strings,
    forms.TIME: write_time,
    forms.MICRO_TIME: write_micro_time,
    forms.QUANTITY: _write_quantity,
    forms.INT_OR_STRING: _write_int_or_string,
    **dict.fromkeys(forms.RAW_JSON, _write_raw),
    forms.JSON_SCHEMA: _write_schema,
    forms.OR_BOOL: _write_or_bool,
    forms.OR_ARRAY: _write_or_array,
    forms.OR_STRINGS: _write_or_strings,
}
_ZEROS = {
    forms.TIME: b"",
    forms.MICRO_TIME: b"",
    forms.QUANTITY: _write_quantity("0", 0),
    forms.INT_OR_STRING: _write_int_or_string(0, 0),
    **dict.fromkeys(forms.RAW_JSON, b""),
}
"""What Go writes of messages that are no pointers, where nothing is set."""
