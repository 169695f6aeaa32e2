# SPDX-License-Identifier: Apache-2.0
"""Bodies taken for what they claim to be, in JSON and protobuf."""

import asyncio

import pytest

from tests.unit.testing.apiserver.kit import resource
from toono.testing.apiserver.bodies import (
    body_of,
    json_of,
    object_of,
    options_of,
    yaml_of,
)
from toono.testing.apiserver.encodings import ProtobufEncoding
from toono.testing.apiserver.query import Refusal
from toono.testing.apiserver.shapes import Whole
from toono.wire.messages import BytesBody

MAPS = resource("configmaps")


class Pieces:
    length = None

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = [*pieces, b""]

    async def read(self) -> bytes:
        return self._pieces.pop(0)

    def close(self) -> None:
        return


def test_a_body_is_read_to_its_end() -> None:
    assert asyncio.run(body_of(Pieces(b"ab", b"c"))) == b"abc"
    assert asyncio.run(body_of(BytesBody(b"abc"))) == b"abc"


def test_an_object_is_read() -> None:
    assert object_of(MAPS, b'{"metadata":{}}') == {"metadata": {}}
    typed = b'{"kind":"ConfigMap","apiVersion":"v1","metadata":{}}'
    assert object_of(MAPS, typed)["kind"] == "ConfigMap"


def test_an_object_in_protobuf_is_the_same_object() -> None:
    content = {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"name": "a", "resourceVersion": "1"},
        "data": {"k": "v"},
    }
    body = ProtobufEncoding(Whole(MAPS)).one(content)
    assert object_of(MAPS, body) == content
    with pytest.raises(Refusal, match="cannot be handled as a Pod"):
        object_of(resource("pods"), body)
    with pytest.raises(Refusal, match="cannot be read"):
        object_of(MAPS, body.replace(b"ConfigMap", b"ConfigMop"))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"kind":', "json parse error: unexpected end of JSON input ({\"kind\":)"),
        (b"{x", "invalid character 'x' looking for beginning of object key string"),
        (b"x", "invalid character 'x' looking for beginning of value"),
        (b"[1]", "json parse error"),
        (b'{"kind":"Pod","apiVersion":"v1"}', 'Pod in version "v1" cannot be handled'),
        (b'{"kind":"ConfigMap","apiVersion":"v2"}', 'registered for version "v2"'),
    ],
)  # fmt: skip
def test_what_is_no_such_object_is_a_bad_request(body: bytes, message: str) -> None:
    with pytest.raises(Refusal) as refusal:
        object_of(MAPS, body)
    assert refusal.value.code == 400
    assert message in refusal.value.message


def test_options_may_be_missing() -> None:
    assert options_of(b"") == {}
    assert options_of(b"[]") == {}
    assert options_of(b'{"gracePeriodSeconds":0}') == {"gracePeriodSeconds": 0}
    with pytest.raises(Refusal, match="^error decoding"):
        options_of(b"{")


def test_values_are_read_or_refused() -> None:
    assert json_of(b"[1]") == [1]
    assert yaml_of(b"a: [1]") == {"a": [1]}
    with pytest.raises(Refusal, match="^error decoding patch"):
        json_of(b"{")
    with pytest.raises(Refusal, match="^error decoding YAML"):
        yaml_of(b"a: [")
