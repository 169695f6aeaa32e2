# SPDX-License-Identifier: Apache-2.0
"""Keys and values as a real kube-apiserver keeps them in etcd, byte for byte."""

import base64
import json

import pytest
from tests.contract.recordings import JSON, PROTOBUF, WIRE, connections, recordings

from toono.codec.base import Object
from toono.codec.registry import for_media_type
from toono.codec.wireformat import encode_bytes, tag_of, walk
from toono.errors import CodecError
from toono.kube.kinds import built_in, resource_of
from toono.pool.keys import StorageKeys
from toono.pool.values import read_value, write_value

KEYS = StorageKeys()
STORED = json.loads((WIRE / "etcd" / "keys.json").read_text())
NAMESPACED_CUSTOM = {("x.example.com", "CronTab"): "crontabs"}


def stored_object(value):
    """Return (media type, kind, apiVersion, the object's bytes) of a stored value."""
    if value.startswith(b"k8s\0"):
        (_, a, b), (_, c, d), *_ = walk(value, 4, len(value))
        types = [value[e:f].decode() for _, e, f in walk(value, a, b)]
        return PROTOBUF, types[1], types[0], value[c:d]
    document = json.loads(value)
    return JSON, document["kind"], document["apiVersion"], value


def metadata_of(media_type, data):
    """Return (namespace, name, uid) of an object's bytes."""
    if media_type == JSON:
        meta = json.loads(data)["metadata"]
        return meta.get("namespace", ""), meta["name"], meta["uid"]
    a, b = next((a, b) for tag, a, b in walk(data, 0, len(data)) if tag == tag_of(1))
    texts = {tag >> 3: data[c:d].decode("utf-8", "replace")
             for tag, c, d in walk(data, a, b) if tag & 7 == 2}  # fmt: skip
    return texts[3], texts[1], texts[5]


def without_version(media_type, data):
    """Return an object with its resourceVersion put aside."""
    if media_type == JSON:
        document = json.loads(data)
        document["metadata"].pop("resourceVersion", None)
        return document
    out = []
    for tag, a, b in walk(data, 0, len(data)):
        content = data[a:b]
        if tag == tag_of(1):
            kept = []
            before = 0
            for field, _, end in walk(content, 0, len(content)):
                size = end
                if field != tag_of(6):
                    kept.append(content[before:size])
                before = size
            content = b"".join(kept)
        out.append(encode_bytes(tag >> 3, content) if tag & 7 == 2 else (tag, a))
    return out


def learned():
    """Yield what a hub would know from every recorded answer, by uid and version."""
    for one in (*recordings(), *connections()):
        codec = for_media_type(one.media_type)
        if codec is None or one.status >= 300:
            continue
        try:
            parts = codec.split_list(one.body)
            found = [(parts.kind[:-4], parts, item) for item in parts.items]
        except CodecError:
            try:
                single = codec.read_single(one.body)
            except CodecError:
                continue
            found = [(single.kind, single, single.object)]
        for kind, of, item in found:
            yield one.media_type, kind, of, item


def test_every_recorded_key_is_made_from_its_object_and_read_back():
    assert len(STORED) == 33
    for row in STORED:
        media_type, kind, api_version, data = stored_object(
            base64.b64decode(row["value_base64"])
        )
        namespace, name, _ = metadata_of(media_type, data)
        group = api_version.rpartition("/")[0]
        resource = resource_of(group, kind) or NAMESPACED_CUSTOM[group, kind]
        key = KEYS.of(group, resource, namespace=namespace, name=name)
        assert key == row["key"].encode()
        assert KEYS.parse(key) == (group, resource, namespace, name)
        if built_in(group, resource) is not None:
            assert key.startswith(KEYS.collection(group, resource))


def test_what_a_hub_learned_is_stored_as_the_api_server_stored_it():
    by_uid = {}
    for row in STORED:
        value = base64.b64decode(row["value_base64"])
        media_type, _, _, data = stored_object(value)
        by_uid[metadata_of(media_type, data)[2]] = (row, value)
    compared = set()
    for media_type, kind, of, item in learned():
        row, value = by_uid.get(item.uid, (None, b""))
        if row is None or str(row["mod_revision"]) != item.resource_version:
            continue
        stored_media, stored_kind, stored_api, stored_data = stored_object(value)
        if (stored_media, stored_kind, stored_api) != (
            media_type,
            kind,
            of.api_version,
        ):
            continue
        assert isinstance(item, Object)
        ours = write_value(
            media_type=media_type,
            kind=kind,
            api_version=of.api_version,
            style=of.style,
            data=item.data,
        )
        media, our_kind, our_api, our_data = stored_object(ours)
        assert (media, our_kind, our_api) == (media_type, kind, of.api_version)
        assert without_version(media, our_data) == without_version(media, stored_data)
        if media == JSON:
            assert list(json.loads(ours)) == list(json.loads(value))
            assert ours.endswith(b"}\n")
        else:
            assert ours[-4:] == value[-4:] == b"\x1a\x00\x22\x00"
        back = read_value(KEYS.parse(row["key"].encode()), ours)
        assert back.object == item
        assert back.style == of.style
        assert back.version == row["mod_revision"]
        compared.add(row["key"])
    print(f"{len(compared)} of {len(STORED)} values compared: {sorted(compared)}")
    assert "/registry/pods/default/web-0" in compared
    assert len(compared) >= 8


def test_the_answer_to_a_get_is_the_value_byte_for_byte():
    kinds = set()
    for one in recordings():
        codec = for_media_type(one.media_type)
        if codec is None or one.method != "GET" or one.status != 200:
            continue
        try:
            single = codec.read_single(one.body)
        except CodecError:
            continue
        if single.api_version.startswith("meta.k8s.io/"):
            with pytest.raises(CodecError, match="whole"):
                value_of(one.media_type, single)
            continue
        assert value_of(one.media_type, single) == one.body, one.name
        kinds.add((one.media_type, single.kind))
    assert {(PROTOBUF, "Pod"), (JSON, "Pod"), (JSON, "Lease")} <= kinds


def test_custom_objects_have_the_shape_of_the_stored_one():
    row = next(one for one in STORED if "crontabs/default" in one["key"])
    stored = base64.b64decode(row["value_base64"])
    seen = 0
    for media_type, kind, of, item in learned():
        if (media_type, kind) != (JSON, "CronTab"):
            continue
        ours = write_value(
            media_type=media_type,
            kind=kind,
            api_version=of.api_version,
            style=of.style,
            data=item.data,
        )
        assert list(json.loads(ours)) == list(json.loads(stored))
        assert (ours[:1], ours[-2:]) == (stored[:1], stored[-2:])
        seen += 1
    assert seen > 0


def value_of(media_type, single):
    return write_value(
        media_type=media_type,
        kind=single.kind,
        api_version=single.api_version,
        style=single.style,
        data=single.object.data,
    )
