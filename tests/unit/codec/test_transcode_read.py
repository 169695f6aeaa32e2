# SPDX-License-Identifier: Apache-2.0
"""Protobuf read field by field, as Go would, or refused where something would be lost."""

from struct import pack
from typing import Any

import msgspec
import pytest

from toono.codec.transcode_forms import MAX_DEPTH
from toono.codec.transcode_read import go_float, read
from toono.codec.wireformat import (
    FIXED64,
    encode_bytes,
    encode_number,
    encode_text,
    encode_varint,
    tag_of,
)
from toono.errors import CodecError

SCHEMA = "apiextensions.v1.JSONSchemaProps"


def json_of(message: str, content: bytes) -> Any:
    """Return the JSON of a message."""
    return msgspec.json.decode(
        msgspec.json.encode(read(message, content, 0, len(content), 0))
    )


def double(number: int, value: float) -> bytes:
    return encode_varint(tag_of(number, FIXED64)) + pack("<d", value)


def test_an_empty_message_has_what_go_always_writes() -> None:
    assert json_of("core.v1.Pod", b"") == {
        "metadata": {},
        "spec": {"containers": None},
        "status": {},
    }
    assert json_of("core.v1.ServicePort", b"") == {"port": 0, "targetPort": 0}
    assert json_of("core.v1.ResourceFieldSelector", b"") == {
        "resource": "",
        "divisor": "0",
    }
    assert json_of("rbac.v1.ClusterRole", b"") == {"metadata": {}, "rules": None}
    assert json_of("apps.v1.DeploymentSpec", b"")["selector"] is None
    assert json_of("apps.v1.ControllerRevision", b"") == {
        "metadata": {},
        "data": None,
        "revision": 0,
    }
    assert json_of("admissionregistration.v1.ValidatingWebhook", b"") == {
        "name": "",
        "clientConfig": {},
        "sideEffects": None,
        "admissionReviewVersions": None,
    }
    assert json_of("certificates.v1.CertificateSigningRequestSpec", b"") == {
        "request": None,
        "signerName": "",
    }
    assert json_of("storage.v1.VolumeAttachmentStatus", b"") == {"attached": False}


def test_what_is_zero_on_the_wire_is_left_out_unless_a_pointer_has_it() -> None:
    zeros = encode_text(1, "") + encode_text(2, "") + encode_number(7, 0)
    assert json_of("meta.v1.ObjectMeta", zeros) == {}
    assert json_of("meta.v1.ObjectMeta", encode_number(10, 0)) == {
        "deletionGracePeriodSeconds": 0
    }
    assert json_of("core.v1.Container", encode_text(1, "") + encode_text(2, "")) == {
        "name": "",
        "resources": {},
    }
    assert json_of("core.v1.Container", encode_number(16, 0))["resources"] == {}
    assert json_of("core.v1.SecurityContext", encode_number(2, 0)) == {
        "privileged": False
    }


def test_a_creation_timestamp_that_is_zero_is_left_out_and_others_are_null() -> None:
    assert json_of("meta.v1.ObjectMeta", encode_bytes(8, b"")) == {}
    assert json_of("meta.v1.ObjectMeta", encode_bytes(9, b"")) == {
        "deletionTimestamp": None
    }
    assert json_of("core.v1.PodCondition", b"") == {
        "type": "",
        "status": "",
        "lastProbeTime": None,
        "lastTransitionTime": None,
    }


def test_fields_of_an_inlined_message_stand_in_the_parent() -> None:
    volume = encode_text(1, "v") + encode_bytes(2, encode_bytes(2, b""))
    assert json_of("core.v1.Volume", volume) == {"name": "v", "emptyDir": {}}


def test_lists_and_maps_gather_what_comes() -> None:
    label = encode_bytes(11, encode_text(1, "a") + encode_text(2, "b"))
    other = encode_bytes(11, encode_text(1, "c") + encode_text(2, "d"))
    ends = encode_text(14, "x") + encode_text(14, "y")
    assert json_of("meta.v1.ObjectMeta", label + other + ends) == {
        "labels": {"a": "b", "c": "d"},
        "finalizers": ["x", "y"],
    }


def test_an_entry_that_lacks_its_halves_has_their_zero() -> None:
    assert json_of("meta.v1.ObjectMeta", encode_bytes(11, b""))["labels"] == {"": ""}
    assert json_of("core.v1.Secret", encode_bytes(2, encode_text(1, "k")))["data"] == {
        "k": ""
    }


def test_bytes_are_base64_and_empty_ones_are_not_nil() -> None:
    secret = encode_bytes(2, encode_text(1, "k") + encode_bytes(2, b"\xff\xfe"))
    assert json_of("core.v1.Secret", secret)["data"] == {"k": "//4="}
    request = "certificates.v1.CertificateSigningRequestSpec"
    assert json_of(request, encode_bytes(1, b""))["request"] == ""


def test_numbers_keep_their_sign_and_size() -> None:
    low, high = -(1 << 63), (1 << 63) - 1
    for number in (low, -1, 0, 1, high):
        got = json_of("meta.v1.ObjectMeta", encode_number(10, number))
        assert got == {"deletionGracePeriodSeconds": number}
    for number in (-(1 << 31), (1 << 31) - 1):
        got = json_of("core.v1.ServicePort", encode_number(3, number))
        assert got["port"] == number


def test_a_list_of_strings_in_a_map_is_a_list() -> None:
    value = encode_text(1, "x") + encode_text(1, "y")
    extra = encode_bytes(4, encode_text(1, "k") + encode_bytes(2, value))
    assert json_of("authentication.v1.UserInfo", extra) == {"extra": {"k": ["x", "y"]}}
    bare = encode_bytes(4, encode_text(1, "k"))
    assert json_of("authentication.v1.UserInfo", bare) == {"extra": {"k": []}}


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"", 0),
        (encode_number(1, 0) + encode_number(2, -5) + encode_text(3, ""), -5),
        (encode_number(1, 1) + encode_number(2, 0) + encode_text(3, "http"), "http"),
        (encode_number(1, 1), ""),
    ],
)
def test_an_int_or_string_is_either(content: bytes, value: int | str) -> None:
    port = encode_bytes(4, content)
    assert json_of("core.v1.ServicePort", port)["targetPort"] == value


@pytest.mark.parametrize(
    "content",
    [
        encode_number(1, 2),
        encode_number(1, 0) + encode_text(3, "lost"),
        encode_number(1, 1) + encode_number(2, 7),
        encode_number(2, 1 << 31),
        encode_text(1, "x"),
        encode_number(4, 1),
        encode_number(2, 1) + encode_number(1, 0),
    ],
)
def test_an_int_or_string_that_is_both_is_refused(content: bytes) -> None:
    with pytest.raises(CodecError):
        json_of("core.v1.ServicePort", encode_bytes(4, content))


def test_raw_json_loses_its_white_space_and_nothing_else() -> None:
    raw = b'{ "a" : 1.50e3,\n"b":[ "\\u0041 x" ] }'
    field = encode_bytes(7, encode_bytes(1, raw))
    found = read("meta.v1.ManagedFieldsEntry", field, 0, len(field), 0)
    assert bytes(found.fieldsV1_) == b'{"a":1.50e3,"b":["\\u0041 x"]}'


def test_raw_json_that_is_not_there_is_null() -> None:
    entry = "meta.v1.ManagedFieldsEntry"
    assert json_of(entry, encode_bytes(7, b"")) == {"fieldsV1": None}
    items = encode_bytes(2, b"") + encode_bytes(2, encode_bytes(1, b"7"))
    assert json_of("core.v1.List", items) == {"metadata": {}, "items": [None, 7]}


@pytest.mark.parametrize(
    "raw", [b"", b"k8s\0", b"{", b'{"a":1}}', b'"\xff"', b"1e999", b"[" * 5000]
)
def test_raw_json_that_is_none_is_refused(raw: bytes) -> None:
    with pytest.raises(CodecError):
        json_of("meta.v1.ManagedFieldsEntry", encode_bytes(7, encode_bytes(1, raw)))


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "1"),
        (-1.5, "-1.5"),
        (0.1, "0.1"),
        (1e-6, "0.000001"),
        (1e-7, "1e-7"),
        (1.25e-10, "1.25e-10"),
        (1e16, "10000000000000000"),
        (123456789012345680000.0, "123456789012345680000"),
        (1e21, "1e+21"),
        (-2.5e300, "-2.5e+300"),
        (5e-324, "5e-324"),
    ],
)
def test_floats_are_written_as_go_does(number: float, text: str) -> None:
    assert go_float(number) == text
    content = double(9, number)
    found = read(SCHEMA, content, 0, len(content), 0)
    assert bytes(found.maximum_).decode() == text


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan")])
def test_a_float_that_json_has_not_is_refused(number: float) -> None:
    with pytest.raises(CodecError, match="JSON has no"):
        json_of(SCHEMA, double(9, number))


def test_a_schema_or_something_else_is_either() -> None:
    schema = encode_text(5, "string")
    got = json_of(SCHEMA, encode_bytes(24, encode_bytes(1, schema)))
    assert got == {"items": {"type": "string"}}
    got = json_of(SCHEMA, encode_bytes(24, encode_bytes(2, schema) * 2))
    assert got == {"items": [{"type": "string"}] * 2}
    assert json_of(SCHEMA, encode_bytes(24, b"")) == {"items": None}
    for allows in (True, False):
        got = json_of(SCHEMA, encode_bytes(30, encode_number(1, allows)))
        assert got == {"additionalProperties": allows}
    assert json_of(SCHEMA, encode_bytes(30, b"")) == {"additionalProperties": False}
    both = encode_number(1, 1) + encode_bytes(2, schema)
    assert json_of(SCHEMA, encode_bytes(30, both)) == {
        "additionalProperties": {"type": "string"}
    }
    strings = encode_text(2, "a") + encode_text(2, "b")
    depends = encode_bytes(32, encode_text(1, "k") + encode_bytes(2, strings))
    assert json_of(SCHEMA, depends) == {"dependencies": {"k": ["a", "b"]}}


@pytest.mark.parametrize(
    "content",
    [
        encode_bytes(24, encode_bytes(1, b"") + encode_bytes(2, b"")),
        encode_bytes(24, encode_bytes(2, b"") + encode_bytes(1, b"")),
        encode_bytes(24, encode_bytes(1, b"") * 2),
        encode_bytes(24, encode_bytes(3, b"")),
        encode_bytes(30, encode_number(1, 2)),
        encode_bytes(30, encode_text(1, "x")),
        encode_bytes(32, encode_text(1, "k") + encode_bytes(2, encode_number(1, 1))),
    ],
)
def test_a_schema_that_is_two_things_is_refused(content: bytes) -> None:
    with pytest.raises(CodecError):
        json_of(SCHEMA, content)


def nested(depth: int) -> bytes:
    content = b""
    for _ in range(depth):
        content = encode_bytes(28, content)
    return content


def test_schemas_nest_to_a_limit() -> None:
    assert str(json_of(SCHEMA, nested(MAX_DEPTH))).count("not") == MAX_DEPTH
    with pytest.raises(CodecError, match="within each other"):
        json_of(SCHEMA, nested(MAX_DEPTH + 1))
    with pytest.raises(CodecError, match="within each other"):
        json_of(SCHEMA, nested(5000))


@pytest.mark.parametrize(
    ("message", "content"),
    [
        ("core.v1.Pod", encode_bytes(99, b"new")),
        ("core.v1.Pod", encode_number(1, 1)),
        ("core.v1.Pod", encode_bytes(2, b"") + encode_bytes(1, b"")),
        ("core.v1.Pod", encode_bytes(1, b"") * 2),
        ("core.v1.Volume", encode_bytes(2, b"") * 2),
        ("core.v1.Volume", encode_bytes(2, encode_bytes(99, b""))),
        ("core.v1.Pod", b"\x0a\x05"),
        ("meta.v1.ObjectMeta", encode_bytes(1, b"\xff")),
        ("meta.v1.ObjectMeta", encode_bytes(11, encode_text(1, "a")) * 2),
        ("meta.v1.ObjectMeta", encode_bytes(11, encode_text(2, "a") + encode_text(1, ""))),
        ("meta.v1.ObjectMeta", encode_bytes(11, encode_text(3, "a"))),
        ("core.v1.ServicePort", encode_number(3, 1 << 31)),
        ("core.v1.SecurityContext", encode_number(2, 2)),
        ("authentication.v1.UserInfo", encode_bytes(4, encode_bytes(2, encode_text(2, "")))),
    ],
)  # fmt: skip
def test_what_no_api_server_writes_is_refused(message: str, content: bytes) -> None:
    with pytest.raises(CodecError):
        json_of(message, content)
