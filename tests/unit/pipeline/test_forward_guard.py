# SPDX-License-Identifier: Apache-2.0
"""Lists of this node's pods pass the guard; nothing else is held or read for it."""

import pytest

from tests.unit.cache.kit import bookmark, call, event, pod, pod_list
from tests.unit.pipeline.test_forward import NODE, TOKEN, Scene, answer, request
from tests.unit.wire.kit import Pieces, play
from toono.cache.coding import MAX_BODY_BYTES
from toono.errors import BodyCutError, RequestError, UpstreamError
from toono.pipeline.forward import HELD_BACK, SMALL_BYTES, Forward
from toono.pipeline.reading import read_all

PODS = "/api/v1/pods?fieldSelector=spec.nodeName%3Dedge-1"
FULL = pod_list(20, pod("a", 5), pod("b", 6), pod("c", 7))


class Guard:
    """Concerns every list and watch; says of losses what a test says."""

    def __init__(self, says: bool) -> None:
        self.says = says
        self.asked: list[set[str]] = []

    def concerns(self, call) -> bool:
        return call.verb in ("list", "watch")

    async def confirms(self, call, lost) -> bool:
        self.asked.append({name for _, name in lost})
        return self.says or not lost


def guarded(guard: Guard, *script) -> Scene:
    scene = Scene(*script)
    cache = scene.cache
    scene.forward = Forward(
        scene, cache.recorder, cache.documents, cache.clock, guard=guard
    )
    return scene


def run(scenario) -> None:
    play(scenario)


def test_a_loss_that_is_confirmed_passes_as_it_came_and_is_kept() -> None:
    async def scenario() -> None:
        guard = Guard(says=True)
        scene = guarded(guard, answer(FULL), answer(pod_list(30, pod("a", 5))))
        assert (await scene.ask(PODS)).content == FULL
        assert (await scene.ask(PODS)).content == pod_list(30, pod("a", 5))
        assert guard.asked == [{"b", "c"}]
        assert await scene.cache.list(PODS) == (30, ["a"])

    run(scenario)


def test_a_loss_that_is_not_confirmed_is_503_and_is_not_kept() -> None:
    async def scenario() -> None:
        scene = guarded(Guard(says=False), answer(FULL), answer(pod_list(30)))
        await scene.ask(PODS)
        with pytest.raises(RequestError) as raised:
            await scene.ask(PODS)
        assert raised.value.code == 503
        assert HELD_BACK in str(raised.value)
        assert await scene.cache.list(PODS) == (20, ["a", "b", "c"])

    run(scenario)


def test_a_list_of_unknown_length_is_guarded_as_well() -> None:
    async def scenario() -> None:
        empty = pod_list(30)
        pieces = Pieces(empty[:20], empty[20:])
        scene = guarded(Guard(says=False), answer(FULL), answer(pieces))
        await scene.ask(PODS)
        with pytest.raises(RequestError):
            await scene.ask(PODS)

    run(scenario)


@pytest.mark.parametrize(
    "body", [b"<html>", pod_list(30, **{"continue": "more"}), b"{}"]
)
def test_what_is_no_whole_list_is_not_judged(body) -> None:
    async def scenario() -> None:
        guard = Guard(says=False)
        scene = guarded(guard, answer(FULL), answer(body))
        await scene.ask(PODS)
        assert (await scene.ask(PODS)).content == body
        assert guard.asked == []
        assert await scene.cache.list(PODS) == (20, ["a", "b", "c"])

    run(scenario)


@pytest.mark.parametrize(
    ("last", "lost"), [([], {"b", "c"}), (["b"], set()), (["b", "c"], set())]
)
def test_the_last_page_shows_what_all_pages_lack(last, lost) -> None:
    async def scenario() -> None:
        guard = Guard(says=True)
        pages = [
            pod_list(30, pod("a", 5), **{"continue": "more"}),
            pod_list(30, *(pod(name, 6) for name in last)),
        ]
        scene = guarded(guard, answer(FULL), *map(answer, pages))
        await scene.ask(PODS)
        await scene.ask(PODS + "&limit=1")
        assert guard.asked == []
        await scene.ask(PODS + "&limit=1&continue=more")
        assert guard.asked == [lost]
        assert await scene.cache.list(PODS) == (30, ["a", *last])

    run(scenario)


def test_a_last_page_whose_others_were_not_seen_counts_for_all() -> None:
    """The client lists again from the start, and then they are seen."""

    async def scenario() -> None:
        scene = guarded(Guard(says=False), answer(FULL), answer(pod_list(30)))
        await scene.ask(PODS)
        with pytest.raises(RequestError):
            await scene.ask(PODS + "&limit=1&continue=more")

    run(scenario)


def test_only_the_node_s_own_lists_are_guarded() -> None:
    async def scenario() -> None:
        guard = Guard(says=False)
        scene = guarded(guard, answer(FULL), answer(pod_list(30)))
        await scene.ask(PODS)
        assert (await scene.ask(PODS, TOKEN)).status == 200
        assert guard.asked == []

    run(scenario)


def large(*names: str) -> list[bytes]:
    """Return a list that is too large to be held, in pieces."""
    pods = [
        pod(name, 5, uid=f"{name:0>36}", annotations={"filling": "x" * SMALL_BYTES})
        for name in names
    ]
    text = pod_list(30, *pods)
    return [text[at : at + 9000] for at in range(0, len(text), 9000)]


async def drained(body) -> list[bytes]:
    pieces = []
    try:
        while piece := await body.read():
            pieces.append(piece)
    finally:
        body.close()
    return pieces


def test_a_large_list_passes_while_it_comes_and_nobody_is_asked() -> None:
    async def scenario() -> None:
        full, shorter = large(*"abcdefg"), large(*"abcde")
        guard = Guard(says=False)
        stream = Pieces(*shorter)
        scene = guarded(guard, answer(Pieces(*full)), answer(stream))
        assert await drained((await scene.ask(PODS)).body) == full
        body = (await scene.ask(PODS)).body
        first = await body.read()
        assert stream.pieces, "the first piece passes before the last has come"
        assert [first, *await drained(body)] == shorter
        assert guard.asked == []
        assert await scene.cache.list(PODS) == (30, [*"abcde"])

    run(scenario)


@pytest.mark.parametrize("says", [True, False])
def test_a_large_list_that_lacks_half_ends_only_if_confirmed(says) -> None:
    async def scenario() -> None:
        names = ["a", "b", "c", "d"]
        full, half = large(*names), large("a", "b")
        guard = Guard(says)
        scene = guarded(guard, answer(Pieces(*full)), answer(Pieces(*half)))
        await drained((await scene.ask(PODS)).body)
        body = (await scene.ask(PODS)).body
        if says:
            assert await drained(body) == half
        else:
            passed = [await body.read() for _ in half[2:]]
            assert passed == half[:-2], "the guard and the recording hold one each"
            with pytest.raises(BodyCutError):
                await body.read()
            body.close()
        assert guard.asked == [{"c", "d"}]
        expected = ["a", "b"] if says else names
        assert (await scene.cache.list(PODS))[1] == expected

    run(scenario)


def test_a_pod_that_a_large_list_names_twice_stands_for_no_other() -> None:
    async def scenario() -> None:
        full, twice = large(*"abcdef"), large(*"abababa")
        guard = Guard(says=False)
        scene = guarded(guard, answer(Pieces(*full)), answer(Pieces(*twice)))
        await drained((await scene.ask(PODS)).body)
        with pytest.raises(BodyCutError):
            await drained((await scene.ask(PODS)).body)
        assert guard.asked == [set("cdef")]

    run(scenario)


def test_an_endless_list_that_shows_no_pod_is_not_held_for_ever() -> None:
    async def scenario() -> None:
        body = Pieces(*[bytes(MAX_BODY_BYTES // 2)] * 3)
        full = answer(Pieces(*large("a")))
        scene = guarded(Guard(says=True), full, answer(body))
        await drained((await scene.ask(PODS)).body)
        with pytest.raises(BodyCutError):
            await drained((await scene.ask(PODS)).body)

    run(scenario)


@pytest.mark.parametrize("says", [True, False])
def test_a_watch_list_goes_on_or_ends_before_its_bookmark(says) -> None:
    async def scenario() -> None:
        target = PODS + (
            "&watch=true&sendInitialEvents=true&allowWatchBookmarks=true"
            "&resourceVersionMatch=NotOlderThan"
        )
        first, end = event("ADDED", pod("a", 5)), bookmark(30, end=True)
        stream = Pieces(first + end)
        scene = guarded(Guard(says), answer(FULL), answer(stream))
        await scene.ask(PODS)
        asked = call(target)
        response = await scene.forward(asked, request(target), NODE)
        assert response.body is not None
        assert await response.body.read() == first
        assert await response.body.read() == (end if says else b"")
        assert await response.body.read() == b""
        expected = (30, ["a"]) if says else (20, ["a", "b", "c"])
        assert await scene.cache.list(PODS) == expected
        response.body.close()

    run(scenario)


def test_no_body_is_read_beyond_what_a_cache_could_keep() -> None:
    async def scenario() -> None:
        body = Pieces(*[bytes(MAX_BODY_BYTES // 2 + 1)] * 3)
        with pytest.raises(UpstreamError):
            await read_all(body)

    run(scenario)
