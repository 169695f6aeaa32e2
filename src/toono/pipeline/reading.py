# SPDX-License-Identifier: Apache-2.0
"""Bodies read into memory: whole, or their beginning. Why is the caller's business."""

from toono.cache.coding import MAX_BODY_BYTES
from toono.errors import UpstreamError
from toono.wire.messages import Body


async def read_all(body: Body) -> bytes:
    """Return a whole body; UpstreamError for one that no cache could keep."""
    piece = await body.read()
    if body.length == len(piece):
        await body.read()
        return piece
    pieces, size = [piece], len(piece)
    while piece:
        piece = await body.read()
        pieces.append(piece)
        size += len(piece)
        if size > MAX_BODY_BYTES:
            body.close()
            raise UpstreamError(f"an answer of more than {MAX_BODY_BYTES} bytes")
    return b"".join(pieces)


async def read_ahead(body: Body, least: int) -> tuple[list[bytes], bool]:
    """Return the first pieces of a body, of `least` bytes, and whether that is all."""
    pieces: list[bytes] = []
    size = 0
    while size <= least:
        piece = await body.read()
        if not piece:
            return pieces, True
        pieces.append(piece)
        size += len(piece)
    return pieces, False
