# SPDX-License-Identifier: Apache-2.0
"""The keys that wait for a reconcile: each once, late ones later, failed ones with back-off.

A key that is taken belongs to its worker until `done`: what is put meanwhile waits, so
two workers never have one key. It does not know what a key means.
"""

import heapq
import threading
from collections import deque
from typing import Generic, TypeVar

from cni_agent.kit.clock import Clock

Key = TypeVar("Key")
FIRST_SECONDS, MOST_SECONDS = 0.25, 30.0
LOOK_SECONDS = 1.0
"""A worker that waits looks at the clock at least so often."""


class WorkQueue(Generic[Key]):
    """Keys to work on. Safe to use from several threads."""

    def __init__(
        self,
        *,
        clock: Clock,
        first: float = FIRST_SECONDS,
        most: float = MOST_SECONDS,
    ) -> None:
        self._clock, self._first, self._most = clock, first, most
        self._ready: deque[Key] = deque()
        self._waiting: set[Key] = set()
        """In `_ready`, or put again while taken."""
        self._taken: set[Key] = set()
        self._later: list[tuple[float, int, Key]] = []
        self._order = 0
        self._failures: dict[Key, int] = {}
        self._closed = False
        self._changed = threading.Condition()

    def put(self, key: Key) -> None:
        """Have a key worked on as soon as can be; once, however often it is put."""
        with self._changed:
            self._put(key)

    def put_after(self, key: Key, seconds: float) -> None:
        """Have a key worked on in a while."""
        with self._changed:
            self._order += 1
            due = self._clock.monotonic() + seconds
            heapq.heappush(self._later, (due, self._order, key))
            self._changed.notify()

    def retry(self, key: Key) -> float:
        """Have a key that failed worked on again; return in how many seconds."""
        with self._changed:
            failures = self._failures.get(key, 0)
            self._failures[key] = failures + 1
        seconds = min(self._most, self._first * 2.0 ** min(failures, 60))
        self.put_after(key, seconds)
        return seconds

    def forget(self, key: Key) -> None:
        """Let a key's next failure be its first: it went well."""
        with self._changed:
            self._failures.pop(key, None)

    def poll(self) -> Key | None:
        """Take the next key, None where none is due."""
        with self._changed:
            return self._poll()

    def take(self) -> Key | None:
        """Wait for a key and take it; None after `close`."""
        with self._changed:
            while not self._closed:
                key = self._poll()
                if key is not None:
                    return key
                self._changed.wait(self._patience())
            return None

    def done(self, key: Key) -> None:
        """Give a key back. If it was put meanwhile, it is due again."""
        with self._changed:
            self._taken.discard(key)
            if key in self._waiting:
                self._ready.append(key)
                self._changed.notify()

    def close(self) -> None:
        """Send all workers home."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _put(self, key: Key) -> None:
        if key in self._waiting:
            return
        self._waiting.add(key)
        if key not in self._taken:
            self._ready.append(key)
            self._changed.notify()

    def _poll(self) -> Key | None:
        now = self._clock.monotonic()
        while self._later and self._later[0][0] <= now:
            self._put(heapq.heappop(self._later)[2])
        if not self._ready:
            return None
        key = self._ready.popleft()
        self._waiting.discard(key)
        self._taken.add(key)
        return key

    def _patience(self) -> float:
        if not self._later:
            return LOOK_SECONDS
        return min(LOOK_SECONDS, max(0.0, self._later[0][0] - self._clock.monotonic()))
