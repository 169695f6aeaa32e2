# SPDX-License-Identifier: Apache-2.0
"""A thread that does one thing after another, for work that waits for a disk.

An executor makes two futures and takes five locks for each piece of work, and every
event that is kept is one: here it is a queue and one future, which is the loop's.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

T = TypeVar("T")
Work = Callable[[], None]


class Worker:
    """Runs calls in its own thread, in the order they are made."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._waiting: SimpleQueue[Work | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._ended = False

    async def call(self, work: Callable[[], T]) -> T:
        """Return what `work` returns. Cancellation does not stop what has begun."""
        return await self.begin(work)

    def begin(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Return the result to come."""
        if self._ended:
            raise RuntimeError(f"the thread {self._name} has ended")
        if self._thread is None:
            # A daemon: who forgets `stop` does not hang, and what it does to a disk
            # must survive worse.
            self._thread = Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.put(partial(_do, work, future))
        return future

    def stop(self) -> None:
        """End the thread; nothing may be under way."""
        self.leave()
        if self._thread is not None:
            self._thread.join()

    def leave(self) -> None:
        """Let the thread end by itself, after what has begun: nobody waits."""
        self._ended = True
        self._waiting.put(None)

    def _run(self) -> None:
        while (work := self._waiting.get()) is not None:
            work()


def _do(work: Callable[[], T], future: asyncio.Future[T]) -> None:
    """Do a piece of work in this thread, and have its future told in the loop's."""
    if future.cancelled():
        return
    tell: Work
    try:
        tell = partial(_succeed, future, work())
    except BaseException as exc:  # noqa: BLE001 - it is told to whoever waits
        tell = partial(_fail, future, exc)
    with suppress(RuntimeError):  # the loop is closed: nobody waits
        future.get_loop().call_soon_threadsafe(tell)


def _succeed(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[T], failure: BaseException) -> None:
    if not future.done():
        future.set_exception(failure)
