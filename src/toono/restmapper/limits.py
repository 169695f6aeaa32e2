# SPDX-License-Identifier: Apache-2.0
"""What keeps misses from becoming a storm of requests. No I/O; `now` is passed in."""

import random
from collections import OrderedDict
from collections.abc import Hashable


class TokenBucket:
    """At most `burst` at once and `rate` a second after that; nobody waits in it."""

    __slots__ = ("_burst", "_level", "_rate", "_updated")

    def __init__(self, *, rate: float, burst: int) -> None:
        self._rate, self._burst = rate, burst
        self._level = float(burst)
        self._updated = 0.0

    def take(self, now: float) -> bool:
        """Take a token if there is one."""
        passed = max(0.0, now - self._updated)
        self._level = min(float(self._burst), self._level + passed * self._rate)
        self._updated = now
        if self._level < 1.0:
            return False
        self._level -= 1.0
        return True


class Backoff:
    """When to ask again after failures in a row.

    The first failure costs nothing (the next question asks again), later ones double
    from `first` to `most`. A permanent failure waits for `most` at once.
    """

    __slots__ = ("_first", "_most", "failures", "until")

    def __init__(self, *, first: float, most: float) -> None:
        self._first, self._most = first, most
        self.failures = 0
        self.until = 0.0

    def fail(self, now: float, *, permanent: bool = False) -> None:
        """Count a failure."""
        self.failures += 1
        if permanent:
            self.until = now + self._most
        elif self.failures > 1:
            doubled = self._first * 2.0 ** min(self.failures - 2, 32)
            self.until = now + min(self._most, doubled)

    def clear(self) -> None:
        """Ask again at once: it worked, or somebody says that things changed."""
        self.failures = 0
        self.until = 0.0

    def holds(self, now: float) -> bool:
        """Whether it is too early to ask again."""
        return now < self.until


class NegativeCache:
    """Which questions were answered "absent" a moment ago.

    An answer holds for `first` seconds, so that what is installed is found within a
    second of its being asked for. It doubles to `most` only while `may_double`, when
    a watch would clear it; jitter keeps many mappers from asking in step.
    """

    __slots__ = ("_entries", "_first", "_limit", "_most", "_random", "may_double")

    def __init__(
        self, *, first: float, most: float, limit: int = 10_000, seed: int | None = None
    ) -> None:
        self._first, self._most, self._limit = first, most, limit
        self._entries: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()
        self._random = random.Random(seed)  # noqa: S311  # jitter, no secret
        self.may_double = False

    def holds(self, key: Hashable, now: float) -> bool:
        """Whether `key` was absent a moment ago."""
        entry = self._entries.get(key)
        return entry is not None and now < entry[0]

    def was_asked(self, key: Hashable) -> bool:
        """Whether `key` was ever answered "absent" since the last clear."""
        return key in self._entries

    def add(self, key: Hashable, now: float) -> None:
        """Remember that `key` is absent as of now."""
        _, before = self._entries.pop(key, (0.0, 0.0))
        doubled = min(self._most, before * 2) if self.may_double else self._first
        seconds = max(self._first, doubled)
        jittered = seconds * self._random.uniform(0.8, 1.0)
        self._entries[key] = (now + jittered, seconds)
        if len(self._entries) > self._limit:
            self._entries.popitem(last=False)

    def clear(self) -> None:
        """Something changed: nothing is known to be absent."""
        self._entries.clear()
