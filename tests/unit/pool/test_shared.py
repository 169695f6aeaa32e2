# SPDX-License-Identifier: Apache-2.0
"""Collections of a pool over a real etcd: published whole, read whole, never older."""

import asyncio
from functools import partial

import pytest

from tests.etcd import running_etcd
from toono.codec.base import Object
from toono.kube.names import GroupResource
from toono.pool.keys import StorageKeys
from toono.pool.shared import (
    LEADER,
    Form,
    Names,
    Publisher,
    Reader,
    version_of,
)
from toono.store.component_keys import ComponentKeys
from toono.store.etcd_components import Components
from toono.store.etcd_errors import EtcdFencedError
from toono.store.etcd_messages import created_at
from toono.store.memory import MemoryStore

KEYS = StorageKeys()
SLICES = GroupResource("discovery.k8s.io", "endpointslices")
FORM = Form("application/json", "EndpointSlice", "discovery.k8s.io/v1", "typed")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with running_etcd(tmp_path_factory.mktemp("etcd")) as one:
        yield one


def piece(name, version):
    data = (
        f'{{"metadata":{{"name":"{name}","namespace":"shop","uid":"u-{name}",'
        f'"resourceVersion":"{version}"}},"endpoints":[]}}'
    ).encode()
    return Object("shop", name, f"u-{name}", str(version), False, data)


async def leader(etcd, name, store=None, *, takes_over=()):
    keys = ComponentKeys(store or MemoryStore())
    await keys.load()
    components = Components(
        etcd, keys, mark=Names(KEYS).mark(name), version=partial(version_of, KEYS)
    )
    publisher = Publisher(components, KEYS)
    await components.recover(publisher.claims(takes_over))
    publisher.keys = lambda: components.keys(LEADER, str(SLICES))
    return publisher


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


def names(snapshot):
    return [stored.object.name for stored in snapshot.objects]


def test_what_the_leader_publishes_any_hub_reads_at_its_version(cluster):
    async def story(etcd):
        publisher, reader = await leader(etcd, "one"), Reader(etcd, KEYS)
        assert await reader.newest(SLICES, than=0) is None
        pieces = [piece("a", 3), piece("b", 4)]
        await publisher.publish(SLICES, FORM, pieces, version=7, guards=())
        found = await reader.newest(SLICES, than=6)
        assert (found.version, names(found)) == (7, ["a", "b"])
        first = found.objects[0]
        assert (first.kind, first.api_version, first.style) == FORM[1:]
        assert first.object == pieces[0]
        assert await reader.newest(SLICES, than=7) is None

    over(cluster, story)


def test_a_deletion_alone_is_newer_too(cluster):
    async def story(etcd):
        publisher, reader = await leader(etcd, "one"), Reader(etcd, KEYS)
        pieces = [piece("a", 3), piece("b", 4)]
        await publisher.publish(SLICES, FORM, pieces, version=7, guards=())
        await publisher.change(
            SLICES, FORM, [piece("c", 8)], gone=[("shop", "a")], version=9, guards=()
        )
        found = await reader.newest(SLICES, than=7)
        assert (found.version, names(found)) == (9, ["b", "c"])
        reads = etcd.requests.reads
        assert await reader.newest(SLICES, than=8) == found
        assert etcd.requests.reads == reads + 1

    over(cluster, story)


def test_a_new_leader_takes_over_and_deletes_what_vanished_between(cluster):
    async def story(etcd):
        one = await leader(etcd, "one")
        pieces = [piece("a", 3), piece("b", 4)]
        await one.publish(SLICES, FORM, pieces, version=7, guards=())
        two = await leader(etcd, "two", takes_over=(SLICES,))
        assert len(two.keys()) == 2
        await two.publish(SLICES, FORM, [piece("b", 4)], version=12, guards=())
        found = await Reader(etcd, KEYS).newest(SLICES, than=0)
        assert (found.version, names(found)) == (12, ["b"])

    over(cluster, story)


def test_a_fenced_leader_changes_neither_objects_nor_version(cluster):
    async def story(etcd):
        held = [created_at(b"lead", await etcd.put(b"lead", b"one"))]
        one = await leader(etcd, "one")
        await one.publish(SLICES, FORM, [piece("a", 3)], version=7, guards=held)
        await etcd.delete(b"lead")
        with pytest.raises(EtcdFencedError):
            await one.publish(SLICES, FORM, [], version=9, guards=held)
        found = await Reader(etcd, KEYS).newest(SLICES, than=0)
        assert (found.version, names(found)) == (7, ["a"])

    over(cluster, story)


def test_a_reader_never_tells_older_than_it_told(cluster):
    async def story(etcd):
        publisher, reader = await leader(etcd, "one"), Reader(etcd, KEYS)
        await publisher.publish(SLICES, FORM, [piece("a", 3)], version=7, guards=())
        first = await reader.newest(SLICES, than=0)
        await etcd.put(Names(KEYS).version(SLICES), b"5")
        await etcd.delete(KEYS.collection(*SLICES) + b"shop/a")
        assert await reader.newest(SLICES, than=0) == first
        # A version that went on while it was read for the second time, and back.
        reader._version = lambda *_, **__: asyncio.sleep(0, 9)
        assert await reader.newest(SLICES, than=0) == first

    over(cluster, story)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"shop/x", b"not an object"),
        (b"shop/x", b'{"metadata":{"name":"x"}}'),
        (b"shop/x/y", b"{}"),
        (b"shop/\xff", b"{}"),
    ],
)
def test_a_collection_with_a_value_that_is_no_object_is_not_told(cluster, key, value):
    async def story(etcd):
        publisher, reader = await leader(etcd, "one"), Reader(etcd, KEYS)
        await publisher.publish(SLICES, FORM, [piece("a", 3)], version=7, guards=())
        await etcd.put(KEYS.collection(*SLICES) + key, value)
        assert await reader.newest(SLICES, than=0) is None

    over(cluster, story)


@pytest.mark.parametrize("text", [b"", b"x", b"-1", b"\xff", b"1.5"])
def test_a_version_that_is_none_is_never_newer(cluster, text):
    async def story(etcd):
        await etcd.put(Names(KEYS).version(SLICES), text)
        assert await Reader(etcd, KEYS).newest(SLICES, than=0) is None

    over(cluster, story)


def test_keys_beside_the_objects_are_below_no_api_servers_prefix():
    found = Names(StorageKeys("/registry"))
    assert found.leader == b"/toono/registry/leader"
    assert found.mark("edge-1") == b"/toono/registry/hubs/edge-1"
    assert found.version(SLICES).endswith(b"/lists/discovery.k8s.io/endpointslices")
    assert version_of(KEYS, found.leader, b"{}") is None
    assert version_of(KEYS, KEYS.collection(*SLICES) + b"shop/a", b"{}") is None
