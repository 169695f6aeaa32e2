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
    """Takes bytes, gives the content of chunks; tells where the body ends.

    Of each piece it takes, the content is given at once and joined: a flood of tiny
    chunks costs no more than their bytes.
    """

    __slots__ = ("_at", "_buffer", "_found", "_left", "_out", "_state", "_trailer_left")

    def __init__(self, out: Callable[[bytes], None]) -> None:
        self._out = out
        self._buffer = b""
        self._at = 0
        self._left = 0
        self._trailer_left = MAX_TRAILER_BYTES
        self._found: list[bytes] = []
        self._state = self._size_line

    def feed(self, piece: bytes) -> bytes | None:
        """Take bytes; return what follows the body's end, None while it goes on."""
        self._buffer = self._buffer + piece if self._buffer else piece
        self._at = 0
        try:
            while step := self._state():
                pass
        finally:
            self._buffer = self._buffer[self._at :]
            if self._found:
                found, self._found = self._found, []
                self._out(b"".join(found))
        if step is None:
            return None
        rest, self._buffer = self._buffer, b""
        return rest

    def _line(self, limit: int) -> bytes | None:
        end = self._buffer.find(b"\n", self._at, self._at + limit + 2)
        if end < 0:
            if len(self._buffer) - self._at > limit + 1:
                raise RejectedRequestError(400, "a chunk's line is too long")
            return None
        line = self._buffer[self._at : end]
        if not line.endswith(b"\r") or b"\r" in line[:-1]:
            raise RejectedRequestError(400, "a bare line end in the chunked body")
        self._at = end + 1
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
        piece = self._buffer[self._at : self._at + self._left]
        if not piece:
            return None
        self._at += len(piece)
        self._left -= len(piece)
        self._found.append(piece)
        if self._left == 0:
            self._state = self._content_end
        return True

    def _content_end(self) -> bool | None:
        end = self._buffer[self._at : self._at + 2]
        if not b"\r\n".startswith(end):
            raise RejectedRequestError(400, "a chunk is longer than its size")
        if len(end) < 2:
            return None
        self._at += 2
        self._state = self._size_line
        return True

    def _trailer(self) -> bool | None:
        line = self._line(self._trailer_left)
        if line is None:
            return None
        self._trailer_left = max(0, self._trailer_left - len(line))
        return line != b""
