# SPDX-License-Identifier: Apache-2.0
"""Values of the pool: what is written can be served, what cannot is refused."""

import pytest

from toono.codec.registry import for_media_type
from toono.errors import CodecError
from toono.pool.keys import Place
from toono.pool.values import read_value, write_value

JSON = "application/json"
PROTOBUF = "application/vnd.kubernetes.protobuf"
WEB = Place("", "pods", "default", "web")
POD = (
    b'{"metadata":{"name":"web","namespace":"default","uid":"u","resourceVersion":"7"}}'
)


def written(media_type=JSON, kind="Pod", api_version="v1", style="typed", data=POD):
    return write_value(
        media_type=media_type,
        kind=kind,
        api_version=api_version,
        style=style,
        data=data,
    )


def test_json_of_a_built_in_kind_begins_with_kind_and_api_version():
    value = written()
    assert value.startswith(b'{"kind":"Pod","apiVersion":"v1","metadata":{')
    back = read_value(WEB, value)
    assert (back.media_type, back.kind, back.api_version) == (JSON, "Pod", "v1")
    assert (back.object.data, back.version, back.style) == (POD, 7, "typed")


def test_protobuf_keeps_its_envelope():
    meta = b"\x0a\x03web\x12\x00\x1a\x07default\x22\x00\x2a\x01u\x32\x017"
    data = b"\x0a" + bytes([len(meta)]) + meta
    value = written(PROTOBUF, data=data)
    assert value.startswith(b"k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod\x12")
    back = read_value(WEB, value)
    assert (back.media_type, back.object.data, back.version) == (PROTOBUF, data, 7)


def test_a_custom_object_stays_as_it_is():
    data = (
        b'{"apiVersion":"x.io/v1","kind":"Yard","metadata":'
        b'{"name":"y","resourceVersion":"9","uid":"u"}}'
    )
    value = written(kind="Yard", api_version="x.io/v1", style="unstructured", data=data)
    assert value == data + b"\n"
    assert read_value(Place("x.io", "yards", "", "y"), value).version == 9


def test_metadata_alone_is_no_object_of_a_pool():
    with pytest.raises(CodecError, match="whole"):
        written(kind="PartialObjectMetadata", api_version="meta.k8s.io/v1")
    assert for_media_type("application/cbor-seq") is None
    with pytest.raises(CodecError, match="whole"):
        written("application/cbor-seq")


@pytest.mark.parametrize(
    "value",
    [
        b"", b"\0", b"null", b"[]", b"{}", b"k8s\0", b"k8s\0\xff\xff", b"\xff\xfe",
        b'{"metadata":{"name":"web"}}',
        POD + b"\n",
        b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":[]}',
        b'{"kind":"Pod","apiVersion":"v1","metadata":{"name":"web","namespace":"default"}}',
        b"00000000000000000000000000000007",
    ],
)  # fmt: skip
def test_a_value_that_is_no_object_of_the_cloud_is_refused(value):
    with pytest.raises(CodecError):
        read_value(WEB, value)


@pytest.mark.parametrize(
    "place", [WEB._replace(name="db"), WEB._replace(namespace="shop")]
)
def test_an_object_below_anothers_key_is_refused(place):
    with pytest.raises(CodecError, match="default/web"):
        read_value(place, written())
