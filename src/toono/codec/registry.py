# SPDX-License-Identifier: Apache-2.0
"""Which codec speaks which media type."""

from toono.codec.base import Codec
from toono.codec.json import JSONCodec
from toono.codec.protobuf import ProtobufCodec

_CODECS: dict[str, Codec] = {
    JSONCodec.media_type: JSONCodec(),
    ProtobufCodec.media_type: ProtobufCodec(),
}


def for_media_type(media_type: str) -> Codec | None:
    """Return the codec of a bare media type, None where there is none."""
    return _CODECS.get(media_type)
