# SPDX-License-Identifier: Apache-2.0
"""A clock that tests own: time moves when they say so."""

import asyncio
import heapq
from collections.abc import Callable
from itertools import count


class VirtualClock:
    """`Clock` whose time stands still until `advance` moves it."""

    def __init__(self, wall: float = 1_795_222_800.0) -> None:
        self._now = 0.0
        self._wall = wall
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = count()

    def monotonic(self) -> float:
        return self._now

    def wall(self) -> float:
        return self._wall + self._now

    async def sleep(self, seconds: float) -> None:
        await self._moment(seconds)

    def call_later(
        self, seconds: float, call: Callable[[], None]
    ) -> asyncio.Future[None]:
        def due(moment: asyncio.Future[None]) -> None:
            if not moment.cancelled():
                call()

        moment = self._moment(seconds)
        moment.add_done_callback(due)
        return moment

    def _moment(self, seconds: float) -> asyncio.Future[None]:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        at = self._now + max(0.0, seconds)
        heapq.heappush(self._sleepers, (at, next(self._order), done))
        return done

    async def advance(self, seconds: float) -> None:
        """Move time, waking each sleeper at its moment, and let all run."""
        until = self._now + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= until:
            at, _, done = heapq.heappop(self._sleepers)
            self._now = max(self._now, at)
            if not done.done():
                done.set_result(None)
            await settle()
        self._now = until


async def settle(turns: int = 20) -> None:
    """Let every task that can run do so."""
    for _ in range(turns):
        await asyncio.sleep(0)
