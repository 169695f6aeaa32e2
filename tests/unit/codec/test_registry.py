# SPDX-License-Identifier: Apache-2.0
"""Each media type has its codec, and others have none."""

import pytest

from toono.codec.json import JSONCodec
from toono.codec.protobuf import ProtobufCodec
from toono.codec.registry import for_media_type


def test_both_forms_are_spoken() -> None:
    assert isinstance(for_media_type("application/json"), JSONCodec)
    found = for_media_type("application/vnd.kubernetes.protobuf")
    assert isinstance(found, ProtobufCodec)


@pytest.mark.parametrize(
    "media_type",
    ["", "text/html", "application/yaml", "application/cbor", "application/JSON"],
)
def test_other_forms_are_not(media_type: str) -> None:
    assert for_media_type(media_type) is None
