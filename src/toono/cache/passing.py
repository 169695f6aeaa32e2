# SPDX-License-Identifier: Apache-2.0
"""A large list on its way to its client, read as it comes.

What is read while the server still writes need not be read at the end, for which the
client waits. Tables and what is written for people are gathered, and read at their end.
"""

from collections.abc import Mapping, Sequence

from toono.cache.coding import coding_of
from toono.cache.forms import is_table
from toono.cache.received import media_type_of
from toono.codec.base import ListParts, ListReader, Object
from toono.codec.registry import for_media_type
from toono.errors import CodecError

AS_PEOPLE_READ = b"{\n"
"""How indented JSON begins: it is written anew before it is read."""
BEGIN_BYTES = 512
"""By which it is chosen how a body is read."""


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
