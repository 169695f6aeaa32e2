# SPDX-License-Identifier: Apache-2.0
"""Filters over whole answers: lists, single objects, and watches frame by frame.

An answer without any mark of its filters goes on as it is, and of an answer with one
only what changes is made anew: the rest, a list's own metadata and what nobody knows
too, keeps its bytes. Who asks, and what the filters know, is not known here.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
from msgspec import Raw

from toono.codec.base import Codec, FrameSplitter
from toono.codec.json_strict import read
from toono.codec.protobuf import MAGIC
from toono.codec.protobuf_frames import PREFIX_BYTES
from toono.errors import CodecError
from toono.filters.base import Filter
from toono.filters.fields import (
    FORMS,
    Field,
    Fields,
    change_each,
    change_inner,
)
from toono.wire.messages import Body

log = logging.getLogger(__name__)

ITEMS = Field("items", 2)
_RAW = Field("raw", 2)
_TYPE, _OBJECT, _CONTENT = Field("type", 1), Field("object", 2), Field("raw", 1)
_EVENTS = ("ADDED", "MODIFIED", "DELETED")
_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Sieve:
    """The filters of one question, in order."""

    filters: tuple[Filter, ...]

    def touches(self, *pieces: bytes) -> bool:
        """Say whether an answer may hold what a filter changes."""
        for one in self.filters:
            marks = one.marks
            if not marks or any(mark in piece for piece in pieces for mark in marks):
                return True
        return False

    @property
    def reach(self) -> int:
        """How many bytes of a mark may stand in the piece before."""
        lengths = [len(mark) for one in self.filters for mark in one.marks]
        return max(max(lengths, default=1) - 1, 1)

    def sift(self, fields: Fields, data: bytes) -> bytes | None:
        """Return what is left of one object; it stays as it is where it is unreadable.

        Who could read what these cannot is nobody: a client decodes the same bytes.
        """
        if not self.touches(data):
            return data
        found: bytes | None = data
        try:
            for one in self.filters:
                if found is None:
                    return None
                found = one(fields, found)
        except CodecError as exc:
            log.warning("an object is passed unfiltered", extra={"err": str(exc)})
            return data
        return found

    def single(self, media_type: str, body: bytes) -> bytes:
        """Return the answer to a GET or a write; no filter of those drops an object."""
        if not self.touches(body):
            return body
        fields = FORMS[media_type]
        return _whole(
            media_type, fields, body, lambda one: self.sift(fields, one) or one
        )

    def listed(self, media_type: str, body: bytes) -> bytes:
        """Return the answer to a LIST; CodecError where it is none."""
        if not self.touches(body):
            return body
        fields = FORMS[media_type]

        def items(one: bytes) -> bytes:
            return change_each(fields, one, ITEMS, lambda it: self.sift(fields, it))

        return _whole(media_type, fields, body, items)

    def event(self, media_type: str, frame: bytes) -> bytes:
        """Return one watch frame; DELETED where a filter drops its object."""
        if not self.touches(frame):
            return frame
        return _FRAMES[media_type](self, frame)


def _whole(
    media_type: str, fields: Fields, body: bytes, change: Callable[[bytes], bytes]
) -> bytes:
    """Change the object of a body, whatever stands around it."""
    if media_type == _JSON:
        changed = change(body)
        # Members are joined without the newline that ends an API server's answer.
        return body if changed is body else changed + body[len(body.rstrip()) :]
    if not body.startswith(MAGIC):
        raise CodecError("a body without the mark of Kubernetes' protobuf")
    inner = body[len(MAGIC) :]
    changed = change_inner(fields, inner, _RAW, change)
    return body if changed is inner else MAGIC + changed


class _Frame(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    object: Raw


_decode_frame = msgspec.json.Decoder(_Frame).decode


def _json_event(sieve: Sieve, frame: bytes) -> bytes:
    event = read(_decode_frame, frame)
    if event.type not in _EVENTS:
        return frame
    data = bytes(event.object)
    after = sieve.sift(FORMS[_JSON], data)
    if after is data:
        return frame
    event_type, data = ("DELETED", data) if after is None else (event.type, after)
    return b'{"type":"%b","object":%b}\n' % (event_type.encode(), data)


def _protobuf_event(sieve: Sieve, frame: bytes) -> bytes:
    media_type = "application/vnd.kubernetes.protobuf"
    fields = FORMS[media_type]
    event = frame[PREFIX_BYTES:]
    if fields.text(event, _TYPE) not in _EVENTS:
        return frame
    dropped = False

    def sift(data: bytes) -> bytes:
        nonlocal dropped
        after = sieve.sift(fields, data)
        dropped = after is None
        return data if after is None else after

    def content(raw: bytes) -> bytes:
        return change_inner(
            fields, raw, _CONTENT, lambda one: _whole(media_type, fields, one, sift)
        )

    changed = change_inner(fields, event, _OBJECT, content)
    if dropped:
        changed = fields.put_text(event, _TYPE, "DELETED")
    if changed is event:
        return frame
    return len(changed).to_bytes(PREFIX_BYTES, "big") + changed


_FRAMES: Mapping[str, Callable[[Sieve, bytes], bytes]] = {
    _JSON: _json_event,
    "application/vnd.kubernetes.protobuf": _protobuf_event,
}


class SiftedWatch:
    """A watch's body with each frame filtered; it can be ended from outside.

    A stream that cannot be cut into frames ends: its client lists again, and never
    sees what it should not.
    """

    length: int | None = None

    def __init__(
        self,
        inner: Body,
        sieve: Sieve,
        codec: Codec,
        *,
        closed: Callable[["SiftedWatch"], None],
    ) -> None:
        self._inner = inner
        self._sieve = sieve
        self.codec = codec
        self._splitter: FrameSplitter = codec.frames()
        self._closed = closed
        self._last = b""
        self._over = False

    async def read(self) -> bytes:
        """Return the next frames as this reader may see them."""
        while not self._over:
            piece = await self._inner.read()
            if self._last or not piece:
                self._over = True
                return self._last
            try:
                out = self._sifted(self._splitter.feed(piece))
            except CodecError as exc:
                log.warning("a watch that cannot be filtered ends", exc_info=exc)
                self.close()
                return b""
            if out:
                return out
        return b""

    def _sifted(self, frames: Sequence[bytes]) -> bytes:
        media_type = self.codec.media_type
        return b"".join([self._sieve.event(media_type, one) for one in frames])

    def end(self, error: bytes) -> None:
        """End the stream with an ERROR frame, after what was already read of it."""
        self._last = error
        self._inner.close()

    def close(self) -> None:
        """Read no more."""
        self._over = True
        self._inner.close()
        self._closed(self)
