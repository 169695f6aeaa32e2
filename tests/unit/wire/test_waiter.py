# SPDX-License-Identifier: Apache-2.0
import asyncio
import contextvars

import pytest

from toono.testing.clock import settle
from toono.wire.waiter import Waiter

WHO = contextvars.ContextVar("WHO", default="nobody")


class Rig:
    """A task that waits again and again, and counts."""

    def __init__(self) -> None:
        self.waiter = Waiter(asyncio.get_running_loop())
        self.turns = 0
        self.seen: list[str] = []
        self.task = asyncio.create_task(self.run())

    async def run(self) -> None:
        WHO.set("the task")
        while True:
            await self.waiter
            self.turns += 1
            self.seen.append(WHO.get())

    async def aclose(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


def in_callback(action) -> asyncio.Future:
    """Run `action` as a transport would: outside of any task."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    loop.call_soon(lambda: done.set_result(action()))
    return done


def test_a_callback_runs_the_task_there_and_then_in_its_own_context() -> None:
    async def scenario() -> None:
        rig = Rig()
        await settle()

        def wake_twice() -> list[int]:
            turns = []
            for _ in range(2):
                rig.waiter.wake()
                turns.append(rig.turns)
            return turns

        assert await in_callback(wake_twice) == [1, 2]
        assert rig.seen == ["the task", "the task"]
        await rig.aclose()

    asyncio.run(scenario())


def test_a_task_that_wakes_another_goes_on_first() -> None:
    async def scenario() -> None:
        rig = Rig()
        await settle()
        rig.waiter.wake()
        assert rig.turns == 0
        await settle()
        assert rig.turns == 1
        await rig.aclose()

    asyncio.run(scenario())


def test_waking_nobody_is_forgotten() -> None:
    async def scenario() -> None:
        waiter = Waiter(asyncio.get_running_loop())
        waiter.wake()
        waiter.wake_soon()
        assert not waiter.is_waited_on
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await waiter

    asyncio.run(scenario())


def test_a_cancelled_wait_raises_once_and_the_place_can_be_used_again() -> None:
    async def scenario() -> None:
        waiter = Waiter(asyncio.get_running_loop())

        async def wait() -> str:
            try:
                await waiter
            except asyncio.CancelledError as exc:
                await waiter
                return str(exc)
            return "not cancelled"

        task = asyncio.create_task(wait())
        await settle()
        task.cancel("enough")
        await settle()
        assert waiter.is_waited_on
        waiter.wake()
        assert await task == "enough"

    asyncio.run(scenario())


def test_a_cancel_that_comes_after_the_waking_is_not_lost() -> None:
    async def scenario() -> None:
        rig = Rig()
        await settle()
        rig.waiter.wake_soon()
        rig.task.cancel()
        await settle()
        assert rig.task.cancelled()
        assert rig.turns == 0

    asyncio.run(scenario())


def test_next_turn_lets_others_run() -> None:
    async def scenario() -> None:
        waiter = Waiter(asyncio.get_running_loop())
        ran = []
        asyncio.get_running_loop().call_soon(ran.append, "other")
        await waiter.next_turn()
        assert ran == ["other"]

    asyncio.run(scenario())
