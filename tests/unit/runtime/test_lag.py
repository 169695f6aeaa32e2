# SPDX-License-Identifier: Apache-2.0
import asyncio
from contextlib import suppress

from toono.runtime.lag import EVERY_SECONDS, KEPT, LagSampler


class LateClock:
    """Oversleeps by what it is told, and ends when nothing is left."""

    def __init__(self, *late: float) -> None:
        self.now = 0.0
        self.late = list(late)

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        if not self.late:
            raise asyncio.CancelledError
        self.now += seconds + self.late.pop(0)


def sampled(*late: float) -> LagSampler:
    sampler = LagSampler(LateClock(*late))

    async def scenario() -> None:
        with suppress(asyncio.CancelledError):
            await sampler.run()

    asyncio.run(scenario())
    return sampler


def test_the_worst_of_the_samples_counts() -> None:
    assert abs(sampled(0.01, 0.3, 0.02).worst - 0.3) < 1e-9


def test_nothing_sampled_is_no_lag() -> None:
    assert LagSampler(LateClock()).worst == 0.0


def test_a_lag_is_forgotten_after_a_minute() -> None:
    assert KEPT * EVERY_SECONDS == 60
    assert sampled(0.5, *[0.0] * KEPT).worst < 1e-9
