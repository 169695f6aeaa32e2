# SPDX-License-Identifier: Apache-2.0
"""What every codec owes, held against all recorded answers of a real API server."""

import itertools
import os
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contract.recordings import (
    JSON,
    PROTOBUF,
    Recording,
    connections,
    recording,
    recordings,
)

from toono.codec.base import Codec, ListParts
from toono.codec.page import Page
from toono.codec.registry import for_media_type
from toono.codec.selectable import SELECTABLE
from toono.errors import CodecError
from toono.kube import status

PROVE = int(os.environ.get("TOONO_PROVE", "1"))
"""Multiplies the number of generated cases."""


def codec_of(media_type: str) -> Codec:
    codec = for_media_type(media_type)
    assert codec is not None
    return codec


def known(one: Recording) -> bool:
    return for_media_type(one.media_type) is not None


def named(*, prefix: str) -> list[Recording]:
    return [one for one in recordings() if known(one) and one.name.startswith(prefix)]


NOT_WHOLE = {"list-pods-page-1", "list-pods-page-2", "list-pods-continue-expired"}
LISTS = [
    one
    for one in [*named(prefix="list-"), recording("delete-collection")]
    if one.status == 200
    and one.name not in NOT_WHOLE
    and "table" not in one.name
    and "partial" not in one.name
]
ALL_LISTS = [one for one in [*named(prefix="list-"), *connections()] if known(one)]
"""Pages, metadata alone and Tables, too, and what is no list at all."""
STREAMS = [
    one
    for one in named(prefix="watch")
    if one.status == 200 and "table" not in one.name
]
STATUSES = [
    one
    for one in recordings()
    if known(one)
    and (b'"kind":"Status"' in one.body[:40] or b"\x06Status\x12" in one.body[:24])
]
SINGLES = [
    one
    for one in recordings()
    if known(one)
    and one.status in (200, 201)
    and one.name.startswith(
        ("get-", "create-c", "create-event", "update-", "patch-", "apply-", "crd-")
    )
    and "table" not in one.name
    and "dry-run" not in one.name
] + [recording("delete-pod-graceful")]


def by_name(one: Recording) -> str:
    return one.name


def joined(codec: Codec, parts: ListParts) -> bytes:
    return b"".join(
        codec.join_list(
            kind=parts.kind,
            api_version=parts.api_version,
            style=parts.style,
            page=Page(parts.resource_version),
            items=[item.data for item in parts.items],
        )
    )


def test_the_corpus_is_there() -> None:
    assert len(LISTS) >= 20
    assert len(connections()) >= 120
    assert len(STREAMS) >= 12
    assert len(STATUSES) >= 25
    assert len(SINGLES) >= 18
    for corpus in (LISTS, STREAMS, STATUSES, SINGLES):
        assert {one.media_type for one in corpus} == {JSON, PROTOBUF}


@pytest.mark.parametrize("one", ALL_LISTS, ids=lambda one: one.name)
def test_a_list_is_read_as_it_comes_as_at_once(one: Recording) -> None:
    codec = codec_of(one.media_type)
    whole = outcome(lambda: codec.split_list(one.body))
    items = list(whole.items) if whole is not None else []
    for step in (1 + len(one.body) // 300, 4096, len(one.body) + 1):
        for expected in ([], items, items[1::2], items[::-1]):
            reader = codec.list_reader(expected)
            for at in range(0, len(one.body), step):
                reader.feed(one.body[at : at + step])
            assert outcome(reader.finish) == whole


def outcome(read: Callable[[], ListParts]) -> ListParts | None:
    try:
        return read()
    except CodecError:
        return None


@pytest.mark.parametrize("one", LISTS, ids=by_name)
def test_a_list_taken_apart_and_joined_is_the_recorded_one(one: Recording) -> None:
    codec = codec_of(one.media_type)
    parts = codec.split_list(one.body)
    assert joined(codec, parts) == one.body
    assert parts.continue_token == ""
    assert all(item.name and item.uid for item in parts.items)


@pytest.mark.parametrize("one", SINGLES, ids=by_name)
def test_an_object_read_and_written_is_the_recorded_one(one: Recording) -> None:
    codec = codec_of(one.media_type)
    single = codec.read_single(one.body)
    written = codec.write_single(
        kind=single.kind,
        api_version=single.api_version,
        style=single.style,
        data=single.object.data,
    )
    assert written == one.body


@pytest.mark.parametrize("one", STREAMS, ids=by_name)
def test_events_read_and_written_are_the_recorded_ones(one: Recording) -> None:
    codec = codec_of(one.media_type)
    splitter = codec.frames()
    frames = splitter.feed(one.body)
    assert b"".join(frames) == one.body
    assert splitter.pending == b""
    for frame in frames:
        event = codec.read_event(frame)
        if event.object is None:
            assert (event.type, event.status_code) == ("ERROR", 410)
            continue
        written = codec.write_event(
            event_type=event.type,
            kind=event.kind,
            api_version=event.api_version,
            style=event.style,
            data=event.object.data,
        )
        assert written == frame
        assert (event.object.name == "") == (event.type == "BOOKMARK")


@pytest.mark.parametrize("one", STATUSES, ids=by_name)
def test_a_status_read_and_written_is_the_recorded_one(one: Recording) -> None:
    codec = codec_of(one.media_type)
    found = codec.read_status(one.body)
    assert found is not None
    assert found["kind"] == "Status"
    if one.status >= 400 and not one.body.startswith(b"{\n"):
        assert found["code"] == one.status
    if not one.body.startswith(b"{\n"):  # written for people, in many lines
        assert codec.write_status(found) == one.body


@pytest.mark.parametrize("one", [*LISTS, *SINGLES], ids=by_name)
def test_what_is_no_status_reads_as_none(one: Recording) -> None:
    assert codec_of(one.media_type).read_status(one.body) is None


@pytest.mark.parametrize("one", STATUSES, ids=by_name)
def test_a_status_is_neither_list_nor_object(one: Recording) -> None:
    codec = codec_of(one.media_type)
    with pytest.raises(CodecError):
        codec.split_list(one.body)
    with pytest.raises(CodecError):
        codec.read_single(one.body)


@pytest.mark.parametrize(
    ("listed", "got"),
    [
        ("list-pods-json", "get-pod-json"),
        ("list-pods-protobuf", "get-pod-protobuf"),
        ("list-nodes-protobuf", "get-node-protobuf"),
        ("list-leases-protobuf", "get-lease-protobuf"),
        ("list-services-json", "get-service-kubernetes"),
        ("list-crds-json", "crd-create"),
    ],
)
def test_lists_and_gets_store_the_same_object_alike(listed: str, got: str) -> None:
    whole, single = recording(listed), recording(got)
    codec = codec_of(whole.media_type)
    found = codec.read_single(single.body).object
    items = {item.name: item for item in codec.split_list(whole.body).items}
    if items[found.name].resource_version == found.resource_version:
        assert items[found.name] == found
    else:
        assert items[found.name].uid == found.uid


@pytest.mark.parametrize(
    ("listed", "watched"),
    [
        ("list-pods-json", "watchlist-pods-json"),
        ("list-pods-protobuf", "watchlist-pods-protobuf"),
        ("list-crontabs-json", "watchlist-crontabs"),
    ],
)
def test_lists_and_events_store_the_same_object_alike(
    listed: str, watched: str
) -> None:
    whole, stream = recording(listed), recording(watched)
    codec = codec_of(whole.media_type)
    events = [codec.read_event(frame) for frame in codec.frames().feed(stream.body)]
    seen = {event.object.name: event.object for event in events[:3] if event.object}
    same = [
        item
        for item in codec.split_list(whole.body).items
        if seen.get(item.name) is not None
        and seen[item.name].resource_version == item.resource_version
    ]
    assert same
    assert all(seen[item.name] == item for item in same)


@pytest.mark.parametrize("one", LISTS, ids=by_name)
def test_rows_join_to_the_list_whatever_way_they_came(one: Recording) -> None:
    """List -> rows -> GET answers and events -> rows -> list: the recorded bytes."""
    codec = codec_of(one.media_type)
    parts = codec.split_list(one.body)
    kind = parts.kind.removesuffix("List")
    form = {"kind": kind, "api_version": parts.api_version, "style": parts.style}
    rows = []
    for item, way in zip(parts.items, itertools.cycle(("get", "watch")), strict=False):
        if way == "get":
            body = codec.write_single(data=item.data, **form)
            rows.append(codec.read_single(body).object)
            continue
        frame = codec.write_event(event_type="ADDED", data=item.data, **form)
        found = codec.read_event(frame).object
        assert found is not None
        rows.append(found)
    assert rows == list(parts.items)
    assert joined(codec, parts._replace(items=rows)) == one.body


OVERHEARD = [
    one
    for one in connections()
    if known(one)
    and one.body
    and one.target.startswith((b"/api/v1/", b"/apis/"))
    and b"as=" not in one.fields.get(b"accept", b"")
    and b"accessreviews" not in one.target  # verdicts: objects without a name
]


@pytest.mark.parametrize("one", OVERHEARD, ids=by_name)
def test_what_kubelet_and_kubectl_heard_is_kept_exactly(one: Recording) -> None:
    codec = codec_of(one.media_type)
    if b"watch=true" in one.target:
        frames = codec.frames().feed(one.body)
        assert b"".join(frames) == one.body
        events = [codec.read_event(frame) for frame in frames]
        for event, frame in zip(events, frames, strict=True):
            assert event.object is not None
            written = codec.write_event(
                event_type=event.type,
                kind=event.kind,
                api_version=event.api_version,
                style=event.style,
                data=event.object.data,
            )
            assert written == frame
    elif codec.read_status(one.body) is not None:
        with pytest.raises(CodecError):
            codec.read_single(one.body)
    elif is_list(one):
        parts = codec.split_list(one.body)
        assert parts.continue_token or joined(codec, parts) == one.body
    elif one.status in (200, 201):
        single = codec.read_single(one.body)
        written = codec.write_single(
            kind=single.kind,
            api_version=single.api_version,
            style=single.style,
            data=single.object.data,
        )
        assert written == one.body


def is_list(one: Recording) -> bool:
    codec = codec_of(one.media_type)
    try:
        return codec.split_list(one.body).kind != ""
    except CodecError:
        return False


def test_what_was_overheard_holds_lists_objects_and_watches() -> None:
    lists = [one for one in OVERHEARD if is_list(one)]
    watches = [one for one in OVERHEARD if b"watch=true" in one.target]
    assert len(lists) >= 6
    assert len(watches) >= 7
    assert len(OVERHEARD) - len(lists) - len(watches) >= 100


@pytest.mark.parametrize("name", sorted(NOT_WHOLE))
def test_a_page_says_that_it_is_one(name: str) -> None:
    assert codec_of(JSON).split_list(recording(name).body).continue_token


@pytest.mark.parametrize(
    "one", [one for one in recordings() if "partial" in one.name and known(one)],
    ids=by_name,
)  # fmt: skip
def test_metadata_alone_is_told_by_its_kind(one: Recording) -> None:
    codec = codec_of(one.media_type)
    if one.name.startswith("list"):
        assert codec.split_list(one.body).kind == "PartialObjectMetadataList"
    elif one.name.startswith("get"):
        assert codec.read_single(one.body).kind == "PartialObjectMetadata"
    else:
        for frame in codec.frames().feed(one.body):
            assert codec.read_event(frame).kind == "PartialObjectMetadata"


@pytest.mark.parametrize(
    "one", [one for one in recordings() if "table" in one.name], ids=by_name
)
def test_a_table_is_no_object(one: Recording) -> None:
    codec = codec_of(one.media_type)
    for read in (codec.split_list, codec.read_single):
        with pytest.raises(CodecError):
            read(one.body)


@pytest.mark.parametrize(
    "one",
    [one for one in recordings() if known(one) and one.name.startswith("discovery")],
    ids=by_name,
)
def test_discovery_is_no_list_of_objects(one: Recording) -> None:
    with pytest.raises(CodecError):
        codec_of(one.media_type).split_list(one.body)


@pytest.mark.parametrize("media_type", [JSON, PROTOBUF])
@pytest.mark.parametrize(
    "body",
    [b"", b"\n", b"<html>sign in</html>", b"k8s\0", b"{}", b"null", b"\x1f\x8b\x08", b"ok"],
)  # fmt: skip
def test_what_a_captive_portal_sends_is_refused(media_type: str, body: bytes) -> None:
    codec = codec_of(media_type)
    for read in (codec.split_list, codec.read_single, codec.read_event):
        with pytest.raises(CodecError):
            read(body)
    assert codec.read_status(body) is None


def test_both_forms_read_the_same_objects() -> None:
    for resource in ("pods", "services", "endpointslices", "leases", "crds"):
        one, other = (
            codec_of(media_type).split_list(recording(f"list-{resource}-{form}").body)
            for media_type, form in ((JSON, "json"), (PROTOBUF, "protobuf"))
        )
        assert (one.kind, one.api_version) == (other.kind, other.api_version)
        assert [item[:3] for item in one.items] == [item[:3] for item in other.items]


def test_both_forms_give_the_same_labels_and_fields() -> None:
    compared = set()
    for resource in ("pods", "services", "leases"):
        one, other = (
            codec_of(media_type).split_list(recording(f"list-{resource}-{form}").body)
            for media_type, form in ((JSON, "json"), (PROTOBUF, "protobuf"))
        )
        kind = one.kind.removesuffix("List")
        group = one.api_version.rpartition("/")[0]
        paths = ["metadata.name", "metadata.namespace"]
        paths += SELECTABLE.get((group, kind), {})
        for left, right in zip(one.items, other.items, strict=True):
            json, protobuf = codec_of(JSON), codec_of(PROTOBUF)
            assert json.labels(left.data) == protobuf.labels(right.data)
            for path in paths:
                asked = {"kind": kind, "api_version": one.api_version}
                value = json.field(left.data, path, **asked)
                assert value == protobuf.field(right.data, path, **asked), path
                compared.add((path, value))
    assert ("spec.nodeName", "edge-1") in compared
    assert ("spec.hostNetwork", "false") in compared
    assert ("spec.type", "ClusterIP") in compared


@pytest.mark.parametrize("media_type", [JSON, PROTOBUF])
def test_a_field_that_no_selector_knows_is_not_guessed(media_type: str) -> None:
    name = "get-pod-json" if media_type == JSON else "get-pod-protobuf"
    codec = codec_of(media_type)
    data = codec.read_single(recording(name).body).object.data
    for path in ("spec.color", "spec.dnsPolicy", "metadata.uid", "", ".", "spec"):
        with pytest.raises(CodecError):
            codec.field(data, path, kind="Pod", api_version="v1")


@pytest.mark.parametrize("media_type", [JSON, PROTOBUF])
@pytest.mark.parametrize("ends", [True, False])
def test_a_bookmark_is_read_as_it_was_meant(media_type: str, *, ends: bool) -> None:
    codec = codec_of(media_type)
    frame = codec.write_bookmark(
        kind="Pod",
        api_version="v1",
        style="typed",
        resource_version="277",
        initial_events_end=ends,
    )
    assert codec.frames().feed(frame) == [frame]
    event = codec.read_event(frame)
    assert event.type == "BOOKMARK"
    assert (event.kind, event.api_version) == ("Pod", "v1")
    assert event.initial_events_end is ends
    assert event.object is not None
    assert event.object.resource_version == "277"
    assert event.object.name == ""


@pytest.mark.parametrize(
    ("name", "media_type"),
    [("watch-rv-expired", JSON), ("watch-rv-expired-protobuf", PROTOBUF)],
)
def test_the_error_of_an_expired_watch_is_the_recorded_one(
    name: str, media_type: str
) -> None:
    codec = codec_of(media_type)
    gone = status.expired("too old resource version: 5 (315)")
    assert codec.write_error(codec.write_status(gone)) == recording(name).body


@pytest.mark.parametrize(
    ("name", "media_type"),
    [("get-pod-404", JSON), ("get-pod-404-protobuf", PROTOBUF)],
)
def test_the_absence_of_a_pod_is_told_as_recorded(name: str, media_type: str) -> None:
    written = codec_of(media_type).write_status(status.not_found("", "pods", "nope"))
    assert written == recording(name).body


@pytest.mark.parametrize("one", STREAMS, ids=by_name)
@settings(max_examples=15 * PROVE, deadline=None)
@given(cuts=st.lists(st.integers(0, 12000), max_size=12))
def test_frames_do_not_depend_on_the_pieces(one: Recording, cuts: list[int]) -> None:
    codec = codec_of(one.media_type)
    whole = codec.frames().feed(one.body)
    splitter = codec.frames()
    edges = [0, *sorted(cut % (len(one.body) + 1) for cut in cuts), len(one.body)]
    found = []
    for start, end in itertools.pairwise(edges):
        before = splitter.pending
        piece = one.body[start:end]
        fresh = splitter.feed(piece)
        assert b"".join(fresh) + splitter.pending == before + piece
        found += fresh
    assert found == whole


@pytest.mark.parametrize("name", ["watch-pods-json", "watch-pods-protobuf"])
def test_frames_survive_a_cut_at_every_byte(name: str) -> None:
    one = recording(name)
    codec = codec_of(one.media_type)
    splitter = codec.frames()
    found = []
    for at in range(len(one.body)):
        found += splitter.feed(one.body[at : at + 1])
    assert found == codec.frames().feed(one.body)


@pytest.mark.parametrize("media_type", [JSON, PROTOBUF])
def test_a_frame_of_more_than_16_mib_is_refused(media_type: str) -> None:
    codec = codec_of(media_type)
    if media_type == JSON:
        begin, piece = b'{"type":"ADDED","object":{"x":"', b"a" * (1 << 20)
    else:
        begin, piece = (17 << 20).to_bytes(4, "big"), b"a" * (1 << 20)
    splitter = codec.frames()

    def flood() -> None:
        assert splitter.feed(begin) == []
        for _ in range(17):
            assert splitter.feed(piece) == []

    with pytest.raises(CodecError, match="frame"):
        flood()
