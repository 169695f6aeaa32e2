# SPDX-License-Identifier: Apache-2.0
"""The body of one request, cut out of what its connection brings. No socket, no clock.

What could be framed in two ways fails the body, and no byte after it is believed.
"""

from collections.abc import Callable

from toono.errors import RejectedRequestError, WireError, WireTimeoutError
from toono.wire.chunked import ChunkReader
from toono.wire.pace import Pace
from toono.wire.streams import Incoming


class RequestBody:
    """Takes a connection's bytes up to the body's end; `incoming` is for its reader."""

    __slots__ = ("_chunks", "_left", "_pace", "_received", "failure", "incoming")

    def __init__(
        self,
        length: int | None,
        *,
        pause: Callable[[bool], None],
        started: Callable[[], None] | None,
    ) -> None:
        self.incoming = Incoming(length, pause=pause, started=started)
        self.failure: RejectedRequestError | None = None
        self._chunks = ChunkReader(self.incoming.feed) if length is None else None
        self._left = length or 0
        self._received = 0
        self._pace = Pace()

    @property
    def is_over(self) -> bool:
        """All of it has come."""
        return self.incoming.is_over

    def feed(self, piece: bytes) -> bytes | None:
        """Take bytes; return what follows the body's end, None while it goes on."""
        if self.failure is not None:
            return None
        self._received += len(piece)
        try:
            rest = self._cut(piece)
        except RejectedRequestError as exc:
            self.failure = exc
            self.incoming.fail(exc)
            return None
        if rest is not None:
            self.incoming.finish()
        return rest

    def _cut(self, piece: bytes) -> bytes | None:
        if self._chunks is not None:
            return self._chunks.feed(piece)
        taken = piece[: self._left]
        self._left -= len(taken)
        self.incoming.feed(taken)
        return None if self._left else piece[len(taken) :]

    def is_slow(self, now: float, *, rate: int, seconds: float) -> bool:
        """Say whether it brought fewer than `rate` bytes a second for `seconds`."""
        if self.incoming.is_held:
            self._pace.rest()
            return False
        least = int(rate * seconds)
        return self._pace.is_slow(self._received, now=now, least=least, seconds=seconds)


def of_client(failure: WireError) -> RejectedRequestError:
    """Return what a request's own body did wrong, so that no server is suspected."""
    if isinstance(failure, RejectedRequestError):
        return failure
    code = 408 if isinstance(failure, WireTimeoutError) else 400
    return RejectedRequestError(code, str(failure))
