# SPDX-License-Identifier: Apache-2.0
"""Protobuf's wire format is walked exactly, and hostile bytes only raise CodecError."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toono.codec.wireformat import (
    BYTES,
    FIXED32,
    FIXED64,
    VARINT,
    encode_bytes,
    encode_head,
    encode_number,
    encode_text,
    encode_varint,
    signed,
    tag_of,
    text,
    varint,
    walk,
)
from toono.errors import CodecError


@given(st.integers(0, 2**64 - 1))
def test_numbers_go_both_ways(value: int) -> None:
    wire = encode_varint(value)
    assert varint(wire, 0, len(wire)) == (value, len(wire))


@given(st.integers(-(2**63), 2**63 - 1))
def test_negative_numbers_go_both_ways(value: int) -> None:
    wire = encode_varint(value)
    assert signed(varint(wire, 0, len(wire))[0]) == value


@pytest.mark.parametrize(
    "wire",
    [b"", b"\x80", b"\xff" * 9, b"\xff" * 10, b"\xff" * 9 + b"\x02", b"\x80" * 20],
)
def test_a_number_must_end_and_fit(wire: bytes) -> None:
    with pytest.raises(CodecError):
        varint(wire, 0, len(wire))


def test_a_number_ends_where_its_message_does() -> None:
    with pytest.raises(CodecError):
        varint(b"\x80\x01", 0, 1)


def test_every_kind_of_field_is_walked() -> None:
    message = (
        encode_number(1, 300)
        + encode_bytes(2, b"abc")
        + encode_varint(tag_of(3, FIXED64))
        + b"12345678"
        + encode_varint(tag_of(4, FIXED32))
        + b"1234"
        + encode_bytes(200, b"")
    )
    found = list(walk(message, 0, len(message)))
    assert [tag for tag, _, _ in found] == [
        tag_of(1, VARINT),
        tag_of(2, BYTES),
        tag_of(3, FIXED64),
        tag_of(4, FIXED32),
        tag_of(200),
    ]
    assert found[0][1] == 300
    assert [message[a:b] for _, a, b in found[1:]] == [
        b"abc",
        b"12345678",
        b"1234",
        b"",
    ]


@pytest.mark.parametrize(
    "message",
    [
        b"\x0a",
        b"\x0a\x05abcd",
        b"\x0a\xff\xff\xff\xff\x0f",
        b"\x08",
        b"\x08\x80",
        b"\x09\x01",
        b"\x0d\x01\x02\x03",
        b"\x02\x00",
        b"\x00",
        b"\x07",
        b"\x0b",
        b"\x0c",
        b"\x80",
    ],
)
def test_what_is_no_message_is_refused(message: bytes) -> None:
    with pytest.raises(CodecError):
        list(walk(message, 0, len(message)))


@given(st.binary(max_size=40))
def test_any_bytes_are_a_message_or_a_codec_error(message: bytes) -> None:
    try:
        found = list(walk(message, 0, len(message)))
    except CodecError:
        return
    for tag, start, end in found:
        if tag & 7 != VARINT:
            assert 0 <= start <= end <= len(message)


def test_a_message_is_walked_within_its_bounds() -> None:
    outer = b"\xff\xff" + encode_bytes(1, b"a") + b"\xff"
    assert list(walk(outer, 2, len(outer) - 1)) == [(tag_of(1), 4, 5)]
    with pytest.raises(CodecError):
        list(walk(outer, 2, 4))


def test_text_is_utf8() -> None:
    assert text("aé".encode(), 0, 3) == "aé"
    with pytest.raises(CodecError):
        text(b"a\xff", 0, 2)


def test_fields_are_written_as_kubernetes_does() -> None:
    assert encode_text(1, "") == b"\x0a\x00"
    assert encode_text(3, "é") == b"\x1a\x02\xc3\xa9"
    assert encode_text(1, "a\udcffb") == b"\x0a\x03a?b"
    assert encode_head(2, 300) + b"x" * 300 == encode_bytes(2, b"x" * 300)
    assert encode_number(6, 404) == b"\x30\x94\x03"
