# SPDX-License-Identifier: Apache-2.0
"""The codecs and their splitters have every verb of the contract, alike."""

import inspect

import pytest

from toono.codec.base import Codec, FrameSplitter, ListReader
from toono.codec.json import JSONCodec
from toono.codec.protobuf import ProtobufCodec


def verbs(contract: type) -> list[str]:
    return [
        name
        for name, member in vars(contract).items()
        if not name.startswith("_") and callable(member)
    ]


@pytest.mark.parametrize("codec", [JSONCodec, ProtobufCodec])
def test_a_codec_has_the_verbs_of_the_contract(codec: type) -> None:
    assert len(verbs(Codec)) == 14
    assert set(verbs(codec)) == set(verbs(Codec))
    for verb in verbs(Codec):
        asked = inspect.signature(getattr(Codec, verb)).parameters.values()
        given = inspect.signature(getattr(codec, verb)).parameters.values()
        assert [(one.name, one.kind) for one in given] == [
            (one.name, one.kind) for one in asked
        ]


@pytest.mark.parametrize("codec", [JSONCodec(), ProtobufCodec()])
def test_a_reader_has_the_verbs_of_the_contract(codec: Codec) -> None:
    reader = codec.list_reader()
    assert verbs(ListReader) == ["feed", "finish"]
    assert set(verbs(ListReader)) <= set(verbs(type(reader)))
    assert (reader.left, reader.recognised) == (0, 0)


@pytest.mark.parametrize("codec", [JSONCodec(), ProtobufCodec()])
def test_a_splitter_has_the_verbs_of_the_contract(codec: Codec) -> None:
    splitter = codec.frames()
    assert verbs(FrameSplitter) == ["feed"]
    assert splitter.feed(b"") == []
    assert splitter.pending == b""
