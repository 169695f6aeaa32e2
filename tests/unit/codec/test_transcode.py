# SPDX-License-Identifier: Apache-2.0
"""One object in its other form, exactly, or refused with the reason."""

import json
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fuzz.objects import an_object, leaves

from toono.codec.schema import kinds
from toono.codec.transcode import can_transcode, to_json, to_protobuf
from toono.codec.wireformat import encode_bytes, encode_text
from toono.errors import CannotTranscodeError, CodecError

POD = {"kind": "Pod", "api_version": "v1"}
CONFIG_MAP = {"kind": "ConfigMap", "api_version": "v1"}
CRON_TAB = {"kind": "CronTab", "api_version": "x.example.com/v1"}
TABLE = {"kind": "Table", "api_version": "meta.k8s.io/v1"}
CRD = {"kind": "CustomResourceDefinition", "api_version": "apiextensions.k8s.io/v1"}


def config_map(text: str) -> bytes:
    """Return the protobuf of a ConfigMap with one entry."""
    entry = encode_text(1, "k") + encode_text(2, text)
    return encode_bytes(1, b"") + encode_bytes(2, entry)


def test_built_in_kinds_have_both_forms_and_no_others() -> None:
    assert can_transcode(**POD)
    assert can_transcode(**CRD)
    assert can_transcode(kind="PodList", api_version="v1")
    assert not can_transcode(**CRON_TAB)
    assert not can_transcode(**TABLE)
    assert not can_transcode(kind="Pod", api_version="v2")


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_metadata_alone_has_both_forms_in_both_versions(version: str) -> None:
    form = {"kind": "PartialObjectMetadata", "api_version": f"meta.k8s.io/{version}"}
    as_json = b'{"metadata":{"name":"n","labels":{"a":"b"}}}'
    assert can_transcode(**form)
    assert to_json(to_protobuf(as_json, **form), **form) == as_json
    assert not can_transcode(kind="Table", api_version=f"meta.k8s.io/{version}")


@pytest.mark.parametrize("form", [CRON_TAB, TABLE])
def test_a_kind_of_one_form_is_refused(form: dict[str, str]) -> None:
    for change in (to_json, to_protobuf):
        with pytest.raises(CannotTranscodeError, match="one form only"):
            change(b"{}", **form)


def test_an_error_says_which_kind_and_why() -> None:
    with pytest.raises(CannotTranscodeError) as caught:
        to_json(encode_bytes(99, b"from a newer server"), **POD)
    error = caught.value
    assert isinstance(error, CodecError)
    assert (error.kind, error.api_version) == ("Pod", "v1")
    assert "unknown here" in error.reason
    assert str(error) == f"v1 Pod cannot be transcoded: {error.reason}"


def test_unknown_fields_are_never_dropped() -> None:
    with pytest.raises(CannotTranscodeError, match="unknown field `novelty`"):
        to_protobuf(b'{"metadata":{},"spec":{"novelty":1}}', **POD)
    spec = encode_bytes(2, encode_bytes(200, b"novelty"))
    with pytest.raises(CannotTranscodeError, match="field 200"):
        to_json(spec, **POD)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("<a href='x'>&", rb"\u003ca href='x'\u003e\u0026"),
        ("\u2028 \u2029", rb"\u2028 \u2029"),
        ('"\\/', rb"\"\\/"),
        ("\b\f\n\r\t", rb"\b\f\n\r\t"),
        ("\x00\x1f\x7f", b"\\u0000\\u001f\x7f"),
        ("é漢🙂", "é漢🙂".encode()),
    ],
)
def test_strings_are_escaped_as_go_does(text: str, written: bytes) -> None:
    as_json = to_json(config_map(text), **CONFIG_MAP)
    assert as_json == b'{"metadata":{},"data":{"k":"' + written + b'"}}'
    again = to_protobuf(as_json, **CONFIG_MAP)
    assert to_json(again, **CONFIG_MAP) == as_json
    assert text.encode() in again


def test_maps_are_sorted_and_fields_are_not() -> None:
    as_json = b'{"data":{"b":"","a":""},"metadata":{"uid":"u","name":"n"}}'
    sorted_json = to_json(to_protobuf(as_json, **CONFIG_MAP), **CONFIG_MAP)
    assert sorted_json == (
        b'{"metadata":{"name":"n","uid":"u"},"data":{"a":"","b":""}}'
    )
    unsorted = encode_bytes(2, encode_text(1, "b")) + encode_bytes(
        2, encode_text(1, "a")
    )
    assert to_json(unsorted, **CONFIG_MAP) == b'{"metadata":{},"data":{"a":"","b":""}}'


def test_white_space_makes_no_difference() -> None:
    plain, spaced = b'{"data":{"k":"v"}}', b' { "data" : {\n"k": "v" } }\n'
    assert to_protobuf(plain, **CONFIG_MAP) == to_protobuf(spaced, **CONFIG_MAP)


def test_what_go_cannot_tell_apart_becomes_one() -> None:
    empty = to_protobuf(b"{}", **CONFIG_MAP)
    for same in (
        b'{"data":{}}',
        b'{"data":null,"metadata":null}',
        b'{"metadata":{"uid":""}}',
    ):
        assert to_protobuf(same, **CONFIG_MAP) == empty


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b'{"kind":"ConfigMap","apiVersion":"v1"}',
        b'{"data":{"k":"\xff"}}',
        b'{"data":{"k":"\\ud800"}}',
        b'{"data":{"k":1}}',
        b'{"metadata":{"creationTimestamp":"yesterday"}}',
        b'{"metadata":{"managedFields":[{"fieldsV1":{"x":"\xff"}}]}}',
        b'{"metadata":{"managedFields":[{"fieldsV1":{"x":1e999}}]}}',
        b'{"metadata":' + b"[" * 5000,
        b'{"metadata":{"managedFields":[{"fieldsV1":' + b"[" * 5000,
    ],
)
def test_json_that_is_no_such_object_is_refused(data: bytes) -> None:
    with pytest.raises(CannotTranscodeError):
        to_protobuf(data, **CONFIG_MAP)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(kinds())), st.integers(0, (1 << 32) - 1))
def test_objects_of_every_kind_survive(name: tuple[str, str], seed: int) -> None:
    form = {"kind": name[1], "api_version": name[0]}
    if not can_transcode(**form):
        return
    made = an_object(Random(seed), kinds()[name])
    as_json = to_json(to_protobuf(json.dumps(made).encode(), **form), **form)
    assert leaves(json.loads(as_json)) == leaves(made)
    as_protobuf = to_protobuf(as_json, **form)
    assert to_json(as_protobuf, **form) == as_json
