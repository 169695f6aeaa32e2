# SPDX-License-Identifier: Apache-2.0
"""One reader of a shared watch: its own queue, and an end that harms nobody else."""

import asyncio
from collections import deque
from collections.abc import Callable

from toono.wire.messages import Outlet

MAX_FRAMES = 200
MAX_BYTES = 1024 * 1024
"""What a reader may be behind; then it is cut, and comes back from where it was."""


class SharedStream:
    """The body of one reader's watch."""

    __slots__ = (
        "_closed",
        "_direct",
        "_first",
        "_frames",
        "_left",
        "_over",
        "_ready",
        "_size",
        "_waiter",
        "bookmarks",
        "length",
        "slow",
        "until",
    )

    def __init__(
        self,
        first: list[bytes],
        *,
        until: float,
        bookmarks: bool,
        left: Callable[["SharedStream"], None],
    ) -> None:
        self.length: int | None = None
        self.until = until
        self.bookmarks = bookmarks
        self.slow = False
        self._first = b"".join(first)
        self._frames: deque[bytes] = deque()
        self._size = 0
        self._left = left
        self._waiter: asyncio.Future[None] | None = None
        self._over = False
        self._closed = False
        self._direct: Outlet | None = None
        self._ready: Outlet | None = None
        """The way past the reader, while it waits and nothing is queued for it."""

    # -- the state's side --------------------------------------------------------

    def push(self, frame: bytes, framed: bytes) -> None:
        """Take a frame, beside it as a chunk; a reader that is too far behind is cut.

        While the reader waits for one the chunk goes out at once: a thousand readers
        are not a thousand tasks to wake, and all of them get the very same bytes.
        """
        outlet = self._ready
        if outlet is not None and (put := outlet.put) is not None:
            put(framed)
            outlet.wrote = True
            return
        if self._over:
            return
        self._frames.append(frame)
        self._size += len(frame)
        if len(self._frames) > MAX_FRAMES or self._size > MAX_BYTES:
            self.slow = True
            self._frames.clear()
            self._size = 0
            self._over = True
        self._wake()

    def end(self, last: bytes = b"") -> None:
        """Let the reader have what waits for it, and `last`, and no more."""
        if last and not self._over:
            self._frames.append(last)
        self._over = True
        self._wake()

    def _wake(self) -> None:
        self._ready = None
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # -- the reader's side -------------------------------------------------------

    def attach(self, outlet: Outlet) -> None:
        """Have what comes while the reader waits written without it."""
        self._direct = outlet

    async def read(self) -> bytes:
        """Return what has come since, all at once; b"" at the end."""
        if self._first:
            first, self._first = self._first, b""
            return first
        while True:
            if self._frames:
                frames = b"".join(self._frames)
                self._frames.clear()
                self._size = 0
                return frames
            if self._over or self._closed:
                return b""
            self._waiter = asyncio.get_running_loop().create_future()
            self._ready = self._direct
            try:
                await self._waiter
            finally:
                self._waiter = self._ready = None

    def close(self) -> None:
        """The reader leaves."""
        if self._closed:
            return
        self._closed = True
        self._direct = None
        self._frames.clear()
        self._first = b""
        self._left(self)
        self._wake()
