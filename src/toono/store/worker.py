# SPDX-License-Identifier: Apache-2.0
"""A thread that does one thing after another, for work that waits for a disk."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class Worker:
    """Runs calls in its own thread, in the order they are made."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)

    async def call(self, work: Callable[[], T]) -> T:
        """Return what `work` returns. Cancellation does not stop what has begun."""
        return await self.begin(work)

    def begin(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Return the result to come."""
        return asyncio.get_running_loop().run_in_executor(self._pool, work)

    def stop(self) -> None:
        """End the thread; nothing may be under way."""
        self._pool.shutdown(wait=True)

    def leave(self) -> None:
        """Let the thread end by itself, after what has begun: nobody waits."""
        self._pool.shutdown(wait=False)
