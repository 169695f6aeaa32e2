# SPDX-License-Identifier: Apache-2.0
"""One watch of the embedded server: history first, then what happens, as frames."""

import asyncio
from collections import deque

from toono.runtime.clock import Clock
from toono.testing.apiserver.query import JSON, Selects
from toono.testing.apiserver.resources import Resource, in_version
from toono.testing.apiserver.storage import (
    Change,
    ExpiredError,
    Storage,
    Stored,
    encode,
)

END = {"k8s.io/initial-events-end": "true"}


class Watch:
    """The body of a watch. `start` None or 0 sends every object first."""

    length: int | None = None

    def __init__(
        self,
        storage: Storage,
        resource: Resource,
        *,
        selects: Selects,
        start: int | None,
        initial_events_end: bool,
        bookmarks: bool,
        bookmark_seconds: float,
        seconds: float,
        clock: Clock,
    ) -> None:
        self._storage = storage
        self._resource = resource
        self._selects = selects
        self._bookmarks = bookmarks
        self._every = bookmark_seconds
        self._clock = clock
        self._until = clock.monotonic() + seconds
        self._bookmark_at = clock.monotonic() + bookmark_seconds
        self._generation = storage.generation
        self._frames: deque[bytes] = deque()
        self._something = asyncio.Event()
        self._over = False
        self._begin(start, initial_events_end=initial_events_end)
        self._stop = storage.listen(self._take)

    def _begin(self, start: int | None, *, initial_events_end: bool) -> None:
        collection = self._storage.collection(self._resource.qualified)
        if not start:
            for stored in sorted(
                collection.now.values(), key=lambda s: "/".join(s.key)
            ):
                if self._selects(stored.object):
                    self._push("ADDED", stored.object)
            if initial_events_end or (start == 0 and self._bookmarks):
                self._push("BOOKMARK", self._bookmark(END))
            return
        try:
            self._storage.check(start)
        except ExpiredError as exc:
            status: JSON = {"kind": "Status", "apiVersion": "v1", "metadata": {}}
            status |= {"status": "Failure", "message": str(exc), "reason": "Expired"}
            self._push("ERROR", status | {"code": 410})
            self._over = True
            return
        for change in collection.since(start):
            self._show(change)

    def _take(self, resource: str, change: Change) -> None:
        if resource == self._resource.qualified and not self._over:
            self._show(change)

    def _show(self, change: Change) -> None:
        """Turn a change into what this watch's selector makes of it."""
        before, after = change.before, change.after
        was = before is not None and self._selects(before.object)
        now = after is not None and self._selects(after.object)
        if now:
            assert after is not None
            self._push("MODIFIED" if was else "ADDED", after.object)
        elif was:
            assert before is not None
            gone = _at(before, change.version) if after is None else after.object
            self._push("DELETED", gone)

    def _push(self, event_type: str, content: JSON) -> None:
        if event_type != "ERROR":
            content = in_version(self._resource, content)
        frame = b'{"type":"%b","object":%b}\n' % (event_type.encode(), encode(content))
        self._frames.append(frame)
        self._something.set()

    def _bookmark(self, annotations: dict[str, str] | None = None) -> JSON:
        meta: JSON = {"resourceVersion": str(self._storage.version)}
        if annotations:
            meta["annotations"] = annotations
        resource = self._resource
        head: JSON = {"kind": resource.kind, "apiVersion": resource.api_version}
        if resource.custom:
            head = dict(sorted(head.items()))
            meta = dict(sorted(meta.items()))
        return head | {"metadata": meta}

    async def read(self) -> bytes:
        """Return the frames there are, waiting for the first."""
        while not self._frames:
            left = self._until - self._clock.monotonic()
            if self._over or left <= 0 or self._generation != self._storage.generation:
                return b""
            pause = min(left, max(self._bookmark_at - self._clock.monotonic(), 0.0))
            self._something.clear()
            try:
                async with asyncio.timeout(pause if self._bookmarks else left):
                    await self._something.wait()
            except TimeoutError:
                if self._bookmarks and self._clock.monotonic() >= self._bookmark_at:
                    self._bookmark_at = self._clock.monotonic() + self._every
                    self._push("BOOKMARK", self._bookmark())
        frames = b"".join(self._frames)
        self._frames.clear()
        return frames

    def close(self) -> None:
        if not self._over:
            self._over = True
            self._something.set()
        self._stop()
        self._stop = _nothing


def _nothing() -> None:
    return


def _at(stored: Stored, version: int) -> JSON:
    meta = stored.object["metadata"] | {"resourceVersion": str(version)}
    return stored.object | {"metadata": meta}
