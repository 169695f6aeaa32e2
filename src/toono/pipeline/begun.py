# SPDX-License-Identifier: Apache-2.0
"""Bodies in chunks of which the beginning is known before their head goes on.

A request's chunks that could be framed in two ways are refused; a server should not even
hear of such a request, and most come at once. A refusal in chunks teaches what its
caller may read once it is whole. One that streams slowly, or is larger than any object,
goes on with what it has.
"""

import asyncio

from toono.cache.received import MAX_OBJECT_BYTES
from toono.errors import UpstreamError, WireError
from toono.wire.bodies import of_client
from toono.wire.messages import Body

AHEAD_SECONDS = 0.05
"""For what follows a request's first piece."""
REFUSAL_SECONDS = 2.0
"""For a refusal: the API server writes it at once."""
AHEAD_BYTES = 64 * 1024
REFUSAL_BYTES = MAX_OBJECT_BYTES
"""Of a refusal that teaches anything."""


class BegunBody:
    """A body whose first pieces were read already."""

    def __init__(self, body: Body, pieces: list[bytes], *, over: bool = False) -> None:
        self._body, self._pieces, self._over = body, pieces, over
        self.length = body.length

    async def read(self) -> bytes:
        """Return the next piece, b"" at the end."""
        if self._pieces:
            return self._pieces.pop(0)
        return b"" if self._over else await self._body.read()

    def close(self) -> None:
        """Read no more."""
        self._pieces.clear()
        self._body.close()


async def begin(body: Body) -> Body:
    """Return a body of which more is known; RejectedRequestError where it is broken."""
    if body.length is not None:
        return body
    try:
        return await _begun(body)
    except WireError as exc:
        raise of_client(exc) from exc


async def gathered(body: Body) -> bytes | Body:
    """Return a refusal's whole content, or its body where it is too large or slow."""
    pieces: list[bytes] = []
    if body.length is not None and body.length > REFUSAL_BYTES:
        return body
    try:
        over = await _gather(body, pieces, REFUSAL_SECONDS, least=REFUSAL_BYTES)
    except WireError as exc:
        raise UpstreamError("the link broke within the answer") from exc
    if over:
        return b"".join(pieces)
    return BegunBody(body, pieces)


async def _begun(body: Body) -> Body:
    pieces = [await body.read()]
    if not pieces[0]:
        return BegunBody(body, [], over=True)
    over = await _gather(body, pieces, AHEAD_SECONDS, least=AHEAD_BYTES)
    return BegunBody(body, pieces, over=over)


async def _gather(
    body: Body, pieces: list[bytes], seconds: float, *, least: int
) -> bool:
    """Read `least` bytes, for a while; say whether there are no more."""
    size = sum(map(len, pieces))
    try:
        async with asyncio.timeout(seconds):
            while size < least:
                piece = await body.read()
                if not piece:
                    return True
                pieces.append(piece)
                size += len(piece)
    except TimeoutError:
        pass
    return False
