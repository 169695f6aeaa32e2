# SPDX-License-Identifier: Apache-2.0
"""Kubernetes' protobuf: lists and watch frames cut into objects by field number.

An object is `k8s\\0` and a runtime.Unknown {1: TypeMeta {1 apiVersion, 2 kind}, 2: the
object, 3 contentEncoding, 4 contentType}. ObjectMeta is field 1 of every object,
ListMeta field 1 and the items field 2 of every list: enough to cut and join without
a schema. Only built-in kinds travel so, hence one style: "typed".
"""

from collections.abc import Iterable, Mapping
from typing import Any

from toono.codec.base import Event, ListParts, Object, Single, Style
from toono.codec.paths import PATHS
from toono.codec.wireformat import (
    BYTES,
    VARINT,
    Field,
    encode_bytes,
    encode_number,
    encode_varint,
    text,
    walk,
)
from toono.errors import CodecError
from toono.kube.names import parse_version

MAGIC = b"k8s\0"
MAX_FRAME_BYTES = 16 * 1024 * 1024
END_ANNOTATION = "k8s.io/initial-events-end"
METADATA, ITEMS = 1, 2
NAME, NAMESPACE, UID, RESOURCE_VERSION = 1, 3, 5, 6
DELETION_TIMESTAMP, LABELS, ANNOTATIONS = 9, 11, 12
_META_TEXTS = frozenset({NAME, NAMESPACE, UID, RESOURCE_VERSION})


class ProtobufCodec:
    """The Codec of application/vnd.kubernetes.protobuf."""

    media_type = "application/vnd.kubernetes.protobuf"
    watch_media_type = "application/vnd.kubernetes.protobuf;stream=watch"

    # -- lists ---------------------------------------------------------------

    def split_list(self, body: bytes) -> ListParts:
        """Take a list answer apart; CodecError where it is none."""
        kind, api_version, start, end = _open(body)
        if not kind.endswith("List"):
            raise CodecError(f"a {kind} is no list of objects")
        version = token = ""
        items: list[Object] = []
        for field in walk(body, start, end):
            if field.number == METADATA and field.wire_type == BYTES:
                version, token = _list_meta(body, field)
            elif field.number == ITEMS and field.wire_type == BYTES:
                items.append(_object(body[field.start : field.end]))
        return ListParts(kind, api_version, "typed", version, token, items)

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
        meta = (
            encode_bytes(1, b"")
            + encode_bytes(2, resource_version.encode())
            + encode_bytes(3, b"")
        )
        content = [encode_bytes(METADATA, meta)]
        content += [encode_bytes(ITEMS, item) for item in items]
        return _close(kind, api_version, content)

    # -- one object ----------------------------------------------------------

    def read_single(self, body: bytes) -> Single:
        """Take a single object's answer apart; CodecError for a Status too."""
        kind, api_version, start, end = _open(body)
        if kind == "Status" or kind.endswith("List"):
            raise CodecError(f"a {kind} is no object")
        return Single(kind, api_version, "typed", _object(body[start:end]))

    def write_single(
        self, *, kind: str, api_version: str, style: Style, data: bytes
    ) -> bytes:
        """Return the answer to a GET for the stored form."""
        return b"".join(_close(kind, api_version, [data]))

    # -- watch ---------------------------------------------------------------

    def frames(self) -> "ProtobufFrames":
        """Return a splitter for one watch stream."""
        return ProtobufFrames()

    def read_event(self, frame: bytes) -> Event:
        """Take one whole frame apart."""
        event_type, content = "", b""
        for field in walk(frame, 4, len(frame)):
            if field.number == 1:
                event_type = text(frame, field)
            elif field.number == 2 and field.wire_type == BYTES:
                content = _raw(frame, field)
        kind, api_version, start, end = _open(content)
        if event_type == "ERROR":
            status = self.read_status(content) or {}
            code = status.get("code")
            number = code if isinstance(code, int) else 0
            return Event("ERROR", kind, api_version, "typed", None, False, number)
        inner = content[start:end]
        bookmark = event_type == "BOOKMARK"
        found = _object(inner, nameless=bookmark)
        ends = bookmark and _map(inner, ANNOTATIONS).get(END_ANNOTATION) == "true"
        return Event(event_type, kind, api_version, "typed", found, ends, 0)

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
        content = self.write_single(
            kind=kind, api_version=api_version, style=style, data=data
        )
        return _frame(event_type, content)

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
        meta = encode_bytes(RESOURCE_VERSION, resource_version.encode())
        if initial_events_end:
            note = encode_bytes(1, END_ANNOTATION.encode()) + encode_bytes(2, b"true")
            meta += encode_bytes(ANNOTATIONS, note)
        data = encode_bytes(METADATA, meta)
        return self.write_event(
            event_type="BOOKMARK",
            kind=kind,
            api_version=api_version,
            style=style,
            data=data,
        )

    def write_error(self, status: bytes) -> bytes:
        """Return an ERROR frame around a Status body."""
        return _frame("ERROR", status)

    # -- Status --------------------------------------------------------------

    def write_status(self, status: Mapping[str, object]) -> bytes:
        """Return a v1 Status as a body."""
        texts = [str(status.get(key, "")) for key in ("status", "message", "reason")]
        empty = encode_bytes(1, b"") + encode_bytes(2, b"") + encode_bytes(3, b"")
        content = [encode_bytes(1, empty)]
        content += [encode_bytes(n, t.encode()) for n, t in enumerate(texts, 2)]
        details = status.get("details")
        if isinstance(details, Mapping):
            content.append(encode_bytes(5, _details(details)))
        code = status.get("code", 0)
        assert isinstance(code, int)
        content.append(encode_number(6, code))
        return b"".join(_close("Status", "v1", content))

    def read_status(self, body: bytes) -> Mapping[str, object] | None:
        """Return a v1 Status body in its JSON form; None where it is none."""
        try:
            kind, api_version, start, end = _open(body)
            if kind != "Status":
                return None
            status: dict[str, object] = {"kind": kind, "apiVersion": api_version}
            names = {2: "status", 3: "message", 4: "reason"}
            for field in walk(body, start, end):
                if field.number in names:
                    status[names[field.number]] = text(body, field)
                elif field.number == 5:
                    status["details"] = _read_details(body, field)
                elif field.number == 6 and field.wire_type == VARINT:
                    status["code"] = field.start
        except CodecError:
            return None
        return status

    # -- selectors -----------------------------------------------------------

    def labels(self, data: bytes) -> Mapping[str, str]:
        """Return metadata.labels of a stored form."""
        return _map(data, LABELS)

    def field(self, data: bytes, path: str, *, kind: str, api_version: str) -> str:
        """Return the value at a field-selector path, "" where it is not set.

        CodecError for a path that the table does not hold: nobody guesses.
        """
        if path in ("metadata.name", "metadata.namespace"):
            found = _object(data)
            return found.name if path == "metadata.name" else found.namespace
        known = PATHS.get((api_version, kind, path))
        if known is None:
            raise CodecError(f"{path} of a {kind} is not known in protobuf")
        numbers, scalar = known
        start, end = 0, len(data)
        for number in numbers[:-1]:
            inner = _last(data, start, end, number)
            if inner is None:
                return _absent(scalar)
            start, end = inner.start, inner.end
        last = _last(data, start, end, numbers[-1])
        if last is None:
            return _absent(scalar)
        if scalar == "string":
            return text(data, last)
        if last.wire_type != VARINT:
            raise CodecError(f"{path} of a {kind} is no plain value")
        if scalar == "bool":
            return "true" if last.start else "false"
        return str(last.start)


class ProtobufFrames:
    """Cuts a stream of length-prefixed frames."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    @property
    def pending(self) -> bytes:
        """Bytes of a frame that is not whole yet."""
        return self._rest

    def feed(self, piece: bytes) -> list[bytes]:
        """Take bytes; return the frames that are now whole."""
        buffer = self._rest + piece
        frames: list[bytes] = []
        at = 0
        while len(buffer) - at >= 4:
            size = int.from_bytes(buffer[at : at + 4], "big")
            if size > MAX_FRAME_BYTES:
                raise CodecError(f"a watch frame is longer than {MAX_FRAME_BYTES}")
            if len(buffer) - at - 4 < size:
                break
            frames.append(buffer[at : at + 4 + size])
            at += 4 + size
        self._rest = buffer[at:]
        return frames


def _open(body: bytes) -> tuple[str, str, int, int]:
    """Return (kind, apiVersion, start, end) of the object in an envelope."""
    if not body.startswith(MAGIC):
        raise CodecError("a body without the mark of Kubernetes' protobuf")
    kind = api_version = ""
    start = end = -1
    for field in walk(body, len(MAGIC), len(body)):
        if field.number == 1 and field.wire_type == BYTES:
            for inner in walk(body, field.start, field.end):
                if inner.number == 1:
                    api_version = text(body, inner)
                elif inner.number == 2:
                    kind = text(body, inner)
        elif field.number == 2 and field.wire_type == BYTES:
            start, end = field.start, field.end
        elif field.number in (3, 4) and field.end > field.start:
            raise CodecError("an object in an encoding within the encoding")
    if not kind or not api_version or start < 0:
        raise CodecError("an envelope without kind or object")
    return kind, api_version, start, end


def _close(kind: str, api_version: str, content: list[bytes]) -> list[bytes]:
    """Return the envelope around an object's bytes, in pieces."""
    types = encode_bytes(1, api_version.encode()) + encode_bytes(2, kind.encode())
    size = sum(map(len, content))
    head = MAGIC + encode_bytes(1, types)
    head += encode_varint(2 << 3 | BYTES) + encode_varint(size)
    return [head, *content, encode_bytes(3, b"") + encode_bytes(4, b"")]


def _frame(event_type: str, content: bytes) -> bytes:
    body = encode_bytes(1, event_type.encode())
    body += encode_bytes(2, encode_bytes(1, content))
    return len(body).to_bytes(4, "big") + body


def _raw(frame: bytes, extension: Field) -> bytes:
    for field in walk(frame, extension.start, extension.end):
        if field.number == 1 and field.wire_type == BYTES:
            return frame[field.start : field.end]
    raise CodecError("an event without an object")


def _list_meta(body: bytes, meta: Field) -> tuple[str, str]:
    version = token = ""
    for field in walk(body, meta.start, meta.end):
        if field.number == 2:
            version = text(body, field)
        elif field.number == 3:
            token = text(body, field)
        elif field.number > 4:
            raise CodecError("list metadata of an unknown kind, as shards have")
    return version, token


def _object(content: bytes, *, nameless: bool = False) -> Object:
    meta = _last(content, 0, len(content), METADATA)
    if meta is None or meta.wire_type != BYTES:
        raise CodecError("an object without metadata")
    found = dict.fromkeys(_META_TEXTS, "")
    deleting = False
    for field in walk(content, meta.start, meta.end):
        if field.number in _META_TEXTS:
            found[field.number] = text(content, field)
        elif field.number == DELETION_TIMESTAMP:
            deleting = True
    if parse_version(found[RESOURCE_VERSION]) is None:
        raise CodecError(f"resourceVersion {found[RESOURCE_VERSION]!r} is no number")
    if not found[NAME] and not nameless:
        raise CodecError("an object without a name")
    return Object(
        found[NAMESPACE],
        found[NAME],
        found[UID],
        found[RESOURCE_VERSION],
        deleting,
        content,
    )


def _last(content: bytes, start: int, end: int, number: int) -> Field | None:
    """Return the last field of a number: the one that counts on the wire."""
    found = None
    for field in walk(content, start, end):
        if field.number == number:
            found = field
    return found


def _map(content: bytes, number: int) -> dict[str, str]:
    """Return a string map of an object's metadata."""
    meta = _last(content, 0, len(content), METADATA)
    found: dict[str, str] = {}
    if meta is None:
        return found
    for entry in walk(content, meta.start, meta.end):
        if entry.number != number or entry.wire_type != BYTES:
            continue
        key = value = ""
        for field in walk(content, entry.start, entry.end):
            if field.number == 1:
                key = text(content, field)
            elif field.number == 2:
                value = text(content, field)
        found[key] = value
    return found


def _absent(scalar: str) -> str:
    """Return what the API server makes of a field that is not on the wire."""
    return {"string": "", "bool": "false"}.get(scalar, "0")


_DETAILS = ((1, "name"), (2, "group"), (3, "kind"))


def _details(details: Mapping[str, Any]) -> bytes:
    content = b"".join(
        encode_bytes(number, str(details.get(key, "")).encode())
        for number, key in _DETAILS
    )
    for cause in details.get("causes", ()):
        texts = (cause.get(key, "") for key in ("reason", "message", "field"))
        inner = b"".join(encode_bytes(n, t.encode()) for n, t in enumerate(texts, 1))
        content += encode_bytes(4, inner)
    content += encode_number(5, int(details.get("retryAfterSeconds", 0)))
    return content + encode_bytes(6, str(details.get("uid", "")).encode())


def _read_details(body: bytes, details: Field) -> dict[str, object]:
    names = dict(_DETAILS)
    return {
        names[field.number]: text(body, field)
        for field in walk(body, details.start, details.end)
        if field.number in names
    }
