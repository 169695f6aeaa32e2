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
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from toono.codec.base import Event, ListParts, Object, Single, Style
from toono.codec.expected import Expected
from toono.codec.json_frames import JSONFrames
from toono.codec.json_lists import JSONListReader
from toono.codec.json_strict import (
    check,
    check_numbers,
    check_text,
    may_hold_wild_number,
    read,
)
from toono.codec.json_values import is_ended, text_at
from toono.codec.page import Page, page_json, page_json_sorted
from toono.codec.selectable import selectable
from toono.errors import CodecError
from toono.kube import status as statuses
from toono.kube.kinds import resource_of
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
    kind: str | UnsetType = UNSET
    api_version: str | UnsetType = UNSET


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


_decode_raw_list = msgspec.json.Decoder(_RawList).decode
_decode_items = msgspec.json.Decoder(_ItemList).decode
_decode_item = msgspec.json.Decoder(_Item).decode
_decode_frame = msgspec.json.Decoder(_Frame).decode
_decode_notes = msgspec.json.Decoder(_Noted).decode
_decode_labels = msgspec.json.Decoder(_Labelled).decode
_decode_document = msgspec.json.Decoder(_Document).decode
_decode_map = msgspec.json.Decoder(dict[str, Any]).decode

_KIND, _API_VERSION = r"[A-Za-z][A-Za-z0-9]{0,62}", r"[a-z0-9][a-z0-9./-]{0,316}"
"""What can be written back without escapes."""
_HEAD = re.compile(rf'{{"kind":"({_KIND})","apiVersion":"({_API_VERSION})",'.encode())
_NAMES = re.compile(rf"(?:{_API_VERSION}) (?:{_KIND})\Z")


class JSONCodec:
    """The Codec of application/json."""

    media_type = "application/json"
    watch_media_type = "application/json"

    # -- lists ---------------------------------------------------------------

    def split_list(self, body: bytes) -> ListParts:
        """Take a list answer apart; CodecError where it is none."""
        check_text(body)
        wild = may_hold_wild_number(body)
        parts = read(_decode_raw_list, body)
        style = _style_of_list(parts, body)
        if not parts.kind.endswith("List") or parts.kind == "List":
            raise CodecError(f"a {parts.kind} is no list of one kind")
        if parse_version(parts.metadata.resource_version) is None:
            raise CodecError("the resourceVersion of a list is no number")
        items = read(_decode_items, body).items or ()
        contents = list(map(bytes, parts.items or ()))
        for content in contents if wild else ():
            check_numbers(content)
        objects = [
            _listed(item, content, style=style, of=parts)
            for item, content in zip(items, contents, strict=True)
        ]
        return ListParts(
            parts.kind,
            parts.api_version,
            style,
            parts.metadata.resource_version,
            parts.metadata.continue_,
            objects,
        )

    def list_reader(self, expected: Sequence[Object] = ()) -> JSONListReader:
        """Return what reads a list as it comes; its parts are those of `split_list`."""
        return JSONListReader(self.split_list, _listed_alone, Expected(expected))

    def join_list(
        self,
        *,
        kind: str,
        api_version: str,
        style: Style,
        page: Page,
        items: Iterable[bytes],
    ) -> list[bytes]:
        """Return pieces that join to the list answer the API server would send."""
        body = b",".join(items)
        if style == "typed":
            head = f'{{"kind":"{kind}","apiVersion":"{api_version}","metadata":'
            return [head.encode(), page_json(page), b',"items":[', body, b"]}\n"]
        head = f'{{"apiVersion":"{api_version}","items":['
        tail = f'],"kind":"{kind}","metadata":'
        return [head.encode(), body, tail.encode(), page_json_sorted(page), b"}\n"]

    # -- one object ----------------------------------------------------------

    def read_single(self, body: bytes) -> Single:
        """Take a single object's answer apart; CodecError for a Status too."""
        check(body)
        taken = _take(body.strip())
        found = _object(taken.meta, taken.data)
        return Single(taken.kind, taken.api_version, taken.style, found)

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
        event = read(_decode_frame, frame)
        content = bytes(event.object)
        if event.type == "ERROR":
            return _error(self.read_status(content))
        taken, ends = _take(content), False
        if event.type == "BOOKMARK":
            notes = read(_decode_notes, content).metadata.annotations or {}
            ends = notes.get(END_ANNOTATION) == "true"
        return Event(
            event.type,
            taken.kind,
            taken.api_version,
            taken.style,
            _object(taken.meta, taken.data, nameless=event.type == "BOOKMARK"),
            ends,
            0,
        )

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
            document = read(_decode_document, body)
            if (document.kind, document.api_version) != ("Status", "v1"):
                return None
            return read(_decode_map, body)
        except CodecError:
            return None

    # -- selectors -----------------------------------------------------------

    def labels(self, data: bytes) -> Mapping[str, str]:
        """Return metadata.labels of a stored form."""
        return read(_decode_labels, data).metadata.labels or {}

    def field(self, data: bytes, path: str, *, kind: str, api_version: str) -> str:
        """Return the value at a field-selector path, its default where it is unset.

        CodecError where a kind has no such selector: nobody may guess then.
        """
        found = selectable(path, kind=kind, api_version=api_version)
        for where in found.paths:
            if text := text_at(data, where):
                return text
        return found.default


class _Taken(NamedTuple):
    """A document that names its kind, with its stored form."""

    kind: str
    api_version: str
    style: Style
    meta: _Meta
    data: bytes


def _take(content: bytes) -> _Taken:
    """Take the leading kind and apiVersion off a typed object.

    CodecError where a document has neither form of an API server, or where a later
    duplicate of a leading name would make clients read another kind.
    """
    head = _HEAD.match(content)
    if head is None:
        item = read(_decode_item, content)
        kind, api_version = item.kind or "", item.api_version or ""
        _check_unstructured(kind, api_version, content)
        return _Taken(kind, api_version, "unstructured", item.metadata, content)
    kind, api_version = head[1].decode(), head[2].decode()
    data = b"{" + content[head.end() :]
    item = read(_decode_item, data)
    if kind == "Status" or (item.kind, item.api_version) != (UNSET, UNSET):
        raise CodecError(f"a {kind} that is none")
    return _Taken(kind, api_version, "typed", item.metadata, data)


def _check_unstructured(kind: str, api_version: str, content: bytes) -> None:
    """Refuse what is not written as custom resources are.

    No API server writes a built-in kind so: rows of two forms must not mix.
    """
    group = api_version.rpartition("/")[0]
    if (
        not content.startswith(b'{"apiVersion":"')
        or not _NAMES.match(f"{api_version} {kind}")
        or kind == "Status"
        or resource_of(group, kind.removesuffix("List")) is not None
    ):
        raise CodecError("a document in neither form of an API server is not kept")


def _style_of_list(parts: _RawList, body: bytes) -> Style:
    head = _HEAD.match(body)
    if head is None:
        _check_unstructured(parts.kind, parts.api_version, body)
        return "unstructured"
    if (head[1].decode(), head[2].decode()) != (parts.kind, parts.api_version):
        raise CodecError("a list that names two kinds")
    return "typed"


def _head(kind: str, api_version: str) -> bytes:
    return f'{{"kind":"{kind}","apiVersion":"{api_version}",'.encode()


def _whole(kind: str, api_version: str, style: Style, data: bytes) -> bytes:
    """Return the object with its kind and apiVersion, as GET and events carry it."""
    if style == "unstructured":
        return data
    return _head(kind, api_version) + data[1:]


def _listed(item: _Item, content: bytes, *, style: Style, of: _RawList) -> Object:
    """Return one item of a list in its stored form."""
    if style == "typed" and (item.kind, item.api_version) == (UNSET, UNSET):
        if not content.startswith(b'{"'):
            raise CodecError("an item of a list is not written as API servers do")
        return _object(item.metadata, content)
    taken = _take(content)
    if taken.style != style or taken.api_version != of.api_version:
        raise CodecError(f"a {taken.api_version} {taken.kind} among {of.kind}")
    if style == "typed" and f"{taken.kind}List" != of.kind:
        raise CodecError(f"a {taken.kind} among {of.kind}")
    return _object(taken.meta, taken.data)


def _listed_alone(content: bytes, api_version: str) -> Object:
    """Return an item as it stands in a list of `api_version`."""
    check(content)
    if content.startswith(b'{"metadata":'):
        item = read(_decode_item, content)
        if (item.kind, item.api_version) == (UNSET, UNSET):
            return _object(item.metadata, content)
    taken = _take(content)
    if taken.api_version != api_version:
        raise CodecError(f"a {taken.api_version} {taken.kind} among {api_version}")
    return _object(taken.meta, taken.data)


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
        meta.deletion_timestamp is not None and is_ended(data),
    )


def _error(status: Mapping[str, object] | None) -> Event:
    code = status.get("code") if status else None
    number = code if isinstance(code, int) else 0
    return Event("ERROR", "Status", "v1", "typed", None, False, number)
