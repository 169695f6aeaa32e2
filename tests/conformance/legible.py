# SPDX-License-Identifier: Apache-2.0
"""Protobuf answers as JSON text, so that the same rules hold for them.

Both sides are read by the same code; that this reads rightly is what the codec's own
tests hold to the recordings. Bytes that need no rule are compared as they are.
"""

import json

from tests.conformance.exchanges import Answer
from toono.codec import cbor
from toono.codec.protobuf import ProtobufCodec
from toono.codec.transcode import to_json
from toono.errors import CodecError

PROTOBUF = "application/vnd.kubernetes.protobuf"
CODEC = ProtobufCodec()


def legible(answer: Answer) -> bytes:
    """Return an answer's body, protobuf as JSON."""
    media_type = answer.fields.get("content-type", "")
    if media_type in (cbor.MEDIA_TYPE, cbor.WATCH_MEDIA_TYPE):
        return _of_cbor(answer.body)
    if media_type == CODEC.watch_media_type:
        return b"".join(_event(frame) for frame in CODEC.frames().feed(answer.body))
    if media_type != PROTOBUF:
        return answer.body
    status = CODEC.read_status(answer.body)
    if status is not None:
        return json.dumps(status).encode()
    try:
        return _one_or_many(answer.body)
    except CodecError:  # of a kind that is no object of the API: discovery
        return answer.body


def _of_cbor(body: bytes) -> bytes:
    """Its maps have no order: API servers shuffle them. Nor is ownership compared."""
    at, lines = 0, []
    while at < len(body):
        value, at = cbor.decode_item(body, at)
        lines.append(json.dumps(_ordered(value), separators=(",", ":")))
    return "\n".join(lines).encode()


def _ordered(value: object) -> object:
    if isinstance(value, list):
        return [_ordered(item) for item in value]
    if not isinstance(value, dict):
        return value
    first = [key for key in ("kind", "apiVersion", "metadata") if key in value]
    rest = sorted(value.keys() - {*first, "managedFields"})
    return {key: _ordered(value[key]) for key in (*first, *rest)}


def _one_or_many(body: bytes) -> bytes:
    try:
        single = CODEC.read_single(body)
    except CodecError:
        return _list(body)
    return _object(single.object.data, single.kind, single.api_version)


def _list(body: bytes) -> bytes:
    parts = CODEC.split_list(body)
    kind, meta = parts.kind.removesuffix("List"), b'"resourceVersion":"%b"'
    items = (_object(one.data, kind, parts.api_version) for one in parts.items)
    head = b'{"kind":"%b","apiVersion":"%b","metadata":{' + meta + b"},"
    names = (parts.kind, parts.api_version, parts.resource_version)
    return head % tuple(name.encode() for name in names) + b",".join(items) + b"}"


def _event(frame: bytes) -> bytes:
    event = CODEC.read_event(frame)
    if event.object is None:
        return b'{"type":"ERROR","object":%d}\n' % event.status_code
    content = b'{"metadata":{"resourceVersion":"%b"}}'
    if event.type == "BOOKMARK":
        content %= event.object.resource_version.encode()
        content += b"k8s.io/initial-events-end" * event.initial_events_end
    else:
        content = _object(event.object.data, event.kind, event.api_version)
    return b'{"type":"%b","object":%b}\n' % (event.type.encode(), content)


def _object(data: bytes, kind: str, api_version: str) -> bytes:
    if kind == "PartialObjectMetadata":
        kind, api_version = "ConfigMap", "v1"  # any kind has the same metadata
    return to_json(data, kind=kind, api_version=api_version)
