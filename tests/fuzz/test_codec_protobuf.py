# SPDX-License-Identifier: Apache-2.0
"""Mutated recordings: protobuf either says so, or yields names that stand there."""

import os

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contract.recordings import PROTOBUF, recordings
from tests.fuzz.mutations import mutated

from toono.codec.base import Object
from toono.codec.page import Page
from toono.codec.protobuf import ProtobufCodec
from toono.errors import CodecError
from toono.kube.names import parse_version

CASES = 400 * int(os.environ.get("TOONO_PROVE", "1"))
CODEC = ProtobufCodec()
BODIES = [one.body for one in recordings() if one.media_type == PROTOBUF]
LISTS = [body for body in BODIES if b"List\x12" in body[:60]]
FRAMES = [
    frame
    for one in recordings()
    if one.name.startswith("watch") and one.media_type == PROTOBUF
    for frame in CODEC.frames().feed(one.body)
]


def stands_there(found: Object, body: bytes) -> bool:
    """Say whether all that was read of an object is in its bytes, and these in the body."""
    return (
        all(value.encode() in found.data for value in found[:4])
        and found.data in body
        and parse_version(found.resource_version) is not None
    )


@settings(max_examples=CASES, deadline=None)
@given(mutated(LISTS))
def test_a_mutated_list_is_refused_or_read_as_it_is(body: bytes) -> None:
    try:
        parts = CODEC.split_list(body)
    except CodecError:
        return
    assert all(stands_there(item, body) and item.name for item in parts.items)
    joined = b"".join(
        CODEC.join_list(
            kind=parts.kind,
            api_version=parts.api_version,
            style=parts.style,
            page=Page(parts.resource_version),
            items=[item.data for item in parts.items],
        )
    )
    again = CODEC.split_list(joined)
    assert again._replace(continue_token=parts.continue_token) == parts


@settings(max_examples=CASES, deadline=None)
@given(mutated(BODIES))
def test_a_mutated_object_is_refused_or_read_as_it_is(body: bytes) -> None:
    CODEC.read_status(body)
    try:
        single = CODEC.read_single(body)
    except CodecError:
        return
    assert stands_there(single.object, body)
    assert single.object.name
    written = CODEC.write_single(
        kind=single.kind,
        api_version=single.api_version,
        style=single.style,
        data=single.object.data,
    )
    assert CODEC.read_single(written) == single


@settings(max_examples=CASES, deadline=None)
@given(mutated(FRAMES))
def test_a_mutated_frame_is_refused_or_read_as_it_is(frame: bytes) -> None:
    try:
        event = CODEC.read_event(frame)
    except CodecError:
        return
    if event.object is None:
        assert event.type == "ERROR"
        return
    assert stands_there(event.object, frame)
    assert event.object.name or event.type == "BOOKMARK"


@settings(max_examples=CASES, deadline=None)
@given(mutated(FRAMES), st.integers(1, 200))
def test_a_mutated_stream_is_cut_the_same_in_any_pieces(
    frame: bytes, step: int
) -> None:
    stream = FRAMES[0] + frame + FRAMES[1]
    results = []
    for size in (step, len(stream)):
        splitter, found = CODEC.frames(), []
        try:
            for at in range(0, len(stream), size):
                found += splitter.feed(stream[at : at + size])
        except CodecError:
            results.append(None)
            continue
        assert b"".join(found) + splitter.pending == stream
        results.append(found)
    assert results[0] == results[1]


@settings(max_examples=CASES, deadline=None)
@given(
    mutated([frame[40:] for frame in FRAMES]), st.sampled_from(("a.b", "spec.nodeName"))
)
def test_mutated_rows_give_labels_and_fields_or_an_error(
    data: bytes, path: str
) -> None:
    for read in (
        lambda: CODEC.labels(data),
        lambda: CODEC.field(data, path, kind="Pod", api_version="v1"),
    ):
        try:
            read()
        except CodecError:
            continue
