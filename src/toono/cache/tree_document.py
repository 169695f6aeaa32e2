# SPDX-License-Identifier: Apache-2.0
"""One object as its file in the tree holds it: JSON, whole, with a line's end."""

from toono.cache.forms import PARTIAL, PROTOBUF, split_form
from toono.cache.tree_plan import Wanted
from toono.codec.json import JSONCodec
from toono.codec.partial import api_version_of
from toono.codec.transcode import to_json
from toono.errors import CodecError

_JSON = JSONCodec()


def document(wanted: Wanted, content: bytes) -> bytes:
    """Return an object's file: JSON with its kind and apiVersion, and a line's end.

    CodecError where it cannot be had, or would not be read back as the same object.
    """
    scope = wanted.held.scope
    media_type, form = split_form(wanted.held.question.media_type)
    api_version, style = scope.api_version, scope.style
    if media_type == PROTOBUF:
        content = to_json(content, kind=scope.kind, api_version=api_version)
        style = "typed"
    if form == PARTIAL:
        api_version = api_version_of("v1")  # both versions are one type
    written = _JSON.write_single(
        kind=scope.kind, api_version=api_version, style=style, data=content
    )
    read = _JSON.read_single(written).object
    told = (read.namespace, read.name, read.uid, read.resource_version)
    if told != (*wanted.key, wanted.row.uid, wanted.row.resource_version):
        raise CodecError(f"{told} is kept as {wanted.key}")
    return written
