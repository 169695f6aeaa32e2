# SPDX-License-Identifier: Apache-2.0
"""Protobuf written field by field, as Go's generated code does."""

import json
from struct import pack
from typing import Any

import pytest

from toono.codec.transcode_forms import MAX_DEPTH, decoder_of
from toono.codec.transcode_write import write
from toono.codec.wireformat import (
    FIXED64,
    encode_bytes,
    encode_number,
    encode_text,
    encode_varint,
    tag_of,
    walk,
)
from toono.errors import CodecError

SCHEMA = "apiextensions.v1.JSONSchemaProps"


def written(message: str, value: Any) -> bytes:
    return write(message, decoder_of(message).decode(json.dumps(value)), 0)


def field(content: bytes, number: int) -> list[bytes]:
    """Return the whole fields of a number in a message."""
    found, at = [], 0
    for tag, _, end in walk(content, 0, len(content)):
        if tag >> 3 == number:
            found.append(content[at:end])
        at = end
    return found


def test_scalars_and_plain_messages_are_always_written() -> None:
    meta = b"".join(encode_text(number, "") for number in range(1, 7))
    meta += encode_number(7, 0) + encode_bytes(8, b"")
    assert written("meta.v1.ObjectMeta", {}) == meta
    assert written("core.v1.Secret", {}) == encode_bytes(1, meta) + encode_text(3, "")
    status = encode_number(1, 0)
    assert written("storage.v1.VolumeAttachmentStatus", {}) == status


def test_plain_special_types_have_their_zero() -> None:
    either = encode_number(1, 0) + encode_number(2, 0) + encode_bytes(3, b"")
    content = written("core.v1.ServicePort", {})
    assert field(content, 4) == [encode_bytes(4, either)]
    content = written("core.v1.ResourceFieldSelector", {})
    assert field(content, 3) == [encode_bytes(3, encode_text(1, "0"))]
    content = written("core.v1.PodCondition", {})
    assert field(content, 3) == [encode_bytes(3, b"")]
    content = written("apps.v1.ControllerRevision", {})
    assert field(content, 2) == [encode_bytes(2, b"")]


@pytest.mark.parametrize("nothing", [None, ...])
def test_null_is_written_as_absent(nothing: object) -> None:
    for message in ("meta.v1.ObjectMeta", "core.v1.PodSpec", "core.v1.Volume", SCHEMA):
        names = (
            [] if nothing is ... else decoder_of(message).type.__struct_encode_fields__
        )
        assert written(message, dict.fromkeys(names)) == written(message, {})


def test_pointers_are_written_though_zero() -> None:
    content = written("meta.v1.ObjectMeta", {"deletionGracePeriodSeconds": 0})
    assert field(content, 10) == [encode_number(10, 0)]
    assert field(written("meta.v1.ObjectMeta", {}), 10) == []


def test_empty_lists_and_maps_are_not_written() -> None:
    empty = {"labels": {}, "finalizers": [], "ownerReferences": []}
    assert written("meta.v1.ObjectMeta", empty) == written("meta.v1.ObjectMeta", {})


def test_maps_are_written_by_sorted_keys() -> None:
    labels = {"b": "2", "a": "1", "é": "", "": "0"}
    content = written("meta.v1.ObjectMeta", {"labels": labels})
    assert field(content, 11) == [
        encode_bytes(11, encode_text(1, key) + encode_text(2, labels[key]))
        for key in ("", "a", "b", "é")
    ]


def test_bytes_are_nil_or_empty() -> None:
    content = written("core.v1.Secret", {"data": {"e": "", "n": None, "v": "//4="}})
    assert field(content, 2) == [
        encode_bytes(2, encode_text(1, "e") + encode_bytes(2, b"")),
        encode_bytes(2, encode_text(1, "n")),
        encode_bytes(2, encode_text(1, "v") + encode_bytes(2, b"\xff\xfe")),
    ]
    request = "certificates.v1.CertificateSigningRequestSpec"
    assert field(written(request, {"request": ""}), 1) == [encode_bytes(1, b"")]
    assert field(written(request, {"request": None}), 1) == []


def test_null_in_a_map_of_messages_is_an_empty_message() -> None:
    content = written("authentication.v1.UserInfo", {"extra": {"k": None}})
    assert field(content, 4) == [encode_bytes(4, encode_text(1, "k") + b"\x12\x00")]


def test_lists_in_maps_are_messages() -> None:
    content = written("authentication.v1.UserInfo", {"extra": {"k": ["x", "y"]}})
    value = encode_text(1, "x") + encode_text(1, "y")
    entry = encode_text(1, "k") + encode_bytes(2, value)
    assert field(content, 4) == [encode_bytes(4, entry)]


def test_inlined_fields_go_into_their_message() -> None:
    content = written("core.v1.Volume", {"name": "v", "emptyDir": {}})
    empty_dir = written("core.v1.EmptyDirVolumeSource", {})
    source = encode_bytes(2, empty_dir)
    assert content == encode_text(1, "v") + encode_bytes(2, source)


@pytest.mark.parametrize("size", [0, 1, 127, 128, 300, 20_000])
def test_lengths_of_any_size_are_written(size: int) -> None:
    content = written("meta.v1.ObjectMeta", {"name": "n" * size})
    assert field(content, 1) == [encode_text(1, "n" * size)]


def test_negative_numbers_take_ten_bytes() -> None:
    content = written("core.v1.ServicePort", {"port": -1})
    assert field(content, 3) == [encode_varint(tag_of(3, 0)) + b"\xff" * 9 + b"\x01"]


def test_an_int_or_string_is_written_as_either() -> None:
    number = encode_number(1, 0) + encode_number(2, 80) + encode_bytes(3, b"")
    string = encode_number(1, 1) + encode_number(2, 0) + encode_text(3, "80")
    for value, content in ((80, number), ("80", string)):
        got = written("core.v1.ServicePort", {"targetPort": value})
        assert field(got, 4) == [encode_bytes(4, content)]


def test_floats_have_eight_bytes() -> None:
    got = field(written(SCHEMA, {"maximum": 1.5, "minimum": 2}), 9)
    assert got == [encode_varint(tag_of(9, FIXED64)) + pack("<d", 1.5)]


def test_raw_json_keeps_its_text() -> None:
    entry = decoder_of("meta.v1.ManagedFieldsEntry").decode(
        b'{"fieldsV1": {"a" : 1.50e3, "\\u003c":[ ]} }'
    )
    raw = b'{"a" : 1.50e3, "\\u003c":[ ]}'
    content = write("meta.v1.ManagedFieldsEntry", entry, 0)
    assert field(content, 7) == [encode_bytes(7, encode_bytes(1, raw))]


def test_null_raw_json_is_an_empty_message_where_it_must_stand() -> None:
    content = written("core.v1.List", {"items": [None, 7]})
    raw = encode_bytes(2, b"") + encode_bytes(2, encode_bytes(1, b"7"))
    assert content.endswith(raw)
    revision = written("apps.v1.ControllerRevision", {"data": None})
    assert revision == written("apps.v1.ControllerRevision", {})


def test_schemas_or_something_else_are_written_as_either() -> None:
    schema = written(SCHEMA, {"type": "string"})
    one = {"type": "string"}
    for value, content in (
        (one, encode_bytes(1, schema)),
        ([one, one], encode_bytes(2, schema) * 2),
        ([], b""),
    ):
        assert field(written(SCHEMA, {"items": value}), 24) == [
            encode_bytes(24, content)
        ]
    for value, content in (
        (True, encode_number(1, 1)),
        (False, encode_number(1, 0)),
        (one, encode_number(1, 1) + encode_bytes(2, schema)),
    ):
        got = field(written(SCHEMA, {"additionalItems": value}), 33)
        assert got == [encode_bytes(33, content)]
    for value, content in (
        (["a", "b"], encode_text(2, "a") + encode_text(2, "b")),
        (one, encode_bytes(1, schema)),
        (None, b""),
    ):
        entry = encode_text(1, "k") + encode_bytes(2, content)
        got = field(written(SCHEMA, {"dependencies": {"k": value}}), 32)
        assert got == [encode_bytes(32, entry)]


@pytest.mark.parametrize(
    "value",
    [
        {"items": 7},
        {"items": [7]},
        {"items": {"unknown": 1}},
        {"additionalItems": "x"},
        {"dependencies": {"k": [1]}},
        {"dependencies": {"k": 7}},
        {"not": {"not": {"unknown": 1}}},
        {"allOf": [None]},
    ],
)
def test_a_schema_of_another_shape_is_refused(value: object) -> None:
    with pytest.raises(CodecError):
        written(SCHEMA, value)


def test_schemas_nest_to_a_limit() -> None:
    def nested(depth: int) -> Any:
        return {"not": nested(depth - 1)} if depth else {}

    assert written(SCHEMA, nested(MAX_DEPTH))
    with pytest.raises(CodecError, match="within each other"):
        written(SCHEMA, nested(MAX_DEPTH + 1))
