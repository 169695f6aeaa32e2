# SPDX-License-Identifier: Apache-2.0
"""A stream of length-prefixed frames cut at their ends, whatever pieces it comes in.

A frame is four bytes of big-endian length and as many bytes of a WatchEvent.
"""

from toono.errors import CodecError

MAX_FRAME_BYTES = 16 * 1024 * 1024
PREFIX_BYTES = 4


class ProtobufFrames:
    """The FrameSplitter of Kubernetes' protobuf."""

    __slots__ = ("_bytes",)

    def __init__(self) -> None:
        self._bytes = bytearray()

    @property
    def pending(self) -> bytes:
        """Bytes of a frame that is not whole yet."""
        return bytes(self._bytes)

    def feed(self, piece: bytes) -> list[bytes]:
        """Take bytes; return the frames that are now whole."""
        if not self._bytes and _size(piece) == len(piece):
            return [piece]
        self._bytes += piece
        frames = []
        while len(self._bytes) >= (size := _size(self._bytes)):
            frames.append(bytes(self._bytes[:size]))
            del self._bytes[:size]
        return frames


def _size(text: bytes | bytearray) -> int:
    """Return how long the frame at the start is, or the least that tells."""
    if len(text) < PREFIX_BYTES:
        return PREFIX_BYTES
    size = int.from_bytes(text[:PREFIX_BYTES], "big")
    if not 0 < size <= MAX_FRAME_BYTES:
        raise CodecError(f"a watch frame of {size} bytes")
    return PREFIX_BYTES + size
