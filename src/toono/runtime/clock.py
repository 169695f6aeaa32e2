# SPDX-License-Identifier: Apache-2.0
"""The one place that reads clocks and sleeps, so that tests can own time."""

import asyncio
import time
from typing import Protocol


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


class SystemClock:
    """The machine's clocks: read several times a request, so without a frame of ours."""

    __slots__ = ()

    monotonic = staticmethod(time.monotonic)
    wall = staticmethod(time.time)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
