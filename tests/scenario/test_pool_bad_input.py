# SPDX-License-Identifier: Apache-2.0
"""A pool that is misconfigured, full, foreign or full of rubbish: the hub goes on with
its own cache, says what is wrong, and answers nothing that is not the cloud's."""

import asyncio
import json

import pytest

from tests.etcd import RAISED, running_etcd
from tests.pool import KUBELET, PROXY, QUICK, SLICES, pools
from tests.rig import ask, body, get, hub_over, until
from toono.config.pool import PoolSettings
from toono.errors import OptionError
from toono.store.etcd_errors import EtcdFullError
from toono.testing.certificates import Authority
from toono.wire.tls import ClientFiles

LISTS = b"/toono/registry/lists/discovery.k8s.io/endpointslices"
ROOT = b"/registry/endpointslices/"


def settings(cluster, **more) -> PoolSettings:
    chosen = {"endpoints": tuple(cluster.endpoints), "tls": None} | QUICK | more
    return PoolSettings(**chosen)


async def listed(hub) -> dict:
    return json.loads(body(await ask(hub, get(SLICES, agent=PROXY))))


def test_a_wrong_ca_is_told_and_the_disk_answers(tmp_path) -> None:
    right = Authority(tmp_path / "right")
    other = Authority(tmp_path / "other")
    server = right.server("127.0.0.1")
    pair = other.user("edge-1")
    files = ClientFiles(ca=other.file, certificate=pair.certificate, key=pair.key)
    tls = (server.certificate, server.key, right.file)

    async def scenario() -> None:
        with running_etcd(tmp_path / "etcd", tls=tls) as cluster:
            chosen = settings(cluster, tls=files)
            async with hub_over([("127.0.0.1", 9)], tmp_path, pool=chosen) as hub:
                member = hub.pooling.member
                await until(lambda: "certificate" in member.problem, 20)
                assert member.page()["answersFrom"] == "disk"
                assert member.election.now.role.name == "PENDING"

    asyncio.run(scenario())


def test_files_that_are_not_there_stop_the_start_and_name_their_option(
    tmp_path,
) -> None:
    async def scenario() -> None:
        nowhere = ClientFiles(ca=tmp_path / "none")
        chosen = PoolSettings(endpoints=(("127.0.0.1", 9),), tls=nowhere)
        async with hub_over([("127.0.0.1", 9)], tmp_path, pool=chosen):
            raise AssertionError("a hub with a pool that it can never reach")

    with pytest.raises(OptionError, match="--coordinator-ca-file"):
        asyncio.run(scenario())


@pytest.mark.parametrize("prefix", ["registry", "/", "", "/a//b", "/a/../b"])
def test_a_prefix_that_is_none_stops_the_start(tmp_path, prefix) -> None:
    async def scenario() -> None:
        chosen = PoolSettings(endpoints=(("127.0.0.1", 9),), tls=None, prefix=prefix)
        async with hub_over([("127.0.0.1", 9)], tmp_path, pool=chosen):
            raise AssertionError("a hub that writes where no API server looks")

    with pytest.raises(OptionError, match="--coordinator-storage-prefix"):
        asyncio.run(scenario())


def test_another_prefix_is_another_pool(tmp_path) -> None:
    async def scenario() -> None:
        async with pools(tmp_path) as pool:
            pool.add_slice("a")
            first = await pool.join("edge-1")
            await pool.published(1)
            second = await pool.join("edge-2", pool={"prefix": "/other/pool"})
            await until(lambda: second.role == "leader", 20)
            assert first.role == "leader"
            etcd = pool.cluster.client()
            key = b"/other/pool/endpointslices/default/a"
            async with asyncio.timeout(15):
                while key not in [row.key for row in (await etcd.scan(b"/")).kvs]:
                    await asyncio.sleep(0.05)
            etcd.close()

    asyncio.run(scenario())


def test_an_etcd_of_another_cluster_is_refused(tmp_path) -> None:
    """It comes up at the old one's address, holding other objects."""

    async def scenario() -> None:
        async with pools(tmp_path) as pool:
            pool.add_slice("a")
            node = await pool.join("edge-1")
            await pool.published(1)
            assert await node.names() == {"a"}
            await node.cut_cloud()
            with running_etcd(tmp_path / "other", token="another") as foreign:
                etcd = foreign.client()
                rubbish = b'{"kind":"EndpointSlice","metadata":{"name":"x"}}'
                await etcd.put(ROOT + b"default/x", rubbish)
                await etcd.put(LISTS, b"999999999")
                await node.cut_etcd()
                node.etcd[0].target = foreign.endpoints[0]
                await node.restore_etcd()
                await until(lambda: "the pool's is" in node.member.problem)
                await until(lambda: node.member.page()["answersFrom"] == "disk")
                assert await node.names() == {"a"}
                before = (await etcd.status()).header.revision
                await asyncio.sleep(1)
                assert (await etcd.status()).header.revision == before, "written to"
                etcd.close()

    asyncio.run(scenario())


async def fill(etcd) -> None:
    for number in range(40):
        await etcd.put(b"/fill/%d" % number, bytes(256 * 1024))


def test_a_full_etcd_is_told_and_read_on(tmp_path) -> None:
    async def scenario() -> None:
        flags = (*RAISED, "--quota-backend-bytes=4194304")
        async with pools(tmp_path, flags=flags) as pool:
            pool.add_slice("a")
            await pool.join("edge-1")
            await pool.join("edge-2")
            follower = await pool.follower()
            await pool.published(1)
            etcd = pool.cluster.client()
            with pytest.raises(EtcdFullError):
                await fill(etcd)
            pool.add_slice("b")
            leader = pool.leader()
            await until(lambda: "exceeded" in leader.member.problem, 20)
            assert await leader.names() == {"a", "b"}
            await follower.cut_cloud()
            async with asyncio.timeout(15):
                while await follower.names() != {"a"}:
                    await asyncio.sleep(0.05)
            etcd.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\0\xff",
        b"[1]",
        b'{"metadata":{"name":"x","namespace":"default"}}',
        b'{"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1","metadata":'
        b'{"name":"y","namespace":"default","uid":"u","resourceVersion":"5"}}',
        b'{"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1beta1","metadata":'
        b'{"name":"x","namespace":"default","uid":"u","resourceVersion":"5"}}',
        b"k8s\0\n\x02\n\0",
    ],
    ids=["empty", "bytes", "list", "no-kind", "other-name", "other-version", "torn"],
)
def test_a_value_that_is_no_such_object_is_never_answered(tmp_path, value) -> None:
    """A list that lacks one object is wrong: the whole collection stays on disk."""

    async def scenario() -> None:
        with running_etcd(tmp_path / "etcd", *RAISED) as cluster:
            etcd = cluster.client()
            await etcd.put(ROOT + b"default/x", value)
            await etcd.put(LISTS, b"77")
            async with hub_over(
                [("127.0.0.1", 9)], tmp_path, pool=settings(cluster)
            ) as hub:
                member = hub.pooling.member
                await until(lambda: member.page()["answersFrom"] == "pool", 20)
                for _ in range(2):
                    await member.turn()
                    member._adopted_at = float("-inf")
                assert (await listed(hub))["code"] == 503
            etcd.close()

    asyncio.run(scenario())


def test_components_of_any_bytes_cannot_reach_the_pool(tmp_path) -> None:
    """What a client calls itself names no key: only kubelet's and the leader's are."""

    async def scenario() -> None:
        async with pools(tmp_path) as pool:
            node = await pool.join("edge-1", agents=("*",))
            for agent in (
                "../../x",
                "a#b:c;d",
                "\xff\xfe",
                "leader-yurthub/1",
                KUBELET,
            ):
                await ask(node.hub, get("/api/v1/pods", agent=agent))
            await pool.published(0)
            etcd = pool.cluster.client()
            keys = {row.key for row in (await etcd.scan(b"/registry/")).kvs}
            roots = {key.split(b"/")[2] for key in keys}
            assert roots <= {b"services", b"endpointslices"}
            etcd.close()

    asyncio.run(scenario())
