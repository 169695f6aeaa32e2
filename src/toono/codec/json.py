# SPDX-License-Identifier: Apache-2.0
"""JSON: lists and watch frames cut into objects, and joined again, byte for byte.

msgspec finds where each item begins and ends (`Raw`) and reads its metadata; no
object is ever decoded. Two forms exist in the wild: the *typed* one of built-in kinds
(kind and apiVersion lead, list items carry neither) and the *unstructured* one of
custom resources (keys in alphabetical order, items whole). What has neither form is
kept out: CodecError, and the caller passes it on uncached.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from toono.codec.base import Event, ListParts, Object, Single, Style
from toono.errors import CodecError
from toono.kube.names import parse_version

MAX_FRAME_BYTES = 16 * 1024 * 1024
END_ANNOTATION = "k8s.io/initial-events-end"


class _ObjectMeta(msgspec.Struct):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resourceVersion: str = ""  # noqa: N815 - the field's name on the wire
    deletionTimestamp: str | None = None  # noqa: N815
    annotations: dict[str, str] | None = None


class _Item(msgspec.Struct):
    metadata: _ObjectMeta
    kind: str = ""
    apiVersion: str = ""  # noqa: N815


class _ListMeta(msgspec.Struct):
    resourceVersion: str = ""  # noqa: N815
    continue_: str = msgspec.field(default="", name="continue")
    shardInfo: msgspec.Raw | None = None  # noqa: N815


class _List(msgspec.Struct):
    kind: str
    apiVersion: str  # noqa: N815
    metadata: _ListMeta
    items: list[msgspec.Raw] | None = None


class _Frame(msgspec.Struct):
    type: str
    object: msgspec.Raw


class _Labels(msgspec.Struct):
    labels: dict[str, str] | None = None


class _Labelled(msgspec.Struct):
    metadata: _Labels


_decode_list = msgspec.json.Decoder(_List).decode
_decode_item = msgspec.json.Decoder(_Item).decode
_decode_frame = msgspec.json.Decoder(_Frame).decode
_decode_labels = msgspec.json.Decoder(_Labelled).decode
_decode_any = msgspec.json.Decoder().decode
_ERRORS = (msgspec.DecodeError, msgspec.ValidationError, RecursionError, ValueError)

_HEAD = re.compile(rb'\{"kind":"([^"\\]+)","apiVersion":"([^"\\]+)",')


class JSONCodec:
    """The Codec of application/json."""

    media_type = "application/json"
    watch_media_type = "application/json"

    # -- lists ---------------------------------------------------------------

    def split_list(self, body: bytes) -> ListParts:
        """Take a list answer apart; CodecError where it is none."""
        parts = _read(_decode_list, body)
        if not parts.kind.endswith("List") or parts.items is None:
            raise CodecError(f"a {parts.kind} is no list of objects")
        if parts.metadata.shardInfo is not None:
            raise CodecError("a shard of a list is not the list")
        style = _style(body)
        items = [_object(bytes(raw), style) for raw in parts.items]
        return ListParts(
            parts.kind,
            parts.apiVersion,
            style,
            parts.metadata.resourceVersion,
            parts.metadata.continue_,
            items,
        )

    def join_list(
        self,
        *,
        kind: str,
        api_version: str,
        style: Style,
        resource_version: str,
        items: Iterable[bytes],
    ) -> list[bytes]:
        """Return pieces that join to the list answer the API server would send."""
        body = b",".join(items)
        if style == "typed":
            head = (
                f'{{"kind":"{kind}","apiVersion":"{api_version}","metadata":'
                f'{{"resourceVersion":"{resource_version}"}},"items":['
            )
            return [head.encode(), body, b"]}\n"]
        tail = (
            f'],"kind":"{kind}","metadata":'
            f'{{"continue":"","resourceVersion":"{resource_version}"}}}}\n'
        )
        return [
            f'{{"apiVersion":"{api_version}","items":['.encode(),
            body,
            tail.encode(),
        ]

    # -- one object ----------------------------------------------------------

    def read_single(self, body: bytes) -> Single:
        """Take a single object's answer apart; CodecError for a Status too."""
        body = body.strip()
        item = _read(_decode_item, body)
        if item.kind == "Status" or not item.kind or not item.apiVersion:
            raise CodecError(f"a {item.kind or 'document without kind'} is no object")
        style = _style(body)
        found = _object_of(item, _stored(body, style))
        return Single(item.kind, item.apiVersion, style, found)

    def write_single(
        self, *, kind: str, api_version: str, style: Style, data: bytes
    ) -> bytes:
        """Return the answer to a GET for the stored form."""
        return _whole(kind, api_version, style, data) + b"\n"

    # -- watch ---------------------------------------------------------------

    def frames(self) -> "JSONFrames":
        """Return a splitter for one watch stream."""
        return JSONFrames()

    def read_event(self, frame: bytes) -> Event:
        """Take one whole frame apart."""
        event = _read(_decode_frame, frame)
        content = bytes(event.object)
        if event.type == "ERROR":
            status = self.read_status(content)
            code = status.get("code") if status else None
            return Event(
                "ERROR",
                "Status",
                "v1",
                "typed",
                None,
                False,
                code if isinstance(code, int) else 0,
            )
        item = _read(_decode_item, content)
        if not item.kind or not item.apiVersion:
            raise CodecError("an event's object names no kind")
        style = _style(content)
        ends = (item.metadata.annotations or {}).get(END_ANNOTATION) == "true"
        found = _object_of(item, _stored(content, style), bookmark=event.type)
        return Event(event.type, item.kind, item.apiVersion, style, found, ends, 0)

    def write_event(
        self,
        *,
        event_type: str,
        kind: str,
        api_version: str,
        style: Style,
        data: bytes,
    ) -> bytes:
        """Return the frame of an ADDED, MODIFIED or DELETED event."""
        content = _whole(kind, api_version, style, data)
        return b'{"type":"%b","object":%b}\n' % (event_type.encode(), content)

    def write_bookmark(
        self,
        *,
        kind: str,
        api_version: str,
        style: Style,
        resource_version: str,
        initial_events_end: bool,
    ) -> bytes:
        """Return the frame of a bookmark."""
        notes = f'"annotations":{{"{END_ANNOTATION}":"true"}}'
        version = f'"resourceVersion":"{resource_version}"'
        if style == "typed":
            meta = f"{version},{notes}" if initial_events_end else version
            head = f'"kind":"{kind}","apiVersion":"{api_version}"'
        else:
            meta = f"{notes},{version}" if initial_events_end else version
            head = f'"apiVersion":"{api_version}","kind":"{kind}"'
        text = f'{{"type":"BOOKMARK","object":{{{head},"metadata":{{{meta}}}}}}}\n'
        return text.encode()

    def write_error(self, status: bytes) -> bytes:
        """Return an ERROR frame around a Status body."""
        return b'{"type":"ERROR","object":%b}\n' % status.strip()

    # -- Status --------------------------------------------------------------

    def write_status(self, status: Mapping[str, object]) -> bytes:
        """Return a v1 Status as a body."""
        return json.dumps(status, separators=(",", ":"), ensure_ascii=False).encode()

    def read_status(self, body: bytes) -> Mapping[str, object] | None:
        """Return a v1 Status body; None where it is none."""
        try:
            content = _decode_any(body)
        except _ERRORS:
            return None
        if isinstance(content, dict) and content.get("kind") == "Status":
            return content
        return None

    # -- selectors -----------------------------------------------------------

    def labels(self, data: bytes) -> Mapping[str, str]:
        """Return metadata.labels of a stored form."""
        return _read(_decode_labels, data).metadata.labels or {}

    def field(self, data: bytes, path: str, *, kind: str, api_version: str) -> str:
        """Return the value at a field-selector path, "" where it is not set."""
        value: Any = _read(_decode_any, data)
        for step in path.split("."):
            if not isinstance(value, dict):
                return ""
            value = value.get(step)
        if value is None:
            return ""
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, dict | list):
            raise CodecError(f"{path} of a {kind} is no plain value")
        return str(value)


class JSONFrames:
    """Cuts a stream of JSON documents at their ends.

    API servers end each frame with a newline and write none inside. A document that
    has newlines inside (another server, a pretty printer) is cut where it is whole.
    """

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    @property
    def pending(self) -> bytes:
        """Bytes of a frame that is not whole yet."""
        return self._rest

    def feed(self, piece: bytes) -> list[bytes]:
        """Take bytes; return the frames that are now whole."""
        lines = (self._rest + piece).split(b"\n")
        self._rest = lines.pop()
        frames: list[bytes] = []
        open_lines = b""
        for line in lines:
            open_lines += line + b"\n"
            if line.endswith(b"}") and _is_whole(open_lines):
                frames.append(open_lines)
                open_lines = b""
        self._rest = open_lines + self._rest
        if len(self._rest) > MAX_FRAME_BYTES:
            raise CodecError(f"a watch frame is longer than {MAX_FRAME_BYTES} bytes")
        return frames


def _is_whole(text: bytes) -> bool:
    """Say whether `text` is whole documents: a line that ends in "}" mostly is."""
    if text.startswith(b'{"type":"') and text.count(b"\n") == 1:
        return True
    try:
        _decode_any(text)
    except _ERRORS:
        return False
    return True


def _read(decode: Any, body: bytes) -> Any:
    try:
        return decode(body)
    except _ERRORS as exc:
        raise CodecError(f"not what application/json promises: {exc}") from exc


def _style(content: bytes) -> Style:
    """Return in which of the API server's two forms a document is written."""
    if content.startswith(b'{"kind":"'):
        return "typed"
    if content.startswith(b'{"apiVersion":"'):
        return "unstructured"
    raise CodecError("a document in neither form of an API server is not kept")


def _stored(content: bytes, style: Style) -> bytes:
    """Return the stored form: typed objects without the leading kind and apiVersion."""
    if style == "unstructured":
        return content
    head = _HEAD.match(content)
    if head is None:
        raise CodecError("a typed object does not begin with kind and apiVersion")
    return b"{" + content[head.end() :]


def _whole(kind: str, api_version: str, style: Style, data: bytes) -> bytes:
    """Return the object with its kind and apiVersion, as GET and events carry it."""
    if style == "unstructured":
        return data
    head = f'{{"kind":"{kind}","apiVersion":"{api_version}",'
    return head.encode() + data[1:]


def _object(content: bytes, style: Style) -> Object:
    item = _read(_decode_item, content)
    if style == "typed" and item.kind:
        content = _stored(content, style)
    return _object_of(item, content)


def _object_of(item: _Item, content: bytes, *, bookmark: str = "") -> Object:
    meta = item.metadata
    if parse_version(meta.resourceVersion) is None:
        raise CodecError(f"resourceVersion {meta.resourceVersion!r} is no number")
    if not meta.name and bookmark != "BOOKMARK":
        raise CodecError("an object without a name")
    return Object(
        meta.namespace,
        meta.name,
        meta.uid,
        meta.resourceVersion,
        meta.deletionTimestamp is not None,
        content,
    )
