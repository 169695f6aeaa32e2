# SPDX-License-Identifier: Apache-2.0
"""One watch of the embedded server: history first, then what happens, as frames.

Time is the server's clock's, so that a test can let hours of a watch pass.
"""

import asyncio
from collections import deque
from dataclasses import dataclass

from toono.runtime.clock import Clock
from toono.runtime.tasks import spawn
from toono.testing.apiserver.encodings import Encoding
from toono.testing.apiserver.query import JSON, Refusal, Selects
from toono.testing.apiserver.resources import Resource
from toono.testing.apiserver.storage import (
    Change,
    ExpiredError,
    Storage,
    Stored,
    path_of,
)

BEFORE_END = 2.0
"""Seconds before its end when a watch gets a last bookmark, as in the watch cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a watch was asked for, and how long it lasts."""

    selects: Selects
    form: Encoding
    start: int | None
    """The version to go on from; None and 0 send every object first."""
    initial: bool = False
    """A watch-list (KEP-3157): the objects, and a bookmark that ends them."""
    bookmarks: bool = False
    every: float = 60.0
    """Seconds between bookmarks."""
    seconds: float = 1800.0


class Watch:
    """The body of a watch."""

    length: int | None = None

    def __init__(
        self, storage: Storage, resource: Resource, *, terms: Terms, clock: Clock
    ) -> None:
        self._storage, self._clock, self._terms = storage, clock, terms
        self._name = resource.qualified
        self._until = clock.monotonic() + terms.seconds
        self._bookmark_at = self._next_bookmark()
        self._generation = storage.generation
        self._frames: deque[bytes] = deque()
        self._something = asyncio.Event()
        self._alarm: asyncio.Task[None] | None = None
        self._over = False
        self._begin()
        self._stop = storage.listen(self._take)

    def _begin(self) -> None:
        terms, collection = self._terms, self._storage.collection(self._name)
        if not terms.start or terms.initial:
            for one in sorted(collection.now.values(), key=lambda s: path_of(s.key)):
                if terms.selects(one.object):
                    self._push("ADDED", one.object)
            if terms.bookmarks and (terms.initial or terms.start == 0):
                self._push_bookmark(ends_burst=True)
            return
        try:
            self._storage.check_watch(terms.start)
        except ExpiredError as exc:
            status = Refusal(410, "Expired", str(exc)).status()
            self._frames.append(terms.form.error(status))
            self._over = True
            return
        for change in collection.since(terms.start):
            self._show(change)

    def _take(self, resource: str, change: Change) -> None:
        if resource == self._name and not self._over:
            self._show(change)

    def _show(self, change: Change) -> None:
        """Turn a change into what this watch's selector makes of it.

        What leaves the selector is DELETED, as it was, at the version of its leaving.
        """
        before, after = change.before, change.after
        selects = self._terms.selects
        was = before is not None and selects(before.object)
        if after is not None and selects(after.object):
            self._push("MODIFIED" if was else "ADDED", after.object)
        elif was:
            assert before is not None
            self._push("DELETED", _at(before, change.version))

    def _push(self, event: str, content: JSON) -> None:
        self._frames.append(self._terms.form.event(event, content))
        self._something.set()

    def _push_bookmark(self, *, ends_burst: bool = False) -> None:
        version = str(self._storage.version)
        self._frames.append(self._terms.form.bookmark(version, ends_burst=ends_burst))

    def _next_bookmark(self) -> float:
        now, last = self._clock.monotonic(), self._until - BEFORE_END
        usual = now + self._terms.every
        return last if now < last < usual else usual

    async def read(self) -> bytes:
        """Return the frames there are, waiting for the first."""
        while not self._frames:
            now = self._clock.monotonic()
            is_restored = self._generation != self._storage.generation
            if self._over or now >= self._until or is_restored:
                return b""
            if self._terms.bookmarks and now >= self._bookmark_at:
                self._bookmark_at = self._next_bookmark()
                self._push_bookmark()
            else:
                await self._wait(now)
        frames = b"".join(self._frames)
        self._frames.clear()
        return frames

    async def _wait(self, now: float) -> None:
        """Wait for a change, or for the moment of the next bookmark or the end."""
        self._something.clear()
        if self._alarm is None or self._alarm.done():
            moments = [self._until]
            if self._terms.bookmarks:
                moments.append(self._bookmark_at)
            self._alarm = spawn(self._ring(min(moments) - now), name="watch-alarm")
        await self._something.wait()

    async def _ring(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._something.set()

    def close(self) -> None:
        """End the stream; a reader that waits gets its end."""
        self._over = True
        self._something.set()
        if self._alarm is not None:
            self._alarm.cancel()
        self._stop()
        self._stop = _nothing


def _nothing() -> None:
    return


def _at(stored: Stored, version: int) -> JSON:
    meta = stored.object["metadata"] | {"resourceVersion": str(version)}
    return stored.object | {"metadata": meta}
