# SPDX-License-Identifier: Apache-2.0
"""An answer's bytes: JSON of its own making, CBOR or protobuf.

Protobuf comes from the hub's codec and transcoding. A mistake in those cannot hide
behind itself: what goes out here is held to a real API server's recorded bytes.
"""

from typing import Protocol

from toono.codec import cbor
from toono.codec.page import Page
from toono.codec.partial import (
    MetaVersion,
    cut_metadata,
    join_partial_list,
    write_partial,
)
from toono.codec.protobuf import ProtobufCodec
from toono.codec.transcode import to_protobuf
from toono.codec.wireformat import encode_bytes, encode_number, encode_text
from toono.testing.apiserver.query import JSON
from toono.testing.apiserver.shapes import PARTIAL, Shape, untyped
from toono.testing.apiserver.storage import encode

CODEC = ProtobufCodec()
END = {"k8s.io/initial-events-end": "true"}


class Encoding(Protocol):
    """Writes answers about objects of one resource."""

    media_type: bytes
    stream_type: bytes
    """Of a watch."""

    def one(self, content: JSON) -> bytes:
        """Return the answer to a GET."""
        ...

    def listed(self, contents: list[JSON], meta: JSON) -> bytes:
        """Return the answer to a LIST."""
        ...

    def event(self, kind: str, content: JSON) -> bytes:
        """Return a watch's frame."""
        ...

    def bookmark(self, version: str, *, ends_burst: bool = False) -> bytes:
        """Return a bookmark's frame."""
        ...

    def error(self, status: JSON) -> bytes:
        """Return an ERROR frame."""
        ...


class JSONEncoding:
    """application/json."""

    media_type = stream_type = b"application/json"

    def __init__(self, shape: Shape) -> None:
        self._shape = shape

    def one(self, content: JSON) -> bytes:
        return encode(self._shape.one(content)) + b"\n"

    def listed(self, contents: list[JSON], meta: JSON) -> bytes:
        return encode(self._shape.listed(contents, meta)) + b"\n"

    def event(self, kind: str, content: JSON) -> bytes:
        return self._frame(kind, self._shape.one(content))

    def bookmark(self, version: str, *, ends_burst: bool = False) -> bytes:
        meta: JSON = {"resourceVersion": version}
        if ends_burst:
            meta["annotations"] = END
        return self._frame("BOOKMARK", self._shape.bookmark(meta))

    def error(self, status: JSON) -> bytes:
        return self._frame("ERROR", status)

    def _frame(self, kind: str, content: JSON) -> bytes:
        return b'{"type":"%b","object":%b}\n' % (kind.encode(), encode(content))


class CBOREncoding:
    """application/cbor (KEP-4222): what JSON says, in fewer bytes."""

    media_type = cbor.MEDIA_TYPE.encode()
    stream_type = cbor.WATCH_MEDIA_TYPE.encode()

    def __init__(self, shape: Shape) -> None:
        self._json = JSONEncoding(shape)

    def one(self, content: JSON) -> bytes:
        return cbor.from_json(self._json.one(content))

    def listed(self, contents: list[JSON], meta: JSON) -> bytes:
        return cbor.from_json(self._json.listed(contents, meta))

    def event(self, kind: str, content: JSON) -> bytes:
        return cbor.frame_from_json(self._json.event(kind, content))

    def bookmark(self, version: str, *, ends_burst: bool = False) -> bytes:
        frame = self._json.bookmark(version, ends_burst=ends_burst)
        return cbor.frame_from_json(frame)

    def error(self, status: JSON) -> bytes:
        return cbor.frame_from_json(self._json.error(status))


class ProtobufEncoding:
    """application/vnd.kubernetes.protobuf, of built-in kinds."""

    media_type = CODEC.media_type.encode()
    stream_type = CODEC.watch_media_type.encode()

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._is_partial = shape.kind == PARTIAL

    def one(self, content: JSON) -> bytes:
        data = self._data(content)
        if self._is_partial:
            return write_partial(
                data, media_type=CODEC.media_type, version=self._version()
            )
        return self._whole(self._shape.kind, data)

    def listed(self, contents: list[JSON], meta: JSON) -> bytes:
        items = [self._data(each) for each in contents]
        if self._is_partial:
            page = Page(
                meta["resourceVersion"],
                meta.get("continue", ""),
                meta.get("remainingItemCount"),
            )
            media_type, version = CODEC.media_type, self._version()
            return b"".join(
                join_partial_list(items, page, media_type=media_type, version=version)
            )
        pieces = [encode_text(1, ""), encode_text(2, meta["resourceVersion"])]
        pieces.append(encode_text(3, meta.get("continue", "")))
        if "remainingItemCount" in meta:
            pieces.append(encode_number(4, meta["remainingItemCount"]))
        content = [encode_bytes(1, b"".join(pieces))]
        content += (encode_bytes(2, item) for item in items)
        return self._whole(self._shape.kind + "List", b"".join(content))

    def event(self, kind: str, content: JSON) -> bytes:
        return CODEC.write_event(
            event_type=kind,
            kind=self._shape.kind,
            api_version=self._shape.api_version,
            style="typed",
            data=self._data(content),
        )

    def bookmark(self, version: str, *, ends_burst: bool = False) -> bytes:
        return CODEC.write_bookmark(
            kind=self._shape.kind,
            api_version=self._shape.api_version,
            style="typed",
            resource_version=version,
            initial_events_end=ends_burst,
        )

    def error(self, status: JSON) -> bytes:
        return CODEC.write_error(CODEC.write_status(status))

    def _data(self, content: JSON) -> bytes:
        """Return the stored form of an object, or of its metadata."""
        resource = self._shape.resource
        data = to_protobuf(
            encode(untyped(content)),
            kind=resource.kind,
            api_version=resource.api_version,
        )
        return (
            cut_metadata(data, media_type=CODEC.media_type)
            if self._is_partial
            else data
        )

    def _whole(self, kind: str, data: bytes) -> bytes:
        return CODEC.write_single(
            kind=kind, api_version=self._shape.api_version, style="typed", data=data
        )

    def _version(self) -> MetaVersion:
        return "v1beta1" if self._shape.api_version.endswith("/v1beta1") else "v1"
