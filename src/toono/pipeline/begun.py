# SPDX-License-Identifier: Apache-2.0
"""A request's chunked body, begun before its head goes on.

Chunks that could be framed in two ways are refused; a server should not even hear of
such a request, and most come at once. One that streams slowly goes on with what it has.
"""

import asyncio

from toono.errors import WireError
from toono.wire.bodies import of_client
from toono.wire.messages import Body

AHEAD_SECONDS = 0.05
"""For what follows the first piece."""
AHEAD_BYTES = 64 * 1024


class BegunBody:
    """A body whose first pieces were read already."""

    length: int | None = None

    def __init__(self, body: Body, pieces: list[bytes], *, over: bool) -> None:
        self._body, self._pieces, self._over = body, pieces, over

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


async def _begun(body: Body) -> Body:
    pieces = [await body.read()]
    size = len(pieces[0])
    try:
        async with asyncio.timeout(AHEAD_SECONDS):
            while pieces[-1] and size < AHEAD_BYTES:
                pieces.append(await body.read())
                size += len(pieces[-1])
    except TimeoutError:
        return BegunBody(body, pieces, over=False)
    over = not pieces[-1]
    return BegunBody(body, pieces[:-1] if over else pieces, over=over)
