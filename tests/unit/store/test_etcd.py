# SPDX-License-Identifier: Apache-2.0
"""A store over etcd: batches as operations, and what waits while etcd is away."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.etcd import running_etcd
from toono.errors import StoreFullError, StoreUnavailableError
from toono.runtime.clock import SystemClock
from toono.store import etcd as module
from toono.store.base import Batch
from toono.store.etcd import EtcdStore, units_of
from toono.store.etcd_errors import (
    BadKeyError,
    EtcdFencedError,
    EtcdFullError,
    EtcdTooLargeError,
    EtcdUnsureError,
)
from toono.store.etcd_limits import DEFAULTS, Limits
from toono.store.memory import MemoryStore

MARK = b"mark"


class NoWait(SystemClock):
    """A clock whose sleeps end at once."""

    async def sleep(self, seconds):
        await asyncio.sleep(0)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with running_etcd(tmp_path_factory.mktemp("etcd")) as one:
        yield one


def over(cluster, story, **options):
    async def run():
        etcd = cluster.client()
        await etcd.delete(b"\0", b"\0")
        store = EtcdStore(etcd, mark=MARK, clock=NoWait(), **{"root": b"r/", **options})
        await store.open()
        try:
            await story(store, etcd)
        finally:
            await store.aclose()
            etcd.close()
            await asyncio.sleep(0)

    asyncio.run(run())


KEYS = st.binary(max_size=2).map(lambda text: bytes(byte % 3 for byte in text))
BATCHES = st.builds(
    Batch,
    puts=st.lists(st.tuples(KEYS, st.binary(max_size=3)), max_size=4),
    deletes=st.lists(KEYS, max_size=3),
    drops=st.lists(KEYS, max_size=2),
)


@given(st.dictionaries(KEYS, st.binary(max_size=2)), BATCHES)
def test_the_operations_of_a_batch_do_what_the_batch_says(before, batch):
    rows = {b"r/" + key: value for key, value in before.items()}
    touched = []
    for unit in units_of(batch, b"r/"):
        if unit.op.request_put is not None:
            rows[unit.key] = unit.op.request_put.value
            touched.append(unit.key)
            continue
        gone = unit.op.request_delete_range
        end = gone.range_end or gone.key + b"\0"
        assert not [key for key in touched if gone.key <= key < end]
        rows = {k: v for k, v in rows.items() if not gone.key <= k < end}

    async def model():
        store = MemoryStore()
        await store.apply(Batch(puts=list(before.items())))
        await store.apply(batch)
        return (await store.scan(b"")).rows

    assert sorted(rows.items()) == [(b"r/" + k, v) for k, v in asyncio.run(model())]


def test_a_batch_is_one_transaction_and_reads_see_it_at_once(cluster):
    async def story(store, etcd):
        await etcd.put(b"r0", b"not ours")
        future = store.apply(Batch(puts=[(b"a", b"1"), (b"b", b"2"), (b"", b"0")]))
        assert await store.get(b"a") == b"1"
        assert (await store.scan(b"")).rows == [(b"", b"0"), (b"a", b"1"), (b"b", b"2")]
        await future
        writes = etcd.requests.writes
        await store.apply(
            Batch(drops=[b""], deletes=[b"b"], puts=[(b"b", b"3")]), sync=True
        )
        assert etcd.requests.writes == writes + 1
        assert (await store.scan(b"")).rows == [(b"b", b"3")]
        assert await store.get(b"a") is None
        assert await store.get(b"b") == b"3"
        assert len((await etcd.scan(b"r")).kvs) == 2

    over(cluster, story)


def test_a_large_batch_is_made_in_pieces(cluster):
    async def story(store, etcd):
        rows = [(b"%04d" % number, bytes(6000)) for number in range(400)]
        await store.apply(Batch(puts=rows))
        assert (await store.scan(b"")).rows == rows
        await store.apply(Batch(deletes=[key for key, _ in rows[1:]]))
        assert (await store.scan(b"")).rows == rows[:1]

    over(cluster, story)
    over(cluster, story, limits=DEFAULTS)


def test_limits_that_show_late_begin_the_batch_again(cluster):
    async def story(store, etcd):
        rows = [(b"%d" % number, bytes(900_000 + number)) for number in range(1, 4)]
        rows += [(b"x%03d" % number, b"") for number in range(300)]
        await store.apply(Batch(puts=rows))
        assert len((await store.scan(b"")).rows) == 303

    over(cluster, story, limits=Limits(ops=128, bytes=2_500_000))


def test_what_fits_no_request_fails_and_is_forgotten(cluster):
    async def story(store, etcd):
        await store.apply(Batch(puts=[(b"a", b"old")]))
        with pytest.raises(EtcdTooLargeError):
            await store.apply(Batch(puts=[(b"a", bytes(2_000_000))]))
        assert await store.get(b"a") == b"old"
        await store.apply(Batch(puts=[(b"b", b"1")]))
        assert len((await store.scan(b"")).rows) == 2

    over(cluster, story)


class Moody:
    """An etcd whose transactions fail as told, before or after they were made."""

    def __init__(self, etcd):
        self._etcd = etcd
        self.fail = []

    async def txn(self, *args, **options):
        made, failure = self.fail.pop(0) if self.fail else (True, None)
        answer = await self._etcd.txn(*args, **options) if made else None
        if failure is not None:
            raise failure
        return answer

    async def range(self, asked):
        return await self._etcd.range(asked)


@pytest.mark.parametrize("made", [False, True])
@pytest.mark.parametrize("nth", [0, 1, 2])
def test_a_break_at_any_transaction_is_made_good_exactly(cluster, made, nth):
    async def story(store, etcd):
        moody = store._session._etcd = Moody(etcd)
        moody.fail = [(True, None)] * nth + [(made, EtcdUnsureError("cut"))]
        first = store.apply(Batch(puts=[(b"%03d" % n, b"1") for n in range(300)]))
        second = store.apply(Batch(puts=[(b"000", b"2")], deletes=[b"001"]))
        await first
        await second
        rows = dict((await store.scan(b"")).rows)
        assert (len(rows), rows[b"000"]) == (299, b"2")
        assert moody.fail == []

    over(cluster, story, limits=DEFAULTS)


def test_while_etcd_is_full_batches_wait_and_reads_see_them(cluster):
    async def story(store, etcd):
        moody = store._session._etcd = Moody(etcd)
        moody.fail = [(False, EtcdFullError("full"))] * 5
        future = store.apply(Batch(puts=[(b"a", b"1")]))
        await asyncio.sleep(0)
        assert not future.done()
        assert await store.get(b"a") == b"1"
        await future
        assert (await etcd.scan(b"r/")).kvs[0].value == b"1"

    over(cluster, story)


def test_closing_does_not_wait_for_ever_for_an_etcd_that_is_away(cluster, monkeypatch):
    monkeypatch.setattr(module, "CLOSE_SECONDS", 0.05)

    async def story(store, etcd):
        moody = store._session._etcd = Moody(etcd)
        moody.fail = [(False, EtcdFullError("full"))] * 100_000
        future = store.apply(Batch(puts=[(b"a", b"1")]))
        await store.aclose()
        with pytest.raises(StoreUnavailableError, match="away"):
            await future

    over(cluster, story)


def test_a_second_writer_of_the_name_ends_this_one(cluster):
    async def story(store, etcd):
        await etcd.put(MARK, b"5 0 0")
        future = store.apply(Batch(puts=[(b"a", b"1")]))
        after = store.apply(Batch(puts=[(b"b", b"1")]))
        with pytest.raises(EtcdFencedError):
            await future
        with pytest.raises(EtcdFencedError):
            await after
        with pytest.raises(EtcdFencedError):
            store.apply(Batch())
        assert (await store.scan(b"")).rows == []

    over(cluster, story)


def test_the_queue_is_bounded_and_a_closed_store_takes_nothing(cluster, monkeypatch):
    monkeypatch.setattr(module, "QUEUE_BYTES", 100)

    async def story(store, etcd):
        with pytest.raises(StoreFullError):
            store.apply(Batch(puts=[(b"a", bytes(101))]))
        assert await store.get(b"a") is None
        cancelled = store.apply(Batch(puts=[(b"a", b"1")]))
        cancelled.cancel()
        await store.aclose()
        assert (await etcd.scan(b"r/")).kvs[0].value == b"1"
        with pytest.raises(StoreUnavailableError):
            store.apply(Batch())

    over(cluster, story)


@pytest.mark.parametrize(
    "batch", [Batch(puts=[(b"", b"")]), Batch(deletes=[b""]), Batch(drops=[b""])]
)
def test_without_a_root_there_is_no_empty_key_and_no_dropping_all(cluster, batch):
    async def story(store, etcd):
        with pytest.raises(BadKeyError):
            store.apply(batch)

    over(cluster, story, root=b"")


def test_a_store_that_was_never_opened_closes(cluster):
    async def run():
        etcd = cluster.client()
        await EtcdStore(etcd, mark=MARK, clock=NoWait()).aclose()
        etcd.close()

    asyncio.run(run())
