# SPDX-License-Identifier: Apache-2.0
"""Content codings, taken off piece by piece or at once; what is unpacked is bounded."""

import zlib
from collections.abc import Mapping
from typing import Protocol

from toono.errors import CodecError

MAX_BODY_BYTES = 32 * 1024 * 1024
"""Of a list that is kept; larger ones pass and are not."""
STEP_BYTES = 64 * 1024
"""Unpacked at a time: larger ones take fresh memory each, and a fault for each page."""


class Coding(Protocol):
    """Takes the content coding off, piece by piece."""

    def feed(self, piece: bytes) -> list[bytes]:
        """Return what a piece holds; CodecError where it is damaged."""
        ...

    @property
    def is_whole(self) -> bool: ...


class Plain:
    """No coding at all."""

    is_whole = True

    def feed(self, piece: bytes) -> list[bytes]:
        return [piece]


class Gzip:
    """RFC 1952; a series of members is one body (2.2)."""

    def __init__(self, limit: int = MAX_BODY_BYTES) -> None:
        self._left = limit
        self._member = zlib.decompressobj(wbits=31)
        self._is_begun = False

    def feed(self, piece: bytes) -> list[bytes]:
        found: list[bytes] = []
        self._is_begun = self._is_begun or bool(piece)
        try:
            while piece:
                if self._member.eof:
                    self._member = zlib.decompressobj(wbits=31)
                found.append(self._member.decompress(piece, STEP_BYTES))
                self._left -= len(found[-1])
                if self._left < 0:
                    raise CodecError("a body that unpacks to more than is kept")
                piece = self._member.unconsumed_tail or self._member.unused_data
        except zlib.error as exc:
            raise CodecError("a body that is not gzip") from exc
        return found

    @property
    def is_whole(self) -> bool:
        return self._member.eof or not self._is_begun


def coding_of(
    fields: Mapping[bytes, bytes], *, limit: int = MAX_BODY_BYTES
) -> Coding | None:
    """Return what takes an answer's coding off; None for one that nothing here knows."""
    coding = fields.get(b"content-encoding", b"").strip().lower()
    if coding in (b"", b"identity"):
        return Plain()
    return Gzip(limit) if coding == b"gzip" else None


def unpacked(
    body: bytes, fields: Mapping[bytes, bytes], *, limit: int = MAX_BODY_BYTES
) -> bytes:
    """Return the body without its content coding, bounded like one without."""
    coding = coding_of(fields, limit=limit)
    if coding is None:
        raise CodecError("a content coding that is not kept")
    pieces = coding.feed(body)
    if not coding.is_whole:
        raise CodecError("a body that ends within its content coding")
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
