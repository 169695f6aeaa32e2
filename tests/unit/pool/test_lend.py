# SPDX-License-Identifier: Apache-2.0
"""Which of the kubelet's questions is its own, and what goes to the pool of it."""

import asyncio

from tests.unit.cache.kit import Cache, partial_list, pod, pod_list
from toono.pool.keys import StorageKeys
from toono.pool.lend import Lending
from toono.pool.upload import PODS

OWN = "/api/v1/pods?fieldSelector=spec.nodeName%3Dedge-1"


class Uploads:
    """What would be written."""

    def __init__(self) -> None:
        self.made: list[tuple] = []
        self.before = 0

    async def replace(self, of, form, objects, *, version) -> None:
        self.made.append(("all", str(of), sorted(o.name for o in objects), version))

    async def change(self, of, form, objects, *, gone, version) -> None:
        names = sorted(one.name for one in objects)
        self.made.append(("some", str(of), names, sorted(gone), version))

    async def uploaded(self, etcd, of) -> int:
        return self.before

    def claims(self) -> list:
        return ["a claim"]


def play(story) -> None:
    async def scene() -> None:
        cache = Cache()
        lending = Lending(None, StorageKeys(), cache.scopes, "edge-1")
        lending._upload = uploads = Uploads()
        await story(cache, lending, uploads.made)

    asyncio.run(scene())


def test_pods_and_node_go_whole_and_then_by_change() -> None:
    async def story(cache, lending, made) -> None:
        await lending.upload()
        assert made == []
        await cache.take(OWN, pod_list(9, pod("a", 3), pod("b", 4)))
        await lending.upload()
        await lending.upload()
        await cache.take(OWN, pod_list(12, pod("b", 4), pod("c", 11)))
        await lending.upload()
        assert made == [
            ("all", "pods", ["a", "b"], 9),
            ("some", "pods", ["c"], [("default", "a")], 12),
        ]
        assert lending.versions[str(PODS)] == 12
        await lending.anew(None)
        await lending.upload()
        assert made[2:] == [("all", "pods", ["b", "c"], 12)]

    play(story)


def test_a_cache_that_a_crash_left_behind_takes_nothing_back() -> None:
    """Its list holds what is gone since; the pool was told that already."""

    async def story(cache, lending, made) -> None:
        lending._upload.before = 12
        await lending.anew(None)
        await cache.take(OWN, pod_list(11, pod("a", 3), pod("b", 4)))
        await lending.upload()
        assert made == []
        await cache.take(OWN, pod_list(12, pod("b", 4)))
        await lending.upload()
        assert made == [("all", "pods", ["b"], 12)]

    play(story)


def test_only_the_kubelet_s_own_whole_question_is_its_node_s() -> None:
    """Else another node's pods would be taken for its own, and deleted with them."""

    async def story(cache, lending, made) -> None:
        pods = pod_list(9, pod("a", 3))
        await cache.take("/api/v1/pods", pods)
        await cache.take("/api/v1/pods?fieldSelector=spec.nodeName%3Dedge-2", pods)
        await cache.take("/api/v1/namespaces/default/pods", pods)
        await cache.take(OWN + "&labelSelector=a%3Db", pods)
        await cache.take(OWN, pods, agent="agent/1")
        await cache.take(OWN, partial_list(9, "a"))
        await lending.upload()
        assert made == []

    play(story)


def test_after_a_restart_the_index_is_read_first() -> None:
    async def story(cache, lending, made) -> None:
        await cache.take(OWN, pod_list(9, pod("a", 3)))
        again = Cache(cache.store)
        await again.scopes.open()
        lending._scopes = again.scopes
        await lending.upload()
        assert made == [("all", "pods", ["a"], 9)]

    play(story)


def test_its_claims_are_the_upload_s() -> None:
    async def story(cache, lending, made) -> None:
        assert lending.claims() == ["a claim"]

    play(story)
