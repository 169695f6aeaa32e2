# SPDX-License-Identifier: Apache-2.0
"""The one place that reads clocks and sleeps, so that tests can own time."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A call that is to come."""

    def cancel(self) -> object:
        """Have it not come."""
        ...


class Clock(Protocol):
    """Time as the hub sees it. `monotonic` never jumps; `wall` may."""

    def monotonic(self) -> float:
        """Seconds since some start; never goes back."""
        ...

    def wall(self) -> float:
        """Seconds since 1970, as the machine believes."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait; ends early only by cancellation."""
        ...

    def call_later(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Have `call` called from the loop, for what is too frequent for a task."""
        ...


class SystemClock:
    """The machine's clocks: read several times a request, so without a frame of ours."""

    __slots__ = ()

    monotonic = staticmethod(time.monotonic)
    wall = staticmethod(time.time)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def call_later(self, seconds: float, call: Callable[[], None]) -> Timer:
        return asyncio.get_running_loop().call_later(seconds, call)
