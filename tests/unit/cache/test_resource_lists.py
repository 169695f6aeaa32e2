# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from toono.cache.resource_lists import PATH, to_json, to_protobuf
from toono.codec.wireformat import encode_bytes, encode_number, encode_text
from toono.errors import CodecError

ROW = {
    "name": "crontabs",
    "singularName": "crontab",
    "namespaced": True,
    "group": "g",
    "version": "v",
    "kind": "CronTab",
    "verbs": ["get", "list"],
    "shortNames": ["ct"],
    "categories": ["all", "x"],
    "storageVersionHash": "abc=",
}
BARE = {"name": "nodes/proxy", "singularName": "", "namespaced": False}
BARE |= {"kind": "NodeProxyOptions", "verbs": []}


def written(*rows: dict, **fields: object) -> bytes:
    told = {"kind": "APIResourceList", **fields, "groupVersion": "x/v1"}
    content = json.dumps(told | {"resources": rows}, separators=(",", ":"))
    return content.encode() + b"\n"


def enclosed(content: bytes, kind: str = "APIResourceList") -> bytes:
    types = encode_text(1, "") + encode_text(2, kind)
    return b"k8s\0" + encode_bytes(1, types) + encode_bytes(2, content)


@pytest.mark.parametrize("fields", [{}, {"apiVersion": "v1"}])
def test_there_and_back_nothing_is_lost(fields: dict) -> None:
    listed = written(ROW, BARE, **fields)
    assert to_json(to_protobuf(listed)) == listed


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'{"kind":"APIResourceList"}',
        b'{"groupVersion":"v1","resources":[1]}',
        written(ROW, new=1),
        written(ROW | {"new": 1}),
        written({"name": "a"}),
    ],
)
def test_what_is_not_known_is_not_turned_into_protobuf(body: bytes) -> None:
    with pytest.raises(CodecError):
        to_protobuf(body)


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"k8s\0",
        enclosed(b"", "PodList"),
        enclosed(encode_text(3, "new")),
        enclosed(encode_bytes(2, encode_text(11, "new"))),
        enclosed(encode_bytes(2, encode_number(3, 1))),
    ],
)
def test_what_is_not_known_is_not_turned_into_json(body: bytes) -> None:
    with pytest.raises(CodecError):
        to_json(body)


def test_only_group_versions_have_such_lists() -> None:
    assert PATH.match("/api/v1")
    assert PATH.match("/apis/apps/v1")
    assert not PATH.match("/apis/apps")
    assert not PATH.match("/apis")
