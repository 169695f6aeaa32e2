# SPDX-License-Identifier: Apache-2.0
import asyncio
import gc
import logging

import pytest

from toono.runtime import tasks
from toono.runtime.tasks import cancel_and_wait, spawn
from toono.testing.clock import settle


async def fail() -> None:
    raise ValueError("why")


def test_a_task_has_its_name_and_is_kept_alive_until_done() -> None:
    async def scenario() -> None:
        release = asyncio.Event()

        async def work() -> None:
            await release.wait()

        name = spawn(work(), name="worker").get_name()
        await settle()
        gc.collect()
        alive = [task for task in asyncio.all_tasks() if task.get_name() == name]
        assert len(alive) == 1
        assert alive[0] in tasks._background
        release.set()
        await alive[0]
        await settle()
        assert alive[0] not in tasks._background

    asyncio.run(scenario())


def test_a_task_that_fails_is_logged_once_with_its_name(caplog) -> None:
    async def scenario() -> None:
        spawn(fail(), name="doomed")
        await settle()

    asyncio.run(scenario())
    (record,) = caplog.records
    assert (record.message, record.levelname) == ("task failed", "ERROR")
    assert record.task == "doomed"
    assert "why" in caplog.text


def test_a_task_that_is_cancelled_is_no_failure(caplog) -> None:
    async def scenario() -> None:
        ended: list[str] = []

        async def work() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                ended.append("clean")

        working = [spawn(work(), name="a"), spawn(work(), name="b")]
        await settle()
        await cancel_and_wait(*working)
        assert ended == ["clean", "clean"]
        assert all(one.cancelled() for one in working)

    with caplog.at_level(logging.DEBUG):
        asyncio.run(scenario())
    assert not [one for one in caplog.records if one.name == tasks.__name__]


def test_what_fails_while_it_is_cancelled_does_not_stop_the_others(caplog) -> None:
    async def scenario() -> None:
        async def stubborn() -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                raise ValueError("at the end") from None

        async def plain() -> None:
            await asyncio.Event().wait()

        working = [spawn(stubborn(), name="a"), spawn(plain(), name="b")]
        await settle()
        await cancel_and_wait(*working)
        assert working[1].cancelled()
        await cancel_and_wait()

    asyncio.run(scenario())
    assert [one.message for one in caplog.records] == ["task failed"]


def test_who_waits_for_an_end_can_itself_be_cancelled() -> None:
    async def scenario() -> None:
        hold = asyncio.Event()

        async def slow_to_end() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await hold.wait()

        working = spawn(slow_to_end(), name="slow")
        await settle()
        waiting = asyncio.create_task(cancel_and_wait(working))
        await settle()
        waiting.cancel()
        await settle()
        hold.set()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await settle()
        assert working.done()

    asyncio.run(scenario())
