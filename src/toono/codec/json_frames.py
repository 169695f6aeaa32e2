# SPDX-License-Identifier: Apache-2.0
"""A stream of JSON documents cut where each ends, whatever pieces it comes in.

API servers end each frame with a newline and write none inside: then a frame is a
line. Other servers may print frames over several lines or put two in one: wherever a
line is no document, brackets are counted instead. A frame holds one document and the
white space after it up to its newline, so the bytes of all frames are the stream's.
"""

import re

import msgspec

from toono.errors import CodecError

MAX_FRAME_BYTES = 16 * 1024 * 1024


class _Document(msgspec.Struct):
    """Any JSON object: all its members are skipped, but checked."""


_decode = msgspec.json.Decoder(_Document).decode
_BLANK = b" \t\r\n"
_NEXT_BEGINS = re.compile(rb"\}[ \t\r]*+\{")


class JSONFrames:
    """The FrameSplitter of JSON."""

    __slots__ = ("_bytes", "_counter", "_searched")

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._searched = 0
        """Bytes from the start that hold no newline and no end before a begin."""
        self._counter: _Brackets | None = None
        """Counts in the document at the start, where it is not one line."""

    @property
    def pending(self) -> bytes:
        """Bytes of a frame that is not whole yet."""
        return bytes(self._bytes)

    def feed(self, piece: bytes) -> list[bytes]:
        """Take bytes; return the frames that are now whole."""
        if not self._bytes and _is_line(piece) and _is_one(piece):
            return [piece]
        self._bytes += piece
        frames = []
        while (end := self._end()) is not None:
            frames.append(bytes(self._bytes[:end]))
            del self._bytes[:end]
            self._searched, self._counter = 0, None
        if max(len(self._bytes), *map(len, frames), 0) > MAX_FRAME_BYTES:
            raise CodecError(f"a watch frame is longer than {MAX_FRAME_BYTES} bytes")
        return frames

    def _end(self) -> int | None:
        """Return where the first document ends, None where it is not whole."""
        if self._counter is None:
            newline = self._bytes.find(b"\n", self._searched)
            if newline >= 0 and _is_one(self._bytes[: newline + 1]):
                return newline + 1
            if newline < 0 and not _NEXT_BEGINS.search(self._bytes, self._searched):
                # "}" and "{" may come in two pieces: search from the last mark again.
                fresh = self._bytes[self._searched :].rstrip(_BLANK)
                self._searched += max(len(fresh) - 1, 0)
                return None
            self._counter = _Brackets()
        return self._counter.find_end(self._bytes)


def _is_line(piece: bytes) -> bool:
    return len(piece) <= MAX_FRAME_BYTES and piece.find(b"\n") == len(piece) - 1


def _is_one(line: bytes | bytearray) -> bool:
    """Say whether a line is one whole document."""
    try:
        _decode(line)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


class _Brackets:
    """Finds the end of one document by its brackets, going on where it stopped."""

    __slots__ = ("_at", "_depth", "_in_string")

    def __init__(self) -> None:
        self._at = 0
        self._depth = -1
        """Open brackets; -1 before the first, 0 once the last is closed."""
        self._in_string = False

    def find_end(self, text: bytearray) -> int | None:
        """Return where the document ends, None where it goes on."""
        if self._depth < 0:
            self._begin(text)
        while self._depth > 0 and self._step(text):
            pass
        return self._after(text) if self._depth == 0 else None

    def _begin(self, text: bytearray) -> None:
        self._at = _skip_blank(text, self._at)
        if self._at == len(text):
            return
        if text[self._at] != ord("{"):
            raise CodecError("a watch frame does not begin with a JSON object")
        self._at += 1
        self._depth = 1

    def _step(self, text: bytearray) -> bool:
        """Go past the next bracket or quote; False where there is none yet."""
        if self._in_string:
            match = _STRING_REST.match(text, self._at)
        else:
            match = _MARK.search(text, self._at)
        if match is None:
            start, self._at = self._at, len(text)
            if self._in_string:
                self._at -= _open_backslash(text, start)
            return False
        mark, self._at = match[0][-1], match.end()
        if mark == ord('"'):
            self._in_string = not self._in_string
        else:
            self._depth += 1 if mark in b"{[" else -1
        return True

    def _after(self, text: bytearray) -> int | None:
        """Return the end of the white space that belongs to the document."""
        end = _skip_blank(text, self._at)
        newline = text.find(b"\n", self._at, end)
        if newline >= 0:
            return newline + 1
        return None if end == len(text) else end


_MARK = re.compile(rb'["{}\[\]]')
_STRING_REST = re.compile(rb'(?:[^"\\]++|\\.)*+"', re.DOTALL)


def _skip_blank(text: bytearray, at: int) -> int:
    while at < len(text) and text[at] in _BLANK:
        at += 1
    return at


def _open_backslash(text: bytearray, start: int) -> int:
    """Return 1 where a backslash since `start` escapes the byte to come, else 0."""
    end = len(text)
    while end > start and text[end - 1] == ord("\\"):
        end -= 1
    return (len(text) - end) % 2
