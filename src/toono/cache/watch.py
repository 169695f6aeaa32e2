# SPDX-License-Identifier: Apache-2.0
"""A watch answered by the hub: what it knows first, then held open until the cloud is
back or the watch's time is over, and then ended cleanly so that the client resumes."""

import asyncio
import random
from collections.abc import Callable

from toono.runtime.clock import Clock
from toono.runtime.tasks import cancel_and_wait, spawn

BOOKMARK_SECONDS = 60.0
"""As often as an API server's watch cache sends them."""
MIN_WATCH_SECONDS = 1800.0
"""An API server's --min-request-timeout: a watch that names no time lasts 1x to 2x."""


class Newer:
    """Ends held watches of a resource of which something newer came while cut off:
    their clients resume, and are told."""

    def __init__(self) -> None:
        self._events: dict[tuple[str, str], asyncio.Event] = {}

    def of(self, group: str, resource: str) -> asyncio.Event:
        """Return what is set when there is something newer than now."""
        return self._events.setdefault((group, resource), asyncio.Event())

    def tell(self, group: str, resource: str) -> None:
        """Say that there is."""
        event = self._events.pop((group, resource), None)
        if event is not None:
            event.set()


class HeldWatch:
    """The body of a watch that the hub answers itself.

    `first` is all that is known at the start, `bookmark` the frame that repeats the
    scope's version (None where the client did not ask, or is ahead of the scope).
    It ends when `over` is set, `spread()` seconds later, so that the clients of one
    node do not all come back to the cloud in one instant; and at once when `newer` is:
    there is more to be had here.
    """

    length: int | None = None

    def __init__(
        self,
        *,
        first: list[bytes],
        bookmark: bytes | None,
        seconds: float,
        over: asyncio.Event,
        newer: asyncio.Event | None = None,
        spread: Callable[[], float],
        clock: Clock,
    ) -> None:
        self._first = first
        self._bookmark = bookmark
        self._until = clock.monotonic() + seconds
        self._over = over
        self._newer = newer or asyncio.Event()
        self._spread = spread
        self._clock = clock
        self._closed = False
        self._waiting: asyncio.Future[None] | None = None

    async def read(self) -> bytes:
        """Return the first frames, then bookmarks, then b"" once it is over."""
        if self._first:
            first, self._first = self._first, []
            return b"".join(first)
        if self._closed:
            return b""
        left = self._until - self._clock.monotonic()
        pause = min(left, BOOKMARK_SECONDS) if self._bookmark else left
        if left > 0 and not await self._is_over(pause):
            if (
                not self._closed
                and self._bookmark
                and self._until > self._clock.monotonic()
            ):
                return self._bookmark
            self._closed = True
            return b""
        if left > 0 and self._over.is_set():
            await self._clock.sleep(self._spread())
        self._closed = True
        return b""

    async def _is_over(self, seconds: float) -> bool:
        """Wait for the end of being cut off, at most `seconds`."""
        if self._over.is_set() or self._newer.is_set():
            return True
        nap = spawn(self._clock.sleep(seconds), name="held-watch-nap")
        end = spawn(_wait(self._over), name="held-watch-end")
        news = spawn(_wait(self._newer), name="held-watch-news")
        closing = self._waiting = asyncio.get_running_loop().create_future()
        try:
            first = (nap, end, news, closing)
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._waiting = None
            await cancel_and_wait(nap, end, news)
        return self._over.is_set() or self._newer.is_set()

    def close(self) -> None:
        self._closed = True
        self._first = []
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


def lasting(timeout_seconds: float | None, least: float = MIN_WATCH_SECONDS) -> float:
    """Return how long a watch is held: what it asks, else one to two times `least`."""
    if timeout_seconds is not None:
        return timeout_seconds
    return least * random.uniform(1.0, 2.0)  # noqa: S311 - spreads load, no secret
