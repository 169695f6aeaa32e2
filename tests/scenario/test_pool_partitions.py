# SPDX-License-Identifier: Apache-2.0
"""What each hub of a pool answers in each partition, row by row, with real processes.

Three members of etcd, three hubs. One hub leads, one follows, and a third one keeps
the cloud, so that it can take over where etcd lets it. Before the cut the cloud holds
`a`, which the follower's clients have listed, and `b`, which only the pool was told.
After it the cloud gets `c`.
"""

import asyncio
from typing import NamedTuple

import pytest

from tests.pool import Node, Pool, pools
from tests.rig import until
from toono.pool.decide import Reach, Source

A, B, C = "a", "b", "c"


class Row(NamedTuple):
    """One partition of etcd, and what is answered then by hubs without the cloud."""

    etcd: str
    follower: str
    """What a follower answers at once: the pool's b, or the a on its disk."""
    leader: str
    later: str
    """What both answer once the cloud has c; empty: the same as before."""
    reach: Reach
    source: Source


TABLE = (
    Row("whole", A + B, A + B, A + B + C, Reach.MAJORITY, Source.POOL),
    Row("cut from the hub", A, A + B, "", Reach.NONE, Source.DISK),
    Row("a minority", A + B, A + B, "", Reach.MINORITY, Source.POOL),
    Row("gone", A, A + B, "", Reach.NONE, Source.DISK),
)


async def apply(row: Row, pool: Pool, nodes: list[Node]) -> None:
    members = pool.cluster.members
    match row.etcd:
        case "cut from the hub":
            for node in nodes:
                await node.cut_etcd()
        case "a minority":
            members[0].kill()
            members[1].kill()
        case "gone":
            pool.cluster.kill()
    for node in nodes:
        await until(lambda node=node: node.member.reach is row.reach, 20)


async def heal(row: Row, pool: Pool, nodes: list[Node]) -> None:
    members = pool.cluster.members
    match row.etcd:
        case "cut from the hub":
            for node in nodes:
                await node.restore_etcd()
        case "a minority":
            members[0].start()
            members[1].start()
        case "gone":
            await asyncio.to_thread(pool.cluster.start)


async def until_names(node: Node, wanted: str, seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while await node.names() != set(wanted):
            await asyncio.sleep(0.05)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.etcd.replace(" ", "-"))
def test_who_answers_what(tmp_path, row: Row) -> None:
    async def scenario() -> None:
        async with pools(tmp_path, members=3) as pool:
            pool.add_slice(A)
            for name in ("edge-1", "edge-2", "edge-3"):
                await pool.join(name)
            follower = await pool.follower()
            leader = pool.leader()
            assert await follower.names() == {A}
            pool.add_slice(B)
            await pool.published(2)
            both = [leader, follower]

            await apply(row, pool, both)
            for node in both:  # with the cloud: nobody but the cloud answers
                assert node.member.duty.source is Source.CLOUD
                assert await node.names(agent="curl/8") == {A, B}

            for node in both:
                await node.cut_cloud()
                assert node.member.duty.source is row.source
                assert not node.member.duty.publishes
            await until_names(follower, row.follower)
            await until_names(leader, row.leader)

            pool.add_slice(C)
            if row.later:
                for node in both:
                    await until_names(node, row.later)
            else:
                await asyncio.sleep(1.5)  # longer than a lease: nothing may come
                assert await follower.names() == set(row.follower)
                assert await leader.names() == set(row.leader)

            await heal(row, pool, both)
            for node in both:
                await until_names(node, A + B + C, 40)
            for node in both:
                await node.restore_cloud()
                assert await node.names() == {A, B, C}

    asyncio.run(scenario())
