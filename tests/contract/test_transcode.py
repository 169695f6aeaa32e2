# SPDX-License-Identifier: Apache-2.0
"""Transcoding held against every object that a real API server was recorded with."""

import base64
import json
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import pytest
from tests.contract.recordings import (
    JSON,
    PROTOBUF,
    WIRE,
    connections,
    recording,
    recordings,
)

from toono.codec.base import Codec
from toono.codec.page import Page
from toono.codec.registry import for_media_type
from toono.codec.transcode import can_transcode, to_json, to_protobuf
from toono.codec.wireformat import walk
from toono.errors import CodecError


class Recorded(NamedTuple):
    """One object as it crossed the wire, in its stored form."""

    where: str
    media_type: str
    kind: str
    api_version: str
    identity: tuple[str, str, str]
    """uid, name and resourceVersion: two of one identity are the same object."""
    data: bytes


def codec_of(media_type: str) -> Codec:
    codec = for_media_type(media_type)
    assert codec is not None
    return codec


@cache
def recorded() -> tuple[Recorded, ...]:
    """Return the objects of built-in kinds in all exchanges and connections."""
    found = []
    for one in (*recordings(), *connections()):
        if one.status < 300 and for_media_type(one.media_type) is not None:
            found += _objects(one.name, one.media_type, one.body)
    return tuple(one for one in found if _is_known(one))


def _is_known(one: Recorded) -> bool:
    return can_transcode(kind=one.kind, api_version=one.api_version)


def _objects(where: str, media_type: str, body: bytes) -> Iterator[Recorded]:
    codec = codec_of(media_type)
    for read in (_of_list, _of_single, _of_frames):
        try:
            found = list(read(codec, body))
        except CodecError:
            continue
        for kind, api_version, one in found:
            identity = (one.uid, one.name, one.resource_version)
            yield Recorded(where, media_type, kind, api_version, identity, one.data)
        return


def _of_list(codec: Codec, body: bytes) -> Iterator[tuple]:
    parts = codec.split_list(body)
    for item in parts.items:
        yield parts.kind.removesuffix("List"), parts.api_version, item


def _of_single(codec: Codec, body: bytes) -> Iterator[tuple]:
    single = codec.read_single(body)
    yield single.kind, single.api_version, single.object


def _of_frames(codec: Codec, body: bytes) -> Iterator[tuple]:
    for frame in codec.frames().feed(body):
        event = codec.read_event(frame)
        if event.object is not None:
            yield event.kind, event.api_version, event.object


def of(media_type: str) -> list[Recorded]:
    return [one for one in recorded() if one.media_type == media_type]


def unwrapped(body: bytes) -> tuple[str, str, bytes]:
    """Return apiVersion, kind and the object of a protobuf envelope."""
    fields = {tag >> 3: body[a:b] for tag, a, b in walk(body, 4, len(body))}
    types = {
        tag >> 3: fields[1][a:b] for tag, a, b in walk(fields[1], 0, len(fields[1]))
    }
    return types[1].decode(), types[2].decode(), fields[2]


def test_the_corpus_is_there() -> None:
    assert len(of(JSON)) >= 100
    assert len(of(PROTOBUF)) >= 230
    assert len({one.kind for one in recorded()}) >= 12


def test_every_recorded_protobuf_object_survives_json() -> None:
    for one in of(PROTOBUF):
        form = {"kind": one.kind, "api_version": one.api_version}
        assert to_protobuf(to_json(one.data, **form), **form) == one.data, one.where


def test_every_recorded_json_object_survives_protobuf() -> None:
    for one in of(JSON):
        form = {"kind": one.kind, "api_version": one.api_version}
        assert to_json(to_protobuf(one.data, **form), **form) == one.data, one.where


def test_objects_recorded_in_both_forms_transcode_to_each_other() -> None:
    others = {(one.kind, one.api_version, one.identity): one for one in of(PROTOBUF)}
    compared = set()
    for one in of(JSON):
        other = others.get((one.kind, one.api_version, one.identity))
        if other is None or not one.identity[0]:  # bookmarks are alike, not equal
            continue
        form = {"kind": one.kind, "api_version": one.api_version}
        assert to_json(other.data, **form) == one.data, (one.where, other.where)
        assert to_protobuf(one.data, **form) == other.data, (one.where, other.where)
        compared.add((one.kind, one.identity))
    assert len(compared) >= 15
    assert {kind for kind, _ in compared} >= {
        "CustomResourceDefinition",
        "EndpointSlice",
        "Lease",
        "Node",
        "PartialObjectMetadata",
        "Pod",
        "Service",
    }


@pytest.mark.parametrize(
    "resource", ["pods", "services", "endpointslices", "leases", "crds"]
)
def test_a_list_transcoded_item_by_item_is_the_recorded_one(resource: str) -> None:
    bodies = {
        JSON: recording(f"list-{resource}-json").body,
        PROTOBUF: recording(f"list-{resource}-protobuf").body,
    }
    for source, target, change in (
        (JSON, PROTOBUF, to_protobuf),
        (PROTOBUF, JSON, to_json),
    ):
        parts = codec_of(source).split_list(bodies[source])
        kind = parts.kind.removesuffix("List")
        joined = codec_of(target).join_list(
            kind=parts.kind,
            api_version=parts.api_version,
            style="typed",
            page=Page(parts.resource_version),
            items=[
                change(item.data, kind=kind, api_version=parts.api_version)
                for item in parts.items
            ],
        )
        # The two questions were asked at two versions of the world.
        version = codec_of(target).split_list(bodies[target]).resource_version
        assert len(version) == len(parts.resource_version)
        other = parts.resource_version.encode()
        assert b"".join(joined).replace(other, version.encode(), 1) == bodies[target]


def test_watch_frames_transcode_to_the_recorded_ones() -> None:
    frames: dict[str, dict[tuple, bytes]] = {}
    for media_type, name in ((JSON, "json"), (PROTOBUF, "protobuf")):
        codec = codec_of(media_type)
        found = frames[media_type] = {}
        for frame in codec.frames().feed(recording(f"watchlist-pods-{name}").body):
            event = codec.read_event(frame)
            if event.object is not None and event.object.uid:
                key = (event.type, event.object.uid, event.object.resource_version)
                found[key] = frame
    shared = frames[JSON].keys() & frames[PROTOBUF].keys()
    assert len(shared) >= 2
    for key in shared:
        as_json, as_protobuf = frames[JSON][key], frames[PROTOBUF][key]
        assert frame_in(PROTOBUF, JSON, as_protobuf) == as_json
        assert frame_in(JSON, PROTOBUF, as_json) == as_protobuf


def test_every_recorded_frame_survives_the_other_form() -> None:
    count = 0
    for one in (*recordings(), *connections()):
        if b"watch" not in one.target or one.status != 200 or "table" in one.name:
            continue
        for source, target in ((JSON, PROTOBUF), (PROTOBUF, JSON)):
            if one.media_type != source:
                continue
            for frame in codec_of(source).frames().feed(one.body):
                event = codec_of(source).read_event(frame)
                form = {"kind": event.kind, "api_version": event.api_version}
                if event.object is None or not can_transcode(**form):
                    continue
                other = frame_in(source, target, frame)
                assert frame_in(target, source, other) == frame, one.name
                count += 1
    assert count >= 60


def frame_in(source: str, target: str, frame: bytes) -> bytes:
    """Return a watch frame in another media type, as callers make it."""
    event = codec_of(source).read_event(frame)
    assert event.object is not None
    form = {"kind": event.kind, "api_version": event.api_version}
    change = to_json if target == JSON else to_protobuf
    return codec_of(target).write_event(
        event_type=event.type,
        style="typed",
        data=change(event.object.data, **form),
        **form,
    )


def test_what_clients_sent_and_etcd_keeps_survives_json() -> None:
    entries = json.loads((WIRE / "etcd" / "keys.json").read_text())
    bodies = [base64.b64decode(entry["value_base64"]) for entry in entries]
    bodies += [one.request_body for one in connections()]
    seen = set()
    for body in bodies:
        if not body.startswith(b"k8s\0"):
            continue
        api_version, kind, data = unwrapped(body)
        if not can_transcode(kind=kind, api_version=api_version):
            continue
        as_json = to_json(data, kind=kind, api_version=api_version)
        assert to_protobuf(as_json, kind=kind, api_version=api_version) == data
        seen.add(kind)
    assert len(seen) >= 16
    assert seen >= {"DaemonSet", "Ingress", "Secret", "SelfSubjectAccessReview"}
