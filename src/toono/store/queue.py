# SPDX-License-Identifier: Apache-2.0
"""Batches between the moment they are taken and the sync that makes them durable.

Pure values: no thread, no disk, no clock. What is bounded here is memory: a batch
counts until it is synced, because it may have to be written again until then.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from toono.errors import StoreFullError
from toono.store.base import Batch


@dataclass(slots=True, eq=False, kw_only=True)
class Taken:
    """A batch on its way."""

    number: int
    batch: Batch
    sync: bool
    future: asyncio.Future[None]
    taken_at: float
    size: int


class Queue:
    """In order: batches that wait, that are being committed, that are unsynced."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._number = 0
        self._waiting: deque[Taken] = deque()
        self._committing: list[Taken] = []
        self._unsynced: deque[Taken] = deque()
        self.bytes = 0
        self.unsynced_bytes = 0

    def take(
        self, batch: Batch, *, sync: bool, future: asyncio.Future[None], now: float
    ) -> int:
        """Add `batch` at the end; returns its number. StoreFullError if it is too much."""
        size = batch.size
        if self.bytes + size > self._limit:
            raise StoreFullError(
                f"{self.bytes} bytes wait for the disk, {size} more do not fit"
            )
        self.bytes += size
        self._number += 1
        self._waiting.append(
            Taken(
                number=self._number,
                batch=batch,
                sync=sync,
                future=future,
                taken_at=now,
                size=size,
            )
        )
        return self._number

    def begin(self, most: int) -> Sequence[Batch]:
        """Return what is committed next: batches of about `most` bytes, or none.

        A group that was begun and not ended is part of `unsettled`.
        """
        size = 0
        while self._waiting and (not size or size + self._waiting[0].size <= most):
            taken = self._waiting.popleft()
            self._committing.append(taken)
            size += taken.size
        return [taken.batch for taken in self._committing]

    def end(self) -> Sequence[Taken]:
        """Note that the group that was begun is committed; returns it."""
        group, self._committing = self._committing, []
        self._unsynced.extend(group)
        self.unsynced_bytes += sum(taken.size for taken in group)
        return group

    def unsettled(self) -> Sequence[Batch]:
        """Return all that was, or may have been, committed and is not durable."""
        return [taken.batch for taken in (*self._unsynced, *self._committing)]

    @property
    def last_committed(self) -> int:
        """Number of the last batch that a sync begun now makes durable."""
        return self._unsynced[-1].number if self._unsynced else 0

    def settle(self, through: int) -> Sequence[Taken]:
        """Note that what was committed, up to a number, is durable; returns it."""
        settled = []
        while self._unsynced and self._unsynced[0].number <= through:
            settled.append(self._unsynced.popleft())
        size = sum(taken.size for taken in settled)
        self.bytes -= size
        self.unsynced_bytes -= size
        return settled

    def abandon(self) -> Sequence[Taken]:
        """Return all that is not durable; the queue is empty then."""
        left = [*self._unsynced, *self._committing, *self._waiting]
        self._unsynced.clear()
        self._committing.clear()
        self._waiting.clear()
        self.bytes = self.unsynced_bytes = 0
        return left

    @property
    def has_waiting(self) -> bool:
        return bool(self._waiting)

    @property
    def has_unsynced(self) -> bool:
        return bool(self._unsynced)

    @property
    def has_barrier(self) -> bool:
        """Somebody waits for the sync of what is committed."""
        return any(taken.sync for taken in self._unsynced)
