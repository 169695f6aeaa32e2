# SPDX-License-Identifier: Apache-2.0
import asyncio

import msgspec
import pytest

from tests.unit.autonomy.spool_kit import event, event_patch, names, pod_status, put
from toono.autonomy import spool as module
from toono.autonomy.spool import Spool, SpoolSettings
from toono.autonomy.spooled import Target, key_of
from toono.errors import (
    DamagedRowError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)
from toono.store.base import Batch
from toono.store.memory import MemoryStore


async def opened(store=None, **settings) -> Spool:
    spool = Spool(store or MemoryStore(), settings=SpoolSettings(**settings))
    await spool.open()
    return spool


def test_what_was_taken_is_there_in_order_after_a_restart() -> None:
    async def scenario() -> None:
        store = MemoryStore()
        spool = await opened(store)
        for number in range(300):
            await put(spool, event(f"e{number}"))
        again = await opened(store)
        assert names(again) == [f"e{number}" for number in range(300)]
        assert again.size_bytes == spool.size_bytes
        assert again.filled.is_set()
        first = again.first()
        assert first is not None
        assert (await again.read(first)) == event("e0")
        assert (await put(again, event("late"))).serial == 301
        assert names(again)[-1] == "late"

    asyncio.run(scenario())


def test_concurrent_writes_stay_in_order() -> None:
    async def scenario() -> None:
        spool = await opened()
        await asyncio.gather(*(put(spool, event(f"e{n}")) for n in range(20)))
        assert names(spool) == [f"e{n}" for n in range(20)]

    asyncio.run(scenario())


def test_what_is_done_is_gone_and_counted() -> None:
    async def scenario() -> None:
        store = MemoryStore()
        spool = await opened(store)
        entry = await put(spool, event("a"))
        assert spool.begin(entry)
        await spool.finish(entry, "landed")
        await spool.finish(entry, "landed")
        spool.end(entry)
        spool.end(entry)
        assert (len(spool), spool.size_bytes, spool.first()) == (0, 0, None)
        assert not spool.filled.is_set()
        assert spool.counts == {"taken": 1, "landed": 1}
        assert not spool.begin(entry)
        assert await spool.read(entry) is None
        assert len(await opened(store)) == 0

    asyncio.run(scenario())


def test_of_a_full_disk_the_oldest_events_go_and_no_statuses(caplog) -> None:
    async def scenario() -> None:
        store = MemoryStore()
        spool = await opened(store)
        first = await put(spool, event("a"))
        sent = await put(spool, event("b"))
        await put(spool, pod_status("web"))
        await put(spool, event("c"))
        await put(spool, event("d"))
        assert spool.begin(sent)
        assert spool.spare(first.size + 1) == [key_of(1), key_of(4)]
        assert names(spool) == ["b", "web", "d"]
        assert spool.counts["disk_full"] == 2
        assert names(await opened(store)) == ["b", "web", "d"]
        assert spool.spare(10**9) == [key_of(5)]
        assert spool.spare(10**9) == []
        assert caplog.text.count("spooled events are given up") == 2

    asyncio.run(scenario())


def test_what_somebody_waits_for_is_not_given_up() -> None:
    class Slow(MemoryStore):
        def apply(self, batch: Batch, *, sync: bool = False) -> asyncio.Future[None]:
            if not sync:
                raise StoreFullError("full")
            super().apply(batch)
            return disk

    async def scenario() -> None:
        nonlocal disk
        disk = asyncio.get_running_loop().create_future()
        spool = await opened(Slow())
        waiting = asyncio.ensure_future(put(spool, event("a")))
        await asyncio.sleep(0)
        assert spool.spare(10**9) == []
        disk.set_result(None)
        entry = await waiting
        assert spool.spare(10**9) == [key_of(entry.serial)]
        assert len(spool) == 0

    disk: asyncio.Future[None]
    asyncio.run(scenario())


def test_a_try_that_failed_leaves_it_first() -> None:
    async def scenario() -> None:
        spool = await opened()
        entry = await put(spool, event("a"))
        await put(spool, event("b"))
        assert spool.begin(entry)
        spool.end(entry)
        assert spool.first() == entry

    asyncio.run(scenario())


def test_a_damaged_row_is_counted_and_taken_away(caplog) -> None:
    async def scenario() -> None:
        store = MemoryStore()
        spool = await opened(store)
        for name in "abc":
            await put(spool, event(name))
        store.apply(Batch(puts=[(key_of(2), b"nonsense"), (b"wx", b"")]))
        again = await opened(store)
        assert names(again) == ["a", "c"]
        assert again.counts == {"damaged": 2}
        assert (await opened(store)).counts == {}

    asyncio.run(scenario())
    assert "spooled writes were damaged" in caplog.text


def test_the_oldest_goes_where_there_are_too_many() -> None:
    async def scenario() -> None:
        spool = await opened(max_writes=3)
        for name in "abcde":
            await put(spool, event(name))
        assert names(spool) == ["c", "d", "e"]
        assert spool.counts == {"taken": 5, "overflow": 2}

    asyncio.run(scenario())


def test_the_oldest_goes_where_there_are_too_many_bytes() -> None:
    async def scenario() -> None:
        spool = await opened(max_bytes=4096)
        for number in range(30):
            await put(spool, event(f"e{number}"))
            assert spool.size_bytes <= 4096
        assert len(spool) > 5
        assert names(spool)[-1] == "e29"
        with pytest.raises(StoreError, match="too large"):
            await put(spool, event("huge", message="x" * 4096))
        assert names(spool)[-1] == "e29"

    asyncio.run(scenario())


def test_a_pod_that_floods_pushes_out_its_own_first() -> None:
    async def scenario() -> None:
        spool = await opened(max_writes=10)
        for number in range(4):
            await put(spool, event(f"node{number}"))
        for number in range(50):
            await put(spool, event(f"pod{number}", owner="system:serviceaccount:a:b"))
        assert names(spool)[:4] == ["node0", "node1", "node2", "node3"]
        assert names(spool)[-1] == "pod49"
        assert len(spool) == 10

    asyncio.run(scenario())


def test_a_newer_write_takes_the_place_of_an_older() -> None:
    async def scenario() -> None:
        store = MemoryStore()
        spool = await opened(store)
        old = await put(spool, pod_status("web", "Pending"))
        await put(spool, event("a"))
        await put(spool, pod_status("web", "Running"), replaces=[old])
        for one in (spool, await opened(store)):
            assert names(one) == ["a", "web"]
        assert spool.counts["replaced"] == 1

    asyncio.run(scenario())


def test_what_is_overtaken_never_follows() -> None:
    async def scenario() -> None:
        store = MemoryStore()
        spool = await opened(store)
        await put(spool, pod_status("web"))
        await put(spool, pod_status("other"))
        await put(spool, event("e"))
        await put(spool, event_patch("e", 2))
        await spool.overtaken(Target("", "pods", "shop", "web"))
        assert names(spool) == ["other", "e", "e"]
        await spool.overtaken(Target("events.k8s.io", "events", "shop", "e"))
        assert [one.method for one in spool.entries()] == ["PATCH", "POST"]
        assert names(await opened(store)) == ["other", "e"]
        assert spool.counts["overtaken"] == 2

    asyncio.run(scenario())


def test_who_overtakes_waits_for_what_is_being_sent() -> None:
    async def scenario() -> None:
        spool = await opened()
        entry = await put(spool, pod_status("web"))
        assert spool.begin(entry)
        passing = asyncio.ensure_future(
            spool.overtaken(Target("", "pods", "shop", "web"))
        )
        await spool.overtaken(Target("", "pods", "shop", "other"))
        await asyncio.sleep(0)
        assert not passing.done()
        spool.end(entry)
        await passing
        assert len(spool) == 0

    asyncio.run(scenario())


def test_what_the_disk_does_not_keep_is_not_said_to_be_kept(monkeypatch) -> None:
    class Stalled(MemoryStore):
        def apply(self, batch, *, sync=False):
            assert sync
            return asyncio.get_running_loop().create_future()

    class Full(MemoryStore):
        def apply(self, batch, *, sync=False):
            raise StoreFullError("full")

    async def scenario() -> None:
        monkeypatch.setattr(module, "DISK_SECONDS", 0.01)
        spool = await opened(Stalled())
        with pytest.raises(StoreUnavailableError, match="in time"):
            await put(spool, event("a"))
        spool = await opened(Full())
        with pytest.raises(StoreFullError):
            await put(spool, event("a"))
        assert len(spool) == 0

    asyncio.run(scenario())


def test_dropped_by_hand() -> None:
    async def scenario() -> None:
        spool = await opened()
        one = await put(spool, event("a"))
        assert await spool.drop([one], "dropped") == 1
        assert await spool.drop([one], "dropped") == 0
        assert spool.counts["dropped"] == 1

    asyncio.run(scenario())


def test_a_damaged_row_is_no_write() -> None:
    async def scenario() -> None:
        store = MemoryStore()
        spool = await opened(store)
        one = await put(spool, event("a"))
        store.apply(Batch(puts=[(key_of(one.serial), b"\xc1")]))
        assert await spool.read(one) is None

        async def damaged(key):
            raise DamagedRowError(key)

        store.get = damaged  # type: ignore[method-assign]
        assert await spool.read(one) is None
        assert msgspec.structs.asdict(event("a"))["token"] == b""

    asyncio.run(scenario())


def test_what_is_promised_over_a_power_cut_is_synced_and_nothing_else() -> None:
    class Watched(MemoryStore):
        def __init__(self) -> None:
            super().__init__()
            self.synced: list[bool] = []

        def apply(self, batch, *, sync=False):
            self.synced.append(sync)
            return super().apply(batch, sync=sync)

    async def scenario() -> None:
        store = Watched()
        spool = await opened(store)
        one = await put(spool, event("a"))
        await spool.finish(one, "landed")
        await put(spool, pod_status("web"))
        await spool.overtaken(Target("", "pods", "shop", "web"))
        assert store.synced == [True, False, True, True]
        two = await put(spool, pod_status("web"))
        await spool.finish(two, "landed")
        assert store.synced[4:] == [True, True]

    asyncio.run(scenario())
