# SPDX-License-Identifier: Apache-2.0
"""Components over a real etcd: one transaction, nothing older, no ghost after a break."""

import asyncio

import pytest

from tests.etcd import RAISED, running_etcd
from toono.store.component_keys import ComponentKeys, Intent, Step
from toono.store.etcd_components import Claim, Components
from toono.store.etcd_errors import (
    EtcdConflictError,
    EtcdDeniedError,
    EtcdFencedError,
    EtcdFullError,
    EtcdTooLargeError,
    EtcdUnsureError,
    WrongClusterError,
)
from toono.store.etcd_limits import DEFAULTS
from toono.store.etcd_messages import created_at
from toono.store.memory import MemoryStore

MARK = b"/toono/hubs/edge-1"
KUBELET = b"kubelet"


@pytest.fixture(scope="module")
def raised(tmp_path_factory):
    with running_etcd(tmp_path_factory.mktemp("raised"), *RAISED) as one:
        yield one


@pytest.fixture(scope="module")
def default(tmp_path_factory):
    with running_etcd(tmp_path_factory.mktemp("default")) as one:
        yield one


def version(key, value):
    text = value.partition(b" ")[0]
    return int(text) if text.isdigit() else None


async def started(etcd, store, *claims, **options):
    keys = ComponentKeys(store)
    await keys.load()
    made = Components(etcd, keys, mark=MARK, version=version, **options)
    made.found = await made.recover(claims)
    return made


def over(cluster, story):
    async def run():
        etcd = cluster.client()
        try:
            await etcd.delete(b"\0", b"\0")
            await story(etcd)
        finally:
            etcd.close()
            await asyncio.sleep(0)

    asyncio.run(run())


async def rows(etcd):
    return {row.key: row.value for row in (await etcd.scan(b"/r/")).kvs}


def pods(*numbers, at=1):
    return {b"/r/pods/%05d" % number: b"%d v" % at for number in numbers}


def test_a_list_of_a_thousand_is_one_transaction(raised):
    async def story(etcd):
        hub = await started(etcd, MemoryStore())
        first = pods(*range(1000), at=5)
        before = etcd.requests.writes
        made = await hub.replace(KUBELET, "pods", first, version=5)
        assert (made.written, made.transactions) == (1000, 1)
        assert etcd.requests.writes == before + 1
        second = {
            **pods(*range(500), at=5),
            **pods(*range(500, 600), at=6),
            **pods(2000, at=6),
        }
        made = await hub.replace(KUBELET, "pods", second, version=6)
        assert (made.written, made.older, made.deleted) == (101, 500, 400)
        assert (made.transactions, etcd.requests.writes) == (1, before + 2)
        assert await rows(etcd) == second
        assert hub.keys(KUBELET, "pods") == sorted(second)
        assert hub.resources(KUBELET) == ["pods"]

    over(raised, story)


def test_a_third_list_deletes_what_the_second_brought(raised):
    async def story(etcd):
        hub = await started(etcd, MemoryStore())
        for at, numbers in enumerate([(1, 2), (2, 3), (3, 4), ()], start=1):
            await hub.replace(KUBELET, "pods", pods(*numbers, at=at), version=at)
            assert sorted(await rows(etcd)) == sorted(pods(*numbers))

    over(raised, story)


def test_after_a_restart_the_next_list_is_one_transaction_again(raised):
    async def story(etcd):
        store = MemoryStore()
        hub = await started(etcd, store)
        await hub.replace(KUBELET, "pods", pods(1, 2, 3), version=1)
        hub = await started(etcd, store)
        assert hub.found == (-1, 0, [], False)
        made = await hub.replace(KUBELET, "pods", pods(3, 4, at=2), version=2)
        assert (made.transactions, made.deleted) == (1, 2)
        assert await rows(etcd) == pods(3, 4, at=2)

    over(raised, story)


def test_newer_values_of_others_stay_and_are_not_deleted(raised):
    async def story(etcd):
        hub = await started(etcd, MemoryStore())
        await hub.replace(KUBELET, "pods", pods(1, 2, 3), version=1)
        theirs = pods(1, 2, at=9)
        for key, value in theirs.items():
            await etcd.put(key, value)
        made = await hub.replace(KUBELET, "pods", pods(2, 3, at=5), version=5)
        assert made.transactions == 2
        assert await rows(etcd) == {**theirs, **pods(3, at=5)}
        assert hub.keys(KUBELET, "pods") == sorted(pods(2, 3))

    over(raised, story)


def test_garbage_below_our_key_is_replaced_and_garbage_of_ours_refused(raised):
    async def story(etcd):
        hub = await started(etcd, MemoryStore())
        await etcd.put(b"/r/pods/00001", b"garbage")
        given = {**pods(1), b"/r/pods/bad": b"no version"}
        made = await hub.replace(KUBELET, "pods", given, version=1)
        assert made.refused == [b"/r/pods/bad"]
        assert await rows(etcd) == pods(1)

    over(raised, story)


def test_events_change_only_what_they_name(raised):
    async def story(etcd):
        store = MemoryStore()
        hub = await started(etcd, store)
        await hub.replace(KUBELET, "pods", pods(1, 2, 3), version=1)
        made = await hub.change(
            KUBELET, "pods", pods(4, at=2), deletes=pods(1, 9), version=2
        )
        assert (made.written, made.deleted, made.transactions) == (1, 1, 1)
        assert sorted(await rows(etcd)) == sorted(pods(2, 3, 4))
        written = dict((await store.scan(b"k")).rows)
        await hub.change(KUBELET, "pods", pods(2, at=3), version=3)
        assert dict((await store.scan(b"k")).rows) == written
        assert (await rows(etcd))[b"/r/pods/00002"] == b"3 v"
        again = await hub.change(KUBELET, "pods", {}, version=3)
        assert again.transactions == 0

    over(raised, story)


def test_a_component_of_any_bytes_goes_with_all_that_only_it_holds(raised):
    strange = bytes(range(256))

    async def story(etcd):
        hub = await started(etcd, MemoryStore())
        await hub.replace(strange, "pods", pods(1, 2), version=1)
        await hub.replace(strange, "nodes", {b"/r/minions/a": b"1"}, version=1)
        await hub.replace(KUBELET, "pods", pods(2, 3), version=1)
        made = await hub.delete_component(strange)
        assert (made.deleted, made.transactions) == (2, 2)
        assert sorted(await rows(etcd)) == sorted(pods(2, 3))
        assert hub.resources(strange) == []
        await hub.replace(KUBELET, "pods", {}, version=2)
        assert await rows(etcd) == {}

    over(raised, story)


def test_a_default_etcd_gets_several_transactions_puts_first(default):
    async def story(etcd):
        hub = await started(etcd, MemoryStore())
        made = await hub.replace(KUBELET, "pods", pods(*range(300)), version=1)
        assert (made.written, made.transactions) == (300, 3)
        assert await rows(etcd) == pods(*range(300))
        made = await hub.replace(KUBELET, "pods", pods(*range(290, 500)), version=2)
        assert await rows(etcd) == pods(*range(290, 500))
        assert made.transactions == 4

    over(default, story)


def test_small_limits_are_learned_from_bytes_too(default):
    async def story(etcd):
        hub = await started(etcd, MemoryStore())
        big = {key: value + bytes(400_000) for key, value in pods(*range(9)).items()}
        big[b"/r/pods/huge"] = b"1 " + bytes(2_000_000)
        made = await hub.replace(KUBELET, "pods", big, version=1)
        assert made.refused == [b"/r/pods/huge"]
        assert (made.written, made.transactions) == (9, 3)
        assert sorted(await rows(etcd)) == sorted(pods(*range(9)))

    over(default, story)


class Faulty:
    """An etcd whose n-th transaction from now breaks, before or after it was made."""

    def __init__(self, etcd, nth, *, made):
        self._etcd, self._left, self._made = etcd, nth, made

    def __getattr__(self, name):
        return getattr(self._etcd, name)

    async def txn(self, *args, **options):
        self._left -= 1
        if self._left == 0 and not self._made:
            raise EtcdUnsureError("cut")
        answer = await self._etcd.txn(*args, **options)
        if self._left == 0:
            raise EtcdUnsureError("cut")
        return answer


@pytest.mark.parametrize("nth", [1, 2, 3, 4])
@pytest.mark.parametrize("made", [False, True])
@pytest.mark.parametrize("restart", [False, True])
def test_a_break_at_any_transaction_leaves_no_ghost(default, nth, made, restart):
    async def story(etcd):
        store = MemoryStore()
        hub = await started(etcd, store, limits=DEFAULTS)
        await hub.replace(KUBELET, "pods", pods(*range(130)), version=1)
        hub._session._etcd = Faulty(etcd, nth, made=made)
        new = pods(*range(100, 400), at=2)
        with pytest.raises(EtcdUnsureError):
            await hub.replace(KUBELET, "pods", new, version=2)
        hub._session._etcd = etcd
        if restart:
            hub = await started(etcd, store, limits=DEFAULTS)
            assert hub.found.steps_made == nth - 1 + made
            assert set(hub.keys(KUBELET, "pods")) == set(await rows(etcd))
        last = pods(5, 150, at=3)
        await hub.replace(KUBELET, "pods", last, version=3)
        assert await rows(etcd) == last
        assert hub.keys(KUBELET, "pods") == sorted(last)

    over(default, story)


def test_a_lost_cache_is_rebuilt_from_etcd_by_what_is_ours(raised):
    async def story(etcd):
        hub = await started(etcd, MemoryStore())
        await hub.replace(KUBELET, "pods", pods(1, 2, 3), version=1)
        await etcd.put(b"/r/pods/other", b"1 of another node")
        claim = Claim(KUBELET, "pods", b"/r/pods/", lambda _, v: b"another" not in v)
        hub = await started(etcd, MemoryStore(), claim)
        assert hub.found.rebuilt == [(KUBELET, "pods")]
        assert hub.keys(KUBELET, "pods") == sorted(pods(1, 2, 3))
        await hub.replace(KUBELET, "pods", pods(3, at=2), version=2)
        assert sorted(await rows(etcd)) == [b"/r/pods/00003", b"/r/pods/other"]

    over(raised, story)


def test_a_damaged_entry_is_rebuilt_and_a_sound_one_is_not_read(raised):
    async def story(etcd):
        store = MemoryStore()
        hub = await started(etcd, store)
        await hub.replace(KUBELET, "pods", pods(1, 2), version=1)
        del store._rows[next(k for k in store._rows if k.endswith(b"00002"))]
        asked = []

        def mine(key, value):
            asked.append(key)
            return True

        claim = Claim(KUBELET, "pods", b"/r/pods/", mine)
        hub = await started(etcd, store, claim)
        assert hub.found.rebuilt == [(KUBELET, "pods")]
        assert hub.keys(KUBELET, "pods") == sorted(pods(1, 2))
        asked.clear()
        hub = await started(etcd, store, claim)
        assert (hub.found.rebuilt, asked) == ([], [])
        await etcd.put(b"/r/pods/00007", b"3 theirs")
        hub = await started(etcd, store, claim._replace(always=True))
        assert hub.keys(KUBELET, "pods") == sorted(pods(1, 2, 7))

    over(raised, story)


def test_keys_that_vanished_from_etcd_are_forgotten(raised):
    async def story(etcd):
        store = MemoryStore()
        hub = await started(etcd, store)
        await hub.replace(KUBELET, "pods", pods(1, 2, 3), version=1)
        await etcd.delete(b"/r/pods/00002")
        hub = await started(etcd, store)
        assert (hub.found.vanished, hub.found.etcd_lost) == (1, False)
        assert hub.keys(KUBELET, "pods") == sorted(pods(1, 3))

    over(raised, story)


def test_an_etcd_that_lost_everything_is_told_and_filled_again(raised):
    async def story(etcd):
        store = MemoryStore()
        hub = await started(etcd, store)
        await hub.replace(KUBELET, "pods", pods(1, 2), version=1)
        await etcd.delete(b"\0", b"\0")
        with pytest.raises(EtcdFencedError):
            await hub.replace(KUBELET, "pods", pods(2, at=2), version=2)
        with pytest.raises(EtcdFencedError, match="name"):
            await hub.replace(KUBELET, "pods", pods(2, at=2), version=2)
        found = await hub.recover()
        assert (found.etcd_lost, found.vanished) == (True, 2)
        await hub.replace(KUBELET, "pods", pods(2, at=2), version=2)
        assert await rows(etcd) == pods(2, at=2)

    over(raised, story)


def test_an_etcd_that_went_back_is_read_anew(raised):
    async def story(etcd):
        store = MemoryStore()
        hub = await started(etcd, store)
        await hub.replace(KUBELET, "pods", pods(1), version=1)
        await hub.replace(KUBELET, "pods", pods(2, at=2), version=2)
        await etcd.put(MARK, b"2 2 1")
        await etcd.put(b"/r/pods/00001", b"1 risen")
        claim = Claim(KUBELET, "pods", b"/r/pods/", lambda *_: True)
        hub = await started(etcd, store, claim)
        assert hub.found.etcd_lost
        assert hub.keys(KUBELET, "pods") == sorted(pods(1, 2))
        await hub.replace(KUBELET, "pods", pods(2, at=3), version=3)
        assert sorted(await rows(etcd)) == sorted(pods(2))

    over(raised, story)


def test_an_etcd_of_another_cluster_is_refused_before_anything_is_written(
    raised, default
):
    async def story(etcd):
        store = MemoryStore()
        await started(etcd, store)
        other = default.client()
        await other.delete(b"\0", b"\0")
        with pytest.raises(WrongClusterError):
            await started(other, store)
        assert (await other.scan(b"")).kvs == []
        other.close()

    over(raised, story)


def test_nothing_is_changed_before_recovery(raised):
    async def story(etcd):
        hub = Components(etcd, ComponentKeys(MemoryStore()), mark=MARK, version=version)
        with pytest.raises(EtcdFencedError, match="recover"):
            await hub.replace(KUBELET, "pods", pods(1), version=1)

    over(raised, story)


def test_a_leader_that_is_none_any_more_writes_nothing(raised):
    async def story(etcd):
        hub = await started(etcd, MemoryStore())
        elected = await etcd.put(b"leader", b"edge-1")
        guards = [created_at(b"leader", elected)]
        await hub.replace(KUBELET, "pods", pods(1), version=1, guards=guards)
        await etcd.delete(b"leader")
        await etcd.put(b"leader", b"edge-2")
        with pytest.raises(EtcdFencedError, match="leader"):
            await hub.replace(KUBELET, "pods", pods(2), version=2, guards=guards)
        assert await rows(etcd) == pods(1)
        await hub.replace(KUBELET, "pods", pods(3), version=3)
        assert await rows(etcd) == pods(3)

    over(raised, story)


def test_a_note_is_set_with_the_last_of_a_change_and_is_nobodys(default):
    async def story(etcd):
        hub = await started(etcd, MemoryStore(), limits=DEFAULTS)
        await hub.replace(
            KUBELET, "pods", pods(*range(200)), version=1, note=(b"n", b"1")
        )
        noted = (await etcd.scan(b"n")).kvs[0]
        last = max(row.mod_revision for row in (await etcd.scan(b"/r/")).kvs)
        assert (noted.value, noted.mod_revision) == (b"1", last)
        await hub.change(KUBELET, "pods", {}, version=2, note=(b"n", b"2"))
        await hub.delete_component(KUBELET)
        assert [row.value for row in (await etcd.scan(b"n")).kvs] == [b"2"]
        assert await rows(etcd) == {}

    over(default, story)


@pytest.mark.parametrize("failure", [EtcdTooLargeError, EtcdFullError, EtcdDeniedError])
def test_a_refusal_by_etcd_leaves_the_cache_as_it_was(default, failure):
    async def story(etcd):
        store = MemoryStore()
        hub = await started(etcd, store, limits=DEFAULTS)
        await hub.replace(KUBELET, "pods", pods(1), version=1)
        tight = {b"/r/pods/00002": b"2 " + bytes(1_400_000)}
        hub._session._etcd = Refusing(failure)
        with pytest.raises(failure):
            await hub.replace(KUBELET, "pods", tight, version=2)
        hub._session._etcd = etcd
        assert hub.keys(KUBELET, "pods") == sorted(pods(1))
        assert hub._keys.intent is None
        await hub.replace(KUBELET, "pods", pods(3), version=3)
        assert await rows(etcd) == pods(3)

    over(default, story)


class Refusing:
    def __init__(self, failure):
        self._failure = failure

    async def txn(self, *args, **options):
        raise self._failure("no", code=3)


def test_keys_that_change_under_every_attempt_are_a_conflict(raised):
    class Busy:
        def __init__(self, etcd):
            self._etcd = etcd

        async def txn(self, *args, **options):
            await self._etcd.put(b"/r/pods/00001", b"1 busy")
            return await self._etcd.txn(*args, **options)

    async def story(etcd):
        hub = await started(etcd, MemoryStore())
        hub._session._etcd = Busy(etcd)
        with pytest.raises(EtcdConflictError):
            await hub.replace(KUBELET, "pods", pods(1, at=2), version=2)

    over(raised, story)


def test_an_intent_that_never_reached_etcd_changes_nothing(raised):
    async def story(etcd):
        store = MemoryStore()
        hub = await started(etcd, store)
        await hub.replace(KUBELET, "pods", pods(1), version=1)
        keys = hub._keys
        await keys.begin(Intent(99, KUBELET, "pods", (Step((b"/r/pods/x",), ()),)))
        hub = await started(etcd, store)
        assert hub.found.steps_made == 0
        assert hub.keys(KUBELET, "pods") == sorted(pods(1))

    over(raised, story)
