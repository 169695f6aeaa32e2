# SPDX-License-Identifier: Apache-2.0
"""Calls to a real etcd: what they return, and how they fail."""

import asyncio
import re

import pytest

from tests.etcd import running_etcd
from toono.store.etcd_cluster import EtcdSettings
from toono.store.etcd_errors import (
    EtcdCompactedError,
    EtcdError,
    EtcdLeaseGoneError,
    EtcdTooLargeError,
    EtcdTooManyOpsError,
    EtcdUnavailableError,
)
from toono.store.etcd_messages import (
    Range,
    created_at,
    delete,
    end_of,
    get,
    put,
    unchanged,
)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    with running_etcd(tmp_path_factory.mktemp("etcd")) as cluster:
        yield cluster


def over(cluster, story, **options):
    """Run a story with a client, on an etcd without keys."""

    async def run():
        client = cluster.client(**options)
        try:
            await client.delete(b"\0", b"\0")
            return await story(client)
        finally:
            client.close()
            await asyncio.sleep(0)

    return asyncio.run(run())


ALL_BYTES = bytes(range(256))


def test_keys_and_values_of_any_bytes_come_back(plain):
    async def story(etcd):
        revision = await etcd.put(ALL_BYTES, ALL_BYTES)
        found = await etcd.range(Range(ALL_BYTES))
        (row,) = found.kvs
        assert (row.key, row.value) == (ALL_BYTES, ALL_BYTES)
        assert row.mod_revision == row.create_revision == revision == etcd.revision
        assert (found.count, found.more) == (1, False)
        assert etcd.cluster_id == found.header.cluster_id != 0
        assert await etcd.delete(ALL_BYTES) == 1
        assert (await etcd.range(Range(ALL_BYTES))).kvs == []
        assert await etcd.delete(ALL_BYTES) == 0

    over(plain, story)


def test_a_scan_reads_all_pages_at_one_revision(plain, monkeypatch):
    monkeypatch.setattr("toono.store.etcd_client.PAGE_KEYS", 3)

    async def story(etcd):
        for number in range(8):
            await etcd.put(b"/a/%d" % number, b"v%d" % number)
        await etcd.put(b"/b", b"no")
        reads = etcd.requests.reads
        found = await etcd.scan(b"/a/")
        assert [row.key for row in found.kvs] == [b"/a/%d" % n for n in range(8)]
        assert etcd.requests.reads == reads + 3
        assert found.more is False
        keys = await etcd.scan(b"/a/", keys_only=True, serializable=True)
        assert [row.value for row in keys.kvs] == [b""] * 8
        assert len((await etcd.scan(b"")).kvs) == 9

    over(plain, story)


def test_a_transaction_is_made_whole_or_not(plain):
    async def story(etcd):
        revision = await etcd.put(b"a", b"1")
        done = await etcd.txn(
            [unchanged(b"a", revision), unchanged(b"b", 0), created_at(b"a", revision)],
            [put(b"b", b"2"), delete(b"a"), put(b"c", b"3")],
            [get(b"a")],
        )
        assert done.succeeded
        again = await etcd.txn(
            [unchanged(b"b", 0)], [put(b"d", b"4")], [get(b"b"), get(b"a")]
        )
        assert not again.succeeded
        first, second = (one.response_range for one in again.responses)
        assert [row.value for row in first.kvs] == [b"2"]
        assert second.kvs == []
        assert (await etcd.scan(b"")).count == 2

    over(plain, story)


def test_the_limits_of_a_default_etcd_have_errors_of_their_own(plain):
    async def story(etcd):
        many = [put(b"%d" % number, b"") for number in range(129)]
        with pytest.raises(EtcdTooManyOpsError):
            await etcd.txn([], many)
        with pytest.raises(EtcdTooLargeError):
            await etcd.put(b"big", bytes(1600 * 1024))
        with pytest.raises(EtcdTooLargeError):
            await etcd.put(b"bigger", bytes(5 * 1024 * 1024))
        with pytest.raises(EtcdError, match="duplicate key"):
            await etcd.txn([], [put(b"a", b""), put(b"a", b"")])
        with pytest.raises(EtcdError, match="key is not provided"):
            await etcd.put(b"", b"")
        assert etcd.requests.failures == 0

    over(plain, story)


def test_a_lease_takes_its_keys_with_it(plain):
    async def story(etcd):
        lease = await etcd.grant(30)
        assert (lease.ttl, lease.id != 0) == (30, True)
        await etcd.put(b"held", b"", lease=lease.id)
        assert (await etcd.range(Range(b"held"))).kvs[0].lease == lease.id
        assert await etcd.keep_alive(lease.id) == 30
        await etcd.revoke(lease.id)
        assert (await etcd.range(Range(b"held"))).kvs == []
        await etcd.revoke(lease.id)
        with pytest.raises(EtcdLeaseGoneError):
            await etcd.keep_alive(lease.id)
        with pytest.raises(EtcdLeaseGoneError):
            await etcd.put(b"held", b"", lease=lease.id)

    over(plain, story)


def test_status_and_members_tell_of_the_cluster(plain):
    async def story(etcd):
        status = await etcd.status()
        assert re.match(r"3\.\d+\.\d+", status.version)
        assert status.leader != 0
        assert status.db_size >= status.db_size_in_use > 0
        assert status.errors == []
        (member,) = (await etcd.members()).members
        assert (member.name, member.id) == ("m0", status.header.member_id)
        assert member.client_urls[0].endswith(str(plain.members[0].port))

    over(plain, story)


def test_a_watch_tells_every_change_after_its_start(plain):
    async def story(etcd):
        start = await etcd.put(b"/w/a", b"1")
        async with etcd.watch(
            b"/w/", range_end=end_of(b"/w/"), start_revision=start
        ) as watch:
            assert (await watch.next()).created
            (first,) = (await watch.next()).events
            assert (first.type, first.kv.key, first.kv.value) == ("PUT", b"/w/a", b"1")
            await etcd.txn([], [put(b"/w/b", b"2"), delete(b"/w/a"), put(b"/x", b"")])
            told = await watch.next()
            seen = {(event.type, event.kv.key) for event in told.events}
            assert seen == {("PUT", b"/w/b"), ("DELETE", b"/w/a")}
            assert watch.revision == etcd.revision == start + 1

    over(plain, story)


def test_a_watch_from_a_compacted_revision_says_so(plain):
    async def story(etcd):
        for _ in range(3):
            last = await etcd.put(b"k", b"")
        await etcd._cluster.call(
            b"kv/compaction", b'{"revision":%d}' % last, dict, 0, [], again=True
        )
        async with etcd.watch(b"k", start_revision=1) as watch:
            assert (await watch.next()).created
            with pytest.raises(EtcdCompactedError) as caught:
                await watch.next()
        assert caught.value.revision == last
        with pytest.raises(EtcdCompactedError):
            await etcd.range(Range(b"k", revision=1))

    over(plain, story)


def test_no_etcd_at_all_is_unavailable():
    async def story():
        from toono.store.etcd_client import Etcd

        etcd = Etcd([("127.0.0.1", 1)], settings=EtcdSettings(attempt=1, deadline=2))
        with pytest.raises(EtcdUnavailableError):
            await etcd.status()
        with pytest.raises(EtcdUnavailableError):
            await etcd.put(b"a", b"b")
        with pytest.raises(EtcdUnavailableError):
            async with etcd.watch(b"a"):
                pass
        with pytest.raises(EtcdUnavailableError, match="configured"):
            await Etcd([]).status()
        etcd.close()

    asyncio.run(story())
