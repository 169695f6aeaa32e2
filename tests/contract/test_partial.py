# SPDX-License-Identifier: Apache-2.0
"""Metadata cut from recorded full objects equals the API server's own, byte for byte."""

import pytest
from tests.contract.recordings import JSON, PROTOBUF, recording

from toono.codec.json import JSONCodec
from toono.codec.partial import (
    Page,
    cut_metadata,
    join_partial_list,
    write_partial,
    write_partial_bookmark,
    write_partial_event,
)
from toono.codec.protobuf import ProtobufCodec

CODECS = {JSON: JSONCodec(), PROTOBUF: ProtobufCodec()}


def cut_list(name: str, media_type: str) -> bytes:
    parts = CODECS[media_type].split_list(recording(name).body)
    items = [
        cut_metadata(one.data, media_type=media_type, style=parts.style)
        for one in parts.items
    ]
    page = Page(parts.resource_version)
    return b"".join(join_partial_list(items, page, media_type=media_type, version="v1"))


@pytest.mark.parametrize(
    ("full", "partial"),
    [
        ("list-pods-json", "list-pods-partial"),
        ("list-services-json", "list-services-partial"),
        ("list-endpointslices-json", "list-endpointslices-partial"),
        ("list-leases-json", "list-leases-partial"),
        ("list-crds-json", "list-crds-partial"),
        ("list-crontabs-json", "list-crontabs-partial"),
    ],
)
def test_list_in_json_equals_the_recorded_one(full, partial):
    assert cut_list(full, JSON) == recording(partial).body


def test_list_in_protobuf_equals_the_recorded_one():
    body = recording("list-pods-partial-protobuf").body
    assert cut_list("list-pods-protobuf", PROTOBUF) == body


def test_get_equals_the_recorded_one():
    single = CODECS[JSON].read_single(recording("get-pod-json").body)
    data = cut_metadata(single.object.data, media_type=JSON)
    body = write_partial(data, media_type=JSON, version="v1")
    assert body == recording("get-pod-partial").body


@pytest.mark.parametrize("name", ["list-pods-partial", "list-crontabs-partial"])
def test_recorded_list_survives_being_stored_and_cut_again(name):
    assert cut_list(name, JSON) == recording(name).body


@pytest.mark.parametrize("name", ["watch-pods-partial", "watchlist-pods-partial"])
def test_watch_of_metadata_survives_being_stored(name):
    codec = CODECS[JSON]
    written = []
    for frame in codec.frames().feed(recording(name).body):
        event = codec.read_event(frame)
        if event.type == "BOOKMARK":
            written.append(
                write_partial_bookmark(
                    event.object.resource_version,
                    initial_events_end=event.initial_events_end,
                    media_type=JSON,
                    version="v1",
                )
            )
            continue
        data = cut_metadata(event.object.data, media_type=JSON)
        written.append(
            write_partial_event(
                data, event_type=event.type, media_type=JSON, version="v1"
            )
        )
    assert b"".join(written) == recording(name).body


def test_metadata_cut_from_a_watch_of_objects_reads_as_metadata():
    codec = CODECS[PROTOBUF]
    frames = codec.frames().feed(recording("watch-pods-protobuf").body)
    for event in map(codec.read_event, frames):
        if event.type == "BOOKMARK":
            continue
        data = cut_metadata(event.object.data, media_type=PROTOBUF)
        frame = write_partial_event(
            data, event_type=event.type, media_type=PROTOBUF, version="v1beta1"
        )
        again = codec.read_event(frame)
        assert again.kind == "PartialObjectMetadata"
        assert again.api_version == "meta.k8s.io/v1beta1"
        assert again.object[:5] == event.object[:5]
        assert codec.labels(data) == codec.labels(event.object.data)
