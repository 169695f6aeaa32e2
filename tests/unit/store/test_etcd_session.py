# SPDX-License-Identifier: Apache-2.0
"""A writer's transactions in a real etcd: what was made is always found out."""

import asyncio

import pytest

from tests.etcd import running_etcd
from toono.store.etcd_errors import (
    EtcdConflictError,
    EtcdFencedError,
    EtcdTooManyOpsError,
    EtcdUnsureError,
    WrongClusterError,
)
from toono.store.etcd_limits import Unit
from toono.store.etcd_messages import Range, created_at, put, unchanged
from toono.store.etcd_session import Mark, Session

MARK = b"/toono/hubs/edge-1"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with running_etcd(tmp_path_factory.mktemp("etcd")) as one:
        yield one


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


def unit(key, revision=0, value=b"v"):
    return Unit(key, unchanged(key, revision), put(key, value))


async def value_of(etcd, key):
    found = (await etcd.range(Range(key))).kvs
    return found[0].value if found else None


class Broken:
    """An etcd whose next transaction fails, before or after it was made."""

    def __init__(self, etcd, failure, *, made):
        self._etcd, self._failure, self._made = etcd, failure, made

    async def txn(self, *args, **options):
        if self._made:
            await self._etcd.txn(*args, **options)
        raise self._failure

    async def range(self, asked):
        return await self._etcd.range(asked)


def test_the_mark_tells_how_far_an_intent_came(cluster):
    async def story(etcd):
        session = Session(etcd, MARK)
        assert await session.open() is None
        done = await session.commit([unit(b"a")], step=(7, 1))
        assert done.done
        assert (await session.commit([unit(b"b")])).done
        assert session.last == Mark(3, 7, 1)
        again = Session(etcd, MARK)
        assert await again.open() == Mark(3, 7, 1)
        assert again.last == Mark(4, 7, 1)
        (row,) = (await etcd.range(Range(b"a"))).kvs
        assert row.mod_revision == done.revision

    over(cluster, story)


def test_a_transaction_that_etcd_disagrees_with_reads_its_keys(cluster):
    async def story(etcd):
        session = Session(etcd, MARK)
        await session.open()
        revision = await etcd.put(b"a", b"theirs")
        result = await session.commit([unit(b"a"), unit(b"b")], step=(7, 1))
        assert (result.done, [row.key for row in result.found]) == (False, [b"a"])
        assert result.found[0].value == b"theirs"
        assert session.last == Mark(1, 0, 0)
        assert (await session.commit([unit(b"a", revision), unit(b"b")])).done

    over(cluster, story)


def test_a_second_writer_of_the_name_ends_the_first(cluster):
    async def story(etcd):
        first, second = Session(etcd, MARK), Session(etcd, MARK)
        await first.open()
        await second.open()
        with pytest.raises(EtcdFencedError, match="name") as caught:
            await first.commit([unit(b"a")])
        assert caught.value.session
        assert not first.is_open
        with pytest.raises(EtcdFencedError, match="not open"):
            await first.commit([unit(b"a")])
        assert await value_of(etcd, b"a") is None
        assert (await second.commit([unit(b"a")])).done

    over(cluster, story)


def test_a_guard_that_fails_fences_and_leaves_the_session(cluster):
    async def story(etcd):
        session = Session(etcd, MARK)
        await session.open()
        leader = await etcd.put(b"leader", b"me")
        held = [created_at(b"leader", leader), unchanged(b"leader", leader)]
        assert (await session.commit([unit(b"a")], guards=held)).done
        await etcd.put(b"leader", b"still me")
        assert (await session.commit([unit(b"b")], guards=held[:1])).done
        with pytest.raises(EtcdFencedError, match="leader") as caught:
            await session.commit([unit(b"c")], guards=held)
        assert not caught.value.session
        await etcd.delete(b"leader")
        await session.open()
        with pytest.raises(EtcdFencedError, match="leader"):
            await session.commit([unit(b"c")], guards=held[:1])
        assert await value_of(etcd, b"c") is None

    over(cluster, story)


@pytest.mark.parametrize("made", [False, True])
def test_after_a_break_opening_tells_what_was_made(cluster, made):
    async def story(etcd):
        session = Session(etcd, MARK)
        await session.open()
        session._etcd = Broken(etcd, EtcdUnsureError("gone"), made=made)
        with pytest.raises(EtcdUnsureError):
            await session.commit([unit(b"a")], step=(9, 1))
        assert not session.is_open
        session._etcd = etcd
        assert await session.open() == (Mark(2, 9, 1) if made else Mark(1, 0, 0))
        assert await value_of(etcd, b"a") == (b"v" if made else None)

    over(cluster, story)


def test_a_transaction_still_under_way_is_never_made_after_opening(cluster):
    async def story(etcd):
        session = Session(etcd, MARK)
        await session.open()
        late = [unchanged(MARK, session._revision)], [put(b"a", b"late")]
        await session.open()
        assert not (await etcd.txn(*late)).succeeded

    over(cluster, story)


def test_a_refusal_leaves_the_session_open_and_another_cluster_does_not(cluster):
    async def story(etcd):
        session = Session(etcd, MARK)
        await session.open()
        with pytest.raises(EtcdTooManyOpsError):
            await session.commit([unit(b"%d" % number) for number in range(200)])
        assert session.is_open
        session._etcd = Broken(etcd, WrongClusterError("other"), made=False)
        with pytest.raises(WrongClusterError):
            await session.commit([unit(b"a")])
        assert not session.is_open

    over(cluster, story)


@pytest.mark.parametrize(
    "text", [b"", b"1 2", b"1 2 x", b"-1 2 3", b"9" * 19 + b" 0 0"]
)
def test_a_mark_that_nobody_of_us_wrote_counts_as_none(cluster, text):
    async def story(etcd):
        await etcd.put(MARK, text)
        session = Session(etcd, MARK)
        assert await session.open(at_least=40) is None
        assert session.last == Mark(41, 0, 0)

    over(cluster, story)


def test_opening_gives_up_against_a_writer_that_opens_all_the_time(cluster):
    class Contested:
        async def range(self, asked):
            found = await etcd_of.range(asked)
            await etcd_of.put(MARK, b"9 9 9")
            return found

        async def txn(self, *args):
            return await etcd_of.txn(*args)

    async def story(etcd):
        nonlocal etcd_of
        etcd_of = etcd
        session = Session(Contested(), MARK)
        with pytest.raises(EtcdConflictError):
            await session.open()
        assert not session.is_open

    etcd_of = None
    over(cluster, story)
