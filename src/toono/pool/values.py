# SPDX-License-Identifier: Apache-2.0
"""What stands in etcd for an object: the form a kube-apiserver keeps it in.

That is the answer to a GET of it: protobuf in its envelope, JSON with kind and
apiVersion (without them a real API server serves an empty object). The cloud's
resourceVersion stays inside: an API server over this etcd puts its own in its place,
and hubs compare by it. A value without one was not learned from the cloud, cannot be
compared, and is refused like any other that nobody could serve.
"""

from typing import NamedTuple

from toono.codec.base import Object, Style
from toono.codec.json import JSONCodec
from toono.codec.protobuf import MAGIC, ProtobufCodec
from toono.codec.registry import for_media_type
from toono.errors import CodecError
from toono.kube.names import parse_version
from toono.pool.keys import Place


class Stored(NamedTuple):
    """One object in the pool."""

    media_type: str
    kind: str
    api_version: str
    style: Style
    object: Object

    @property
    def version(self) -> int:
        """The cloud's resourceVersion: plain decimals compare as numbers."""
        return parse_version(self.object.resource_version) or 0


def write_value(
    *, media_type: str, kind: str, api_version: str, style: Style, data: bytes
) -> bytes:
    """Return the value for an object's stored form.

    CodecError where the form is no whole object: metadata alone, in its place, would
    be an object without a spec.
    """
    codec = for_media_type(media_type)
    if codec is None or api_version.startswith(_PARTS):
        raise CodecError(f"{api_version} {kind} as {media_type!r} is no whole object")
    return codec.write_single(
        kind=kind, api_version=api_version, style=style, data=data
    )


def read_value(place: Place, value: bytes) -> Stored:
    """Return the object; CodecError where it is none, or not the one `place` names.

    Another writer's mistake must not become someone else's object here.
    """
    codec = _PROTOBUF if value.startswith(MAGIC) else _JSON
    single = codec.read_single(value)
    found = single.object
    if (found.namespace, found.name) != (place.namespace, place.name):
        raise CodecError(
            f"{found.namespace}/{found.name} where {place.namespace}/{place.name} is"
        )
    return Stored(
        codec.media_type, single.kind, single.api_version, single.style, found
    )


_PARTS = "meta.k8s.io/"
_PROTOBUF, _JSON = ProtobufCodec(), JSONCodec()
