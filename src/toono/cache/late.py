# SPDX-License-Identifier: Apache-2.0
"""Recordings that go on after their answers have ended.

A client need not wait until the hub has read what removes nothing. But whoever is
answered from what is kept, or follows the list by a watch, must not come before it:
they wait here. Knows nothing of what is recorded.
"""

import asyncio
from collections.abc import Coroutine, Hashable
from functools import partial

from toono.runtime.tasks import spawn

MAX_LATE_BYTES = 32 * 1024 * 1024
"""Of bodies whose requests are over; beyond them clients wait, and are bounded."""


class Late:
    """What is recorded late, at most one answer to each question."""

    __slots__ = ("_bytes", "_tasks", "is_busy")

    def __init__(self) -> None:
        self._tasks: dict[Hashable, asyncio.Task[None]] = {}
        self._bytes = 0
        self.is_busy = False
        """Something is being recorded late; no call, for who asks at each request."""

    def takes(self, question: Hashable, size: int) -> bool:
        """Say whether a body of `size` may be recorded late."""
        return question not in self._tasks and self._bytes + size <= MAX_LATE_BYTES

    def add(
        self, question: Hashable, size: int, recording: Coroutine[None, None, None]
    ) -> None:
        """Run a recording beside what comes next; its failure is logged."""
        self._bytes += size
        self.is_busy = True
        task = self._tasks[question] = spawn(recording, name="late-recording")
        task.add_done_callback(partial(self._end, question, size))

    def _end(self, question: Hashable, size: int, _: asyncio.Task[None]) -> None:
        self._bytes -= size
        del self._tasks[question]
        self.is_busy = bool(self._tasks)

    async def recorded(self, question: Hashable) -> None:
        """Return once the last answer to a question is in its scope."""
        task = self._tasks.get(question)
        if task is not None:
            await asyncio.wait((task,))

    async def settled(self) -> None:
        """Return once every answer that has ended by now is in its scope.

        Those that end meanwhile are not waited for: there might always be another.
        """
        if self._tasks:
            await asyncio.wait(tuple(self._tasks.values()))
