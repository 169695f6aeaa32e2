# SPDX-License-Identifier: Apache-2.0
import asyncio
import time

from toono.runtime.clock import SystemClock


def test_the_machine_s_clocks_are_read() -> None:
    clock = SystemClock()
    before = time.monotonic(), time.time()
    found = clock.monotonic(), clock.wall()
    after = time.monotonic(), time.time()
    assert before[0] <= found[0] <= after[0]
    assert before[1] <= found[1] <= after[1]


def test_sleep_waits_and_lets_others_run() -> None:
    async def scenario() -> list[str]:
        order: list[str] = []

        async def sleeper() -> None:
            await SystemClock().sleep(0.01)
            order.append("woken")

        task = asyncio.create_task(sleeper())
        await asyncio.sleep(0)
        order.append("others")
        await task
        return order

    started = time.monotonic()
    assert asyncio.run(scenario()) == ["others", "woken"]
    assert time.monotonic() - started >= 0.009


def test_what_is_to_be_called_later_can_be_taken_back() -> None:
    async def scenario() -> list[str]:
        called: list[str] = []
        clock, over = SystemClock(), asyncio.Event()
        clock.call_later(0.0, lambda: called.append("taken back")).cancel()
        clock.call_later(0.01, over.set)
        await over.wait()
        return called

    started = time.monotonic()
    assert asyncio.run(scenario()) == []
    assert time.monotonic() - started >= 0.009
