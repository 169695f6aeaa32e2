# SPDX-License-Identifier: Apache-2.0
"""Items are those that the whole list has, however its bytes are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.codec.test_protobuf import ITEM, LIST_META, enclosed, meta, pods

from toono.codec.protobuf import ProtobufCodec
from toono.codec.protobuf_items import ProtobufItems, read_head
from toono.codec.wireformat import encode_bytes, encode_text
from toono.errors import CodecError

CODEC = ProtobufCodec()
GOING = meta(name="old", extra=encode_bytes(9, b"\x08\x01"))
LONG = meta(name="long", extra=encode_bytes(12, b"x" * 300))


@given(
    items=st.lists(st.sampled_from([ITEM, GOING, LONG]), max_size=6),
    step=st.integers(1, 400),
)
def test_items_come_as_soon_as_they_are_whole(items: list[bytes], step: int) -> None:
    body = pods(*items)
    parts = CODEC.split_list(body)
    head = read_head(body)
    assert (head.kind, head.resource_version) == (parts.kind, parts.resource_version)
    assert head.continue_token == parts.continue_token
    reader = ProtobufItems(head.size)
    found = []
    for at in range(head.start, len(body), step):
        found += reader.feed(body[at : at + step])
    assert found == parts.items
    assert reader.is_whole
    assert list(reader.feed(b"more")) == []


def test_what_is_cut_is_not_whole() -> None:
    body = pods(ITEM, LONG)
    head = read_head(body)
    reader = ProtobufItems(head.size)
    end = head.start + head.size
    assert len(list(reader.feed(body[head.start : end - 1]))) == 1
    assert not reader.is_whole
    assert len(list(reader.feed(body[end - 1 :]))) == 1
    assert reader.is_whole


def test_a_page_says_that_it_goes_on() -> None:
    body = pods(ITEM, list_meta=encode_text(2, "9") + encode_text(3, "more"))
    assert read_head(body).continue_token == "more"


def test_less_than_a_head_is_none() -> None:
    body = pods(ITEM)
    start = read_head(body).start
    for end in range(start):
        with pytest.raises(CodecError):
            read_head(body[:end])
    assert read_head(body[:start]).start == start


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'{"kind":"PodList"}',
        enclosed("PodList", encode_bytes(2, ITEM)),
        enclosed("PodList", encode_bytes(1, LIST_META + encode_text(9, "new"))),
        b"k8s\0" + encode_bytes(1, b"\x0a\x02v1\x12\x07PodList") + encode_text(3, ""),
        b"k8s\0" + encode_bytes(2, b""),
        enclosed("PodList", b"\x0a\xff\x01"),
    ],
)
def test_what_begins_otherwise_is_no_list(body: bytes) -> None:
    with pytest.raises(CodecError):
        read_head(body)


@pytest.mark.parametrize(
    ("content", "size"),
    [
        (encode_bytes(3, ITEM), 400),
        (encode_bytes(2, ITEM), 8),
        (encode_bytes(2, b"\xff\xff"), 4),
        (b"\x12" + b"\xff" * 12, 400),
    ],
)
def test_what_is_no_item_is_told(content: bytes, size: int) -> None:
    with pytest.raises(CodecError):
        list(ProtobufItems(size).feed(content))
