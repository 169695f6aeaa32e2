# SPDX-License-Identifier: Apache-2.0
"""What was answered last is known again, and only while nothing else has happened."""

import pytest

from tests.unit.cache.kit import Cache, call, event, pod, pod_list, run
from toono.cache.echo import MAX_BODY_BYTES, MAX_ECHOES, mark_of
from toono.cache.received import question_of

PODS = "/api/v1/pods"


def list_of(*names: str, version: int = 20, padding: int = 0) -> bytes:
    pods = [pod(name, 5 + n) for n, name in enumerate(names)]
    pods[0]["metadata"]["annotations"] = {"x": "y" * padding}
    return pod_list(version, *pods)


def read_anew(cache: Cache, monkeypatch) -> list[bytes]:
    """Return what is read from here on, instead of being known again."""
    found: list[bytes] = []
    monkeypatch.setattr(
        "toono.cache.record.read_list",
        lambda _, body, __: found.append(body) or _fail(),
    )
    return found


def _fail():
    raise AssertionError("a list was read again")


@pytest.mark.parametrize("padding", [0, 2 * MAX_BODY_BYTES])
def test_a_list_that_is_as_it_was_is_not_read_again(padding, monkeypatch) -> None:
    async def scenario() -> None:
        cache = Cache()
        body = list_of("a", "b", padding=padding)
        await cache.take(PODS, body)
        (scope,) = cache.scopes.all()
        serial = scope.serial
        await cache.clock.advance(60)
        read_anew(cache, monkeypatch)
        await cache.take(PODS, body)
        assert scope.serial == serial
        assert scope.confirmed_at == cache.clock.wall()

    run(scenario)


def test_after_news_the_same_list_is_read() -> None:
    """It is older than what the watch told, and must not pass for what is known."""

    async def scenario() -> None:
        cache = Cache()
        any_version = PODS + "?resourceVersion=0"
        await cache.take(any_version, list_of("a"))
        watch = await cache.watch(PODS + "?watch=1&resourceVersion=20")
        watch.feed(event("DELETED", pod("a", 21)))
        watch.feed(event("ADDED", pod("b", 22)))
        assert await cache.list(PODS) == (22, ["b"])
        await cache.take(any_version, list_of("a"))
        assert await cache.list(PODS) == (22, ["b"])

    run(scenario)


@pytest.mark.parametrize("flag", ["complete", "durable"])
def test_a_scope_that_lost_something_is_repaired_by_the_same_list(flag: str) -> None:
    async def scenario() -> None:
        cache = Cache()
        await cache.take(PODS, list_of("a"))
        (scope,) = cache.scopes.all()
        setattr(scope, flag, False)
        await cache.take(PODS, list_of("a"))
        assert scope.complete

    run(scenario)


def test_a_page_is_no_list_however_often_it_comes() -> None:
    async def scenario() -> None:
        cache = Cache()
        page = list_of("a").replace(
            b'"resourceVersion":"20"', b'"resourceVersion":"20","continue":"t"', 1
        )
        assert b'"continue":"t"' in page
        for _ in range(2):
            await cache.take(PODS + "?limit=1", page)
        await cache.take(PODS + "?limit=1&continue=t", list_of("b"))
        assert await cache.list(PODS) == (20, ["a", "b"])

    run(scenario)


def test_the_oldest_are_forgotten() -> None:
    async def scenario() -> None:
        cache = Cache()
        echoes = cache.recorder.echoes
        body = list_of("a")
        asked = [
            question_of(call(one), "application/json")
            for one in (PODS, *(f"/api/v1/namespaces/n{n}/pods" for n in range(3)))
        ]
        await cache.take(PODS, body)
        assert list(echoes._known) == asked[:1]
        for n in range(MAX_ECHOES):
            echoes._known[asked[1]._replace(name=str(n))] = None
        await cache.take(PODS, list_of("a", version=30))
        assert len(echoes._known) == MAX_ECHOES
        assert next(reversed(echoes._known)) == asked[0]

    run(scenario)


def test_a_small_body_is_its_own_mark_and_a_large_one_has_a_digest() -> None:
    small, large = b"x" * MAX_BODY_BYTES, b"x" * (MAX_BODY_BYTES + 1)
    assert mark_of(small) is small
    assert len(mark_of(large)) == 32
    assert mark_of(large) == mark_of(bytes(bytearray(large)))
    assert mark_of(large) != mark_of(large + b"x")
