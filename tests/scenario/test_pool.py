# SPDX-License-Identifier: Apache-2.0
"""Hubs that share: what one knows, another answers while it is cut off."""

import asyncio
import json
import shutil

from click.testing import CliRunner

from tests.pool import KUBELET, PROXY, QUICK, SLICES, pools
from tests.rig import ask, begin, body, get, headers_of, hub_over, until
from toono.cli.pool import command
from toono.config.pool import PoolSettings
from toono.runtime.tasks import cancel_and_wait
from toono.store.etcd_messages import Range

NAME = "endpointslices.discovery.k8s.io"


def test_a_follower_that_is_cut_off_answers_newer_than_its_disk(tmp_path) -> None:
    async def scenario() -> None:
        async with pools(tmp_path) as pool:
            pool.add_slice("a")
            await pool.join("edge-1")
            await pool.join("edge-2")
            follower = await pool.follower()
            assert await follower.names() == {"a"}
            await pool.published(1)
            await follower.cut_cloud()
            pool.add_slice("b")
            await pool.published(2)
            await until_names(follower, {"a", "b"})
            answer = await ask(follower.hub, get(SLICES, agent=PROXY))
            assert dict(headers_of(answer))["Cache-Status"].startswith("toono; hit")
            await follower.restore_cloud()
            pool.add_slice("c")
            assert await follower.names() == {"a", "b", "c"}

    asyncio.run(scenario())


def test_a_new_leader_takes_over_and_versions_never_go_back(tmp_path) -> None:
    async def scenario() -> None:
        async with pools(tmp_path) as pool:
            pool.add_slice("a")
            for name in ("edge-1", "edge-2", "edge-3"):
                await pool.join(name)
            await until(lambda: pool.leader() is not None, 20)
            await pool.published(1)
            first = pool.leader()
            cut = await pool.follower()
            await cut.names()
            await cut.cut_cloud()
            pool.add_slice("b")
            await pool.published(2)
            await until_names(cut, {"a", "b"})
            version = await version_of(cut)
            await first.cut_cloud()
            await until(lambda: pool.leader() not in (None, first), 20)
            assert pool.leader() is not cut
            assert await cut.names() == {"a", "b"}
            assert await version_of(cut) >= version
            pool.server.delete("endpointslices", "a", namespace="default")
            await pool.published(1)

            for one in (cut, first):
                await until_names(one, {"b"})

    async def version_of(node) -> int:
        answer = await ask(node.hub, get(SLICES, agent=PROXY))
        return int(json.loads(body(answer))["metadata"]["resourceVersion"])

    asyncio.run(scenario())


async def until_names(node, wanted: set, seconds: float = 15.0) -> None:
    async with asyncio.timeout(seconds):
        while await node.names() != wanted:
            await asyncio.sleep(0.05)


def test_a_held_watch_ends_when_the_pool_has_newer(tmp_path) -> None:
    """Its client comes back with its version, hears that it is too old, and lists."""

    async def scenario() -> None:
        async with pools(tmp_path) as pool:
            pool.add_slice("a")
            await pool.join("edge-1")
            await pool.join("edge-2")
            cut = await pool.follower()
            await pool.published(1)
            listed = json.loads(body(await ask(cut.hub, get(SLICES, agent=PROXY))))
            await cut.cut_cloud()
            await until_names(cut, {"a"})
            version = listed["metadata"]["resourceVersion"]
            target = f"{SLICES}?watch=1&resourceVersion={version}"
            reader, writer = await begin(cut.hub, get(target, agent=PROXY))
            assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
            pool.add_slice("b")
            async with asyncio.timeout(60):
                assert await reader.read() == b"0\r\n\r\n"
                writer.close()
                # What was adopted before may have ended it, too; nothing else is said.
                again = await ask(cut.hub, get(target, agent=PROXY))
                while b'"code":410' not in again:
                    assert again.endswith(b"\r\n\r\n0\r\n\r\n")
                    again = await ask(cut.hub, get(target, agent=PROXY))
            assert await cut.names() == {"a", "b"}

    asyncio.run(scenario())


def test_what_a_kubelet_was_told_is_uploaded_and_deleted(tmp_path) -> None:
    async def scenario() -> None:
        async with pools(tmp_path) as pool:
            server = pool.server
            server.create("nodes", {"metadata": {"name": "edge-1"}})
            for name in ("web-0", "web-1"):
                pod = {"metadata": {"name": name}, "spec": {"nodeName": "edge-1"}}
                server.create("pods", pod, namespace="default")
            node = await pool.join("edge-1")
            mine = "/api/v1/pods?fieldSelector=spec.nodeName%3Dedge-1"
            own = "/api/v1/nodes?fieldSelector=metadata.name%3Dedge-1"
            assert await node.names(mine, agent=KUBELET) == {"web-0", "web-1"}
            assert await node.names(own, agent=KUBELET) == {"edge-1"}
            etcd = pool.cluster.client()
            both = {b"/registry/pods/default/web-0", b"/registry/pods/default/web-1"}
            await until_keys(etcd, b"/registry/pods/", both)
            await until_keys(etcd, b"/registry/minions/", {b"/registry/minions/edge-1"})
            server.delete("pods", "web-0", namespace="default")
            assert await node.names(mine, agent=KUBELET) == {"web-1"}
            await until_keys(etcd, b"/registry/pods/", both - {min(both)})
            (row,) = (await etcd.range(Range(b"/registry/pods/default/web-1"))).kvs
            assert json.loads(row.value)["kind"] == "Pod"
            etcd.close()

    asyncio.run(scenario())


async def until_keys(etcd, prefix: bytes, wanted: set, seconds: float = 15.0) -> None:
    async with asyncio.timeout(seconds):
        while True:
            found = {row.key for row in (await etcd.scan(prefix)).kvs}
            if found == wanted:
                return
            await asyncio.sleep(0.05)


def test_the_leader_renews_in_the_cloud_the_lease_of_a_cut_off_node(tmp_path) -> None:
    """While its kubelet speaks; and never one that the cloud does not have."""

    async def scenario() -> None:
        async with pools(tmp_path) as pool:
            leases = "leases.coordination.k8s.io"
            pool.server.create(
                leases,
                {
                    "metadata": {"name": "edge-2", "labels": {"kept": "yes"}},
                    "spec": {
                        "holderIdentity": "edge-2",
                        "renewTime": "2020-01-01T00:00:00.000000Z",
                    },
                },
                namespace="kube-node-lease",
            )
            leader = await pool.join("edge-1")
            await until(lambda: pool.leader() is leader, 20)
            cut = await pool.join("edge-2")
            silent = await pool.join("edge-3")
            await cut.cut_cloud()
            await silent.cut_cloud()
            await ask(cut.hub, get("/api/v1/nodes/edge-2", agent=KUBELET))
            path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/"

            async def lease(name: str) -> dict:
                answer = await ask(leader.hub, get(path + name, agent=KUBELET))
                return json.loads(body(answer))

            async with asyncio.timeout(20):
                while (await lease("edge-2"))["spec"]["renewTime"].startswith("2020"):
                    await asyncio.sleep(0.05)
            told = await lease("edge-2")
            assert told["metadata"]["labels"] == {"kept": "yes"}
            assert told["spec"]["holderIdentity"] == "edge-2"
            assert (await lease("edge-3"))["code"] == 404
            assert leader.member.delegated >= 1
            etcd = pool.cluster.client()
            await cut.restore_cloud()
            await until_keys(etcd, b"/registry/leases/", set())
            etcd.close()

    asyncio.run(scenario())


def test_a_hub_that_shall_not_lead_follows(tmp_path) -> None:
    async def scenario() -> None:
        async with pools(tmp_path) as pool:
            pool.add_slice("a")
            never = await pool.join("edge-1", pool={"elect": False})
            await until(lambda: never.role == "follower", 20)
            leader = await pool.join("edge-2")
            await until(lambda: leader.role == "leader", 20)
            await until(lambda: never.member.election.now.leader == "edge-2", 20)
            await pool.published(1)
            await never.cut_cloud()
            await until_names(never, {"a"})

    asyncio.run(scenario())


def test_what_was_adopted_is_answered_after_a_restart_without_any_link(
    tmp_path,
) -> None:
    async def scenario() -> None:
        async with pools(tmp_path) as pool:
            pool.add_slice("a")
            leader = await pool.join("edge-1")
            await until(lambda: pool.leader() is leader, 20)
            follower = await pool.join("edge-2")
            await follower.names()
            await follower.cut_cloud()
            pool.add_slice("b")
            await until_names(follower, {"a", "b"})
        nowhere = PoolSettings(endpoints=(("127.0.0.1", 9),), tls=None)
        async with hub_over(
            [("127.0.0.1", 9)], tmp_path / "edge-2", node_name="edge-2", pool=nowhere
        ) as hub:
            answer = await ask(hub, get(SLICES, agent=PROXY))
            items = json.loads(body(answer))["items"]
            assert {one["metadata"]["name"] for one in items} == {"a", "b"}

    asyncio.run(scenario())


def test_the_status_of_a_pool_is_printed(tmp_path) -> None:
    async def scenario() -> None:
        async with pools(tmp_path) as pool:
            pool.add_slice("a")
            node = await pool.join("edge-1", status_listen=("127.0.0.1", 0))
            await pool.published(1)
            port = str(node.hub.status_address[1])
            printed = await asyncio.to_thread(
                CliRunner().invoke, command, ["status", "--serve-port", port]
            )
            assert printed.exit_code == 0, printed.output
            lines = [line.split() for line in printed.output.splitlines()]
            assert ["role:", "leader"] in lines
            (slices,) = [line for line in lines if line[:1] == [NAME]]
            assert slices[1] == slices[3], "all of it is published"
            assert slices[2] == "1"

    asyncio.run(scenario())


def test_a_configmap_adds_to_what_is_shared_while_hubs_run(tmp_path) -> None:
    async def scenario() -> None:
        async with pools(tmp_path) as pool:
            add = pool.server.create
            add("configmaps", {"metadata": {"name": "shared"}}, namespace="default")
            leader = await pool.join("edge-1")
            await until(lambda: pool.leader() is leader, 20)
            follower = await pool.join("edge-2")
            wanted = [{"group": "", "version": "v1", "resource": "configmaps"}]
            content = {"pool_scope_resources": json.dumps(wanted)}
            add(
                "configmaps",
                {"metadata": {"name": "yurt-hub-cfg"}, "data": content},
                namespace="kube-system",
            )
            for node in (leader, follower):
                await until(lambda node=node: len(resources(node)) == 3, 20)
            await until(lambda: resources(leader)["configmaps"]["published"] > 0, 20)
            await follower.cut_cloud()
            add("configmaps", {"metadata": {"name": "later"}}, namespace="default")
            target = "/api/v1/namespaces/default/configmaps"
            async with asyncio.timeout(20):
                while await follower.names(target) != {"shared", "later"}:
                    await asyncio.sleep(0.05)

    def resources(node) -> dict:
        return {one["resource"]: one for one in node.member.page()["collections"]}

    asyncio.run(scenario())


def test_a_leader_that_slept_through_its_lease_writes_nothing(tmp_path) -> None:
    """It still takes itself for the leader: etcd refuses it, nobody's clock does."""

    async def scenario() -> None:
        async with pools(tmp_path) as pool:
            pool.add_slice("a")
            slept = await pool.join("edge-1")
            await until(lambda: pool.leader() is slept, 20)
            await pool.published(1)
            believed = slept.member.election.now
            await cancel_and_wait(slept.member.election._task)
            other = await pool.join("edge-2")
            await until(lambda: other.role == "leader", 20)
            slept.member.election.now = believed
            pool.add_slice("b")
            await until(lambda: slept.member.fenced > 0, 20)
            etcd = pool.cluster.client()
            shared = b"/registry/endpointslices/"
            await until_keys(
                etcd, shared, {shared + b"default/a", shared + b"default/b"}
            )
            # Whoever leads takes back what was written besides; the other one cannot.
            before = slept.member.fenced
            pool.server.delete("endpointslices", "a", namespace="default")
            await until_keys(etcd, shared, {shared + b"default/b"})
            await until(lambda: slept.member.fenced > before, 20)
            assert other.member.fenced == 0
            etcd.close()

    asyncio.run(scenario())


def test_a_cache_older_than_the_upload_brings_nothing_back(tmp_path) -> None:
    """A crash may take the last milliseconds from the disk; the pool had them."""
    mine = "/api/v1/pods?fieldSelector=spec.nodeName%3Dedge-1"
    shown = b"/registry/pods/default/"

    async def scenario() -> None:
        async with pools(tmp_path) as pool:
            for name in ("web-0", "web-1"):
                pod = {"metadata": {"name": name}, "spec": {"nodeName": "edge-1"}}
                pool.server.create("pods", pod, namespace="default")
            cache, older = tmp_path / "cache", tmp_path / "older"
            chosen = PoolSettings(
                endpoints=tuple(pool.cluster.endpoints), tls=None, **QUICK
            )
            etcd = pool.cluster.client()
            address = [pool.server.address]
            async with hub_over(address, cache, pool=chosen) as hub:
                await until(lambda: hub.upstream.online)
                await ask(hub, get(mine))
                await until_keys(
                    etcd, b"/registry/pods/", {shown + b"web-0", shown + b"web-1"}
                )
            shutil.copytree(cache, older)
            async with hub_over(address, cache, pool=chosen) as hub:
                await until(lambda: hub.upstream.online)
                pool.server.delete("pods", "web-0", namespace="default")
                await ask(hub, get(mine))
                await until_keys(etcd, b"/registry/pods/", {shown + b"web-1"})
            async with hub_over([("127.0.0.1", 9)], older, pool=chosen) as hub:
                member = hub.pooling.member
                await until(lambda: member._recovered, 20)
                for _ in range(3):
                    await member.turn()
                found = {row.key for row in (await etcd.scan(shown)).kvs}
                assert found == {shown + b"web-1"}
            etcd.close()

    asyncio.run(scenario())
