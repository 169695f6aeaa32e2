# SPDX-License-Identifier: Apache-2.0
"""Filters over lists, objects and watches, whatever else an answer holds."""

import asyncio
import json

import pytest

from toono.codec.base import Codec, Page
from toono.codec.registry import for_media_type
from toono.codec.wireformat import encode_bytes, encode_text
from toono.errors import CodecError
from toono.filters.base import Door
from toono.filters.discardcloudservice import DiscardCloudService
from toono.filters.masterservice import MasterService
from toono.filters.nodeportisolation import NodePortIsolation
from toono.filters.sieve import Sieve, SiftedWatch
from toono.wire.messages import BytesBody

from .kit import JSON, PROTOBUF, in_protobuf, meta, normal

MASTER = MasterService(Door("169.254.2.1", 10268))
SIEVE = Sieve((MASTER, DiscardCloudService(), NodePortIsolation("hangzhou")))
BOTH = pytest.mark.parametrize("media_type", [JSON, PROTOBUF])


def service(name: str, kind: str = "ClusterIP", **notes: str) -> bytes:
    named = {
        f"{key}.openyurt.io/{key2}": v
        for k, v in notes.items()
        for key, key2 in [k.split("_")]
    }
    spec = {"clusterIP": "10.0.0.1", "type": kind}
    return normal("Service", {"metadata": meta(name, annotations=named), "spec": spec})


KUBERNETES = service("kubernetes")
WEB = service("web")
CLOUD = service("cloud", "LoadBalancer", svc_discard="true")
AWAY = service("away", "NodePort", nodeport_listen="-hangzhou")


def codec_of(media_type: str) -> Codec:
    codec = for_media_type(media_type)
    assert codec is not None
    return codec


def form(media_type: str, data: bytes) -> bytes:
    return data if media_type == JSON else in_protobuf("Service", data)


def list_of(media_type: str, *items: bytes) -> bytes:
    return b"".join(
        codec_of(media_type).join_list(
            kind="ServiceList",
            api_version="v1",
            style="typed",
            page=Page("41"),
            items=[form(media_type, one) for one in items],
        )
    )


def event_of(media_type: str, event_type: str, data: bytes) -> bytes:
    return codec_of(media_type).write_event(
        event_type=event_type,
        kind="Service",
        api_version="v1",
        style="typed",
        data=form(media_type, data),
    )


@BOTH
def test_a_list_keeps_what_is_left_in_order(media_type: str) -> None:
    body = list_of(media_type, WEB, CLOUD, KUBERNETES, AWAY, WEB)
    changed = MASTER_OF[media_type]
    after = SIEVE.listed(media_type, body)
    parts = codec_of(media_type).split_list(after)
    web = form(media_type, WEB)
    assert [one.data for one in parts.items] == [web, changed, web]
    assert parts.resource_version == "41"
    assert after == _joined(media_type, [web, changed, web])


def _joined(media_type: str, items: list[bytes]) -> bytes:
    return b"".join(
        codec_of(media_type).join_list(
            kind="ServiceList",
            api_version="v1",
            style="typed",
            page=Page("41"),
            items=items,
        )
    )


def _master(media_type: str) -> bytes:
    found = Sieve((MASTER,)).listed(media_type, list_of(media_type, KUBERNETES))
    (one,) = codec_of(media_type).split_list(found).items
    assert one.data != form(media_type, KUBERNETES)
    return one.data


MASTER_OF = {one: _master(one) for one in (JSON, PROTOBUF)}


@BOTH
def test_an_answer_that_nothing_touches_is_the_same_object(media_type: str) -> None:
    listed = list_of(media_type, WEB, WEB)
    assert SIEVE.listed(media_type, listed) is listed
    frame = event_of(media_type, "ADDED", WEB)
    assert SIEVE.event(media_type, frame) is frame
    looked_at = list_of(media_type, service("kept", "LoadBalancer", svc_discard="no"))
    assert SIEVE.listed(media_type, looked_at) is looked_at


@BOTH
def test_a_list_may_be_left_empty_and_keeps_its_version(media_type: str) -> None:
    parts = codec_of(media_type).split_list(
        SIEVE.listed(media_type, list_of(media_type, CLOUD, AWAY))
    )
    assert (parts.resource_version, list(parts.items)) == ("41", [])


def test_a_page_keeps_its_token_and_what_nobody_knows() -> None:
    body = json.dumps(
        {
            "kind": "ServiceList",
            "apiVersion": "v1",
            "metadata": {"resourceVersion": "41", "continue": "abc", "future": 1.50},
            "items": [json.loads(CLOUD), json.loads(WEB)],
            "more": None,
        }
    )
    after = json.loads(SIEVE.listed(JSON, body.encode()))
    assert after == {**json.loads(body), "items": [json.loads(WEB)]}


@BOTH
@pytest.mark.parametrize("event_type", ["ADDED", "MODIFIED", "DELETED"])
def test_a_watch_sees_deleted_for_what_is_dropped(
    media_type: str, event_type: str
) -> None:
    after = SIEVE.event(media_type, event_of(media_type, event_type, CLOUD))
    assert after == event_of(media_type, "DELETED", CLOUD)


@BOTH
def test_a_watch_sees_the_change_of_what_is_changed(media_type: str) -> None:
    for event_type in ("ADDED", "MODIFIED", "DELETED"):
        frame = event_of(media_type, event_type, KUBERNETES)
        after = SIEVE.event(media_type, frame)
        read = codec_of(media_type).read_event(after)
        assert read.object is not None
        assert (read.type, read.object.data) == (event_type, MASTER_OF[media_type])


@BOTH
def test_bookmarks_and_errors_stay(media_type: str) -> None:
    codec = codec_of(media_type)
    error = codec.write_error(codec.write_status({"kind": "Status", "code": 410}))
    named = {"kind": "Status", "message": '"kubernetes" \n\nkubernetes', "code": 410}
    marked = codec.write_error(codec.write_status(named))
    for frame in (error, marked, event_of(media_type, "BOOKMARK", CLOUD)):
        assert SIEVE.event(media_type, frame) is frame


@BOTH
def test_a_single_object_is_changed_as_in_a_list(media_type: str) -> None:
    codec = codec_of(media_type)
    of = {"kind": "Service", "api_version": "v1"}
    body = codec.write_single(**of, style="typed", data=form(media_type, KUBERNETES))
    after = SIEVE.single(media_type, body)
    assert after == codec.write_single(**of, style="typed", data=MASTER_OF[media_type])
    dropped = codec.write_single(**of, style="typed", data=form(media_type, CLOUD))
    assert SIEVE.single(media_type, dropped) is dropped


@BOTH
def test_what_is_no_list_is_an_error_and_no_empty_list(media_type: str) -> None:
    for body in (b'nonsense "kubernetes"', b'k8s\x00\xff"kubernetes"'):
        with pytest.raises(CodecError):
            SIEVE.listed(media_type, body)


def test_one_object_that_cannot_be_read_stays_and_the_rest_is_filtered() -> None:
    odd = b'{"metadata":{"name":"kubernetes","namespace":5}}'
    body = list_of(JSON, odd, CLOUD)
    assert SIEVE.listed(JSON, body) == list_of(JSON, odd)
    bad = b"\x12\xffkubernetes" + b"\n\nkubernetes"
    content = encode_bytes(1, encode_text(1, "") + encode_text(2, "41"))
    content += encode_bytes(2, bad) + encode_bytes(2, in_protobuf("Service", CLOUD))
    after = SIEVE.listed(PROTOBUF, b"k8s\0" + encode_bytes(2, content))
    assert bad in after
    assert in_protobuf("Service", CLOUD) not in after


@BOTH
def test_metadata_and_tables_stay(media_type: str) -> None:
    partial = b'{"kind":"PartialObjectMetadata","metadata":{"name":"kubernetes"}}'
    assert SIEVE.single(JSON, partial) is partial
    table = b'{"kind":"Table","rows":[{"object":{"metadata":{"name":"kubernetes"}}}]}'
    assert SIEVE.listed(JSON, table) is table


class Pieces:
    """A body of given pieces."""

    length: int | None = None

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)
        self.closed = False

    async def read(self) -> bytes:
        return self.pieces.pop(0) if self.pieces and not self.closed else b""

    def close(self) -> None:
        self.closed = True


def watch(media_type: str, inner: Pieces, closed: list[SiftedWatch]) -> SiftedWatch:
    return SiftedWatch(inner, SIEVE, codec_of(media_type), closed=closed.append)


async def all_of(body: SiftedWatch) -> bytes:
    pieces = []
    while piece := await body.read():
        pieces.append(piece)
    return b"".join(pieces)


@BOTH
def test_a_stream_is_filtered_whatever_pieces_it_comes_in(media_type: str) -> None:
    frames = [
        event_of(media_type, "ADDED", WEB),
        event_of(media_type, "MODIFIED", CLOUD),
        event_of(media_type, "ADDED", WEB),
    ]
    stream = b"".join(frames)
    wanted = frames[0] + event_of(media_type, "DELETED", CLOUD) + frames[2]
    for size in (1, 7, len(frames[0]), len(stream)):
        pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
        found = asyncio.run(all_of(watch(media_type, Pieces(*pieces), [])))
        assert found == wanted


@BOTH
def test_a_stream_that_is_no_stream_ends(media_type: str) -> None:
    closed: list[SiftedWatch] = []
    inner = Pieces(b"\xff\xff\xff\xff nonsense\n", event_of(media_type, "ADDED", CLOUD))
    body = watch(media_type, inner, closed)
    assert asyncio.run(all_of(body)) == b""
    assert inner.closed
    assert closed == [body]


def test_a_stream_that_is_ended_says_why_once() -> None:
    async def story() -> None:
        inner = Pieces(event_of(JSON, "ADDED", WEB))
        body = watch(JSON, inner, [])
        body.end(b"gone\n")
        assert await all_of(body) == b"gone\n"
        assert await body.read() == b""
        assert inner.closed
        body.close()
        assert await body.read() == b""

    asyncio.run(story())


def test_a_reader_that_leaves_is_told_of() -> None:
    closed: list[SiftedWatch] = []
    body = SiftedWatch(BytesBody(b"x"), SIEVE, codec_of(JSON), closed=closed.append)
    body.close()
    assert closed == [body]
    assert asyncio.run(body.read()) == b""
