# SPDX-License-Identifier: Apache-2.0
"""A node's uploads over a real etcd: only its own, and only its own taken back."""

import asyncio
from functools import partial

import pytest

from tests.etcd import running_etcd
from toono.codec.base import Object
from toono.pool.keys import StorageKeys
from toono.pool.shared import Form, Names, version_of
from toono.pool.upload import KUBELET, NODES, PODS, Upload
from toono.store.component_keys import ComponentKeys
from toono.store.etcd_components import Components
from toono.store.memory import MemoryStore

KEYS = StorageKeys()
POD = Form("application/json", "Pod", "v1", "typed")
NODE = Form("application/json", "Node", "v1", "typed")


def pod(name, node, version):
    data = (
        f'{{"metadata":{{"name":"{name}","namespace":"shop","uid":"u",'
        f'"resourceVersion":"{version}"}},"spec":{{"nodeName":"{node}"}}}}'
    ).encode()
    return Object("shop", name, "u", str(version), False, data)


def node(name, version):
    data = f'{{"metadata":{{"name":"{name}","uid":"u","resourceVersion":"{version}"}}}}'
    return Object("", name, "u", str(version), False, data.encode())


async def hub(etcd, name, store=None):
    keys = ComponentKeys(store or MemoryStore())
    await keys.load()
    components = Components(
        etcd, keys, mark=Names(KEYS).mark(name), version=partial(version_of, KEYS)
    )
    upload = Upload(components, KEYS, name)
    await components.recover(upload.claims())
    upload.keys = lambda of: list(components.keys(KUBELET, str(of)))
    return upload


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


async def stored(etcd):
    return [row.key.decode() for row in (await etcd.scan(KEYS.root)).kvs]


def test_two_nodes_upload_beside_each_other(cluster):
    async def story(etcd):
        one, two = await hub(etcd, "edge-1"), await hub(etcd, "edge-2")
        await one.replace(PODS, POD, [pod("a", "edge-1", 3)], version=5)
        await one.replace(NODES, NODE, [node("edge-1", 2)], version=5)
        await two.replace(PODS, POD, [pod("b", "edge-2", 4)], version=5)
        await one.change(
            PODS, POD, [pod("c", "edge-1", 6)], gone=[("shop", "a")], version=6
        )
        assert await stored(etcd) == [
            "/registry/minions/edge-1",
            "/registry/pods/shop/b",
            "/registry/pods/shop/c",
        ]
        await one.replace(PODS, POD, [], version=7)
        assert (await stored(etcd))[1:] == ["/registry/pods/shop/b"]

    over(cluster, story)


def test_a_node_whose_cache_was_lost_takes_back_its_own_and_nobody_elses(cluster):
    async def story(etcd):
        one, two = await hub(etcd, "edge-1"), await hub(etcd, "edge-2")
        for upload, name in ((one, "edge-1"), (two, "edge-2")):
            await upload.replace(PODS, POD, [pod(f"p-{name}", name, 3)], version=5)
            await upload.replace(NODES, NODE, [node(name, 2)], version=5)
        await etcd.put(b"/registry/pods/shop/bad", b"what")
        await etcd.put(b"/registry/pods/shop/worse/x", b"what")
        again = await hub(etcd, "edge-1")
        assert again.keys(PODS) == [b"/registry/pods/shop/p-edge-1"]
        assert again.keys(NODES) == [b"/registry/minions/edge-1"]
        await again.replace(PODS, POD, [], version=6)
        assert "/registry/pods/shop/p-edge-2" in await stored(etcd)
        assert "/registry/pods/shop/p-edge-1" not in await stored(etcd)

    over(cluster, story)


def test_the_version_of_an_upload_stands_beside_it(cluster):
    async def story(etcd):
        one = await hub(etcd, "edge-1")
        assert await one.uploaded(etcd, PODS) == 0
        await one.replace(PODS, POD, [pod("a", "edge-1", 3)], version=9)
        assert await one.uploaded(etcd, PODS) == 9
        await one.change(PODS, POD, [pod("b", "edge-1", 11)], version=11)
        assert await one.uploaded(etcd, PODS) == 11
        assert await one.uploaded(etcd, NODES) == 0
        other = await hub(etcd, "edge-2")
        assert await other.uploaded(etcd, PODS) == 0
        again = await hub(etcd, "edge-1")
        assert await again.uploaded(etcd, PODS) == 11
        await etcd.put(Names(KEYS).uploaded("edge-1", PODS), b"\xff")
        assert await again.uploaded(etcd, PODS) == 0

    over(cluster, story)
