# SPDX-License-Identifier: Apache-2.0
import pytest

from toono.codec.json import JSONCodec
from toono.codec.partial import (
    Page,
    cut_metadata,
    join_partial_list,
    page_json,
    write_partial,
    write_partial_bookmark,
    write_partial_event,
)
from toono.codec.protobuf import ProtobufCodec
from toono.codec.wireformat import encode_bytes, encode_text
from toono.errors import CodecError

JSON, PROTOBUF = JSONCodec.media_type, ProtobufCodec.media_type


def cut(text: str) -> bytes:
    return cut_metadata(text.encode(), media_type=JSON, style="unstructured")


def test_typed_metadata_is_cut_as_it_stands():
    data = b'{"spec":{},"metadata":{"uid":"u", "name":"a","odd":1}}'
    found = cut_metadata(data, media_type=JSON)
    assert found == b'{"metadata":{"uid":"u", "name":"a","odd":1}}'


def test_metadata_of_a_custom_resource_gets_the_order_of_typed_answers():
    assert cut(
        '{"apiVersion":"x/v1","kind":"T","metadata":{"annotations":{"b":"1"},'
        '"deletionGracePeriodSeconds":0,"deletionTimestamp":"t","finalizers":["f"],'
        '"generateName":"n-","labels":{"z":"\\u003c","a":"1"},'
        '"managedFields":[{"apiVersion":"x/v1","fieldsType":"FieldsV1",'
        '"fieldsV1":{"f:a":{}},"manager":"m","operation":"Update",'
        '"subresource":"status","time":"t"}],"name":"n",'
        '"ownerReferences":[{"apiVersion":"v1","blockOwnerDeletion":true,'
        '"controller":false,"kind":"K","name":"o","uid":"u"}]}}'
    ).decode() == (
        '{"metadata":{"name":"n","generateName":"n-","deletionTimestamp":"t",'
        '"deletionGracePeriodSeconds":0,"labels":{"z":"\\u003c","a":"1"},'
        '"annotations":{"b":"1"},"ownerReferences":[{"apiVersion":"v1","kind":"K",'
        '"name":"o","uid":"u","controller":false,"blockOwnerDeletion":true}],'
        '"finalizers":["f"],"managedFields":[{"manager":"m","operation":"Update",'
        '"apiVersion":"x/v1","time":"t","fieldsType":"FieldsV1","fieldsV1":{"f:a":{}},'
        '"subresource":"status"}]}}'
    )


@pytest.mark.parametrize(
    "empty",
    [
        '"creationTimestamp":null',
        '"labels":{}',
        '"finalizers":[]',
        '"generation":0',
        '"generateName":""',
        '"ownerReferences":[]',
        '"managedFields":null',
        '"clusterName":"unknown today"',
    ],
)
def test_what_typed_answers_leave_out_is_left_out(empty):
    assert cut(f'{{"metadata":{{{empty},"name":"n"}}}}') == b'{"metadata":{"name":"n"}}'


@pytest.mark.parametrize("style", ["typed", "unstructured"])
@pytest.mark.parametrize(
    "data", [b"{}", b'{"metadata":3}', b'{"metadata":null}', b"[]", b"", b"{", b"\xff"]
)
def test_json_without_metadata_is_refused(data, style):
    with pytest.raises(CodecError):
        cut_metadata(data, media_type=JSON, style=style)


def test_protobuf_metadata_is_field_one():
    meta = encode_bytes(1, encode_text(1, "a"))
    assert cut_metadata(meta + encode_text(2, "x"), media_type=PROTOBUF) == meta


@pytest.mark.parametrize(
    "data", [b"", encode_text(2, "x"), encode_text(1, "a") * 2, b"\x0a\x7f"]
)
def test_protobuf_without_one_metadata_is_refused(data):
    with pytest.raises(CodecError):
        cut_metadata(data, media_type=PROTOBUF)


def test_list_metadata_leaves_out_what_is_empty():
    assert page_json(Page("")) == b"{}"
    assert page_json(Page("7", "abc", 0)) == (
        b'{"resourceVersion":"7","continue":"abc","remainingItemCount":0}'
    )


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_pages_say_what_follows(version):
    items = [b'{"metadata":{"name":"a"}}', b'{"metadata":{"name":"b"}}']
    pieces = join_partial_list(
        items, Page("7", "abc", 3), media_type=JSON, version=version
    )
    one = f'{{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/{version}",'
    assert b"".join(pieces).decode() == (
        f'{{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/{version}",'
        '"metadata":{"resourceVersion":"7","continue":"abc","remainingItemCount":3},'
        f'"items":[{one}"metadata":{{"name":"a"}}}},{one}"metadata":{{"name":"b"}}}}]}}\n'
    )


def test_pages_in_protobuf_say_what_follows():
    meta = encode_bytes(1, encode_text(1, "a") + encode_text(6, "5"))
    pieces = join_partial_list(
        [meta], Page("7", "abc", 3), media_type=PROTOBUF, version="v1"
    )
    parts = ProtobufCodec().split_list(b"".join(pieces))
    assert (parts.kind, parts.api_version) == (
        "PartialObjectMetadataList",
        "meta.k8s.io/v1",
    )
    assert (parts.resource_version, parts.continue_token) == ("7", "abc")
    assert [one.data for one in parts.items] == [meta]
    assert encode_text(3, "abc") + b"\x20\x03" in b"".join(pieces)


def test_an_empty_list_has_null_for_its_items_as_go_s_nil_slice():
    pieces = join_partial_list([], Page("7"), media_type=JSON, version="v1")
    assert b"".join(pieces).endswith(
        b'"metadata":{"resourceVersion":"7"},"items":null}\n'
    )


@pytest.mark.parametrize("codec", [JSONCodec(), ProtobufCodec()])
def test_answers_name_the_version_asked_for(codec):
    data = b'{"metadata":{"name":"a","resourceVersion":"5"}}'
    if codec.media_type == PROTOBUF:
        data = encode_bytes(1, encode_text(1, "a") + encode_text(6, "5"))
    body = write_partial(data, media_type=codec.media_type, version="v1beta1")
    single = codec.read_single(body)
    assert single.kind == "PartialObjectMetadata"
    assert single.api_version == "meta.k8s.io/v1beta1"
    assert single.object.data == data


@pytest.mark.parametrize("codec", [JSONCodec(), ProtobufCodec()])
def test_bookmark_closes_a_burst(codec):
    frame = write_partial_bookmark(
        "9", initial_events_end=True, media_type=codec.media_type, version="v1"
    )
    event = codec.read_event(frame)
    assert (event.type, event.kind) == ("BOOKMARK", "PartialObjectMetadata")
    assert event.object.resource_version == "9"
    assert event.initial_events_end


@pytest.mark.parametrize("codec", [JSONCodec(), ProtobufCodec()])
def test_events_carry_what_was_cut(codec):
    data = b'{"metadata":{"name":"a","resourceVersion":"5"}}'
    if codec.media_type == PROTOBUF:
        data = encode_bytes(1, encode_text(1, "a") + encode_text(6, "5"))
    frame = write_partial_event(
        data, event_type="DELETED", media_type=codec.media_type, version="v1beta1"
    )
    event = codec.read_event(frame)
    assert (event.type, event.kind) == ("DELETED", "PartialObjectMetadata")
    assert event.api_version == "meta.k8s.io/v1beta1"
    assert event.object.data == data
