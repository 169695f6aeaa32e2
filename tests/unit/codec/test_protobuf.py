# SPDX-License-Identifier: Apache-2.0
"""Protobuf is cut by field number, and what could be kept wrongly is refused."""

import pytest
from tests.contract.recordings import recording

from toono.codec.base import Object
from toono.codec.page import Page
from toono.codec.protobuf import MAGIC, REMEMBERED_BYTES, ProtobufCodec
from toono.codec.wireformat import encode_bytes, encode_number, encode_text
from toono.errors import CodecError

CODEC = ProtobufCodec()


def meta(*, name: str = "web", version: str = "7", extra: bytes = b"") -> bytes:
    content = encode_text(1, name) + encode_text(3, "shop") + encode_text(5, "u1")
    return encode_bytes(1, content + encode_text(6, version) + extra)


ITEM = meta() + encode_bytes(2, b"\x0a\x00")
LIST_META = encode_text(1, "") + encode_text(2, "9") + encode_text(3, "")


def enclosed(
    kind: str, content: bytes, *, api_version: str = "v1", tail: bytes = b'\x1a\0"\0'
) -> bytes:
    types = encode_text(1, api_version) + encode_text(2, kind)
    return MAGIC + encode_bytes(1, types) + encode_bytes(2, content) + tail


def pods(*items: bytes, list_meta: bytes = LIST_META, more: bytes = b"") -> bytes:
    inner = b"".join(encode_bytes(2, item) for item in items)
    return enclosed("PodList", encode_bytes(1, list_meta) + inner + more)


def event(content: bytes, kind: str = "ADDED", *, more: bytes = b"") -> bytes:
    body = encode_text(1, kind) + encode_bytes(2, encode_bytes(1, content)) + more
    return len(body).to_bytes(4, "big") + body


def test_a_list_tells_what_the_hub_reads_of_its_items() -> None:
    deleting = meta(name="old", extra=encode_bytes(9, b"\x08\x01"))
    parts = CODEC.split_list(pods(ITEM, deleting))
    assert (parts.kind, parts.api_version, parts.style) == ("PodList", "v1", "typed")
    assert (parts.resource_version, parts.continue_token) == ("9", "")
    assert parts.items[0] == Object("shop", "web", "u1", "7", False, ITEM)
    assert (parts.items[1].name, parts.items[1].deleting) == ("old", True)


@pytest.mark.parametrize(
    ("extra", "ended"),
    [
        (encode_bytes(9, b"") + encode_number(10, 0), True),
        (encode_bytes(9, b"") + encode_number(10, 5), False),
        (encode_bytes(9, b""), False),
        (encode_number(10, 0), False),
        (encode_bytes(9, b"") + encode_number(10, 0) + encode_text(14, "a/b"), False),
    ],
)
def test_an_end_waits_for_grace_and_finalizers(extra: bytes, ended: bool) -> None:
    assert CODEC.split_list(pods(meta(extra=extra))).items[0].ended is ended


def test_an_empty_list_is_empty() -> None:
    assert CODEC.split_list(pods()).items == []


def test_a_page_is_told() -> None:
    page = encode_text(2, "9") + encode_text(3, "abc") + encode_number(4, 3)
    assert CODEC.split_list(pods(ITEM, list_meta=page)).continue_token == "abc"


@pytest.mark.parametrize(
    "list_meta",
    [
        b"",
        encode_text(2, ""),
        encode_text(2, "abc"),
        encode_text(2, "-1"),
        LIST_META + encode_bytes(5, b"shard"),
        LIST_META + encode_text(2, "10"),
        encode_number(2, 9),
        encode_bytes(2, b"\xff"),
        b"\xff",
    ],
)
def test_lists_whose_metadata_is_odd_are_refused(list_meta: bytes) -> None:
    with pytest.raises(CodecError):
        CODEC.split_list(pods(ITEM, list_meta=list_meta))


@pytest.mark.parametrize(
    "item",
    [
        b"",
        meta(name=""),
        meta(version=""),
        meta(version="abc"),
        meta(version="07"),
        meta() + meta(),
        meta(extra=encode_text(1, "evil")),
        meta(extra=b"\xff"),
        encode_number(1, 7),
        encode_bytes(2, b"spec"),
        encode_bytes(1, encode_bytes(1, b"\xff") + encode_text(6, "7")),
        ITEM + b"\x0a",
    ],
)
def test_items_that_could_be_kept_wrongly_are_refused(item: bytes) -> None:
    with pytest.raises(CodecError):
        CODEC.split_list(pods(ITEM, item))
    with pytest.raises(CodecError):
        CODEC.read_single(enclosed("Pod", item))


@pytest.mark.parametrize(
    "body",
    [
        enclosed("Pod", ITEM),
        enclosed("List", encode_bytes(1, LIST_META)),
        enclosed("PodList", b""),
        enclosed("PodList", encode_bytes(1, LIST_META) * 2),
        pods(ITEM, more=encode_bytes(3, b"")),
        pods(ITEM, more=encode_number(2, 7)),
        pods(ITEM)[:-5],
        pods(ITEM)[1:],
    ],
)
def test_lists_of_another_make_are_refused(body: bytes) -> None:
    with pytest.raises(CodecError):
        CODEC.split_list(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        MAGIC,
        ITEM,
        enclosed("", ITEM),
        enclosed("Pod", ITEM, api_version=""),
        enclosed("Po d", ITEM),
        enclosed("Pod", ITEM, api_version='v1"'),
        enclosed("Status", ITEM),
        enclosed("PodList", ITEM),
        enclosed("Pod", ITEM, tail=encode_text(3, "gzip")),
        enclosed("Pod", ITEM, tail=encode_text(4, "application/json")),
        enclosed("Pod", ITEM, tail=encode_bytes(2, ITEM)),
        enclosed("Pod", ITEM, tail=encode_bytes(5, b"")),
        MAGIC + encode_bytes(2, ITEM),
        MAGIC + encode_bytes(1, encode_text(1, "v1")) + encode_bytes(2, ITEM),
    ],
)
def test_envelopes_of_another_make_are_refused(body: bytes) -> None:
    with pytest.raises(CodecError):
        CODEC.read_single(body)


def test_the_stored_form_is_the_object_alone() -> None:
    single = CODEC.read_single(enclosed("Pod", ITEM))
    assert (single.kind, single.api_version, single.style) == ("Pod", "v1", "typed")
    assert single.object.data == ITEM
    assert CODEC.read_event(event(enclosed("Pod", ITEM))).object == single.object


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\0\0\0\0",
        event(enclosed("Pod", ITEM))[:-1],
        event(enclosed("Pod", ITEM)) + b"\0",
        event(enclosed("Pod", ITEM), more=encode_text(1, "DELETED")),
        event(enclosed("Pod", ITEM), more=encode_bytes(3, b"")),
        event(enclosed("Status", ITEM)),
        event(enclosed("PodList", ITEM)),
        event(enclosed("Pod", meta(name=""))),
        event(enclosed("Pod", meta(version="")), "BOOKMARK"),
        event(b""),
    ],
)
def test_events_that_could_be_kept_wrongly_are_refused(frame: bytes) -> None:
    with pytest.raises(CodecError):
        CODEC.read_event(frame)


def test_an_error_has_its_code_if_it_has_one() -> None:
    gone = CODEC.write_status({"status": "Failure", "code": 410})
    assert CODEC.read_event(event(gone, "ERROR")).status_code == 410
    found = CODEC.read_event(event(b"junk", "ERROR"))
    assert (found.type, found.object, found.status_code) == ("ERROR", None, 0)


def test_only_the_end_bookmark_ends_the_burst() -> None:
    recorded = CODEC.frames().feed(recording("watchlist-pods-protobuf").body)
    found = [CODEC.read_event(frame) for frame in recorded]
    marks = [one.initial_events_end for one in found if one.type == "BOOKMARK"]
    assert marks[0]
    assert not any(marks[1:])
    note = encode_text(1, "k8s.io/initial-events-end") + encode_text(2, "true")
    noted = meta(extra=encode_bytes(12, note))
    assert not CODEC.read_event(event(enclosed("Pod", noted))).initial_events_end


def test_a_bookmark_has_the_metadata_of_the_recorded_one() -> None:
    for frame in CODEC.frames().feed(recording("watchlist-pods-protobuf").body):
        found = CODEC.read_event(frame)
        if found.type != "BOOKMARK":
            continue
        assert found.object is not None
        written = CODEC.write_bookmark(
            kind="Pod",
            api_version="v1",
            style="typed",
            resource_version=found.object.resource_version,
            initial_events_end=found.initial_events_end,
        )
        again = CODEC.read_event(written).object
        assert again is not None
        assert found.object.data.startswith(again.data)


def test_labels_are_read_and_may_be_absent() -> None:
    def label(key: str, value: str) -> bytes:
        return encode_bytes(11, encode_text(1, key) + encode_text(2, value))

    extra = label("app", "web") + label("é", "") + encode_bytes(11, encode_text(1, "k"))
    assert CODEC.labels(meta(extra=extra)) == {"app": "web", "é": "", "k": ""}
    assert CODEC.labels(ITEM) == {}
    for broken in (b"\x0a\x01\xff", encode_text(1, "a") * 2, encode_text(3, "a")):
        with pytest.raises(CodecError):
            CODEC.labels(meta(extra=encode_bytes(11, broken)))


@pytest.mark.parametrize(
    ("kind", "path", "content", "value"),
    [
        ("Pod", "spec.nodeName", encode_bytes(2, encode_text(10, "n")), "n"),
        ("Pod", "spec.host", encode_bytes(2, encode_text(10, "n")), "n"),
        ("Pod", "spec.nodeName", encode_bytes(2, b""), ""),
        ("Pod", "spec.nodeName", b"", ""),
        ("Pod", "spec.hostNetwork", encode_bytes(2, encode_number(11, 1)), "true"),
        ("Pod", "spec.hostNetwork", encode_bytes(2, encode_number(11, 0)), "false"),
        ("Pod", "spec.hostNetwork", b"", "false"),
        ("Node", "spec.unschedulable", encode_bytes(2, b""), "false"),
        (
            "ReplicationController",
            "status.replicas",
            encode_bytes(3, encode_number(1, 3)),
            "3",
        ),
        ("ReplicationController", "status.replicas", b"", "0"),
        ("Event", "source", encode_bytes(5, encode_text(1, "c")), "c"),
        ("Event", "source", encode_text(14, "r"), "r"),
        ("Secret", "type", encode_text(3, "Opaque"), "Opaque"),
        ("Secret", "metadata.name", b"", "web"),
        ("Secret", "metadata.namespace", b"", "shop"),
    ],
)
def test_fields_are_read_as_selectors_compare_them(
    kind: str, path: str, content: bytes, value: str
) -> None:
    data = meta() + content
    assert CODEC.field(data, path, kind=kind, api_version="v1") == value


@pytest.mark.parametrize(
    "content",
    [
        encode_bytes(2, encode_text(10, "n") * 2),
        encode_bytes(2, encode_text(10, "n")) * 2,
        encode_bytes(2, encode_bytes(10, b"\xff")),
        encode_bytes(2, b"\xff"),
    ],
)
def test_a_field_that_is_doubled_or_broken_is_not_guessed(content: bytes) -> None:
    with pytest.raises(CodecError):
        CODEC.field(meta() + content, "spec.nodeName", kind="Pod", api_version="v1")


def test_a_version_without_field_numbers_is_not_guessed() -> None:
    asked = {"kind": "ClusterTrustBundle", "api_version": "certificates.k8s.io/v9"}
    with pytest.raises(CodecError, match="not known here"):
        CODEC.field(ITEM, "spec.signerName", **asked)
    with pytest.raises(CodecError, match="not known here"):
        CODEC.field(ITEM, "spec.color", kind="Tab", api_version="x.io/v1")


@pytest.mark.parametrize(
    "body", [b"", enclosed("Pod", ITEM), enclosed("Status", b"\xff")]
)
def test_only_a_status_is_a_status(body: bytes) -> None:
    assert CODEC.read_status(body) is None
    other = enclosed("Status", b"", api_version="v2")
    assert CODEC.read_status(other) is None


def test_lists_objects_and_events_are_written_as_the_api_server_does() -> None:
    form = {"api_version": "v1", "style": "typed"}
    joined = CODEC.join_list(
        kind="PodList", page=Page("9"), items=iter([ITEM, ITEM]), **form
    )
    assert b"".join(joined) == pods(ITEM, ITEM)
    whole = enclosed("Pod", ITEM)
    assert CODEC.write_single(kind="Pod", data=ITEM, **form) == whole
    frame = CODEC.write_event(event_type="MODIFIED", kind="Pod", data=ITEM, **form)
    assert frame == event(whole, "MODIFIED")
    assert CODEC.frames().feed(frame) == [frame]


def test_an_error_holds_its_status() -> None:
    gone = CODEC.write_status({"status": "Failure", "code": 410})
    assert CODEC.write_error(gone) == event(gone, "ERROR")
    assert CODEC.read_status(gone) == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "code": 410,
    }


def test_an_event_is_the_same_however_often_and_large_it_is_read() -> None:
    for size in (1, REMEMBERED_BYTES):
        frame = event(enclosed("Pod", meta() + encode_bytes(2, b"x" * size)))
        other = event(enclosed("Pod", meta(name="db")))
        first = CODEC.read_event(frame)
        for one, name in ((frame, "web"), (other, "db"), (other, "db"), (frame, "web")):
            found = CODEC.read_event(one).object
            assert found is not None
            assert found.name == name
        assert CODEC.read_event(frame) == first


def test_what_was_refused_is_refused_again() -> None:
    for _ in range(2):
        with pytest.raises(CodecError):
            CODEC.read_event(event(enclosed("no kind", meta())))
