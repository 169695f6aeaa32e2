# SPDX-License-Identifier: Apache-2.0
"""The protobuf wire format, walked by field number: no schema, nothing decoded.

Source: protobuf.dev, "Encoding"; generated.proto of k8s.io/apimachinery for numbers.
"""

from collections.abc import Iterator
from typing import NamedTuple

from toono.errors import CodecError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class Field(NamedTuple):
    """One field of a message: where its tag begins, and where its content is."""

    number: int
    wire_type: int
    tag_at: int
    start: int
    end: int
    """For BYTES the content is [start, end); for varints `start` holds the value."""


def walk(buffer: bytes, start: int, end: int) -> Iterator[Field]:
    """Yield the fields of the message in [start, end); CodecError where it is none."""
    at = start
    while at < end:
        tag_at = at
        tag, at = varint(buffer, at, end)
        number, wire_type = tag >> 3, tag & 7
        if number == 0:
            raise CodecError("a protobuf field without a number")
        if wire_type == BYTES:
            size, at = varint(buffer, at, end)
            if at + size > end:
                raise CodecError("a protobuf field longer than its message")
            yield Field(number, wire_type, tag_at, at, at + size)
            at += size
        elif wire_type == VARINT:
            value, at = varint(buffer, at, end)
            yield Field(number, wire_type, tag_at, value, at)
        elif wire_type in (FIXED64, FIXED32):
            size = 8 if wire_type == FIXED64 else 4
            if at + size > end:
                raise CodecError("a protobuf field longer than its message")
            yield Field(number, wire_type, tag_at, at, at + size)
            at += size
        else:
            raise CodecError(f"protobuf wire type {wire_type} is not used here")


def varint(buffer: bytes, at: int, end: int) -> tuple[int, int]:
    """Return the number at `at` and where it ends."""
    value = shift = 0
    while at < end:
        byte = buffer[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            break
    raise CodecError("a protobuf number without an end")


def text(buffer: bytes, field: Field) -> str:
    """Return a string field; CodecError where it is no UTF-8."""
    if field.wire_type != BYTES:
        raise CodecError(f"protobuf field {field.number} is no string")
    try:
        return buffer[field.start : field.end].decode()
    except UnicodeDecodeError as exc:
        raise CodecError(f"protobuf field {field.number} is no UTF-8") from exc


def encode_varint(value: int) -> bytes:
    """Return a number as the wire has it."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode_bytes(number: int, content: bytes) -> bytes:
    """Return a length-delimited field; empty content too, as Kubernetes writes it."""
    return encode_varint(number << 3 | BYTES) + encode_varint(len(content)) + content


def encode_number(number: int, value: int) -> bytes:
    """Return a varint field."""
    return encode_varint(number << 3 | VARINT) + encode_varint(value)
