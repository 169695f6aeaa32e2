# SPDX-License-Identifier: Apache-2.0
"""A large list on its way to its client: read as it comes, or told from the last one.

What is read while the server still writes need not be read at the end, for which the
client waits. A list that is at the very version of what is known is most likely the
last one again: it is compared, which costs a sixth, and read only if it is another.
"""

import zlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from toono.cache.echo import Fingerprint
from toono.cache.forms import is_table
from toono.cache.received import MAX_BODY_BYTES, media_type_of
from toono.codec.base import ListParts, ListReader, Object
from toono.codec.registry import for_media_type
from toono.errors import CodecError
from toono.kube.names import parse_version

AS_PEOPLE_READ = b"{\n"
"""How indented JSON begins: it is written anew before it is read."""
BEGIN_BYTES = 512
"""By which it is chosen how a body is read."""
Known = Callable[[int], bool]
"""Says whether a list at a version may be the last one again; 0 where none is told."""


class Coding(Protocol):
    """Takes the content coding off, piece by piece."""

    def feed(self, piece: bytes) -> bytes:
        """Return what a piece holds; CodecError where it is damaged."""
        ...

    @property
    def is_whole(self) -> bool: ...


class Plain:
    """No coding at all."""

    is_whole = True

    def feed(self, piece: bytes) -> bytes:
        return piece


class Gzip:
    """RFC 1952; a series of members is one body (2.2)."""

    def __init__(self, limit: int = MAX_BODY_BYTES) -> None:
        self._left = limit
        self._member = zlib.decompressobj(wbits=31)
        self._fed = False

    def feed(self, piece: bytes) -> bytes:
        found: list[bytes] = []
        try:
            while piece:
                if self._member.eof:
                    self._member = zlib.decompressobj(wbits=31)
                found.append(self._member.decompress(piece, self._left + 1))
                self._left -= len(found[-1])
                if self._left < 0:
                    raise CodecError("a body that unpacks to too much")
                piece = self._member.unused_data
        except zlib.error as exc:
            raise CodecError("a body that is not gzip") from exc
        return b"".join(found)

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

    `fields` are those of the answer to a list, None where it is read at its end. `known`
    says whether a list may be the last one again; of another, much is as `expected`.
    """

    __slots__ = (
        "_ahead",
        "_begin",
        "_coding",
        "_failure",
        "_hashes",
        "_is_begun",
        "_known",
        "_reader",
        "fingerprint",
        "pieces",
    )

    def __init__(
        self,
        fields: Mapping[bytes, bytes] | None,
        known: Known,
        expected: Sequence[Object] = (),
    ) -> None:
        self._known = known
        self._coding = coding_of(fields) if fields is not None else None
        self._ahead: deque[bytes] = deque()
        self._failure: CodecError | None = None
        codec = for_media_type(media_type_of(fields)) if fields is not None else None
        self._reader: ListReader | None = None
        if codec is not None and self._coding is not None:
            self._reader = codec.list_reader(expected)
        self._is_begun, self._hashes = self._reader is None, self._reader is None
        self._begin = b""
        self.fingerprint = Fingerprint()
        self.pieces: list[bytes] = []
        """All that came, unless it is read as it comes."""

    def ahead(self, piece: bytes) -> bytes:
        """Return what a piece holds that is fed later; nothing where it is damaged."""
        if self._coding is None or self._failure is not None:
            return b""
        try:
            text = self._coding.feed(piece)
        except CodecError as exc:
            self._failure = exc
            return b""
        if self._reader is not None:
            self._ahead.append(text)
        return text

    def feed(self, piece: bytes) -> None:
        """See a piece pass."""
        if self._hashes:
            self.fingerprint.feed(piece)
        if self._reader is None or not self._is_begun:
            self.pieces.append(piece)
        if self._reader is not None and self._failure is None:
            try:
                self._read(self._reader, piece)
            except CodecError as exc:
                self._failure = exc

    def _read(self, reader: ListReader, piece: bytes) -> None:
        assert self._coding is not None
        text = self._ahead.popleft() if self._ahead else self._coding.feed(piece)
        if self._is_begun:
            reader.feed(text)
            return
        self._begin += text
        if len(self._begin) >= BEGIN_BYTES:
            self._choose(reader)

    def _choose(self, reader: ListReader) -> None:
        """Read it as it comes, or not, by how it begins."""
        begin, self._begin, self._is_begun = self._begin, b"", True
        reader.feed(begin)
        version = parse_version(reader.version) or 0
        odd = begin.startswith(AS_PEOPLE_READ) or is_table(begin)
        if odd or self._known(version):
            self._reader = None
            self._ahead.clear()
        else:
            self._hashes = not version  # its end will tell what its head does not
        if self._hashes or self._reader is None:
            for piece in self.pieces:
                self.fingerprint.feed(piece)
            self._hashes = True
        if self._reader is not None:
            self.pieces.clear()

    @property
    def is_read(self) -> bool:
        """It is read as it comes: `parts` tells what it holds."""
        return self._reader is not None and self._is_begun

    @property
    def mark(self) -> bytes:
        """What tells the body from others, if that was looked for."""
        return self.fingerprint.mark if self._hashes else b""

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
