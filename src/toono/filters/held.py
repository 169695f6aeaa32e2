# SPDX-License-Identifier: Apache-2.0
"""Answers that are held while filters look at them, and the one room they share.

A list in protobuf says at its beginning how long it is, so what filters may change has
to be held until its end. Where it shows no mark of theirs it goes on in the very pieces
in which it came, never joined and never read. The room is one for all: many clients
with large answers at once get 429, and none of them the memory of the node.
"""

from collections.abc import Callable
from typing import NamedTuple

from toono.errors import RequestError
from toono.filters.sieve import Sieve
from toono.kube import status
from toono.wire.messages import Body, Response

ROOM_BYTES = 64 * 1024 * 1024
SMALL_BYTES = 64 * 1024
"""Of an answer that is not counted: a hundred of these are a tenth of the room."""
RETRY_SECONDS = 1
TOO_LARGE = "too large to filter"
NO_ROOM = "too many answers are being filtered, please try again later"


class Room:
    """Bytes of large answers that are held now."""

    def __init__(self, most: int = ROOM_BYTES) -> None:
        self.most = most
        self.held = 0

    def seat(self) -> "Seat":
        """Return the place of one answer."""
        return Seat(self)


class Seat:
    """How much of the room one answer takes; it grows, and is given back at once."""

    __slots__ = ("_counted", "_room", "_size")

    def __init__(self, room: Room) -> None:
        self._room = room
        self._size = 0
        self._counted = 0

    def grow(self, size: int) -> None:
        """Take more; RequestError 503 for what never fits, 429 for what does not now."""
        self._size += size
        if self._size > self._room.most:
            raise RequestError(503, "ServiceUnavailable", TOO_LARGE)
        if self._size <= SMALL_BYTES:
            return
        more = self._size - self._counted
        if self._room.held + more > self._room.most:
            raise status.refuse(status.too_many_requests(NO_ROOM, RETRY_SECONDS))
        self._room.held += more
        self._counted = self._size

    def leave(self) -> None:
        """Give all of it back."""
        self._room.held -= self._counted
        self._counted = self._size = 0


class Taken(NamedTuple):
    """A whole answer in the pieces in which it came."""

    pieces: list[bytes]
    marked: bool
    """A mark of the filters is somewhere in it."""


class HeldBody:
    """Pieces on their way to a client; what is written is held no longer."""

    def __init__(self, pieces: list[bytes], left: Callable[[], None]) -> None:
        self.length: int | None = sum(map(len, pieces))
        self._pieces = pieces[::-1]
        self._left = left

    async def read(self) -> bytes:
        """Return the next piece, b"" after the last."""
        return self._pieces.pop() if self._pieces else b""

    def close(self) -> None:
        """Hold nothing more."""
        self._pieces.clear()
        self._left()


async def take(response: Response, sieve: Sieve, seat: Seat) -> Taken:
    """Read an answer whole; its end is still what a recording waits for."""
    body: Body | None = response.body
    if body is None:
        content = response.content
        pieces = [content] if isinstance(content, bytes) else list(content)
        seat.grow(sum(map(len, pieces)))
        return Taken(pieces, _is_marked(sieve, pieces))
    pieces = []
    try:
        while piece := await body.read():
            seat.grow(len(piece))
            pieces.append(piece)
    finally:
        body.close()
    return Taken(pieces, _is_marked(sieve, pieces))


def _is_marked(sieve: Sieve, pieces: list[bytes]) -> bool:
    """Look at each piece, and at what stands across two."""
    if sieve.touches(*pieces):
        return True
    reach = sieve.reach
    before = b""
    for piece in pieces:
        if before and sieve.touches(before + piece[:reach]):
            return True
        before = (before + piece[-reach:])[-reach:]
    return False
