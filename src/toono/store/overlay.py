# SPDX-License-Identifier: Apache-2.0
"""Batches that were taken and may not be in the database yet, as reads see them.

Pure values; lives on the event loop. Batches stay until a sync made them durable:
where that fails the database may have to go back to the last one, and reads must not.
A read of the database takes a while: a batch is forgotten only when every read that
began before has ended. What is laid over a read is then all that it may have missed,
in order, and the result is the state after the last batch taken.
"""

from collections import deque

from toono.store.base import Batch, Key, Scan


class Overlay:
    """The newest value of each key in batches that a read may not find on disk."""

    def __init__(self) -> None:
        self._values: dict[Key, tuple[int, bytes | None]] = {}
        self._drops: list[tuple[int, Key]] = []
        self._batches: deque[tuple[int, Batch]] = deque()
        self._durable = 0
        self._reads: dict[int, int] = {}
        self._next_read = 0

    def take(self, number: int, batch: Batch) -> None:
        """Add a batch; numbers rise."""
        self._batches.append((number, batch))
        self._drops += [(number, prefix) for prefix in batch.drops]
        for key in batch.deletes:
            self._values[key] = (number, None)
        for key, value in batch.puts:
            self._values[key] = (number, value)

    def find(self, key: Key) -> tuple[bool, bytes | None]:
        """Return whether a batch decides about `key`, and its value if it has one."""
        number, value = self._values.get(key, (0, None))
        dropped = max((at for at, p in self._drops if key.startswith(p)), default=0)
        if not number and not dropped:
            return False, None
        return True, value if number >= dropped else None

    def begin_read(self) -> int:
        """Note that the database is about to be read; returns a ticket."""
        self._next_read += 1
        self._reads[self._next_read] = self._durable
        return self._next_read

    def end_read(self, ticket: int) -> None:
        """Take back a ticket of `begin_read`."""
        del self._reads[ticket]
        self._forget()

    def settle(self, number: int) -> None:
        """Note that all batches up to `number` are in the database for good."""
        self._durable = number
        self._forget()

    def lay(self, prefix: Key, scan: Scan) -> Scan:
        """Return `scan`, read below `prefix`, as the batches make it."""
        drops = [
            (at, dropped)
            for at, dropped in self._drops
            if dropped.startswith(prefix) or prefix.startswith(dropped)
        ]
        values = [row for row in self._values.items() if row[0].startswith(prefix)]
        if not drops and not values:
            return scan
        rows: dict[Key, bytes] = dict(scan.rows)
        damaged = set(scan.damaged)
        for _, dropped in drops:
            rows = {k: v for k, v in rows.items() if not k.startswith(dropped)}
            damaged = {k for k in damaged if not k.startswith(dropped)}
        for key, (number, value) in values:
            if any(at > number and key.startswith(p) for at, p in drops):
                continue
            rows.pop(key, None)
            damaged.discard(key)
            if value is not None:
                rows[key] = value
        return Scan(sorted(rows.items()), sorted(damaged))

    def _forget(self) -> None:
        floor = min(self._reads.values(), default=self._durable)
        while self._batches and self._batches[0][0] <= floor:
            number, batch = self._batches.popleft()
            for key in batch.deletes:
                self._forget_key(key, number)
            for key, _ in batch.puts:
                self._forget_key(key, number)
        if self._drops and self._drops[0][0] <= floor:
            self._drops = [drop for drop in self._drops if drop[0] > floor]

    def _forget_key(self, key: Key, number: int) -> None:
        known = self._values.get(key)
        if known is not None and known[0] == number:
            del self._values[key]
