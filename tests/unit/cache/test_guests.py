# SPDX-License-Identifier: Apache-2.0
import json
import logging

from tests.unit.cache.kit import Cache, event, pod, pod_list, run
from toono.cache.guests import SWEEP_SECONDS, GuestLimits, Guests
from toono.cache.policy import Policy
from toono.cache.scope import Change
from toono.codec.base import Object
from toono.runtime.tasks import cancel_and_wait, spawn
from toono.testing.clock import settle

PODS = "/api/v1/pods"


def read(content: dict) -> Object:
    meta = content["metadata"]
    raw = json.dumps(content).encode()
    return Object(
        meta["namespace"],
        meta["name"],
        meta["uid"],
        meta["resourceVersion"],
        False,
        raw,
    )


def crowd(**limits) -> tuple[Cache, Guests]:
    cache = Cache()
    cache.recorder.policy = Policy.of("*")
    guests = Guests(cache.scopes, Policy.of("*"), limits=GuestLimits(**limits))
    cache.scopes.has_room = guests.has_room
    return cache, guests


async def asked(cache: Cache, agent: str, *, pods: int = 1) -> None:
    await cache.clock.advance(1)
    many = [pod(f"p{number}", 5) for number in range(pods)]
    await cache.take(PODS, pod_list(20, *many), agent=f"{agent}/v1")


def components(cache: Cache) -> list[str]:
    return [scope.question.component for scope in cache.scopes.all()]


def test_the_oldest_guest_goes_first_and_the_named_never() -> None:
    async def scenario() -> None:
        cache, guests = crowd(scopes=3)
        for agent in ("kubelet", "kube-proxy", "a", "b", "c"):
            await asked(cache, agent)
        guests.sweep()
        assert components(cache) == ["kubelet", "kube-proxy", "a", "b", "c"]
        guests.has_room = lambda _: True
        cache.scopes.has_room = guests.has_room
        await asked(cache, "d")
        guests.sweep()
        assert components(cache) == ["kubelet", "kube-proxy", "c", "d"]
        assert (guests.count, guests.evicted) == (2, 2)
        assert await cache.list(PODS) == (20, ["p0"])
        again = Cache(cache.store)
        await again.scopes.open()
        assert components(again) == ["kubelet", "kube-proxy", "c", "d"]
        await again.scopes.aclose()

    run(scenario)


def test_bytes_are_a_limit_too() -> None:
    async def scenario() -> None:
        cache, guests = crowd(size_bytes=2000)
        await asked(cache, "kubelet", pods=50)
        await asked(cache, "old", pods=10)
        await asked(cache, "new", pods=10)
        guests.sweep()
        assert components(cache) == ["kubelet", "new"]
        assert guests.size_bytes == sum(
            row.size
            for scope in cache.scopes.all()
            if scope.question.component == "new"
            for row in scope.rows.values()
        )

    run(scenario)


def test_between_sweeps_no_guest_takes_more_questions_than_there_are() -> None:
    async def scenario() -> None:
        cache, guests = crowd(scopes=2)
        for agent in ("a", "b", "c", "kubelet", "kube-proxy"):
            await asked(cache, agent)
        assert components(cache) == ["a", "b", "kubelet", "kube-proxy"]
        assert cache.scopes.counters.refused_scopes == 1
        assert guests.is_guest("c")
        assert not guests.is_guest("kubelet")

    run(scenario)


def test_a_warning_comes_before_the_limit_and_once(caplog) -> None:
    async def scenario() -> None:
        cache, guests = crowd(scopes=10)
        for number in range(8):
            await asked(cache, f"agent-{number}")
        guests.sweep()
        assert not caplog.records
        await asked(cache, "agent-8")
        guests.sweep()
        guests.sweep()
        (record,) = caplog.records
        assert "near their limit" in record.message
        assert guests.evicted == 0

    with caplog.at_level(logging.WARNING):
        run(scenario)


def test_a_watch_that_feeds_a_question_given_up_feeds_nothing() -> None:
    async def scenario() -> None:
        cache, guests = crowd(scopes=0)
        cache.scopes.has_room = lambda _: True
        await asked(cache, "odd")
        (scope,) = cache.scopes.all()
        guests.sweep()
        assert components(cache) == []
        stream = await cache.watch(PODS + "?watch=true&resourceVersion=20")
        assert scope.dropped
        change = Change([read(pod("z", 30))], (), True, False)
        assert cache.scopes.commit(scope, change) is None
        stream.feed(event("MODIFIED", pod("a", 25)))
        scan = await cache.store.scan(b"")
        assert [row for row in scan.rows if b"odd" in row[1] or b"z" in row[0]] == []

    run(scenario)


def test_it_sweeps_by_itself() -> None:
    async def scenario() -> None:
        cache, guests = crowd(scopes=0)
        cache.scopes.has_room = lambda _: True
        await asked(cache, "a")
        task = spawn(guests.run(cache.clock), name="guests")
        await settle()
        await cache.clock.advance(SWEEP_SECONDS)
        assert components(cache) == []
        await cancel_and_wait(task)

    run(scenario)
