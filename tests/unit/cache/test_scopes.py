# SPDX-License-Identifier: Apache-2.0
import asyncio

import pytest

from tests.unit.cache.kit import Cache, Journal, call, event, one, pod, pod_list, run
from toono.cache import scopes as scopes_module
from toono.cache.rows import bucket_prefix, decode_scope, object_key, scope_key
from toono.store.base import Batch
from toono.store.memory import MemoryStore

PODS = "/api/v1/pods"
POD_A = "/api/v1/namespaces/default/pods/a"


async def reopened(cache: Cache) -> Cache:
    await cache.scopes.aclose()
    again = Cache(cache.store)
    await again.scopes.open()
    return again


def scope_of(cache: Cache):
    (scope,) = cache.scopes.all()
    return scope


def test_a_restart_remembers_every_question() -> None:
    async def scenario() -> None:
        cache = Cache()
        await cache.take(PODS, pod_list(20, pod("a", 5), pod("b", 6)))
        await cache.take(POD_A, one(pod("a", 5)))
        stream = await cache.watch(PODS + "?watch=true&resourceVersion=20")
        stream.feed(event("MODIFIED", pod("a", 25)) + event("DELETED", pod("b", 26)))
        stream.feed(event("MODIFIED", pod("a", 27)))
        again = await reopened(cache)
        assert await again.list(PODS) == (27, ["a"])
        assert await again.get(POD_A) == "27"
        await again.scopes.aclose()

    run(scenario)


def test_a_bookmark_s_version_is_written_within_seconds_not_at_once() -> None:
    async def scenario() -> None:
        cache = Cache()
        await cache.scopes.open()
        await cache.take(PODS, pod_list(20, pod("a", 5)))
        stream = await cache.watch(PODS + "?watch=true&resourceVersion=20")
        stream.feed(
            b'{"type":"BOOKMARK","object":{"kind":"Pod","apiVersion":"v1",'
            b'"metadata":{"resourceVersion":"90"}}}\n'
        )
        key = scope_key(scope_of(cache).id)

        async def stored() -> int:
            value = await cache.store.get(key)
            assert value is not None
            return decode_scope(value).version

        assert await stored() == 20
        await cache.clock.advance(scopes_module.FLUSH_SECONDS + 0.1)
        assert await stored() == 90
        await cache.scopes.aclose()

    run(scenario)


def test_a_lost_row_is_noticed_and_never_taken_for_absence() -> None:
    async def scenario() -> None:
        cache = Cache()
        await cache.take(PODS, pod_list(20, pod("a", 5), pod("b", 6)))
        lost = object_key(scope_of(cache).bucket, ("default", "a"))
        await cache.store.apply(Batch(deletes=[lost]))
        again = await reopened(cache)
        assert await again.list(PODS) == "Unknown"
        assert await again.get(POD_A) == "Unknown"
        assert await again.get(POD_A[:-1] + "b") == "6"
        assert again.scopes.counters.damaged_rows == 1
        await again.scopes.aclose()

    run(scenario)


def test_what_is_known_to_be_incomplete_is_not_taken_for_damage() -> None:
    async def scenario() -> None:
        cache = Cache(Journal())
        await cache.take(PODS, pod_list(20, pod("a", 5), pod("b", 6)))
        stream = await cache.watch(PODS + "?watch=true&resourceVersion=20")
        cache.store.full = True
        stream.feed(event("MODIFIED", pod("a", 21)))
        cache.store.full = False
        again = await reopened(cache)
        assert await again.list(PODS) == "Unknown"
        assert await again.get(POD_A[:-1] + "b") == "6"
        assert again.scopes.counters.damaged_rows == 0
        await again.scopes.aclose()

    run(scenario)


def test_a_row_that_came_back_from_the_dead_is_noticed() -> None:
    async def scenario() -> None:
        cache = Cache()
        await cache.take(PODS, pod_list(20, pod("a", 5), pod("b", 6)))
        bucket = scope_of(cache).bucket
        ghost = await cache.store.get(object_key(bucket, ("default", "a")))
        await cache.take(PODS, pod_list(30, pod("b", 6)))
        assert ghost is not None
        put = (object_key(bucket, ("default", "a")), ghost)
        await cache.store.apply(Batch(puts=[put]))
        again = await reopened(cache)
        assert await again.list(PODS) == "Unknown"
        await again.scopes.aclose()

    run(scenario)


def test_a_damaged_row_makes_its_scope_incomplete_until_it_is_listed() -> None:
    async def scenario() -> None:
        cache = Cache()
        await cache.take(PODS, pod_list(20, pod("a", 5), pod("b", 6)))
        key = object_key(scope_of(cache).bucket, ("default", "a"))
        await cache.store.apply(Batch(puts=[(key, b"\xc1rubbish")]))
        again = await reopened(cache)
        assert await again.list(PODS) == "Unknown"
        await again.take(PODS, pod_list(20, pod("a", 5), pod("b", 6)))
        assert await again.list(PODS) == (20, ["a", "b"])
        third = await reopened(again)
        assert await third.list(PODS) == (20, ["a", "b"])
        await third.scopes.aclose()

    run(scenario)


def test_a_damaged_scope_row_is_an_unknown_question() -> None:
    async def scenario() -> None:
        cache = Cache()
        await cache.take(PODS, pod_list(20, pod("a", 5)))
        key = scope_key(scope_of(cache).id)
        await cache.store.apply(Batch(puts=[(key, b"\xc1")]))
        again = await reopened(cache)
        assert await again.list(PODS) == "Unknown"
        assert again.scopes.counters.damaged_rows == 1
        await again.scopes.aclose()

    run(scenario)


def test_bytes_that_left_memory_are_read_from_the_store() -> None:
    async def scenario() -> None:
        cache = Cache()
        many = [pod(f"p{n:02}", 5 + n) for n in range(20)]
        await cache.take(PODS, pod_list(90, *many))
        for row in scope_of(cache).rows.values():
            row.data = None
        assert (await cache.list(PODS))[1] == [f"p{n:02}" for n in range(20)]
        assert await cache.get(POD_A[:-1] + "p03") == "8"

    run(scenario)


def test_bytes_that_cannot_be_read_are_unknown() -> None:
    async def scenario() -> None:
        cache = Cache()
        await cache.take(PODS, pod_list(20, pod("a", 5)))
        scope = scope_of(cache)
        await cache.store.apply(Batch(drops=[bucket_prefix(scope.bucket)]))
        for row in scope.rows.values():
            row.data = None
        assert await cache.list(PODS) == "Unknown"
        assert await cache.get(POD_A) == "Unknown"

    run(scenario)


def test_leases_are_kept_in_memory_alone() -> None:
    async def scenario() -> None:
        cache = Cache()
        path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/edge-1"
        body = one(pod("edge-1", 5, namespace="kube-node-lease"))
        await cache.take(path, body)
        assert await cache.get(path) == "5"
        again = await reopened(cache)
        assert await again.get(path) == "Unknown"
        await again.scopes.aclose()

    run(scenario)


def test_beyond_its_limits_only_the_kubelet_s_questions_are_taken(monkeypatch) -> None:
    monkeypatch.setattr(scopes_module, "MAX_SCOPES", 1)

    async def scenario() -> None:
        cache = Cache()
        await cache.take(PODS, pod_list(20, pod("a", 5)))
        await cache.take(PODS, pod_list(20, pod("a", 5)), agent="agent/1")
        await cache.take(POD_A, one(pod("a", 5)))
        assert {one.question.component for one in cache.scopes.all()} == {"kubelet"}
        assert await cache.get(POD_A) == "5"
        assert cache.scopes.counters.refused_scopes == 1

    run(scenario)


def test_concurrent_loads_read_once() -> None:
    class Counting(MemoryStore):
        scans = 0

        async def scan(self, prefix: bytes):
            self.scans += 1
            await asyncio.sleep(0)
            return await super().scan(prefix)

    async def scenario() -> None:
        store = Counting()
        cache = Cache(store)
        await cache.take(PODS, pod_list(20, pod("a", 5)))
        again = await reopened(cache)
        before = store.scans
        await asyncio.gather(*[again.list(PODS) for _ in range(5)])
        assert store.scans == before + 1
        await again.scopes.aclose()

    run(scenario)


@pytest.mark.parametrize("agent", ["kubelet/v1", "agent/1"])
def test_the_newest_version_seen_of_a_resource_is_known(agent: str) -> None:
    async def scenario() -> None:
        cache = Cache()
        await cache.take(PODS, pod_list(20, pod("a", 5)), agent=agent)
        assert cache.scopes.high_water("", "pods") == 20
        assert cache.scopes.high_water("", "services") == 0
        assert call(PODS).resource == "pods"

    run(scenario)


def test_versions_of_a_past_epoch_are_not_remembered_as_seen() -> None:
    """They are greater, and would have an absence outlive what came after it."""

    async def scenario() -> None:
        cache = Cache()
        await cache.take(PODS, pod_list(90, pod("a", 5)))
        await cache.take(PODS, pod_list(20, pod("a", 5)), agent="agent/1")
        again = await reopened(cache)
        assert again.scopes.epoch == 1
        assert again.scopes.high_water("", "pods") == 20
        await again.scopes.aclose()

    run(scenario)


def test_what_was_not_loaded_since_a_restart_counts_for_the_limits(monkeypatch) -> None:
    async def scenario() -> None:
        cache = Cache()
        await cache.take(PODS, pod_list(20, pod("a", 5), pod("b", 6)), agent="agent/1")
        size = cache.scopes.size_bytes
        again = await reopened(cache)
        assert again.scopes.size_bytes == size > 200
        monkeypatch.setattr(scopes_module, "MAX_BYTES", size)
        await again.take(POD_A, one(pod("a", 5)), agent="agent/1")
        assert again.scopes.counters.refused_scopes == 1
        await again.list(PODS)
        assert again.scopes.size_bytes == size
        await again.scopes.aclose()

    run(scenario)


def test_a_budget_holds_for_what_was_not_loaded_since_a_restart(monkeypatch) -> None:
    async def scenario() -> None:
        cache = Cache()
        await cache.take(PODS, pod_list(20, pod("a", 5)), agent="kubectl/1")
        size = cache.scopes.size_bytes
        again = await reopened(cache)
        monkeypatch.setattr(scopes_module, "BUDGETS", {"kubectl": size + 10})
        await again.take(POD_A, one(pod("a", 5)), agent="kubectl/1")
        assert await again.list(PODS) == "Unknown"
        assert await again.get(POD_A) == "5"
        third = await reopened(again)
        assert await third.list(PODS) == "Unknown"
        assert len((await cache.store.scan(b"r")).rows) == 1
        await third.scopes.aclose()

    run(scenario)
