# SPDX-License-Identifier: Apache-2.0
import asyncio

from toono.testing.clock import VirtualClock


def test_sleepers_wake_in_order_and_at_their_moment() -> None:
    async def scenario() -> list[tuple[str, float]]:
        clock = VirtualClock()
        woken: list[tuple[str, float]] = []

        async def sleeper(name: str, seconds: float) -> None:
            await clock.sleep(seconds)
            woken.append((name, clock.monotonic()))

        tasks = [
            asyncio.ensure_future(sleeper("late", 5)),
            asyncio.ensure_future(sleeper("early", 2)),
        ]
        await clock.advance(1)
        assert woken == []
        await clock.advance(10)
        await asyncio.gather(*tasks)
        assert clock.monotonic() == 11
        return woken

    assert asyncio.run(scenario()) == [("early", 2), ("late", 5)]


def test_wall_time_moves_with_the_clock() -> None:
    async def scenario() -> None:
        clock = VirtualClock(wall=100.0)
        await clock.advance(3)
        assert clock.wall() == 103.0

    asyncio.run(scenario())


def test_what_comes_later_comes_at_its_moment_unless_it_was_taken_back() -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        called: list[float] = []
        clock.call_later(2, lambda: called.append(clock.monotonic()))
        clock.call_later(3, lambda: called.append(clock.monotonic())).cancel()
        await clock.advance(1)
        assert called == []
        await clock.advance(10)
        assert called == [2]

    asyncio.run(scenario())
