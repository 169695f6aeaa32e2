# SPDX-License-Identifier: Apache-2.0
"""A list that removes nothing reaches its client before it is read."""

import asyncio
from uuid import UUID

import pytest

from tests.unit.cache.kit import event, pod, pod_list
from tests.unit.pipeline.test_forward import Scene, answer
from tests.unit.wire.kit import Pieces, play
from toono.cache import record
from toono.cache.listed import THREAD_BYTES
from toono.testing.clock import settle

PODS = "/api/v1/pods"
WATCH = PODS + "?watch=true&resourceVersion=30&allowWatchBookmarks=true"


def one(name: str, version: int, **meta) -> dict:
    filling = {"filling": "x" * THREAD_BYTES}
    return pod(name, version, uid=str(UUID(int=ord(name))), annotations=filling, **meta)


def pieces(*pods: dict, version: int) -> Pieces:
    body = pod_list(version, *pods)
    return Pieces(*[body[at : at + 90_000] for at in range(0, len(body), 90_000)])


async def drained(scene: Scene) -> int:
    """Ask for the list and read it to its end; return its size."""
    size = 0
    body = (await scene.ask(PODS)).body
    while piece := await body.read():
        size += len(piece)
    body.close()
    return size


class Held:
    """Holds the reading of lists until a test lets it go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go = asyncio.Event()
        self.begun = 0
        read = record.read_list

        async def wait(*args, **options):
            self.begun += 1
            await self.go.wait()
            return await read(*args, **options)

        monkeypatch.setattr(record, "read_list", wait)


def test_a_list_that_removes_nothing_is_not_waited_for(monkeypatch) -> None:
    async def scenario() -> None:
        held = Held(monkeypatch)
        first = pieces(one("a", 5), version=20)
        second = pieces(one("a", 6), one("b", 7), version=30)
        scene = Scene(answer(first), answer(second))
        assert await drained(scene) > THREAD_BYTES
        asked = asyncio.create_task(scene.cache.list(PODS))
        await settle()
        assert not asked.done(), "nobody is shown less than the client was"
        held.go.set()
        assert await asked == (20, ["a"])
        held.go.clear()
        assert await drained(scene) > THREAD_BYTES
        held.go.set()
        assert await scene.cache.list(PODS) == (30, ["a", "b"])

    play(scenario)


@pytest.mark.parametrize(
    "now", [[one("b", 7)], [one("a", 6, deletionTimestamp="2026-01-01T00:00:00Z")]]
)
def test_the_end_of_one_that_removes_waits_until_it_is_read(now, monkeypatch) -> None:
    async def scenario() -> None:
        scene = Scene(answer(pieces(one("a", 5), version=20)))
        await drained(scene)
        await scene.cache.list(PODS)
        held = Held(monkeypatch)
        scene.script.append(answer(pieces(*now, version=30)))
        reading = asyncio.create_task(drained(scene))
        while not held.begun:
            await asyncio.sleep(0)
        await settle()
        assert not reading.done()
        held.go.set()
        await reading
        version, names = await scene.cache.list(PODS)
        assert (version, names) == (30, [now[0]["metadata"]["name"]])

    play(scenario)


def test_a_watch_that_goes_on_from_a_list_misses_nothing(monkeypatch) -> None:
    async def scenario() -> None:
        held = Held(monkeypatch)
        change = event("MODIFIED", pod("b", 31, uid=str(UUID(int=2))))
        scene = Scene(answer(pieces(one("a", 5), version=30)), answer(Pieces(change)))
        await drained(scene)
        watching = asyncio.create_task(scene.ask(WATCH))
        await settle()
        assert not watching.done()
        held.go.set()
        body = (await watching).body
        assert await body.read() == change
        assert await scene.cache.list(PODS) == (31, ["a", "b"])
        body.close()

    play(scenario)


def test_lists_are_taken_in_the_order_they_were_shown(monkeypatch) -> None:
    async def scenario() -> None:
        held = Held(monkeypatch)
        scene = Scene(
            answer(pieces(one("a", 5), one("b", 6), version=20)),
            answer(pieces(one("a", 5), version=30)),
        )
        await drained(scene)
        second = asyncio.create_task(drained(scene))
        await settle()
        assert not second.done(), "what it removes is not known yet"
        held.go.set()
        await second
        assert await scene.cache.list(PODS) == (30, ["a"])

    play(scenario)


def test_a_list_that_says_nothing_new_is_not_read_again(monkeypatch) -> None:
    async def scenario() -> None:
        scene = Scene(*[answer(pieces(one("a", 5), version=20)) for _ in range(2)])
        await drained(scene)
        await scene.cache.list(PODS)
        held = Held(monkeypatch)
        await drained(scene)
        assert await scene.cache.list(PODS) == (20, ["a"])
        assert held.begun == 0

    play(scenario)


def test_a_cache_that_closes_has_what_was_shown(monkeypatch) -> None:
    async def scenario() -> None:
        held = Held(monkeypatch)
        scene = Scene(answer(pieces(one("a", 5), version=20)))
        await drained(scene)
        closing = asyncio.create_task(scene.cache.scopes.aclose())
        await settle()
        assert not closing.done()
        held.go.set()
        await closing
        assert await scene.cache.list(PODS) == (20, ["a"])

    play(scenario)
