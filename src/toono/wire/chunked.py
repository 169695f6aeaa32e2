# SPDX-License-Identifier: Apache-2.0
"""Chunked transfer coding of requests, read strictly (RFC 9112, 7.1).

No extension, no bare line end, no doubt: what two readers could frame in two ways is
refused before a byte of it goes on. Trailers are read and dropped.
"""

import re
from collections.abc import Callable

from toono.errors import RejectedRequestError

MAX_LINE_BYTES = 16
MAX_TRAILER_BYTES = 4096
_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}\Z")


class ChunkReader:
    """Takes bytes, gives the content of chunks; tells where the body ends."""

    __slots__ = ("_buffer", "_left", "_out", "_state")

    def __init__(self, out: Callable[[bytes], None]) -> None:
        self._out = out
        self._buffer = b""
        self._left = 0
        self._state = self._size_line

    def feed(self, piece: bytes) -> bytes | None:
        """Take bytes; return what follows the body's end, None while it goes on."""
        self._buffer += piece
        while True:
            step = self._state()
            if step is None:
                return None
            if not step:
                rest, self._buffer = self._buffer, b""
                return rest

    def _line(self, limit: int) -> bytes | None:
        end = self._buffer.find(b"\n", 0, limit + 2)
        if end < 0:
            if len(self._buffer) > limit:
                raise RejectedRequestError(400, "a chunk's line is too long")
            return None
        line = self._buffer[:end]
        if not line.endswith(b"\r") or b"\r" in line[:-1]:
            raise RejectedRequestError(400, "a bare line end in the chunked body")
        self._buffer = self._buffer[end + 1 :]
        return line[:-1]

    def _size_line(self) -> bool | None:
        line = self._line(MAX_LINE_BYTES)
        if line is None:
            return None
        if not _SIZE.match(line):
            raise RejectedRequestError(400, "a chunk's size is no plain hex number")
        self._left = int(line, 16)
        self._state = self._content if self._left else self._trailer
        return True

    def _content(self) -> bool | None:
        if not self._buffer:
            return None
        piece = self._buffer[: self._left]
        self._buffer = self._buffer[len(piece) :]
        self._left -= len(piece)
        self._out(piece)
        if self._left == 0:
            self._state = self._content_end
        return True

    def _content_end(self) -> bool | None:
        if len(self._buffer) < 2:
            if self._buffer and self._buffer != b"\r":
                raise RejectedRequestError(400, "a chunk is longer than its size")
            return None
        if not self._buffer.startswith(b"\r\n"):
            raise RejectedRequestError(400, "a chunk is longer than its size")
        self._buffer = self._buffer[2:]
        self._state = self._size_line
        return True

    def _trailer(self) -> bool | None:
        line = self._line(MAX_TRAILER_BYTES)
        if line is None:
            return None
        return line != b""
