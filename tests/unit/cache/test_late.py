# SPDX-License-Identifier: Apache-2.0
import asyncio

from tests.unit.cache.kit import run
from toono.cache.late import MAX_LATE_BYTES, Late
from toono.testing.clock import settle


def test_who_asks_what_is_kept_waits_for_all_of_it() -> None:
    async def scenario() -> None:
        late = Late()
        first, second = asyncio.Event(), asyncio.Event()
        await late.settled()
        await late.recorded("a")
        assert not late.is_busy
        late.add("a", 10, _when(first))
        late.add("b", 10, _when(second))
        settled = asyncio.create_task(late.settled())
        recorded = asyncio.create_task(late.recorded("a"))
        await settle()
        assert late.is_busy
        first.set()
        await recorded
        await late.recorded("c")
        assert not settled.done()
        second.set()
        await settled
        assert not late.is_busy

    run(scenario)


def test_nobody_waits_for_what_ends_after_he_asked() -> None:
    async def scenario() -> None:
        late = Late()
        first, second = asyncio.Event(), asyncio.Event()
        late.add("a", 10, _when(first))
        settled = asyncio.create_task(late.settled())
        await settle()
        late.add("b", 10, _when(second))
        first.set()
        await settled
        assert late.is_busy
        second.set()
        await late.settled()

    run(scenario)


def test_one_answer_to_a_question_and_so_many_bytes_at_most() -> None:
    async def scenario() -> None:
        late = Late()
        end = asyncio.Event()
        assert late.takes("a", MAX_LATE_BYTES)
        assert not late.takes("a", MAX_LATE_BYTES + 1)
        late.add("a", 10, _when(end))
        assert not late.takes("a", 1)
        assert late.takes("b", MAX_LATE_BYTES - 10)
        assert not late.takes("b", MAX_LATE_BYTES - 9)
        end.set()
        await late.settled()
        assert late.takes("a", MAX_LATE_BYTES)

    run(scenario)


def test_one_that_fails_is_over_too(caplog) -> None:
    async def scenario() -> None:
        late = Late()
        late.add("a", 10, _fail())
        await late.recorded("a")
        await late.settled()
        assert late.takes("a", MAX_LATE_BYTES)

    run(scenario)
    assert "task failed" in caplog.text


async def _when(event: asyncio.Event) -> None:
    await event.wait()


async def _fail() -> None:
    raise ValueError("broken")
