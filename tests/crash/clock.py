# SPDX-License-Identifier: Apache-2.0
"""A clock that tests move."""

import asyncio
import heapq


class VirtualClock:
    """Time stands still until `advance`. With `hasty`, sleeping moves it at once."""

    def __init__(self, *, hasty: bool = False, now: float = 1000.0) -> None:
        self.now = now
        self.wall_offset = 1.8e9
        self.slept: list[float] = []
        self._hasty = hasty
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now + self.wall_offset

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if self._hasty:
            self.now += seconds
            await asyncio.sleep(0)
            return
        await self._moment(seconds)

    def call_later(self, seconds: float, call) -> asyncio.Future[None]:
        self.slept.append(seconds)
        moment = self._moment(seconds)
        moment.add_done_callback(lambda _: moment.cancelled() or call())
        if self._hasty:
            self.advance(seconds)
        return moment

    def _moment(self, seconds: float) -> asyncio.Future[None]:
        self._count += 1
        waker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, self._count, waker))
        return waker

    def advance(self, seconds: float) -> None:
        """Move on, and wake whom it is time to wake."""
        self.now += seconds
        while self._sleepers and self._sleepers[0][0] <= self.now:
            waker = heapq.heappop(self._sleepers)[2]
            if not waker.done():
                waker.set_result(None)


async def eventually(holds, *, clock: VirtualClock | None = None, step: float = 0.0):
    """Let the loop and the store's threads run until `holds()`."""
    for _ in range(20_000):
        if holds():
            return
        if clock is not None:
            clock.advance(step)
        # Threads do the work: give the loop up for an instant, not for a time.
        await asyncio.sleep(0.0005)
    raise AssertionError("it never came to hold")
