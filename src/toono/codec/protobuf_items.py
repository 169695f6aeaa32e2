# SPDX-License-Identifier: Apache-2.0
"""The items of a protobuf list, one by one as its bytes come. No socket, no clock."""

from collections.abc import Iterator
from typing import NamedTuple

from toono.codec.base import Object
from toono.codec.protobuf import MAGIC, list_meta, only, read_object
from toono.codec.wireformat import tag_of, text, varint
from toono.errors import CodecError

_FIRST, _SECOND = tag_of(1), tag_of(2)
_SIZE_BYTES = 6
"""Of an item's tag and size, at most; none is longer than its list."""


class Head(NamedTuple):
    """What stands before the items, and where those are."""

    kind: str
    resource_version: str
    continue_token: str
    start: int
    size: int


def read_head(body: bytes) -> Head:
    """Read the beginning of a list; CodecError where it is none, or less is here."""
    try:
        if not body.startswith(MAGIC) or body[len(MAGIC)] != _FIRST:
            raise CodecError("no list of Kubernetes' protobuf")
        size, at = varint(body, len(MAGIC) + 1, len(body))
        types = only(body, at, at + size, (_FIRST, _SECOND))
        at += size
        if body[at] != _SECOND:
            raise CodecError("an envelope in another order")
        size, at = varint(body, at + 1, len(body))
        end = at + size
        if body[at] != _FIRST:
            raise CodecError("a list that does not begin with its metadata")
        size, at = varint(body, at + 1, len(body))
        version, more = list_meta(body, at, at + size)
    except IndexError as exc:
        raise CodecError("less than the head of a list") from exc
    at += size
    if at > min(end, len(body)):
        raise CodecError("less than the head of a list")
    return Head(text(body, *types[_SECOND]), version, more, at, end - at)


class ProtobufItems:
    """Fed with the bytes that follow a list's head; `size` of them are its items."""

    __slots__ = ("_left", "_rest")

    def __init__(self, size: int) -> None:
        self._left = size
        self._rest = b""

    @property
    def is_whole(self) -> bool:
        """All items have come."""
        return self._left == 0

    def feed(self, piece: bytes) -> Iterator[Object]:
        """Yield the items that are now whole; CodecError for what is none."""
        body = self._rest + piece if self._rest else piece
        at, end = 0, min(len(body), self._left)
        while at < end:
            if body[at] != _SECOND:
                raise CodecError("a list with more than metadata and items")
            if end - at < min(_SIZE_BYTES, self._left):
                break
            size, begin = varint(body, at + 1, end)
            after = begin + size
            if after > at + self._left:
                raise CodecError("an item longer than its list")
            if after > end:
                break
            yield read_object(body[begin:after])
            self._left -= after - at
            at = after
        self._rest = body[at:end]
