# SPDX-License-Identifier: Apache-2.0
"""The protobuf wire format, walked by field number: no schema, nothing decoded.

Source: protobuf.dev, "Encoding". Fields come as plain tuples, since a list has tens
of thousands of them.
"""

from collections.abc import Iterator

from toono.errors import CodecError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_FIXED_BYTES = {FIXED64: 8, FIXED32: 4}

Field = tuple[int, int, int]
"""(tag, a, b). The tag holds number and wire type (`tag_of`). Content of length-
delimited and fixed fields is [a, b); of a varint `a` is the value, `b` its end."""


def tag_of(number: int, wire_type: int = BYTES) -> int:
    """Return the tag of a field number and wire type."""
    return number << 3 | wire_type


def walk(buffer: bytes, start: int, end: int) -> Iterator[Field]:
    """Yield the fields of the message in [start, end); CodecError where it is none."""
    at = start
    while at < end:
        tag = buffer[at]
        at += 1
        if tag >= 0x80:
            tag, at = varint(buffer, at - 1, end)
        if tag < 8:
            raise CodecError("a protobuf field without a number")
        wire_type = tag & 7
        if wire_type == BYTES:
            if at < end and (size := buffer[at]) < 0x80:
                at += 1
            else:
                size, at = varint(buffer, at, end)
        elif wire_type == VARINT:
            value, at = varint(buffer, at, end)
            yield tag, value, at
            continue
        elif (size := _FIXED_BYTES.get(wire_type, -1)) < 0:
            raise CodecError(f"protobuf wire type {wire_type} is not used here")
        after = at + size
        if after > end:
            raise CodecError("a protobuf field longer than its message")
        yield tag, at, after
        at = after


def varint(buffer: bytes, at: int, end: int) -> tuple[int, int]:
    """Return the number at `at` and where it ends."""
    value = shift = 0
    while at < end and shift < 70:
        byte = buffer[at]
        at += 1
        if byte < 0x80:
            value |= byte << shift
            if value >= 1 << 64:
                break
            return value, at
        value |= (byte & 0x7F) << shift
        shift += 7
    raise CodecError("a protobuf number without an end")


def text(buffer: bytes, start: int, end: int) -> str:
    """Return the string in [start, end); CodecError where it is no UTF-8."""
    try:
        return buffer[start:end].decode()
    except UnicodeDecodeError as exc:
        raise CodecError(f"a protobuf string is no UTF-8 at {exc.start}") from exc


def signed(value: int) -> int:
    """Return an int32 or int64 as it was before the wire made it unsigned."""
    return value - (1 << 64) if value >= 1 << 63 else value


def encode_varint(value: int) -> bytes:
    """Return a number as the wire has it; negative ones as 64 bits."""
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode_bytes(number: int, content: bytes) -> bytes:
    """Return a length-delimited field; empty content too, as Kubernetes writes it."""
    return encode_head(number, len(content)) + content


def encode_head(number: int, size: int) -> bytes:
    """Return what stands before `size` bytes of a length-delimited field."""
    return encode_varint(tag_of(number)) + encode_varint(size)


def encode_text(number: int, content: str) -> bytes:
    """Return a string field; what no UTF-8 can hold becomes "?"."""
    return encode_bytes(number, content.encode("utf-8", "replace"))


def encode_number(number: int, value: int) -> bytes:
    """Return a varint field."""
    return encode_varint(tag_of(number, VARINT)) + encode_varint(value)
