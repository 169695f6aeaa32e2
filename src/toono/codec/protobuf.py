# SPDX-License-Identifier: Apache-2.0
"""Kubernetes' protobuf: lists and watch frames cut into objects by field number.

An object is `k8s\\0` and a runtime.Unknown {1: TypeMeta {1 apiVersion, 2 kind}, 2: the
object, 3 contentEncoding, 4 contentType}. ObjectMeta is field 1 of every object,
ListMeta field 1 and the items field 2 of every list: enough to cut and join without
a schema. Only built-in kinds travel so, hence one style: "typed". What Go would merge
from two fields of one number (no API server writes so) is refused: CodecError.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from toono.codec.base import Event, ListParts, Object, Single, Style
from toono.codec.expected import Expected
from toono.codec.page import Page, page_protobuf
from toono.codec.paths import PATHS
from toono.codec.protobuf_frames import PREFIX_BYTES, ProtobufFrames
from toono.codec.protobuf_lists import ProtobufListReader
from toono.codec.protobuf_status import decode_status, encode_status
from toono.codec.selectable import selectable
from toono.codec.wireformat import (
    VARINT,
    encode_bytes,
    encode_head,
    encode_number,
    encode_text,
    signed,
    tag_of,
    text,
    walk,
)
from toono.errors import CodecError
from toono.kube.names import parse_version

MAGIC = b"k8s\0"
REMEMBERED_BYTES = 64 * 1024
"""Of a frame that is read once where the hub, which follows it, keeps and tells it."""
END_ANNOTATION = "k8s.io/initial-events-end"

_FIRST, _SECOND, _THIRD, _FOURTH = map(tag_of, (1, 2, 3, 4))
_META = _FIRST
_NAME, _NAMESPACE, _UID, _VERSION = map(tag_of, (1, 3, 5, 6))
_DELETED, _LABELS, _NOTES = map(tag_of, (9, 11, 12))
_GRACE, _FINALIZERS = tag_of(10, VARINT), tag_of(14)
_OF_OBJECT = frozenset({_NAME, _NAMESPACE, _UID, _VERSION, _DELETED})
_REMAINING = tag_of(4, VARINT)
_IS_KIND = re.compile(r"[A-Za-z][A-Za-z0-9]{0,62}\Z")
_IS_API_VERSION = re.compile(r"[a-z0-9][a-z0-9./-]{0,316}\Z")


class ProtobufCodec:
    """The Codec of application/vnd.kubernetes.protobuf."""

    media_type = "application/vnd.kubernetes.protobuf"
    watch_media_type = "application/vnd.kubernetes.protobuf;stream=watch"

    # -- lists ---------------------------------------------------------------

    def split_list(self, body: bytes) -> ListParts:
        """Take a list answer apart; CodecError where it is none."""
        opened = _open(body)
        if not opened.kind.endswith("List") or opened.kind == "List":
            raise CodecError(f"a {opened.kind} is no list of one kind")
        meta: tuple[str, str] | None = None
        objects: list[Object] = []
        for tag, a, b in walk(body, opened.start, opened.end):
            if tag == _SECOND:
                objects.append(read_object(body[a:b]))
            elif tag == _META and meta is None:
                meta = list_meta(body, a, b)
            else:
                raise CodecError("a list with more than metadata and items")
        if meta is None:
            raise CodecError("a list without metadata")
        return ListParts(opened.kind, opened.api_version, "typed", *meta, objects)

    def list_reader(self, expected: Sequence[Object] = ()) -> ProtobufListReader:
        """Return what reads a list as it comes; its parts are those of `split_list`."""
        known = Expected(expected)
        return ProtobufListReader(MAGIC, self.split_list, read_object, known)

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
        content = [encode_bytes(1, page_protobuf(page))]
        for item in items:
            content += (encode_head(2, len(item)), item)
        return _enclosed(kind, api_version, content)

    # -- one object ----------------------------------------------------------

    def read_single(self, body: bytes) -> Single:
        """Take a single object's answer apart; CodecError for a Status too."""
        opened = _open(body)
        _check_object(opened.kind)
        found = read_object(body[opened.start : opened.end])
        return Single(opened.kind, opened.api_version, "typed", found)

    def write_single(
        self, *, kind: str, api_version: str, style: Style, data: bytes
    ) -> bytes:
        """Return the answer to a GET for the stored form."""
        return b"".join(_enclosed(kind, api_version, [data]))

    # -- watch ---------------------------------------------------------------

    def frames(self) -> ProtobufFrames:
        """Return a splitter for one watch stream."""
        return ProtobufFrames()

    def read_event(self, frame: bytes) -> Event:
        """Take one whole frame apart."""
        return (_event_of if len(frame) > REMEMBERED_BYTES else _event_again)(frame)

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
        return _frame(event_type, b"".join(_enclosed(kind, api_version, [data])))

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
        meta = b"".join(encode_text(number, "") for number in range(1, 6))
        meta += encode_text(6, resource_version)
        meta += encode_number(7, 0) + encode_bytes(8, b"")
        if initial_events_end:
            note = encode_text(1, END_ANNOTATION) + encode_text(2, "true")
            meta += encode_bytes(12, note)
        data = encode_bytes(1, meta)
        return _frame("BOOKMARK", b"".join(_enclosed(kind, api_version, [data])))

    def write_error(self, status: bytes) -> bytes:
        """Return an ERROR frame around a Status body."""
        return _frame("ERROR", status)

    # -- Status --------------------------------------------------------------

    def write_status(self, status: Mapping[str, object]) -> bytes:
        """Return a v1 Status as a body."""
        return b"".join(_enclosed("Status", "v1", [encode_status(status)]))

    def read_status(self, body: bytes) -> Mapping[str, object] | None:
        """Return a v1 Status body in its JSON form; None where it is none."""
        try:
            opened = _open(body)
            if (opened.kind, opened.api_version) != ("Status", "v1"):
                return None
            return decode_status(body, opened.start, opened.end)
        except CodecError:
            return None

    # -- selectors -----------------------------------------------------------

    def labels(self, data: bytes) -> Mapping[str, str]:
        """Return metadata.labels of a stored form."""
        return _map(data, _LABELS)

    def field(self, data: bytes, path: str, *, kind: str, api_version: str) -> str:
        """Return the value at a field-selector path, its default where it is unset.

        CodecError where a kind has no such selector: nobody may guess then.
        """
        found = selectable(path, kind=kind, api_version=api_version)
        for where in found.paths:
            numbers = _METADATA.get(where) or PATHS.get((api_version, kind, where))
            if numbers is None:
                raise CodecError(f"{where} of {api_version} {kind} is not known here")
            if value := _text_at(data, *numbers):
                return value
        return found.default


def unwrap(body: bytes) -> tuple[str, str, bytes]:
    """Return (kind, apiVersion, the object's bytes) of a body that a client sent.

    Unlike `read_single` it asks for nothing within: what is sent has no version yet.
    """
    opened = _open(body)
    return opened.kind, opened.api_version, body[opened.start : opened.end]


def _event_of(frame: bytes) -> Event:
    if int.from_bytes(frame[:PREFIX_BYTES], "big") != len(frame) - PREFIX_BYTES:
        raise CodecError("a frame of another length than it says")
    outer = only(frame, PREFIX_BYTES, len(frame), (_FIRST, _SECOND))
    event_type = text(frame, *outer[_FIRST])
    content = frame[slice(*only(frame, *outer[_SECOND], (_FIRST,))[_FIRST])]
    if event_type == "ERROR":
        return _error(ProtobufCodec().read_status(content))
    opened = _open(content)
    _check_object(opened.kind)
    inner, ends = content[opened.start : opened.end], False
    if event_type == "BOOKMARK":
        ends = _map(inner, _NOTES).get(END_ANNOTATION) == "true"
    found = read_object(inner, nameless=event_type == "BOOKMARK")
    return Event(event_type, opened.kind, opened.api_version, "typed", found, ends, 0)


_event_again = lru_cache(maxsize=1)(_event_of)


class _Opened(NamedTuple):
    """The content of an envelope: the object's bytes are [start, end)."""

    kind: str
    api_version: str
    start: int
    end: int


def _open(body: bytes) -> _Opened:
    """Open an envelope; CodecError where it is none, or holds another within."""
    if not body.startswith(MAGIC):
        raise CodecError("a body without the mark of Kubernetes' protobuf")
    outer = only(body, len(MAGIC), len(body), (_FIRST, _SECOND), also=(_THIRD, _FOURTH))
    for tag in (_THIRD, _FOURTH):
        start, end = outer.get(tag, (0, 0))
        if start != end:
            raise CodecError("an object in an encoding within the encoding")
    kind, api_version = _type_of(body[slice(*outer[_FIRST])])
    return _Opened(kind, api_version, *outer[_SECOND])


@lru_cache(maxsize=256)
def _type_of(content: bytes) -> tuple[str, str]:
    """Return (kind, apiVersion) of a TypeMeta: every event of a watch has the same."""
    found = only(content, 0, len(content), (_FIRST, _SECOND))
    api_version, kind = text(content, *found[_FIRST]), text(content, *found[_SECOND])
    if not _IS_KIND.match(kind) or not _IS_API_VERSION.match(api_version):
        raise CodecError(f"{api_version!r} {kind!r} is no kind")
    return kind, api_version


def _check_object(kind: str) -> None:
    if kind == "Status" or kind.endswith("List"):
        raise CodecError(f"a {kind} is no object")


def only(
    buffer: bytes,
    start: int,
    end: int,
    wanted: tuple[int, ...],
    *,
    also: tuple[int, ...] = (),
) -> dict[int, tuple[int, int]]:
    """Return where the fields of a message are; each of `wanted` exactly once.

    Any other but those of `also` is an error: what is unknown here may matter.
    """
    found: dict[int, tuple[int, int]] = {}
    for tag, a, b in walk(buffer, start, end):
        if tag in found or not (tag in wanted or tag in also):
            raise CodecError(f"unexpected protobuf field {tag >> 3}")
        found[tag] = (a, b)
    for tag in wanted:
        if tag not in found:
            raise CodecError("a protobuf message lacks a field")
    return found


def _enclosed(kind: str, api_version: str, content: list[bytes]) -> list[bytes]:
    """Return the envelope around an object's bytes, in pieces."""
    types = encode_text(1, api_version) + encode_text(2, kind)
    head = MAGIC + encode_bytes(1, types) + encode_head(2, sum(map(len, content)))
    return [head, *content, encode_bytes(3, b"") + encode_bytes(4, b"")]


def _frame(event_type: str, content: bytes) -> bytes:
    body = encode_text(1, event_type) + encode_bytes(2, encode_bytes(1, content))
    return len(body).to_bytes(PREFIX_BYTES, "big") + body


def _error(status: Mapping[str, object] | None) -> Event:
    code = status.get("code") if status else None
    number = code if isinstance(code, int) else 0
    return Event("ERROR", "Status", "v1", "typed", None, False, number)


def list_meta(body: bytes, start: int, end: int) -> tuple[str, str]:
    """Return (resourceVersion, continue); strict: shards have more fields."""
    found = only(body, start, end, (_SECOND,), also=(_FIRST, _THIRD, _REMAINING))
    version = text(body, *found[_SECOND])
    if parse_version(version) is None:
        raise CodecError("the resourceVersion of a list is no number")
    return version, text(body, *found.get(_THIRD, (0, 0)))


def read_object(content: bytes, *, nameless: bool = False) -> Object:
    start, end = _metadata(content)
    found: dict[int, str] = {}
    for tag, a, b in walk(content, start, end):
        if tag in _OF_OBJECT:
            if tag in found:
                raise CodecError(f"metadata has field {tag >> 3} twice")
            found[tag] = "" if tag == _DELETED else text(content, a, b)
    name, version = found.get(_NAME, ""), found.get(_VERSION, "")
    if not name and not nameless:
        raise CodecError("an object without a name")
    if parse_version(version) is None:
        raise CodecError(f"resourceVersion {version!r} is no number")
    namespace, uid = found.get(_NAMESPACE, ""), found.get(_UID, "")
    deleting = _DELETED in found
    ended = deleting and _is_ended(content, start, end)
    return Object(namespace, name, uid, version, deleting, content, ended)


def _is_ended(content: bytes, start: int, end: int) -> bool:
    """Say whether an object that is being deleted waits for nothing more."""
    grace = None
    for tag, value, _ in walk(content, start, end):
        if tag == _FINALIZERS:
            return False
        if tag == _GRACE:
            grace = value
    return grace == 0


def _metadata(content: bytes) -> tuple[int, int]:
    """Return where an object's metadata is."""
    found = None
    for tag, a, b in walk(content, 0, len(content)):
        if tag == _META:
            if found is not None:
                raise CodecError("an object with two metadata")
            found = (a, b)
    if found is None:
        raise CodecError("an object without metadata")
    return found


def _map(content: bytes, number: int) -> dict[str, str]:
    """Return a string map of an object's metadata, by its tag there."""
    found: dict[str, str] = {}
    for tag, start, end in walk(content, *_metadata(content)):
        if tag == number:
            entry = only(content, start, end, (), also=(_FIRST, _SECOND))
            key = text(content, *entry.get(_FIRST, (0, 0)))
            found[key] = text(content, *entry.get(_SECOND, (0, 0)))
    return found


_METADATA = {
    "metadata.name": ((1, 1), "string"),
    "metadata.namespace": ((1, 3), "string"),
}


def _text_at(data: bytes, numbers: tuple[int, ...], scalar: str) -> str:
    """Return the value at a path of field numbers, "" where it is not on the wire."""
    start, end = 0, len(data)
    for number in numbers[:-1]:
        place = _find(data, start, end, tag_of(number))
        if place is None:
            return ""
        start, end = place
    if scalar == "string":
        place = _find(data, start, end, tag_of(numbers[-1]))
        return "" if place is None else text(data, *place)
    place = _find(data, start, end, tag_of(numbers[-1], VARINT))
    if place is None:
        return ""
    value = signed(place[0])
    return str(value) if scalar == "int32" else "true" if value else "false"


def _find(data: bytes, start: int, end: int, wanted: int) -> tuple[int, int] | None:
    """Return the one field of a tag, None where there is none."""
    found = None
    for tag, a, b in walk(data, start, end):
        if tag == wanted:
            if found is not None:
                raise CodecError(f"protobuf field {tag >> 3} stands there twice")
            found = (a, b)
    return found
