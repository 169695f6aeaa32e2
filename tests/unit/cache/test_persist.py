# SPDX-License-Identifier: Apache-2.0
"""How changes reach the store, and what a crash at any of its steps leaves."""

import asyncio

import pytest

from tests.unit.cache.kit import (
    JSON_FIELDS,
    Cache,
    Journal,
    bookmark,
    call,
    event,
    pod,
    pod_list,
    run,
)
from toono.cache import persist
from toono.cache.forms import JSON
from toono.cache.received import question_of
from toono.cache.rows import object_key
from toono.errors import StoreUnavailableError
from toono.store.base import Batch
from toono.store.memory import MemoryStore

PODS = "/api/v1/pods"
POD = "/api/v1/namespaces/default/pods/"


async def settled(cache: Cache) -> None:
    for _ in range(200):
        await asyncio.sleep(0)


async def seen_after(store: MemoryStore):
    cache = Cache(store)
    await cache.scopes.open()
    answer = await cache.list(PODS)
    await cache.scopes.aclose()
    return answer


@pytest.fixture
def small(monkeypatch) -> None:
    """Have every list of a few pods be a big one."""
    monkeypatch.setattr(persist, "WRITE_AHEAD_BYTES", 400)


def test_one_changed_object_is_one_row(monkeypatch) -> None:
    async def scenario() -> None:
        store = Journal()
        cache = Cache(store)
        await cache.take(PODS, pod_list(20, pod("a", 5), pod("b", 6)))
        stream = await cache.watch(PODS + "?watch=true&resourceVersion=20")
        store.batches.clear()
        stream.feed(event("MODIFIED", pod("a", 21)))
        ((batch, sync),) = store.batches
        assert (len(batch.puts), batch.deletes, sync) == (1, [], False)

    run(scenario)


def test_an_unchanged_list_writes_nothing_but_its_version_later() -> None:
    async def scenario() -> None:
        store = Journal()
        cache = Cache(store)
        await cache.take(PODS, pod_list(20, pod("a", 5)))
        store.batches.clear()
        await cache.take(PODS, pod_list(30, pod("a", 5)))
        assert store.batches == []
        cache.scopes.flush()
        assert len(store.batches) == 1

    run(scenario)


def test_an_object_that_grew_writes_its_scope_s_row_no_sooner() -> None:
    async def scenario() -> None:
        store = Journal()
        cache = Cache(store)
        await cache.take(PODS, pod_list(20, pod("a", 5)))
        stream = await cache.watch(PODS + "?watch=true&resourceVersion=20")
        stream.feed(event("MODIFIED", pod("a", 21, labels={"of": "another size"})))
        store.batches.clear()
        stream.feed(bookmark(30))
        assert store.batches == []

    run(scenario)


def test_a_list_that_brings_nothing_new_is_kept_whole_after_a_loss() -> None:
    async def scenario() -> None:
        store = Journal()
        cache = Cache(store)
        await cache.take(PODS, pod_list(20, pod("a", 5)))
        cache.scopes.write_anew()
        await cache.take(PODS, pod_list(30, pod("a", 5)))
        await settled(cache)
        assert await seen_after(store) == (30, ["a"])

    run(scenario)


def test_a_removal_is_written_to_survive_a_power_cut() -> None:
    async def scenario() -> None:
        store = Journal()
        cache = Cache(store)
        await cache.take(PODS, pod_list(20, pod("a", 5), pod("b", 6)))
        await cache.take(PODS, pod_list(30, pod("b", 6)))
        batch, sync = store.batches[-1]
        assert sync
        assert len(batch.deletes) == 1
        assert len(batch.puts) == 1  # the scope's row, in the same batch

    run(scenario)


@pytest.mark.usefixtures("small")
def test_a_crash_at_any_step_of_a_big_list_leaves_the_old_one_or_the_new() -> None:
    async def scenario() -> None:
        store = Journal()
        cache = Cache(store)
        old = [pod(f"p{n}", 5 + n) for n in range(8)]
        await cache.take(PODS, pod_list(20, *old))
        await settled(cache)
        first = len(store.batches)
        new = [pod(f"q{n}", 25 + n) for n in range(8)]
        await cache.take(PODS, pod_list(40, *new))
        stream = await cache.watch(PODS + "?watch=true&resourceVersion=40")
        stream.feed(event("ADDED", pod("r", 41)))
        stream.feed(event("DELETED", pod("q0", 42)))
        await settled(cache)
        assert len(store.batches) > first + 5
        olds = (20, [f"p{n}" for n in range(8)])
        news = [
            (40, [f"q{n}" for n in range(8)]),
            (41, [*[f"q{n}" for n in range(8)], "r"]),
            (42, [f"q{n}" for n in range(1, 8)] + ["r"]),
        ]
        found = [
            await seen_after(await store.after(steps))
            for steps in range(first, len(store.batches) + 1)
        ]
        assert found[0] == olds
        assert found[-1] == news[-1]
        order = [[olds, *news].index(one) for one in found]
        assert order == sorted(order)

    run(scenario)


@pytest.mark.usefixtures("small")
def test_a_crash_in_the_first_big_list_leaves_the_question_unknown() -> None:
    async def scenario() -> None:
        store = Journal()
        cache = Cache(store)
        await cache.take(PODS, pod_list(20, *[pod(f"p{n}", 5) for n in range(8)]))
        await settled(cache)
        found = [
            await seen_after(await store.after(steps))
            for steps in range(len(store.batches) + 1)
        ]
        assert found[0] == "Unknown"
        assert found[-1] == (20, [f"p{n}" for n in range(8)])
        assert set(map(str, found)) == {str(found[0]), str(found[-1])}

    run(scenario)


@pytest.mark.usefixtures("small")
def test_what_a_big_list_replaced_is_swept_also_after_a_crash() -> None:
    async def scenario() -> None:
        store = Journal()
        cache = Cache(store)
        await cache.take(PODS, pod_list(20, *[pod(f"p{n}", 5) for n in range(8)]))
        await settled(cache)
        for steps in range(1, len(store.batches) + 1):
            left = await store.after(steps)
            again = Cache(left)
            await again.scopes.open()
            whole = await again.list(PODS) != "Unknown"
            await again.scopes.aclose()
            rows = await left.scan(b"r")
            assert len(rows.rows) == (8 if whole else 0)

    run(scenario)


def test_a_full_queue_makes_the_scope_incomplete_until_its_next_list() -> None:
    async def scenario() -> None:
        store = Journal()
        cache = Cache(store)
        await cache.take(PODS, pod_list(20, pod("a", 5), pod("b", 6)))
        stream = await cache.watch(PODS + "?watch=true&resourceVersion=20")
        store.full = True
        stream.feed(event("DELETED", pod("b", 21)))
        store.full = False
        stream.feed(event("MODIFIED", pod("a", 22)))
        assert await cache.list(PODS) == "Unknown"
        assert cache.scopes.counters.dropped_changes == 1
        cache.scopes.flush()
        assert await seen_after(store) == "Unknown"
        await cache.take(PODS, pod_list(30, pod("a", 22)))
        await settled(cache)
        assert await cache.list(PODS) == (30, ["a"])
        assert await seen_after(store) == (30, ["a"])

    run(scenario)


@pytest.mark.usefixtures("small")
def test_a_big_list_waits_for_room() -> None:
    async def scenario() -> None:
        store = Journal()
        cache = Cache(store)
        store.full = True
        waiting = asyncio.ensure_future(
            cache.take(PODS, pod_list(20, *[pod(f"p{n}", 5) for n in range(8)]))
        )
        await settled(cache)
        store.full = False
        await cache.clock.advance(1)
        await waiting
        await settled(cache)
        assert await seen_after(store) == (20, [f"p{n}" for n in range(8)])

    run(scenario)


class Closing(Journal):
    """A store that is closed, or cannot be read, from some batch on."""

    def __init__(self) -> None:
        super().__init__()
        self.until: int | None = None

    def apply(self, batch: Batch, *, sync: bool = False) -> asyncio.Future[None]:
        if self.until is not None and len(self.batches) >= self.until:
            raise StoreUnavailableError("closed")
        return super().apply(batch, sync=sync)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("taken", range(4))
def test_a_big_list_that_cannot_be_written_leaves_its_scope_incomplete(taken) -> None:
    async def scenario() -> None:
        store = Closing()
        cache = Cache(store)
        await cache.take(PODS, pod_list(20, *[pod(f"p{n}", 5) for n in range(8)]))
        await settled(cache)
        store.until = len(store.batches) + taken
        new = [pod("p0", 5), *[pod(f"q{n}", 30) for n in range(7)]]
        await cache.take(PODS, pod_list(40, *new))  # the client does not wait for ever
        await settled(cache)
        store.until = None
        assert await cache.list(PODS) == "Unknown"
        assert await cache.get(POD + "p0") == "5"
        assert await cache.get(POD + "p1") == "Unknown"
        cache.scopes.flush()
        again = Cache(await store.after(len(store.batches)))
        await again.scopes.open()
        assert await again.list(PODS) == "Unknown"
        assert await again.get(POD + "p0") == "5"
        assert await again.get(POD + "p1") == "Unknown"  # it was gone: no ghost
        assert again.scopes.counters.damaged_rows == 0
        await again.scopes.aclose()
        await cache.take(PODS, pod_list(50, pod("p0", 5)))
        await settled(cache)
        assert await seen_after(store) == (50, ["p0"])

    run(scenario)


@pytest.mark.usefixtures("small")
def test_a_store_that_closes_after_a_big_list_keeps_nobody_waiting() -> None:
    async def scenario() -> None:
        store = Closing()
        cache = Cache(store)
        stream = await cache.watch(PODS + "?watch=true&resourceVersion=20")
        store.until = 4
        many = [pod(f"p{n}", 5) for n in range(8)]
        under_way = asyncio.ensure_future(cache.take(PODS, pod_list(20, *many)))
        await asyncio.sleep(0)
        gone = stream.feed(event("DELETED", pod("p0", 21))).kept
        await asyncio.wait_for(under_way, 1)
        assert gone is not None
        await asyncio.wait_for(gone, 1)
        assert await cache.list(PODS) == "Unknown"
        cache.scopes.flush()
        assert len(store.batches) == store.until
        store.until = None
        cache.scopes.flush()
        assert await seen_after(store) == "Unknown"

    run(scenario)


@pytest.mark.usefixtures("small")
def test_what_changed_while_a_big_list_failed_is_not_shown_as_it_was() -> None:
    async def scenario() -> None:
        store = Closing()
        cache = Cache(store)
        old = [pod(f"p{n}", 5) for n in range(8)]
        await cache.take(PODS, pod_list(20, *old))
        await settled(cache)
        stream = await cache.watch(PODS + "?watch=true&resourceVersion=40")
        store.until = len(store.batches) + 3
        many = [pod(f"q{n}", 30) for n in range(6)]
        under_way = asyncio.ensure_future(
            cache.take(PODS, pod_list(40, *old[:2], *many))
        )
        await asyncio.sleep(0)  # until it waits for what is written ahead
        stream.feed(event("DELETED", pod("p0", 41)))
        await under_way
        await settled(cache)
        store.until = None
        cache.scopes.flush()
        again = Cache(await store.after(len(store.batches)))
        await again.scopes.open()
        assert await again.get(POD + "p0") == "Unknown"
        assert await again.get(POD + "p1") == "5"
        await again.scopes.aclose()

    run(scenario)


@pytest.mark.usefixtures("small")
def test_rows_known_to_be_old_go_before_a_list_is_written_ahead() -> None:
    async def scenario() -> None:
        store = Journal()
        cache = Cache(store)
        await cache.take(PODS, pod_list(20, *[pod(f"p{n}", 5) for n in range(8)]))
        await settled(cache)
        stream = await cache.watch(PODS + "?watch=true&resourceVersion=20")
        store.full = True
        stream.feed(event("MODIFIED", pod("p0", 21)))
        store.full = False
        before = len(store.batches)
        await cache.take(PODS, pod_list(30, *[pod(f"p{n}", 22) for n in range(8)]))
        await settled(cache)
        for steps in range(before + 1, len(store.batches) + 1):
            again = Cache(await store.after(steps))
            await again.scopes.open()
            assert await again.get(POD + "p0") in ("Unknown", "22")
            await again.scopes.aclose()

    run(scenario)


def test_a_lost_change_is_told_with_the_next_thing_that_the_store_takes() -> None:
    async def scenario() -> None:
        store = Journal()
        cache = Cache(store)
        await cache.take(PODS, pod_list(20, pod("a", 5), pod("b", 6)))
        stream = await cache.watch(PODS + "?watch=true&resourceVersion=20")
        store.full = True
        stream.feed(event("DELETED", pod("b", 21)))
        store.full = False
        await cache.take("/api/v1/services", pod_list(30))
        assert await seen_after(store) == "Unknown"

    run(scenario)


def test_an_older_scope_does_not_stand_in_after_a_restart_either() -> None:
    async def scenario() -> None:
        store = Journal()
        cache = Cache(store)
        await cache.take(PODS, pod_list(20, pod("a", 5), pod("b", 6)))
        mine = "/api/v1/namespaces/default/pods"
        await cache.take(mine + "?resourceVersion=0", pod_list(15, pod("a", 5)))
        stream = await cache.watch(mine + "?watch=true&resourceVersion=15")
        stream.feed(event("ADDED", pod("b", 18)) + event("MODIFIED", pod("a", 29)))
        store.full = True
        stream.feed(event("MODIFIED", pod("a", 30)))
        store.full = False
        assert await cache.list(mine) == "Unknown"
        cache.scopes.flush()
        again = Cache(await store.after(len(store.batches)))
        await again.scopes.open()
        assert await again.list(mine) == "Unknown"
        assert await again.list(PODS) == (20, ["a", "b"])
        await again.scopes.aclose()

    run(scenario)


def test_a_first_list_that_was_lost_leaves_its_version() -> None:
    async def scenario() -> None:
        store = Journal()
        cache = Cache(store)
        await cache.take(PODS, pod_list(20, pod("a", 5), pod("b", 6)))
        mine = "/api/v1/namespaces/default/pods"
        store.full = True
        await cache.take(mine, pod_list(30, pod("a", 5)))
        store.full = False
        assert await cache.list(mine) == "Unknown"
        cache.scopes.flush()
        again = Cache(await store.after(len(store.batches)))
        await again.scopes.open()
        assert await again.list(mine) == "Unknown"
        assert again.scopes.counters.damaged_rows == 0
        await again.scopes.aclose()
        await cache.take(mine, pod_list(40, pod("a", 35)))
        await settled(cache)
        again = Cache(await store.after(len(store.batches)))
        await again.scopes.open()
        assert await again.list(mine) == (40, ["a"])
        await again.scopes.aclose()

    run(scenario)


def test_a_version_that_another_scope_would_belie_does_not_wait() -> None:
    async def scenario() -> None:
        store = Journal()
        cache = Cache(store)
        red = PODS + "?labelSelector=color%3Dred"
        await cache.take(red, pod_list(17))
        was_red = pod("a", 18, labels={"color": "red"})
        await cache.take(PODS, pod_list(19, was_red))
        await cache.take(red, pod_list(20))  # it is blue by now
        again = Cache(await store.after(len(store.batches)))
        await again.scopes.open()
        assert await again.list(red) == (20, [])
        await again.scopes.aclose()

    run(scenario)


def test_what_waits_is_written_before_all_else() -> None:
    async def scenario() -> None:
        store = Journal()
        cache = Cache(store)
        red = PODS + "?labelSelector=color%3Dred"
        await cache.take(red, pod_list(17))
        await cache.take(red, pod_list(20))
        before = len(store.batches)
        was_red = pod("a", 18, labels={"color": "red"})
        await cache.take(PODS + "?resourceVersion=0", pod_list(19, was_red))
        for steps in range(before, len(store.batches) + 1):
            again = Cache(await store.after(steps))
            await again.scopes.open()
            assert (await again.list(red))[1] == []
            await again.scopes.aclose()

    run(scenario)


def test_a_scope_s_own_version_never_goes_before_its_rows() -> None:
    async def scenario() -> None:
        store = Journal()
        cache = Cache(store)
        await cache.take(PODS, pod_list(20, pod("a", 5)))
        stream = await cache.watch(PODS + "?watch=true&resourceVersion=20")
        stream.feed(bookmark(25))
        stream.feed(event("ADDED", pod("b", 30)))
        found = [
            await seen_after(await store.after(steps))
            for steps in range(1, len(store.batches) + 1)
        ]
        assert found == [(20, ["a"]), (30, ["a", "b"])]

    run(scenario)


@pytest.mark.usefixtures("small")
def test_a_first_big_list_that_failed_leaves_its_version() -> None:
    async def scenario() -> None:
        store = Closing()
        cache = Cache(store)
        await cache.take(PODS, pod_list(20, pod("a", 5)))
        mine = "/api/v1/namespaces/default/pods"
        store.until = len(store.batches) + 2
        await cache.take(mine, pod_list(30, *[pod(f"p{n}", 25) for n in range(8)]))
        await settled(cache)
        store.until = None
        cache.scopes.flush()
        again = Cache(await store.after(len(store.batches)))
        await again.scopes.open()
        assert await again.list(mine) == "Unknown"
        assert again.scopes.counters.damaged_rows == 0
        await again.scopes.aclose()

    run(scenario)


@pytest.mark.usefixtures("small")
def test_a_big_list_of_which_a_row_cannot_be_read_leaves_the_others() -> None:
    async def scenario() -> None:
        store = Journal()
        cache = Cache(store)
        old = [pod(f"p{n}", 5) for n in range(8)]
        await cache.take(PODS, pod_list(20, *old))
        await settled(cache)
        (scope,) = cache.scopes.all()
        for row in scope.rows.values():
            row.data = None  # as the bytes of rows go that nobody asks for
        bad = object_key(scope.bucket, ("default", "p1"))
        await store.apply(Batch(puts=[(bad, b"\xc1")]))
        new = [pod(f"q{n}", 25) for n in range(4)]
        await cache.take(PODS, pod_list(40, *old, *new))
        await settled(cache)
        assert cache.scopes.counters.dropped_changes == 1
        assert await cache.list(PODS) == "Unknown"
        assert await cache.get(POD + "p2") == "5"
        cache.scopes.flush()
        again = Cache(await store.after(len(store.batches)))
        await again.scopes.open()
        assert await again.get(POD + "p2") == "5"
        assert await again.get(POD + "p1") == "Unknown"
        assert await again.list(PODS) == "Unknown"
        await again.scopes.aclose()

    run(scenario)


@pytest.mark.usefixtures("small")
def test_what_waits_behind_a_big_list_is_no_more_than_what_there_is(
    monkeypatch,
) -> None:
    """A disk may be away for days, and a watch goes on."""
    monkeypatch.setattr(persist, "MAX_BACKLOG", 4)

    async def scenario() -> None:
        store = Journal()
        cache = Cache(store)
        store.full = True
        pods = [pod(name, 5, labels={"of": "x" * 200}) for name in "abc"]
        recording = await cache.recorder.begin(call(PODS))
        assert recording is not None
        await recording.finish(200, JSON_FIELDS, pod_list(20, *pods))
        stream = await cache.watch(PODS + "?watch=true&resourceVersion=20")
        gone = stream.feed(event("DELETED", pod("c", 21))).kept
        for version in range(22, 122):
            stream.feed(event("MODIFIED", pod("a", version)))
        scope = cache.scopes.find(question_of(call(PODS), JSON))
        assert scope is not None
        (ahead,) = cache.scopes._keeper._ahead.values()
        assert sum(len(change.puts) for change in ahead.backlog) <= 4
        await settled(cache)
        assert gone is not None
        assert not gone.done()
        store.full = False
        await cache.clock.advance(1)
        await settled(cache)
        assert gone.done()
        assert await cache.list(PODS) == (121, ["a", "b"])
        assert await seen_after(store) == (121, ["a", "b"])

    run(scenario)


@pytest.mark.usefixtures("small")
def test_a_list_behind_a_big_one_ends_when_it_is_kept_too() -> None:
    async def scenario() -> None:
        store = Journal()
        cache = Cache(store)
        store.full = True
        pods = [pod(name, 5, labels={"of": "x" * 200}) for name in "abc"]
        waits = []
        for version in (20, 30):
            recording = await cache.recorder.begin(call(PODS))
            assert recording is not None
            pods[0]["metadata"]["resourceVersion"] = str(version)
            body = pod_list(version, *pods)
            waits.append(await recording.finish(200, JSON_FIELDS, body))
        await settled(cache)
        first, second = waits
        assert not first.done()
        assert not second.done(), "nothing is removed, but a kill would show the first"
        store.full = False
        await cache.clock.advance(1)
        await settled(cache)
        assert first.done()
        assert second.done()
        assert await seen_after(store) == (30, ["a", "b", "c"])

    run(scenario)
