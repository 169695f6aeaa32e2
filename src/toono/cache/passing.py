# SPDX-License-Identifier: Apache-2.0
"""A large list on its way to its client, read as it comes.

What is read while the server still writes need not be read at the end, for which the
client waits. Tables and what is written for people are gathered, and read at their end.
"""

import zlib
from collections.abc import Mapping, Sequence
from typing import Protocol

from toono.cache.forms import is_table
from toono.cache.received import MAX_BODY_BYTES, media_type_of
from toono.codec.base import ListParts, ListReader, Object
from toono.codec.registry import for_media_type
from toono.errors import CodecError

AS_PEOPLE_READ = b"{\n"
"""How indented JSON begins: it is written anew before it is read."""
STEP_BYTES = 64 * 1024
"""Unpacked at a time: larger ones take fresh memory each, and a fault for each page."""
BEGIN_BYTES = 512
"""By which it is chosen how a body is read."""


class Coding(Protocol):
    """Takes the content coding off, piece by piece."""

    def feed(self, piece: bytes) -> list[bytes]:
        """Return what a piece holds; CodecError where it is damaged."""
        ...

    @property
    def is_whole(self) -> bool: ...


class Plain:
    """No coding at all."""

    is_whole = True

    def feed(self, piece: bytes) -> list[bytes]:
        return [piece]


class Gzip:
    """RFC 1952; a series of members is one body (2.2)."""

    def __init__(self, limit: int = MAX_BODY_BYTES) -> None:
        self._left = limit
        self._member = zlib.decompressobj(wbits=31)
        self._fed = False

    def feed(self, piece: bytes) -> list[bytes]:
        found: list[bytes] = []
        try:
            while piece:
                if self._member.eof:
                    self._member = zlib.decompressobj(wbits=31)
                found.append(self._member.decompress(piece, STEP_BYTES))
                self._left -= len(found[-1])
                if self._left < 0:
                    raise CodecError("a body that unpacks to too much")
                piece = self._member.unconsumed_tail or self._member.unused_data
        except zlib.error as exc:
            raise CodecError("a body that is not gzip") from exc
        return found

    @property
    def is_whole(self) -> bool:
        return self._member.eof


def coding_of(fields: Mapping[bytes, bytes]) -> Coding | None:
    """Return what takes an answer's coding off; None for one that nothing here knows."""
    coding = fields.get(b"content-encoding", b"").strip().lower()
    if coding in (b"", b"identity"):
        return Plain()
    return Gzip() if coding == b"gzip" else None


class Passing:
    """One answer, fed with the pieces of its body as they pass.

    `fields` are those of the answer to a list, None where it is read at its end. Much
    of it is as `expected`.
    """

    __slots__ = ("_begin", "_coding", "_failure", "_is_begun", "_reader", "pieces")

    def __init__(
        self, fields: Mapping[bytes, bytes] | None, expected: Sequence[Object] = ()
    ) -> None:
        self._coding = coding_of(fields) if fields is not None else None
        codec = for_media_type(media_type_of(fields)) if fields is not None else None
        self._reader: ListReader | None = None
        if codec is not None and self._coding is not None:
            self._reader = codec.list_reader(expected)
        self._failure: CodecError | None = None
        self._is_begun, self._begin = False, b""
        self.pieces: list[bytes] = []
        """All that came, unless it is read as it comes."""

    def feed(self, piece: bytes) -> None:
        """See a piece pass."""
        if not self.is_read:
            self.pieces.append(piece)
        if self._reader is None or self._coding is None or self._failure is not None:
            return
        try:
            for text in self._coding.feed(piece):
                self._read(text)
        except CodecError as exc:
            self._failure = exc

    def _read(self, text: bytes) -> None:
        """Read it as it comes, or not, by how it begins."""
        if self._is_begun:
            if self._reader is not None:
                self._reader.feed(text)
            return
        self._begin += text
        if len(self._begin) < BEGIN_BYTES:
            return
        begin, self._begin, self._is_begun = self._begin, b"", True
        if begin.startswith(AS_PEOPLE_READ) or is_table(begin):
            self._reader = None
        else:
            self.pieces.clear()
            self._read(begin)

    @property
    def is_read(self) -> bool:
        """It is read as it comes: `parts` tells what it holds."""
        return self._is_begun and self._reader is not None

    @property
    def recognised(self) -> int:
        """How many of those expected were there by now, by their uid."""
        return self._reader.recognised if self._reader is not None else 0

    @property
    def left(self) -> int:
        """Bytes that `parts` has to read."""
        return self._reader.left if self._reader is not None else 0

    def parts(self) -> ListParts:
        """Return the parts of the list, after its end; CodecError where it is none."""
        assert self._reader is not None
        assert self._coding is not None
        if self._failure is not None:
            raise self._failure
        if not self._coding.is_whole:
            raise CodecError("a body that ends within its gzip coding")
        return self._reader.finish()
