# SPDX-License-Identifier: Apache-2.0
"""JSON: lists and watch frames cut into objects, and joined again, byte for byte.

msgspec finds where each item begins and ends (`Raw`) and reads its metadata; no
object is ever decoded. Two forms exist in the wild: the *typed* one of built-in kinds
(kind and apiVersion lead, list items carry neither) and the *unstructured* one of
custom resources (keys in alphabetical order, items whole). What has neither form, or
holds what nobody could decode, is kept out: CodecError, and the caller passes it on
uncached.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

import msgspec

from toono.codec.base import Event, ListParts, Object, Single, Style
from toono.codec.json_frames import JSONFrames
from toono.codec.json_strict import check
from toono.codec.selectable import selectable
from toono.errors import CodecError
from toono.kube import status as statuses
from toono.kube.names import parse_version

END_ANNOTATION = "k8s.io/initial-events-end"


class _Meta(msgspec.Struct, rename="camel", gc=False):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    deletion_timestamp: str | None = None


class _Item(msgspec.Struct, rename="camel", gc=False):
    metadata: _Meta
    kind: str = ""
    api_version: str = ""


class _ListMeta(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Strict: what is new here (shardInfo) may say that the list is not whole."""

    resource_version: str
    continue_: str = msgspec.field(default="", name="continue")
    remaining_item_count: int | None = None
    self_link: str = ""


class _RawList(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    kind: str
    api_version: str
    metadata: _ListMeta
    items: list[msgspec.Raw] | None


class _ItemList(msgspec.Struct):
    items: list[_Item] | None


class _Frame(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    object: msgspec.Raw


class _Notes(msgspec.Struct):
    annotations: dict[str, str] | None = None


class _Noted(msgspec.Struct):
    metadata: _Notes


class _Labels(msgspec.Struct):
    labels: dict[str, str] | None = None


class _Labelled(msgspec.Struct):
    metadata: _Labels


class _Document(msgspec.Struct, rename="camel"):
    kind: str = ""
    api_version: str = ""


_Decoded = TypeVar("_Decoded")
_decode_raw_list = msgspec.json.Decoder(_RawList).decode
_decode_items = msgspec.json.Decoder(_ItemList).decode
_decode_item = msgspec.json.Decoder(_Item).decode
_decode_frame = msgspec.json.Decoder(_Frame).decode
_decode_notes = msgspec.json.Decoder(_Noted).decode
_decode_labels = msgspec.json.Decoder(_Labelled).decode
_decode_document = msgspec.json.Decoder(_Document).decode
_decode_map = msgspec.json.Decoder(dict[str, Any]).decode

_KIND = r"[A-Za-z][A-Za-z0-9]{0,62}"
_API_VERSION = r"[a-z0-9][a-z0-9./-]{0,316}"
_IS_KIND = re.compile(rf"{_KIND}\Z")
_IS_API_VERSION = re.compile(rf"{_API_VERSION}\Z")
_HEAD = re.compile(rf'\{{"kind":"({_KIND})","apiVersion":"({_API_VERSION})",'.encode())


class JSONCodec:
    """The Codec of application/json."""

    media_type = "application/json"
    watch_media_type = "application/json"

    # -- lists ---------------------------------------------------------------

    def split_list(self, body: bytes) -> ListParts:
        """Take a list answer apart; CodecError where it is none."""
        check(body)
        parts = _read(_decode_raw_list, body)
        style = _style(body)
        _check_kind(parts.kind, parts.api_version)
        if not parts.kind.endswith("List") or parts.kind == "List":
            raise CodecError(f"a {parts.kind} is no list of one kind")
        if parse_version(parts.metadata.resource_version) is None:
            raise CodecError("the resourceVersion of a list is no number")
        items = _read(_decode_items, body).items or ()
        objects = [
            _listed(item, bytes(raw), style=style, of=parts)
            for item, raw in zip(items, parts.items or (), strict=True)
        ]
        return ListParts(
            parts.kind,
            parts.api_version,
            style,
            parts.metadata.resource_version,
            parts.metadata.continue_,
            objects,
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
        head = f'{{"apiVersion":"{api_version}","items":['
        tail = (
            f'],"kind":"{kind}","metadata":'
            f'{{"continue":"","resourceVersion":"{resource_version}"}}}}\n'
        )
        return [head.encode(), body, tail.encode()]

    # -- one object ----------------------------------------------------------

    def read_single(self, body: bytes) -> Single:
        """Take a single object's answer apart; CodecError for a Status too."""
        check(body)
        content = body.strip()
        item = _read(_decode_item, content)
        style, data = _stored(item, content)
        return Single(item.kind, item.api_version, style, _object(item.metadata, data))

    def write_single(
        self, *, kind: str, api_version: str, style: Style, data: bytes
    ) -> bytes:
        """Return the answer to a GET for the stored form."""
        return _whole(kind, api_version, style, data) + b"\n"

    # -- watch ---------------------------------------------------------------

    def frames(self) -> JSONFrames:
        """Return a splitter for one watch stream."""
        return JSONFrames()

    def read_event(self, frame: bytes) -> Event:
        """Take one whole frame apart."""
        check(frame)
        event = _read(_decode_frame, frame)
        content = bytes(event.object)
        if event.type == "ERROR":
            return _error(self.read_status(content))
        item = _read(_decode_item, content)
        style, data = _stored(item, content)
        meta, ends = item.metadata, False
        if event.type == "BOOKMARK":
            notes = _read(_decode_notes, content).metadata.annotations or {}
            ends = notes.get(END_ANNOTATION) == "true"
        found = _object(meta, data, nameless=event.type == "BOOKMARK")
        return Event(event.type, item.kind, item.api_version, style, found, ends, 0)

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
        return statuses.to_json(status)

    def read_status(self, body: bytes) -> Mapping[str, object] | None:
        """Return a v1 Status body; None where it is none."""
        try:
            check(body)
            document = _read(_decode_document, body)
            if (document.kind, document.api_version) != ("Status", "v1"):
                return None
            return _read(_decode_map, body)
        except CodecError:
            return None

    # -- selectors -----------------------------------------------------------

    def labels(self, data: bytes) -> Mapping[str, str]:
        """Return metadata.labels of a stored form."""
        return _read(_decode_labels, data).metadata.labels or {}

    def field(self, data: bytes, path: str, *, kind: str, api_version: str) -> str:
        """Return the value at a field-selector path, its default where it is unset.

        CodecError where a kind has no such selector: nobody may guess then.
        """
        found = selectable(path, kind=kind, api_version=api_version)
        for where in found.paths:
            if text := _text_at(data, where):
                return text
        return found.default


def _read(decode: Callable[[bytes], _Decoded], body: bytes) -> _Decoded:
    try:
        return decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise CodecError(f"not what application/json promises: {exc}") from exc


def _style(content: bytes) -> Style:
    """Return in which of the API server's two forms a document is written."""
    if content.startswith(b'{"kind":"'):
        return "typed"
    if content.startswith(b'{"apiVersion":"'):
        return "unstructured"
    raise CodecError("a document in neither form of an API server is not kept")


def _check_kind(kind: str, api_version: str) -> None:
    """Refuse names that could not be written back without escapes."""
    if not _IS_KIND.match(kind) or not _IS_API_VERSION.match(api_version):
        raise CodecError(f"{api_version!r} {kind!r} is no kind")
    if kind == "Status":
        raise CodecError("a Status is no object")


def _stored(item: _Item, content: bytes) -> tuple[Style, bytes]:
    """Return the stored form: typed objects without the leading kind and apiVersion."""
    style = _style(content)
    _check_kind(item.kind, item.api_version)
    if style == "unstructured":
        return style, content
    head = _HEAD.match(content)
    # A later duplicate of either key would make clients read another kind.
    if head is None or (head[1].decode(), head[2].decode()) != (
        item.kind,
        item.api_version,
    ):
        raise CodecError("a typed object does not begin with its kind and apiVersion")
    return style, b"{" + content[head.end() :]


def _whole(kind: str, api_version: str, style: Style, data: bytes) -> bytes:
    """Return the object with its kind and apiVersion, as GET and events carry it."""
    if style == "unstructured":
        return data
    head = f'{{"kind":"{kind}","apiVersion":"{api_version}",'
    return head.encode() + data[1:]


def _listed(item: _Item, content: bytes, *, style: Style, of: _RawList) -> Object:
    """Return one item of a list in its stored form."""
    if style == "typed" and not item.kind and not item.api_version:
        if not content.startswith(b'{"'):
            raise CodecError("an item of a list is not written as API servers do")
        return _object(item.metadata, content)
    own, data = _stored(item, content)
    if own != style or item.api_version != of.api_version:
        raise CodecError(f"a {item.api_version} {item.kind} among {of.kind}")
    if style == "typed" and f"{item.kind}List" != of.kind:
        raise CodecError(f"a {item.kind} among {of.kind}")
    return _object(item.metadata, data)


def _object(meta: _Meta, data: bytes, *, nameless: bool = False) -> Object:
    if not meta.name and not nameless:
        raise CodecError("an object without a name")
    if parse_version(meta.resource_version) is None:
        raise CodecError(f"resourceVersion {meta.resource_version!r} is no number")
    return Object(
        meta.namespace,
        meta.name,
        meta.uid,
        meta.resource_version,
        meta.deletion_timestamp is not None,
        data,
    )


def _error(status: Mapping[str, object] | None) -> Event:
    code = status.get("code") if status else None
    number = code if isinstance(code, int) else 0
    return Event("ERROR", "Status", "v1", "typed", None, False, number)


def _text_at(data: bytes, path: str) -> str:
    """Return the value at a path as a selector compares it, "" where it is unset."""
    value: Any = _read(_path_decoder(path), data)
    while isinstance(value, msgspec.Struct):
        value = value.next  # type: ignore[attr-defined]
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


@lru_cache(maxsize=256)
def _path_decoder(path: str) -> Callable[[bytes], Any]:
    """Return a decoder that reads one path and skips all else."""
    kind: Any = str | int | bool | None
    for step in reversed(path.split(".")):
        value = msgspec.field(name=step, default=None)
        kind = msgspec.defstruct("Step", [("next", kind | None, value)])
    return msgspec.json.Decoder(kind).decode
