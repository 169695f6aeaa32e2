# SPDX-License-Identifier: Apache-2.0
"""Where one task waits for what a protocol's callback brings.

A Future wakes its task in the loop's next turn, after one more poll of every socket:
that turn costs more than reading a head. A `Waiter` runs its task in the very callback
that has the news. To the task it is a Future: asyncio's tasks take any object with
`_asyncio_future_blocking` (`asyncio.isfuture`), and hand it the callback to be run.

It knows no bytes and no transports.
"""

import asyncio
from collections.abc import Callable, Generator
from contextvars import Context


class Waiter:
    """A place for one task to wait, again and again.

    Like a condition variable it remembers nothing: who waits looks at the facts
    first, and looks again when woken.
    """

    __slots__ = (
        "_asyncio_future_blocking",
        "_callback",
        "_cancelled",
        "_context",
        "_loop",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._callback: Callable[[Waiter], object] | None = None
        self._context: Context | None = None
        self._cancelled: asyncio.CancelledError | None = None
        self._asyncio_future_blocking = False

    @property
    def is_waited_on(self) -> bool:
        """A task waits here now."""
        return self._callback is not None

    def wake(self) -> None:
        """Run the task that waits here now, or, called by a task, in the next turn.

        The caller's own state must be whole before: the task may use it at once.
        """
        if self._callback is None:
            return
        if asyncio.current_task(self._loop) is not None:
            self.wake_soon()
            return
        callback, self._callback = self._callback, None
        assert self._context is not None
        self._context.run(callback, self)

    def wake_soon(self) -> None:
        """Run the task that waits here in the loop's next turn."""
        callback, self._callback = self._callback, None
        if callback is not None:
            self._loop.call_soon(callback, self, context=self._context)

    async def next_turn(self) -> None:
        """Let everybody else run first."""
        self._loop.call_soon(self.wake)
        await self

    # -- what a task asks of a Future -----------------------------------------

    def __await__(self) -> Generator["Waiter", None, None]:
        self._asyncio_future_blocking = True
        yield self

    def add_done_callback(
        self, callback: Callable[["Waiter"], object], *, context: Context
    ) -> None:
        assert self._callback is None, "two tasks wait in one place"
        self._callback, self._context = callback, context

    def cancel(self, msg: str | None = None) -> bool:
        """Wake the task with CancelledError; False where it is on its way already."""
        if self._callback is None:
            return False
        self._cancelled = asyncio.CancelledError(*([] if msg is None else [msg]))
        self.wake_soon()
        return True

    def result(self) -> None:
        cancelled, self._cancelled = self._cancelled, None
        if cancelled is not None:
            raise cancelled

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop
