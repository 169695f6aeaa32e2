# SPDX-License-Identifier: Apache-2.0
"""How late the event loop runs: the worst of the last minute, for metrics."""

from collections import deque

from toono.runtime.clock import Clock

EVERY_SECONDS = 0.25
KEPT = 240
"""Samples of one minute."""


class LagSampler:
    """Sleeps, and notes by how much it overslept: so long was somebody else's turn."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._samples: deque[float] = deque(maxlen=KEPT)

    async def run(self) -> None:
        """Sample until cancelled."""
        while True:
            start = self._clock.monotonic()
            await self._clock.sleep(EVERY_SECONDS)
            late = self._clock.monotonic() - start - EVERY_SECONDS
            self._samples.append(max(0.0, late))

    @property
    def worst(self) -> float:
        """Seconds that the loop was late at most, in the last minute."""
        return max(self._samples, default=0.0)
