# SPDX-License-Identifier: Apache-2.0
"""A large list is read while it passes; what its client sees last is with the store."""

import asyncio
from uuid import UUID

import pytest

from tests.unit.cache.kit import Cache, event, pod, pod_list
from tests.unit.pipeline.test_forward import Scene, answer
from tests.unit.wire.kit import Pieces, play
from toono.cache import record
from toono.cache.listed import THREAD_BYTES
from toono.cache.persist import WRITE_AHEAD_BYTES, Bulk
from toono.errors import StoreUnavailableError
from toono.pipeline.forward import Forward
from toono.pipeline.recorded import BARRIER_REST_SECONDS, Barrier
from toono.store.base import Scan
from toono.store.memory import MemoryStore
from toono.testing.clock import VirtualClock, settle

PODS = "/api/v1/pods"
PIECE = 90_000


def one(name: str, version: int, *, size: int = THREAD_BYTES, **meta) -> dict:
    filling = {"filling": "x" * size}
    return pod(name, version, uid=str(UUID(int=ord(name))), annotations=filling, **meta)


def pieces(*pods: dict, version: int) -> Pieces:
    body = pod_list(version, *pods)
    return Pieces(*[body[at : at + PIECE] for at in range(0, len(body), PIECE)])


async def drained(scene: Scene) -> int:
    """Ask for the list and read it to its end; return its size."""
    size = 0
    body = (await scene.ask(PODS)).body
    while piece := await body.read():
        size += len(piece)
    assert await body.read() == b""
    body.close()
    return size


@pytest.fixture
def read_at_once(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the sizes of the lists that are read whole, at their end."""
    sizes: list[int] = []
    read = record.read_list

    async def noted(codec, body: bytes, *args, **options):
        sizes.append(len(body))
        return await read(codec, body, *args, **options)

    monkeypatch.setattr(record, "read_list", noted)
    return sizes


def test_a_large_list_is_read_while_it_passes(read_at_once) -> None:
    async def scenario() -> None:
        scene = Scene(
            answer(pieces(one("a", 5), one("b", 6), version=20)),
            answer(pieces(one("a", 5), one("b", 7), one("c", 8), version=30)),
        )
        assert await drained(scene) > 2 * THREAD_BYTES
        assert await scene.cache.list(PODS) == (20, ["a", "b"])
        assert await drained(scene) > 3 * THREAD_BYTES
        assert await scene.cache.list(PODS) == (30, ["a", "b", "c"])

    play(scenario)
    assert read_at_once == []


def test_a_list_that_says_nothing_new_writes_nothing(read_at_once) -> None:
    async def scenario() -> None:
        scene = Scene(*[answer(pieces(one("a", 5), version=20)) for _ in range(2)])
        await drained(scene)
        (scope,) = scene.cache.scopes.all()
        row, written = scope.rows["default", "a"], []
        scene.cache.store.apply = lambda batch, **_: written.append(batch)
        await scene.cache.clock.advance(60)
        await drained(scene)
        assert scope.rows["default", "a"] is row
        assert scope.confirmed_at == scene.cache.clock.wall()
        assert written == []

    play(scenario)
    assert read_at_once == []


def test_another_list_at_the_same_version_is_read(read_at_once) -> None:
    async def scenario() -> None:
        scene = Scene(
            answer(pieces(one("a", 5), version=20)),
            answer(pieces(one("b", 6), version=20)),
        )
        await drained(scene)
        await drained(scene)
        assert await scene.cache.list(PODS) == (20, ["b"])

    play(scenario)
    assert read_at_once == []


def test_a_list_that_breaks_off_changes_nothing() -> None:
    async def scenario() -> None:
        scene = Scene(
            answer(pieces(one("a", 5), version=20)),
            answer(pieces(one("b", 6), one("c", 6), version=30)),
            answer(Pieces(pod_list(40, one("d", 8))[:-50])),
        )
        await drained(scene)
        body = (await scene.ask(PODS)).body
        await body.read()
        await body.read()
        body.close()
        await drained(scene)
        assert await scene.cache.list(PODS) == (20, ["a"])

    play(scenario)


def test_the_end_of_a_big_list_waits_for_the_store() -> None:
    async def scenario() -> None:
        store = Slow()
        scene = Scene(answer(pieces(one("a", 5, size=WRITE_AHEAD_BYTES), version=20)))
        scene.cache.scopes._keeper._store = store
        reading = asyncio.create_task(drained(scene))
        while not store.asked:
            await settle()
        assert not reading.done()
        store.go.set()
        assert await reading > WRITE_AHEAD_BYTES
        assert scene.forward.barrier.stalls == 0

    play(scenario)


class Slow(MemoryStore):
    """A store that takes nothing until it may."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()
        self.asked = 0

    def apply(self, batch, *, sync=False):
        self.asked += 1
        future = super().apply(batch, sync=sync)

        async def wait() -> None:
            await self.go.wait()
            await future

        return asyncio.ensure_future(wait())


def test_nor_for_a_removal_behind_a_big_list() -> None:
    async def scenario() -> None:
        store = Slow()
        scene = Scene(answer(pieces(one("a", 5, size=WRITE_AHEAD_BYTES), version=20)))
        cache, barrier = scene.cache, scene.forward.barrier
        cache.scopes._keeper._store = store
        await drained(scene)
        assert barrier.stalls == 1
        stream = await cache.watch(PODS + "?watch=true&resourceVersion=20")
        removed = stream.feed(event("DELETED", pod("a", 21))).kept
        assert removed is not None
        await barrier.wait(removed)
        await barrier.wait(removed)
        assert barrier.stalls == 3, "it is told each time, and waited for once"
        waiting = asyncio.create_task(
            barrier.wait(next_ := asyncio.get_running_loop().create_future())
        )
        await settle()
        assert not waiting.done(), "what else is removed is waited for"
        next_.set_result(None)
        await waiting
        store.go.set()
        await removed

    play(scenario)


@pytest.mark.parametrize("bulk", [True, False])
def test_a_disk_is_not_thought_slow_for_a_list_that_is_big(bulk: bool) -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        barrier = Barrier(clock)
        first = Bulk(sync=True) if bulk else asyncio.get_running_loop().create_future()
        await barrier.wait(first)
        assert barrier.stalls == 1
        next_ = asyncio.get_running_loop().create_future()
        waiting = asyncio.create_task(barrier.wait(next_))
        await settle()
        assert waiting.done() is not bulk
        next_.set_result(None)
        await waiting
        await clock.advance(BARRIER_REST_SECONDS)
        last = asyncio.get_running_loop().create_future()
        waiting = asyncio.create_task(barrier.wait(last))
        await settle()
        assert not waiting.done()
        last.set_result(None)
        await waiting

    play(scenario)


def test_a_disk_that_cannot_be_read_keeps_nobody_from_the_api_server() -> None:
    """What the last life knew is in the store alone: it stays there, and as it was."""

    async def scenario() -> None:
        before = Cache()
        await before.take(PODS, pod_list(20, pod("a", 5)))
        now = pod_list(30, pod("a", 5), pod("b", 25))
        seen = event("ADDED", pod("c", 31))
        target = PODS + "?watch=true&resourceVersion=30"
        scene = Scene(*map(answer, (now, Pieces(seen))))
        scene.cache = cache = Cache(before.store)
        scene.forward = Forward(scene, cache.recorder, cache.documents, cache.clock)
        await cache.scopes.open()
        scan, cache.store.scan = cache.store.scan, away
        assert (await scene.ask(PODS)).content == now
        stream = (await scene.ask(target)).body
        assert await stream.read() == seen
        stream.close()
        cache.store.scan = scan
        assert await cache.list(PODS) == (20, ["a"])
        await cache.scopes.aclose()

    play(scenario)


async def away(_: bytes) -> Scan:
    raise StoreUnavailableError("the disk cannot be read")
