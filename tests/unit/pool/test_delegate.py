# SPDX-License-Identifier: Apache-2.0
"""Heartbeats by proxy over a real etcd."""

import asyncio
import json

import pytest

from tests.etcd import running_etcd
from toono.pool.delegate import ANNOTATION, Delegate, Heartbeat, Requester
from toono.pool.keys import StorageKeys

KEYS = StorageKeys()
KEY = b"/registry/leases/kube-node-lease/edge-1"
FIRST, SECOND = "2026-11-21T01:00:00.000000Z", "2026-11-21T01:00:10.000000Z"


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


class Cloud:
    """What was renewed in the cloud, of the nodes it has."""

    def __init__(self, *nodes):
        self.nodes = nodes
        self.renewed = []

    async def __call__(self, beat):
        self.renewed.append(beat)
        return beat.node in self.nodes


def test_what_a_cut_off_hub_asks_the_leader_renews_once_for_each_beat(cluster):
    async def story(etcd):
        cloud = Cloud("edge-1")
        requester, leader = Requester(etcd, KEYS, "edge-1"), Delegate(etcd, KEYS, cloud)
        assert await leader.round() == 0
        await requester.beat(FIRST)
        assert await leader.round() == 1
        assert await leader.round() == 0
        await requester.beat(SECOND)
        assert await leader.round() == 1
        await requester.beat(FIRST)
        assert await leader.round() == 0
        assert cloud.renewed == [
            Heartbeat("edge-1", FIRST),
            Heartbeat("edge-1", SECOND),
        ]
        (row,) = (await etcd.scan(b"/registry/")).kvs
        assert row.key == KEY
        assert row.lease != 0
        document = json.loads(row.value)
        assert list(document)[:2] == ["kind", "apiVersion"]
        assert document["metadata"]["annotations"] == {ANNOTATION: "true"}

    over(cluster, story)


def test_a_hub_that_sees_the_cloud_again_asks_no_more(cluster):
    async def story(etcd):
        requester = Requester(etcd, KEYS, "edge-1")
        await requester.stop()
        await requester.beat(FIRST)
        await requester.stop()
        assert (await etcd.scan(b"/registry/")).kvs == []
        await requester.beat(SECOND)
        await etcd.revoke(requester._lease)
        await requester.beat(SECOND)
        assert len((await etcd.scan(b"/registry/")).kvs) == 1

    over(cluster, story)


def test_a_lease_that_the_cloud_does_not_have_is_not_asked_for_again(cluster):
    async def story(etcd):
        cloud = Cloud()
        await Requester(etcd, KEYS, "edge-1").beat(FIRST)
        leader = Delegate(etcd, KEYS, cloud)
        assert [await leader.round(), await leader.round()] == [0, 0]
        assert len(cloud.renewed) == 1

    over(cluster, story)


def lease(name="edge-1", note="true", at=FIRST, namespace="kube-node-lease"):
    return json.dumps(
        {
            "kind": "Lease",
            "metadata": {
                "name": name, "namespace": namespace, "annotations": {ANNOTATION: note},
            },
            "spec": {"renewTime": at},
        }
    ).encode()  # fmt: skip


@pytest.mark.parametrize(
    "value",
    [
        b"", b"{}", b"k8s\0", b"\xff", b'{"kind":"Lease","metadata":{"name":"edge-1"}}',
        lease(name="edge-2"), lease(namespace="default"), lease(note="false"),
        lease(at=""), lease(at="tomorrow"), lease(at=FIRST[:-1] + "+"),
        lease(at=FIRST.replace("2", "\N{ARABIC-INDIC DIGIT TWO}")),
    ],
)  # fmt: skip
def test_what_asks_for_nothing_is_not_renewed(cluster, value):
    async def story(etcd):
        await etcd.put(KEY, value)
        cloud = Cloud("edge-1", "edge-2")
        assert await Delegate(etcd, KEYS, cloud).round() == 0
        assert cloud.renewed == []

    over(cluster, story)


def test_the_request_above_is_one_apart_from_its_faults(cluster):
    async def story(etcd):
        await etcd.put(KEY, lease())
        assert await Delegate(etcd, KEYS, Cloud("edge-1")).round() == 1

    over(cluster, story)
