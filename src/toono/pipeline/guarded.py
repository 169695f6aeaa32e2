# SPDX-License-Identifier: Apache-2.0
"""A large list of this node's pods, passed on while it is judged.

A client takes a list for one at its end and not before. So all but the newest piece
passes at once; the end waits until more than half of the known pods were seen in it,
or until the guard has read all of it and says that it may.
"""

from collections.abc import Awaitable, Callable, Sequence

from toono.cache.coding import MAX_BODY_BYTES
from toono.errors import BodyCutError, RequestError
from toono.wire.messages import Body

Judge = Callable[[bytes], Awaitable[None]]
"""Reads a whole list; raises RequestError where it must not reach its client."""


class GuardedBody:
    """A list's body whose end is held until it is judged, or `enough` of it was seen.

    A list that may not pass breaks off: no client takes that for an answer.
    """

    def __init__(
        self,
        inner: Body,
        first: Sequence[bytes],
        enough: Callable[[], bool],
        judge: Judge,
    ) -> None:
        self._inner = inner
        self._first = list(reversed(first))
        self._enough = enough
        self._judge = judge
        self._pieces: list[bytes] = []
        self._size = 0
        self._held = b""
        self._safe = False
        self.length = inner.length

    async def read(self) -> bytes:
        """Return the next piece; BodyCutError instead of the end of a wrong list."""
        while not self._safe:
            piece = self._first.pop() if self._first else await self._inner.read()
            self._note(piece)
            if not piece and not self._safe:
                await self._decide()
            held, self._held = self._held, piece
            if held or not piece:
                return held
        if self._held:
            held, self._held = self._held, b""
            return held
        return self._first.pop() if self._first else await self._inner.read()

    def _note(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._size += len(piece)
        if self._enough():
            self._safe, self._pieces = True, []
        elif self._size > MAX_BODY_BYTES:
            raise BodyCutError(f"a list of more than {MAX_BODY_BYTES} bytes")

    async def _decide(self) -> None:
        content, self._pieces = b"".join(self._pieces), []
        try:
            await self._judge(content)
        except RequestError as exc:
            raise BodyCutError(str(exc)) from exc
        self._safe = True

    def close(self) -> None:
        """Read no more."""
        self._pieces, self._held = [], b""
        self._inner.close()
