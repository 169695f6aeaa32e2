# SPDX-License-Identifier: Apache-2.0
"""Mutated recordings: JSON either says so, or yields what a whole decoder yields."""

import json
import os

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contract.recordings import JSON, recordings
from tests.fuzz.mutations import mutated

from toono.codec.base import Object
from toono.codec.json import JSONCodec
from toono.codec.page import Page
from toono.errors import CodecError

CASES = 400 * int(os.environ.get("TOONO_PROVE", "1"))
CODEC = JSONCodec()
BODIES = [
    one.body
    for one in recordings()
    if one.media_type == JSON and one.body and not one.name.startswith("openapi")
]
LISTS = [body for body in BODIES if b'List"' in body[:60] or b'"items":[' in body[:60]]
FRAMES = [
    frame
    for one in recordings()
    if one.name.startswith("watch") and one.media_type == JSON
    for frame in one.body.splitlines(keepends=True)
]


def read(value: dict) -> tuple[str, str, str, str, bool]:
    """Return what the hub reads of an object, from its decoded form."""
    meta = value["metadata"]
    return (
        meta.get("namespace", ""),
        meta.get("name", ""),
        meta.get("uid", ""),
        meta.get("resourceVersion", ""),
        meta.get("deletionTimestamp") is not None,
    )


def agrees(found: Object, value: dict) -> bool:
    stored = {
        key: inner
        for key, inner in value.items()
        if key not in ("kind", "apiVersion") or found.data.startswith(b'{"apiVersion')
    }
    return found[:5] == read(value) and json.loads(found.data) == stored


@settings(max_examples=CASES, deadline=None)
@given(mutated(LISTS))
def test_a_mutated_list_is_refused_or_read_as_it_is(body: bytes) -> None:
    try:
        parts = CODEC.split_list(body)
    except CodecError:
        return
    whole = json.loads(body)
    assert whole["metadata"]["resourceVersion"] == parts.resource_version
    assert whole["metadata"].get("continue", "") == parts.continue_token
    assert (whole["kind"], whole["apiVersion"]) == (parts.kind, parts.api_version)
    values = whole["items"] or []
    assert len(values) == len(parts.items)
    for found, value in zip(parts.items, values, strict=True):
        assert agrees(found, value)
    joined = b"".join(
        CODEC.join_list(
            kind=parts.kind,
            api_version=parts.api_version,
            style=parts.style,
            page=Page(parts.resource_version),
            items=[item.data for item in parts.items],
        )
    )
    assert CODEC.split_list(joined).items == parts.items


@settings(max_examples=CASES, deadline=None)
@given(mutated(BODIES))
def test_a_mutated_object_is_refused_or_read_as_it_is(body: bytes) -> None:
    CODEC.read_status(body)
    try:
        single = CODEC.read_single(body)
    except CodecError:
        return
    whole = json.loads(body)
    assert (whole["kind"], whole["apiVersion"]) == (single.kind, single.api_version)
    assert agrees(single.object, whole)
    written = CODEC.write_single(
        kind=single.kind,
        api_version=single.api_version,
        style=single.style,
        data=single.object.data,
    )
    assert written.strip() == body.strip()


@settings(max_examples=CASES, deadline=None)
@given(mutated(FRAMES))
def test_a_mutated_frame_is_refused_or_read_as_it_is(frame: bytes) -> None:
    try:
        event = CODEC.read_event(frame)
    except CodecError:
        return
    whole = json.loads(frame)
    assert whole["type"] == event.type
    if event.object is None:
        assert event.type == "ERROR"
        return
    assert agrees(event.object, whole["object"])
    assert (event.object.name != "") or event.type == "BOOKMARK"


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
