# SPDX-License-Identifier: Apache-2.0
"""A pool whose etcd members die, fall silent or are cut off from each other."""

import asyncio

import pytest
from tests.etcd import running_etcd
from tests.unit.pool.test_leader import Hub, until
from tests.unit.pool.test_shared import FORM, KEYS, SLICES, names, piece
from tests.unit.pool.test_shared import leader as publishing

from toono.pool import leader
from toono.pool.leader import Role
from toono.pool.shared import Reader
from toono.store.etcd_client import Etcd
from toono.store.etcd_cluster import EtcdSettings
from toono.store.etcd_errors import EtcdUnavailableError


def test_without_etcd_a_hub_is_pending_and_comes_back(tmp_path):
    async def story(cluster):
        one = Hub(cluster, "one")
        one.election.start()
        try:
            await until(lambda: one.now.role is Role.LEADER)
            cluster.kill()
            await until(lambda: one.now.role is Role.PENDING)
            assert one.now.guards == ()
            await asyncio.to_thread(cluster.start)
            await until(lambda: one.now.role is Role.LEADER)
        finally:
            await one.close()

    with running_etcd(tmp_path) as cluster:
        asyncio.run(story(cluster))


def test_stopping_does_not_wait_for_an_etcd_that_is_silent(tmp_path, monkeypatch):
    monkeypatch.setattr(leader, "RESIGN_SECONDS", 0.1)

    async def story(cluster):
        one = Hub(cluster, "one")
        one.election.start()
        await until(lambda: one.now.role is Role.LEADER)
        cluster.members[0].pause()
        async with asyncio.timeout(2):
            await one.close()
        cluster.members[0].resume()

    with running_etcd(tmp_path) as cluster:
        asyncio.run(story(cluster))


def test_one_member_cut_off_from_the_others_still_tells_what_it_has(tmp_path):
    async def story(cluster):
        etcd = cluster.client(settings=EtcdSettings(attempt=1, deadline=3))
        publisher = await publishing(etcd, "one")
        await publisher.publish(SLICES, FORM, [piece("a", 3)], version=7, guards=())
        third = Etcd(cluster.endpoints[2:])
        while await Reader(third, KEYS).newest(SLICES, than=6) is None:
            await asyncio.sleep(0.01)  # two of three were enough for the write
        third.close()
        for member in cluster.members[:2]:
            member.kill()
        reader = Reader(etcd, KEYS)
        async with asyncio.timeout(30):
            found = await reader.newest(SLICES, than=6)
            assert (found.version, names(found)) == (7, ["a"])
            assert await reader.newest(SLICES, than=7) is None
        cluster.members[2].kill()
        with pytest.raises(EtcdUnavailableError):
            await reader.newest(SLICES, than=0)
        etcd.close()
        await asyncio.sleep(0)

    with running_etcd(tmp_path, members=3) as cluster:
        asyncio.run(story(cluster))
