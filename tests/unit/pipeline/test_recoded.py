# SPDX-License-Identifier: Apache-2.0
"""Forms that are written by way of JSON say what the JSON says."""

import json

import yaml

from toono.codec import cbor
from toono.codec.page import Page
from toono.pipeline.recoded import YAML, Rendering, recoded, streams


class InJSON:
    """A rendering of one object, as JSON."""

    content_type = "application/json"
    watch_content_type = "application/json"

    def single(self, item: bytes, version: str) -> bytes:
        return item

    def listed(self, items, page: Page) -> list[bytes]:
        return [b'{"items":[', b",".join(items), b"]}"]

    def added(self, items, version: str) -> list[bytes]:
        return [b'{"type":"ADDED","object":%b}\n' % item for item in items]

    def bookmark(self, version: str, *, end: bool) -> bytes:
        return b'{"type":"BOOKMARK","object":{"end":%b}}\n' % str(end).lower().encode()


ITEM = b'{"kind":"Pod"}'
JSON: Rendering = InJSON()


def test_json_itself_is_left_alone() -> None:
    assert recoded(JSON, "application/json") is JSON


def test_yaml_says_what_json_says_and_no_watch_is_in_it() -> None:
    written = recoded(JSON, YAML)
    assert written.content_type == YAML
    assert yaml.safe_load(written.single(ITEM, "1")) == {"kind": "Pod"}
    listed = b"".join(written.listed([ITEM], Page("1")))
    assert yaml.safe_load(listed) == {"items": [{"kind": "Pod"}]}
    assert written.watch_content_type == "application/json"
    assert written.added([ITEM], ["1"]) == JSON.added([ITEM], ["1"])
    assert written.bookmark("1", end=True) == JSON.bookmark("1", end=True)
    assert streams(YAML, "get")
    assert not streams(YAML, "watch")


def test_cbor_says_what_json_says_in_watches_too() -> None:
    written = recoded(JSON, cbor.MEDIA_TYPE)
    assert written.content_type == "application/cbor"
    assert written.watch_content_type == "application/cbor-seq"
    assert cbor.decode(written.single(ITEM, "1")) == {"kind": "Pod"}
    listed = b"".join(written.listed([ITEM], Page("1")))
    assert cbor.decode(listed) == {"items": [{"kind": "Pod"}]}
    (added,) = written.added([ITEM], ["1"])
    assert cbor.decode(added) == {"type": "ADDED", "object": {"kind": "Pod"}}
    mark = cbor.decode(written.bookmark("1", end=True))
    assert mark == json.loads(JSON.bookmark("1", end=True))
    assert streams(cbor.MEDIA_TYPE, "watch")
