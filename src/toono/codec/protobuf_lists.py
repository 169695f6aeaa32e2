# SPDX-License-Identifier: Apache-2.0
"""A list in Kubernetes' protobuf, taken apart while it comes.

Each item tells its size, so it is read as soon as it is whole; one that is known, byte
for byte, is not read again. What stands around the items is read at the end as a list
without any, by the code that reads a list at once.
"""

from collections.abc import Callable

from toono.codec.base import ListParts, Object
from toono.codec.expected import Expected
from toono.codec.wireformat import encode_bytes, tag_of, varint
from toono.errors import CodecError

HEAD_BYTES = 4096
"""A list's head is no longer."""
_FIRST, _SECOND = tag_of(1), tag_of(2)
_MEASURE_BYTES = 20
"""Of a field's tag and size, at most (two varints)."""


class ProtobufListReader:
    """Fed with the pieces of a list's body; its parts are those of the whole body.

    `split` reads a list at once, `take` an item. Both raise CodecError for what is none.
    """

    def __init__(
        self,
        magic: bytes,
        split: Callable[[bytes], ListParts],
        take: Callable[[bytes], Object],
        expected: Expected,
    ) -> None:
        self._magic, self._split = magic, split
        self._take, self._expected = take, expected
        self._begun = False
        self._head = b""
        """Up to the list itself."""
        self._meta = b""
        self._items = 0
        """Bytes of items that are to come."""
        self._needed = 0
        """How much there must be before the next item is whole, at least."""
        self._objects: list[Object] = []
        self._rest: list[bytes] = []
        self._failure: CodecError | None = None

    @property
    def left(self) -> int:
        """Bytes that will be read at the end."""
        return sum(map(len, self._rest))

    @property
    def recognised(self) -> int:
        """How many of those expected were there, by their uid."""
        return self._expected.seen

    def feed(self, piece: bytes) -> None:
        """Take the next piece."""
        if self._failure is not None:
            return
        self._rest.append(piece)
        self._needed -= len(piece)
        if not self._begun:
            self._begin()
        elif self._head and self._needed <= 0:
            self._cut()

    def _begin(self) -> None:
        body = b"".join(self._rest)
        try:
            at = self._read_head(body)
        except (CodecError, IndexError):  # it is none, or longer than what came
            self._begun = len(body) >= HEAD_BYTES
            return
        self._begun = True
        self._rest = [body[at:]]
        self._cut()

    def _read_head(self, body: bytes) -> int:
        """Read up to the first item; return where it begins."""
        at = len(self._magic)
        if not body.startswith(self._magic) or body[at] != _FIRST:
            raise CodecError("no list as an API server writes it")
        size, at = varint(body, at + 1, len(body))
        envelope = at + size
        if body[envelope] != _SECOND:
            raise CodecError("an envelope in another order")
        size, start = varint(body, envelope + 1, len(body))
        if body[start] != _FIRST:
            raise CodecError("a list that does not begin with its metadata")
        long, at = varint(body, start + 1, len(body))
        after = at + long
        if not after <= min(start + size, len(body)):
            raise CodecError("less than the head of a list")
        self._head, self._meta = body[:envelope], body[start:after]
        self._items = start + size - after
        return after

    def _cut(self) -> None:
        """Take the items that are whole out of the rest."""
        body = b"".join(self._rest)
        at, end = 0, min(len(body), self._items)
        self._needed = 0
        try:
            while at < end:
                if end - at < min(_MEASURE_BYTES, self._items - at):
                    break
                tag, begin = varint(body, at, end)
                if tag != _SECOND:
                    raise CodecError("a list with more than metadata and items")
                size, begin = varint(body, begin, end)
                after = begin + size
                if after > self._items:
                    raise CodecError("an item longer than its list")
                if after > end:
                    self._needed = after - end
                    break
                self._objects.append(self._read(body, begin, after))
                at = after
        except CodecError as exc:
            self._failure, self._objects, self._rest = exc, [], []
            return
        self._items -= at
        self._rest = [body[at:]]

    def _read(self, body: bytes, begin: int, end: int) -> Object:
        content, known = body[begin:end], self._expected.next
        if known is not None and known.data == content:
            self._expected.step()
            return known
        found = self._take(content)
        self._expected.passed_by(found)
        return found

    def finish(self) -> ListParts:
        """Return the list's parts; CodecError where it is none."""
        if self._failure is not None:
            raise self._failure
        rest = b"".join(self._rest)
        if not self._head:
            return self._split(rest)
        if self._items:
            raise CodecError("a body that ends within its list")
        parts = self._split(self._head + encode_bytes(2, self._meta) + rest)
        return parts._replace(items=self._objects)
