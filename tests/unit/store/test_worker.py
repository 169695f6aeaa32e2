# SPDX-License-Identifier: Apache-2.0
"""A thread of one's own: in order, told in the loop, and gone in the end."""

import asyncio
import threading
from functools import partial

import pytest

from toono.store.worker import Worker


def test_work_is_done_in_order_in_one_thread_of_that_name() -> None:
    async def story() -> None:
        worker, seen = Worker("store-test"), []

        def note(number: int) -> int:
            seen.append((number, threading.current_thread().name))
            return number

        futures = [worker.begin(partial(note, number)) for number in range(20)]
        assert await asyncio.gather(*futures) == list(range(20))
        assert seen == [(number, "store-test") for number in range(20)]
        worker.stop()

    asyncio.run(story())


@pytest.mark.parametrize("failure", [OSError("full"), SystemExit(1)])
def test_what_goes_wrong_is_told_to_who_waits_and_the_thread_goes_on(failure) -> None:
    async def story() -> None:
        worker = Worker("store-test")

        def fail() -> None:
            raise failure

        with pytest.raises(type(failure)):
            await worker.call(fail)
        assert await worker.call(lambda: 1) == 1
        worker.stop()

    try:
        asyncio.run(story())
    except SystemExit:
        pytest.fail("it was raised in nobody's name")


def test_who_waits_no_longer_stops_what_has_begun_and_nothing_more() -> None:
    async def story() -> None:
        worker, hold, began = Worker("store-test"), threading.Event(), threading.Event()
        done: list[int] = []

        def wait(number: int, *, fails: bool = False) -> None:
            began.set()
            hold.wait(30)
            done.append(number)
            if fails:
                raise OSError

        for number, fails in ((1, False), (2, True)):
            began.clear()
            hold.clear()
            begun = worker.begin(partial(wait, number, fails=fails))
            waiting = worker.begin(partial(done.append, 0))
            await asyncio.to_thread(began.wait, 30)
            begun.cancel()
            waiting.cancel()  # it never begins
            hold.set()
            await worker.call(lambda: None)
        assert done == [1, 2]
        worker.stop()

    asyncio.run(story())


def test_stop_ends_the_thread_and_leave_does_not_wait_for_it() -> None:
    async def story() -> Worker:
        worker = Worker("store-test")
        await worker.call(lambda: None)
        worker.stop()
        assert not _threads("store-test")
        with pytest.raises(RuntimeError, match="has ended"):
            worker.begin(lambda: None)
        Worker("store-test").stop()  # it never began
        other = Worker("store-test")
        other.begin(partial(hold.wait, 30))
        other.leave()
        return other

    hold = threading.Event()
    asyncio.run(story())
    (thread,) = _threads("store-test")
    hold.set()  # after the end of the loop: nobody is told, nothing is raised
    thread.join(30)
    assert not thread.is_alive()


def test_a_process_that_forgets_its_threads_ends() -> None:
    async def story() -> None:
        worker = Worker("store-test")
        await worker.call(lambda: None)
        (thread,) = _threads("store-test")
        assert thread.daemon
        worker.stop()

    asyncio.run(story())


def _threads(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == name]
