# SPDX-License-Identifier: Apache-2.0
"""How changes reach the store, and what a crash at any of its steps leaves."""

import asyncio

import pytest

from tests.unit.cache.kit import Cache, event, pod, pod_list, run
from toono.cache import persist
from toono.errors import StoreFullError
from toono.store.base import Batch
from toono.store.memory import MemoryStore

PODS = "/api/v1/pods"


class Journal(MemoryStore):
    """A store that remembers each batch, and can be full or slow."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[tuple[Batch, bool]] = []
        self.full = False

    def apply(self, batch: Batch, *, sync: bool = False) -> asyncio.Future[None]:
        if self.full:
            raise StoreFullError("full")
        self.batches.append((batch, sync))
        return super().apply(batch, sync=sync)

    async def after(self, steps: int) -> MemoryStore:
        """Return what a crash after so many batches leaves."""
        left = MemoryStore()
        for batch, _ in self.batches[:steps]:
            await left.apply(batch)
        return left


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
