# SPDX-License-Identifier: Apache-2.0
"""One leader at a time, over a real etcd; one that slept writes nothing."""

import asyncio

import pytest

from tests.etcd import running_etcd
from toono.pool.leader import Election, LeaderSettings, Leadership, Role
from toono.runtime.clock import SystemClock
from toono.store.component_keys import ComponentKeys
from toono.store.etcd_components import Components
from toono.store.etcd_errors import EtcdFencedError
from toono.store.memory import MemoryStore

KEY = b"/toono/leader"
QUICK = LeaderSettings(lease=1.0, renew=0.2, retry=0.1)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with running_etcd(tmp_path_factory.mktemp("etcd")) as one:
        yield one


class Hub:
    """One hub's part, and all it was."""

    def __init__(self, cluster, name, *, may_lead=True, clock=None):
        self.etcd = cluster.client()
        self.may_lead = may_lead
        self.roles = []
        self.election = Election(
            self.etcd, KEY, name, clock=clock or SystemClock(),
            may_lead=lambda: self.may_lead,
            changed=lambda now: self.roles.append(now.role), settings=QUICK,
        )  # fmt: skip

    @property
    def now(self):
        return self.election.now

    async def close(self):
        await self.election.aclose()
        self.etcd.close()
        await asyncio.sleep(0)


async def until(fact, seconds=15.0):
    async with asyncio.timeout(seconds):
        while not fact():
            await asyncio.sleep(0.005)


def over(cluster, story):
    async def run():
        etcd = cluster.client()
        await etcd.delete(b"\0", b"\0")
        etcd.close()
        hubs = []
        try:
            await story(lambda *args, **options: hubs.append(
                Hub(cluster, *args, **options)) or hubs[-1])  # fmt: skip
        finally:
            for hub in hubs:
                await hub.close()

    asyncio.run(run())


def test_one_leads_and_the_other_follows_until_it_resigns(cluster):
    async def story(hub):
        one, two = hub("one"), hub("two")
        assert one.now == Leadership(role=Role.PENDING)
        one.election.start()
        await until(lambda: one.now.role is Role.LEADER)
        two.election.start()
        await until(lambda: two.now.role is Role.FOLLOWER)
        assert (two.now.leader, two.now.guards) == ("one", ())
        assert (one.now.leader, len(one.now.guards)) == ("one", 1)
        await one.election.aclose()
        await until(lambda: two.now.role is Role.LEADER, 5)
        assert two.roles == [Role.FOLLOWER, Role.LEADER]

    over(cluster, story)


def test_a_hub_that_may_not_lead_follows_and_one_that_must_stop_resigns(cluster):
    async def story(hub):
        one, two = hub("one", may_lead=False), hub("two")
        one.election.start()
        await until(lambda: one.now.role is Role.FOLLOWER)
        assert one.now.leader == ""
        two.election.start()
        await until(lambda: two.now.role is Role.LEADER)
        one.may_lead, two.may_lead = True, False
        await until(lambda: one.now.role is Role.LEADER)
        await until(lambda: two.now.leader == "one")

    over(cluster, story)


def test_a_leader_leads_on_while_its_lease_is_renewed(cluster):
    async def story(hub):
        one = hub("one")
        one.election.start()
        await until(lambda: one.now.role is Role.LEADER)
        await asyncio.sleep(1.7)
        assert one.roles == [Role.LEADER]

    over(cluster, story)


def test_a_paused_leader_that_wakes_up_writes_nothing(cluster):
    async def story(hub):
        one, two = hub("one"), hub("two")
        one.election.start()
        await until(lambda: one.now.role is Role.LEADER)
        keys = ComponentKeys(MemoryStore())
        pool = Components(one.etcd, keys, mark=b"/toono/hubs/one", version=lambda *_: 1)
        await pool.recover()
        held = one.now.guards
        rows = {b"/registry/a": b"1"}
        await pool.replace(b"leader", "x", rows, version=1, guards=held)
        # Paused: nothing of it runs, so its lease ends and another one leads.
        one.election._task.cancel()
        two.election.start()
        await until(lambda: two.now.role is Role.LEADER)
        with pytest.raises(EtcdFencedError):
            await pool.replace(b"leader", "x", {}, version=9, guards=held)
        assert (await two.etcd.scan(b"/registry/")).count == 1

    over(cluster, story)


def test_a_leader_whose_lease_was_taken_runs_again(cluster):
    async def story(hub):
        one = hub("one")
        one.election.start()
        await until(lambda: one.now.role is Role.LEADER)
        (first,) = one.now.guards
        await one.etcd.revoke(one.election._lease)
        await until(lambda: one.now.guards and one.now.guards[0] != first)
        assert one.now.role is Role.LEADER

    over(cluster, story)


def test_a_claim_whose_answer_was_lost_is_found_to_be_ours(cluster):
    async def story(hub):
        one = hub("one")
        leader, guard = await one.election._campaign()
        assert (leader, guard is not None) == ("one", True)
        assert await one.election._campaign() == (leader, guard)

    over(cluster, story)
