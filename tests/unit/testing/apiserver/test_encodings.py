# SPDX-License-Identifier: Apache-2.0
"""Answers as bytes: what the JSON says the protobuf says too."""

import json

import pytest

from tests.unit.testing.apiserver.kit import resource
from toono.codec import cbor
from toono.codec.protobuf import ProtobufCodec
from toono.codec.transcode import to_json
from toono.testing.apiserver.encodings import (
    CBOREncoding,
    JSONEncoding,
    ProtobufEncoding,
)
from toono.testing.apiserver.shapes import Metadata, Whole

CODEC = ProtobufCodec()
MAPS = resource("configmaps")
MAP = {
    "kind": "ConfigMap",
    "apiVersion": "v1",
    "metadata": {"name": "a", "namespace": "ns", "uid": "u", "resourceVersion": "7"},
    "data": {"k": "<v>"},
}


def plain(data: bytes) -> dict:
    return json.loads(to_json(data, kind="ConfigMap", api_version="v1"))


def test_json_ends_with_a_line_feed() -> None:
    form = JSONEncoding(Whole(MAPS))
    assert form.one(MAP).endswith(b'"data":{"k":"\\u003cv\\u003e"}}\n')
    assert json.loads(form.listed([MAP], {"resourceVersion": "7"}))["items"]
    assert form.event("ADDED", MAP) == b'{"type":"ADDED","object":%b}\n' % (
        form.one(MAP).strip()
    )
    ended = json.loads(form.bookmark("9", ends_burst=True))
    assert ended["object"]["metadata"]["annotations"] == {
        "k8s.io/initial-events-end": "true"
    }
    assert b"annotations" not in form.bookmark("9")
    assert json.loads(form.error({"code": 410})) == {
        "type": "ERROR",
        "object": {"code": 410},
    }


def test_protobuf_says_the_same_of_an_object() -> None:
    single = CODEC.read_single(ProtobufEncoding(Whole(MAPS)).one(MAP))
    assert (single.kind, single.api_version) == ("ConfigMap", "v1")
    assert plain(single.object.data) == {
        key: value for key, value in MAP.items() if key not in ("kind", "apiVersion")
    }


@pytest.mark.parametrize("more", [{}, {"continue": "t", "remainingItemCount": 3}])
def test_protobuf_says_the_same_of_a_list(more: dict) -> None:
    for shape in (Whole(MAPS), Metadata(MAPS, "v1")):
        meta = {"resourceVersion": "9", **more}
        parts = CODEC.split_list(ProtobufEncoding(shape).listed([MAP, MAP], meta))
        assert parts.kind == shape.kind + "List"
        assert parts.resource_version == "9"
        assert parts.continue_token == more.get("continue", "")
        assert [plain(item.data)["metadata"]["name"] for item in parts.items] == [
            "a",
            "a",
        ]


def test_metadata_alone_has_no_data() -> None:
    for version in ("v1", "v1beta1"):
        body = ProtobufEncoding(Metadata(MAPS, version)).one(MAP)
        single = CODEC.read_single(body)
        assert single.api_version == f"meta.k8s.io/{version}"
        assert "data" not in plain(single.object.data)


def test_frames_say_the_same() -> None:
    form = ProtobufEncoding(Whole(MAPS))
    event = CODEC.read_event(form.event("DELETED", MAP))
    assert (event.type, event.object.name) == ("DELETED", "a")
    for ends in (True, False):
        mark = CODEC.read_event(form.bookmark("9", ends_burst=ends))
        assert (mark.type, mark.object.resource_version) == ("BOOKMARK", "9")
        assert mark.initial_events_end is ends
    assert CODEC.read_event(form.error({"code": 410})).status_code == 410


def test_media_types_are_those_of_the_wire() -> None:
    assert JSONEncoding.media_type == JSONEncoding.stream_type == b"application/json"
    assert (
        ProtobufEncoding.stream_type == ProtobufEncoding.media_type + b";stream=watch"
    )


def test_cbor_says_what_json_says() -> None:
    json_form, cbor_form = JSONEncoding(Whole(MAPS)), CBOREncoding(Whole(MAPS))
    meta = {"resourceVersion": "7"}
    pairs = [
        (json_form.one(MAP), cbor_form.one(MAP)),
        (json_form.listed([MAP], meta), cbor_form.listed([MAP], meta)),
        (json_form.event("ADDED", MAP), cbor_form.event("ADDED", MAP)),
        (
            json_form.bookmark("7", ends_burst=True),
            cbor_form.bookmark("7", ends_burst=True),
        ),
        (json_form.error({"code": 410}), cbor_form.error({"code": 410})),
    ]
    for text, raw in pairs:
        assert cbor.decode(raw) == json.loads(text)
    assert cbor_form.stream_type == b"application/cbor-seq"
