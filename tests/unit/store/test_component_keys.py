# SPDX-License-Identifier: Apache-2.0
"""The component key cache: two phases, damage that is noticed, any byte in a name."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toono.errors import StoreFullError, StoreUnavailableError
from toono.store import component_keys
from toono.store.base import Batch, Scan
from toono.store.component_keys import ComponentKeys, Intent, Step
from toono.store.memory import MemoryStore

PODS = (b"kubelet", "pods")


class Moody(MemoryStore):
    """A store that can be told to refuse, to hang, or to show rows as damaged."""

    full = hanging = False
    damaged = ()

    def apply(self, batch, *, sync=False):
        if self.full:
            raise StoreFullError("full")
        if self.hanging:
            return asyncio.get_running_loop().create_future()
        return super().apply(batch, sync=sync)

    async def scan(self, prefix):
        rows = (await super().scan(prefix)).rows
        kept = [row for row in rows if row[0] not in self.damaged]
        return Scan(kept, self.damaged)


async def loaded(store):
    keys = ComponentKeys(store)
    await keys.load()
    return keys


def intent(number, *steps, entry=PODS):
    made = tuple(Step(tuple(adds), tuple(removes)) for adds, removes in steps)
    return Intent(number, *entry, made)


async def filled(store, keys=(b"/a", b"/b"), entry=PODS):
    cache = await loaded(store)
    await cache.bind(7, 1)
    await cache.begin(intent(2, (keys, ()), entry=entry))
    await cache.finish(1, number=2)
    return cache


def test_what_was_finished_is_there_after_a_restart():
    async def story():
        store = MemoryStore()
        first = await filled(store)
        assert first.keys(*PODS) == {b"/a", b"/b"}
        again = await loaded(store)
        assert again.keys(*PODS) == {b"/a", b"/b"}
        assert again.resources(b"kubelet") == ["pods"]
        assert (again.head.cluster, again.head.number) == (7, 2)
        assert (again.intent, again.damaged, again.lost) == (None, set(), False)
        assert again.owners(b"/a") == 1
        assert again.owners(b"/c") == 0

    asyncio.run(story())


@pytest.mark.parametrize(
    ("steps", "left"),
    [(0, {b"/a", b"/b"}), (1, {b"/a", b"/b", b"/c"}), (2, {b"/b", b"/c"})],
)
def test_an_intent_survives_and_is_finished_as_far_as_it_came(steps, left):
    async def story():
        store = MemoryStore()
        cache = await filled(store)
        wish = intent(3, ((b"/c",), ()), ((), (b"/a",)))
        await cache.begin(wish)
        again = await loaded(store)
        assert again.intent == wish
        assert again.keys(*PODS) == {b"/a", b"/b"}
        await again.finish(steps, number=4)
        assert again.keys(*PODS) == left
        final = await loaded(store)
        assert (final.keys(*PODS), final.intent) == (left, None)
        assert final.damaged == set()
        assert {key for key in (b"/a", b"/b", b"/c") if final.owners(key)} == left

    asyncio.run(story())


def test_an_entry_without_keys_leaves_no_row():
    async def story():
        store = MemoryStore()
        cache = await filled(store)
        await cache.begin(intent(3, ((), (b"/a", b"/b"))))
        await cache.finish(1, number=3)
        assert cache.entries() == {}
        rows = (await store.scan(b"k")).rows
        assert [key for key, _ in rows] == [b"kh"]

    asyncio.run(story())


def test_two_components_may_hold_one_key():
    async def story():
        store = MemoryStore()
        cache = await filled(store)
        await cache.begin(intent(3, ((b"/a",), ()), entry=(b"other", "pods")))
        await cache.finish(1, number=3)
        assert cache.owners(b"/a") == 2
        again = await loaded(store)
        assert again.owners(b"/a") == 2
        await again.settle(PODS, [])
        assert again.owners(b"/a") == 1

    asyncio.run(story())


@given(
    st.dictionaries(
        st.tuples(st.binary(max_size=5), st.text(max_size=3)),
        st.sets(st.binary(min_size=1, max_size=5), min_size=1, max_size=4),
        max_size=4,
    )
)
def test_components_resources_and_keys_of_any_bytes_stay_apart(entries):
    async def story():
        store = MemoryStore()
        cache = await loaded(store)
        await cache.bind(1, 1)
        for entry, keys in entries.items():
            await cache.settle(entry, keys)
        again = await loaded(store)
        assert again.entries() == entries
        assert (again.damaged, again.lost) == (set(), False)

    asyncio.run(story())


def test_a_missing_row_makes_its_entry_damaged_and_settling_heals_it():
    async def story():
        store = MemoryStore()
        await filled(store)
        await filled(store, (b"/x",), (b"other", "pods"))
        member = next(k for k, _ in (await store.scan(b"km")).rows if k.endswith(b"/a"))
        await store.apply(Batch(deletes=[member]))
        again = await loaded(store)
        assert again.damaged == {PODS}
        assert again.keys(*PODS) == {b"/b"}
        await again.settle(PODS, [b"/a", b"/b"])
        assert (await loaded(store)).damaged == set()

    asyncio.run(story())


@pytest.mark.parametrize("kind", [b"ke", b"km"])
def test_a_damaged_row_is_never_taken_for_no_row(kind):
    async def story():
        store = Moody()
        await filled(store)
        store.damaged = tuple(k for k, _ in (await store.scan(kind)).rows)[:1]
        again = await loaded(store)
        assert again.damaged == {PODS}
        assert again.lost is False

    asyncio.run(story())


@pytest.mark.parametrize("damaged", [b"kh", b"ki", b"k", b"km\0"])
def test_damage_without_a_name_puts_everything_in_doubt(damaged):
    async def story():
        store = Moody()
        await filled(store)
        store.damaged = (damaged,)
        assert (await loaded(store)).lost

    asyncio.run(story())


@pytest.mark.parametrize(
    "row", [(b"kh", b"?"), (b"ki", b"\xc0"), (b"kx", b""), (b"km\0", b"")]
)
def test_rows_that_say_nothing_put_everything_in_doubt(row):
    async def story():
        store = MemoryStore()
        await filled(store)
        await store.apply(Batch(puts=[row]))
        assert (await loaded(store)).lost

    asyncio.run(story())


def test_an_empty_store_is_new_and_not_lost():
    async def story():
        cache = await loaded(MemoryStore())
        assert (cache.lost, cache.head, cache.intent) == (False, None, None)
        assert cache.keys(*PODS) == frozenset()

    asyncio.run(story())


def test_keys_without_a_head_are_in_doubt():
    async def story():
        store = MemoryStore()
        await filled(store)
        await store.apply(Batch(deletes=[b"kh"]))
        assert (await loaded(store)).lost

    asyncio.run(story())


def test_forgetting_leaves_nothing():
    async def story():
        store = MemoryStore()
        cache = await filled(store)
        await cache.forget()
        assert (cache.entries(), cache.head) == ({}, None)
        assert (await store.scan(b"")).rows == []

    asyncio.run(story())


def test_nothing_is_begun_on_a_disk_that_does_not_answer(monkeypatch):
    monkeypatch.setattr(component_keys, "WAIT_SECONDS", 0.01)

    async def story():
        store = Moody()
        cache = await filled(store)
        store.hanging = True
        with pytest.raises(StoreUnavailableError, match="disk"):
            await cache.begin(intent(3, ((b"/c",), ())))
        assert cache.intent is None

    asyncio.run(story())


def test_what_a_full_store_did_not_take_is_written_before_the_next_intent():
    async def story():
        store = Moody()
        cache = await filled(store)
        await cache.begin(intent(3, ((b"/c",), (b"/a",))))
        store.full = True
        with pytest.raises(StoreFullError):
            await cache.finish(1, number=3)
        assert cache.keys(*PODS) == {b"/b", b"/c"}
        with pytest.raises(StoreFullError):
            await cache.begin(intent(4, ((b"/d",), ())))
        store.full = False
        await cache.begin(intent(4, ((b"/d",), ())))
        again = await loaded(store)
        assert again.keys(*PODS) == {b"/b", b"/c"}
        assert again.intent.id == 4
        assert again.damaged == set()

    asyncio.run(story())
