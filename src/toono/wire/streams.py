# SPDX-License-Identifier: Apache-2.0
"""Bodies that flow: filled by a protocol, read by one reader, never larger than their
marks; and the gate that makes a writer wait while its transport is full."""

import asyncio
from collections import deque
from collections.abc import Callable

from toono.errors import WireError

HIGH_BYTES = 256 * 1024
PIECE_BYTES = 48
"""What a piece takes beside its bytes, so that tiny ones cannot fill the memory."""


class Incoming:
    """A body that a protocol feeds and one reader reads.

    Above `HIGH_BYTES` unread the sender is paused, resumed once they are read.
    """

    __slots__ = (
        "_closed",
        "_failure",
        "_on_close",
        "_over",
        "_pause",
        "_paused",
        "_pieces",
        "_size",
        "_started",
        "_waiter",
        "least",
        "length",
    )

    def __init__(
        self,
        length: int | None,
        *,
        pause: Callable[[bool], None],
        on_close: Callable[[], None] | None = None,
        started: Callable[[], None] | None = None,
    ) -> None:
        self.length = length
        self.least = 0
        """Bytes that a reader waits for, or the end: nobody reads half a list."""
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._over = False
        self._closed = False
        self._failure: WireError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._pause = pause
        self._paused = False
        self._on_close = on_close
        self._started = started

    # -- the protocol's side --------------------------------------------------

    def feed(self, piece: bytes) -> None:
        """Take a piece from the wire."""
        if self._closed:
            return
        self._pieces.append(piece)
        self._size += len(piece) + PIECE_BYTES
        if self._size > HIGH_BYTES and not self._paused:
            self._paused = True
            self._pause(True)
        if self._waiter is not None and self._size >= self.least:
            self._wake()

    def finish(self) -> None:
        """The last piece was fed: from here on the connection is not ours to hold."""
        self._over = True
        if self._paused:
            self._paused = False
            self._pause(False)
        if self._waiter is not None:
            self._wake()

    def fail(self, failure: WireError) -> None:
        """The body will never be whole; the reader hears it after what is here."""
        if not self._over:
            self._failure = failure
            self._wake()

    @property
    def is_over(self) -> bool:
        """All of the body has come from the wire."""
        return self._over

    @property
    def is_held(self) -> bool:
        """The sender waits for our reader, not we for the sender."""
        return self._paused or self._started is not None

    @property
    def unread(self) -> int:
        """Bytes of memory that wait for the reader."""
        return self._size

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # -- the reader's side ----------------------------------------------------

    async def read(self) -> bytes:
        if self._started is not None:
            started, self._started = self._started, None
            started()
        while True:
            if self._pieces and (self._size >= self.least or self._is_ended):
                return self._take()
            if self._failure is not None:
                raise self._failure
            if self._over or self._closed:
                return b""
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    @property
    def _is_ended(self) -> bool:
        """Nothing more comes."""
        return self._over or self._closed or self._failure is not None

    def whole(self) -> bytes | None:
        """Return all that nobody has read, where all has come; else None."""
        if not self._over:
            return None
        pieces = self._pieces
        content = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._size = 0
        return content

    def _take(self) -> bytes:
        """Return all that waits: a server's chunks may be as small as 2 KiB."""
        pieces = self._pieces
        piece = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._size = 0
        if self._paused:
            self._paused = False
            self._pause(False)
        return piece

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._pieces.clear()
        self._size = 0
        if self._paused:
            self._paused = False
            self._pause(False)
        if self._on_close is not None and not self._over:
            self._on_close()
        self._wake()


class Gate:
    """Lets a writer wait while its transport is full (pause_writing)."""

    __slots__ = ("_lent", "_lost", "_waiter", "is_open", "put", "wrote")

    def __init__(self) -> None:
        self._waiter: asyncio.Future[None] | None = None
        self._lost = False
        self._lent: Callable[[bytes], object] | None = None
        self.put: Callable[[bytes], object] | None = None
        """What was lent, while nothing is to be waited for."""
        self.is_open = True
        """Nothing is to be waited for: `passed` would return at once."""
        self.wrote = False
        """Something of a stream went out; who looks after deadlines takes it back. A
        mark is a fraction of what reading a clock for each piece would cost."""

    @property
    def is_shut(self) -> bool:
        """The transport is full."""
        return self._waiter is not None

    def lend(self, put: Callable[[bytes], object] | None) -> None:
        """Have others write to the transport, too, or no longer."""
        self._lent = put
        self.put = put if self.is_open else None

    def shut(self) -> None:
        """The transport is full."""
        if self._waiter is None:
            self._waiter = asyncio.get_running_loop().create_future()
            self.is_open = False
            self.put = None

    def open(self) -> None:
        """The transport takes bytes again."""
        waiter, self._waiter = self._waiter, None
        self.is_open = not self._lost
        self.put = self._lent if self.is_open else None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def lose(self) -> None:
        """The transport is gone: nobody waits for it any more."""
        self._lost = True
        self.open()

    async def passed(self) -> None:
        """Return once writing is welcome; ConnectionResetError where it is gone."""
        if self._waiter is not None:
            await asyncio.shield(self._waiter)
        if self._lost:
            raise ConnectionResetError("the peer is gone")
