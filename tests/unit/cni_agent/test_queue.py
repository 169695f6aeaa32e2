# SPDX-License-Identifier: Apache-2.0
"""The work queue of the CNI-like agent's kit."""

import threading

from cni_agent.kit.clock import RealClock
from cni_agent.kit.queue import MOST_SECONDS, WorkQueue
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.cni_agent.virtual import VirtualClock


def queue() -> tuple[WorkQueue[str], VirtualClock]:
    clock = VirtualClock()
    return WorkQueue(clock=clock), clock


def test_a_key_put_often_is_taken_once_in_the_order_of_coming() -> None:
    keys, _ = queue()
    for key in ("b", "a", "b", "b"):
        keys.put(key)
    assert [keys.poll(), keys.poll(), keys.poll()] == ["b", "a", None]


def test_a_taken_key_waits_for_its_worker() -> None:
    keys, _ = queue()
    keys.put("a")
    assert keys.poll() == "a"
    keys.put("a")
    assert keys.poll() is None
    keys.done("a")
    assert keys.poll() == "a"
    keys.done("a")
    assert keys.poll() is None, "what was not put again does not come again"


def test_a_late_key_comes_when_it_is_due_and_in_the_order_of_time() -> None:
    keys, clock = queue()
    keys.put_after("late", 2)
    keys.put_after("soon", 1)
    assert keys.poll() is None
    clock.now += 1
    assert keys.poll() == "soon"
    assert keys.poll() is None
    clock.now += 1
    assert keys.poll() == "late"


def test_failures_double_the_pause_up_to_the_most_until_one_goes_well() -> None:
    keys, clock = queue()
    assert [keys.retry("a") for _ in range(4)] == [0.25, 0.5, 1, 2]
    assert max(keys.retry("a") for _ in range(100)) == MOST_SECONDS
    assert keys.retry("b") == 0.25, "each key has its own"
    keys.forget("a")
    assert keys.retry("a") == 0.25
    clock.now += 0.25
    assert {keys.poll(), keys.poll()} == {"a", "b"}


def test_a_key_that_comes_due_while_it_is_taken_waits_too() -> None:
    keys, clock = queue()
    keys.put("a")
    assert keys.poll() == "a"
    keys.retry("a")
    clock.now += 1
    assert keys.poll() is None
    keys.done("a")
    assert keys.poll() == "a"


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "poll", "done", "later", "retry", "time"]),
        st.integers(0, 2),
    ),
    max_size=60,
)


@given(STEPS)
def test_no_order_of_steps_loses_a_key_or_gives_it_to_two(steps) -> None:
    keys, clock = queue()
    taken: set[str] = set()
    owed: set[str] = set()
    for what, number in steps:
        key = str(number)
        match what:
            case "put":
                keys.put(key)
                owed.add(key)
            case "later":
                keys.put_after(key, number)
                owed.add(key)
            case "retry":
                keys.retry(key)
                owed.add(key)
            case "time":
                clock.now += number
            case "done" if key in taken:
                taken.remove(key)
                keys.done(key)
            case "poll":
                found = keys.poll()
                if found is not None:
                    assert found not in taken
                    taken.add(found)
                    owed.discard(found)
    # What was put after it was taken last must still come.
    for key in sorted(taken):
        keys.done(key)
    clock.now += 1000
    came = set()
    while (found := keys.poll()) is not None:
        came.add(found)
        keys.done(found)
    assert owed <= came
    assert keys.poll() is None


def test_workers_never_have_one_key_at_once_and_go_home_at_the_end() -> None:
    keys: WorkQueue[str] = WorkQueue(clock=RealClock())
    guard, inside, met = threading.Lock(), set(), []
    enough = threading.Event()

    def work() -> None:
        while (key := keys.take()) is not None:
            with guard:
                met.append(key in inside)
                inside.add(key)
            keys.put(key)
            with guard:
                inside.discard(key)
                if len(met) >= 300:
                    enough.set()
            keys.done(key)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for one in workers:
        one.start()
    for key in ("a", "b"):
        keys.put(key)
    assert enough.wait(20)
    keys.close()
    for one in workers:
        one.join(20)
    assert not any(one.is_alive() for one in workers)
    assert not any(met)


def test_a_waiting_worker_hears_of_a_late_key() -> None:
    keys: WorkQueue[str] = WorkQueue(clock=RealClock())
    found: list[str | None] = []
    worker = threading.Thread(target=lambda: found.append(keys.take()))
    worker.start()
    keys.put_after("a", 0.01)
    worker.join(20)
    assert found == ["a"]
