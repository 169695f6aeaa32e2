# SPDX-License-Identifier: Apache-2.0
"""What a watch shows, when it tells its version, and how it ends."""

import asyncio

import pytest

from tests.unit.testing.apiserver.kit import (
    PODS,
    World,
    frames,
    more,
    pod,
    run,
)
from toono.testing.clock import settle

WATCH = PODS + "?watch=true"
BURST = WATCH + "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"


def make(world: World, name: str, **labels: str) -> None:
    world.server.create("pods", pod(name, labels=labels), namespace="default")


def relabel(world: World, name: str, **labels: str) -> None:
    content = pod(name, namespace="default", labels=labels)
    world.server.update("pods", content, namespace="default")


def told(events) -> list[tuple[str, str, str]]:
    return [
        (kind, one["metadata"].get("name", ""), one["metadata"]["resourceVersion"])
        for kind, one in events
    ]


@pytest.mark.parametrize("start", ["", "&resourceVersion=0"])
def test_without_a_version_all_objects_come_first(start: str) -> None:
    async def scenario(world: World) -> None:
        make(world, "b")
        make(world, "a")
        shown = told(await frames(world, WATCH + start))
        assert shown == [("ADDED", "a", "102"), ("ADDED", "b", "101")]

    run(scenario)


def test_from_a_version_what_came_after_it_is_shown() -> None:
    async def scenario(world: World) -> None:
        make(world, "a")
        make(world, "b")
        relabel(world, "a", x="1")
        shown = told(await frames(world, WATCH + "&resourceVersion=101"))
        assert shown == [("ADDED", "b", "102"), ("MODIFIED", "a", "103")]
        world.server.delete("pods", "b", namespace="default")
        world.server.create("nodes", {"metadata": {"name": "n"}})
        assert told(await more(world)) == [("DELETED", "b", "104")]

    run(scenario)


def test_what_leaves_or_enters_a_selector_goes_and_comes() -> None:
    async def scenario(world: World) -> None:
        make(world, "a", x="1")
        selected = WATCH + "&labelSelector=x%3D1&resourceVersion=101"
        assert await frames(world, selected) == []
        relabel(world, "a", x="2", new="here")
        ((kind, gone),) = await more(world)
        assert kind == "DELETED"
        assert gone["metadata"]["labels"] == {"x": "1"}
        assert gone["metadata"]["resourceVersion"] == "102"
        relabel(world, "a", x="3")
        assert await more(world) == []
        relabel(world, "a", x="1")
        assert told(await more(world)) == [("ADDED", "a", "104")]

    run(scenario)


def test_a_burst_ends_with_its_bookmark() -> None:
    async def scenario(world: World) -> None:
        make(world, "a")
        events = await frames(world, BURST + "&allowWatchBookmarks=true")
        assert told(events) == [("ADDED", "a", "101"), ("BOOKMARK", "", "101")]
        notes = events[-1][1]["metadata"]["annotations"]
        assert notes == {"k8s.io/initial-events-end": "true"}
        assert told(await frames(world, BURST)) == [("ADDED", "a", "101")]

    run(scenario)


def test_a_version_that_is_gone_is_an_error_and_the_end() -> None:
    async def scenario(world: World) -> None:
        make(world, "a")
        world.storage.compact()
        ((kind, status),) = await frames(world, WATCH + "&resourceVersion=7")
        assert (kind, status["code"], status["reason"]) == ("ERROR", 410, "Expired")
        assert status["message"] == "too old resource version: 7 (101)"
        make(world, "b")
        assert await world.watch.read() == b""

    run(scenario)


async def reading(world: World) -> asyncio.Task:
    task = asyncio.ensure_future(world.watch.read())
    await settle()
    return task


def test_bookmarks_come_by_the_minute_and_before_the_end() -> None:
    async def scenario(world: World) -> None:
        await frames(world, WATCH + "&allowWatchBookmarks=true&timeoutSeconds=100")
        moments = []
        while True:
            task = await reading(world)
            while not task.done():
                await world.clock.advance(1)
            if not task.result():
                break
            assert b'"BOOKMARK"' in task.result()
            moments.append(world.clock.monotonic())
        assert moments == [60, 98]
        assert world.clock.monotonic() == 100

    run(scenario)


def test_without_bookmarks_nothing_is_told_until_the_end() -> None:
    async def scenario(world: World) -> None:
        await frames(world, WATCH + "&timeoutSeconds=100")
        task = await reading(world)
        await world.clock.advance(99)
        assert not task.done()
        await world.clock.advance(1)
        await settle()
        assert task.result() == b""

    run(scenario)


def test_a_change_wakes_a_reader() -> None:
    async def scenario(world: World) -> None:
        await frames(world, WATCH)
        task = await reading(world)
        make(world, "a")
        await settle()
        assert b'"ADDED"' in task.result()

    run(scenario)


def test_a_closed_watch_ends_and_listens_no_more() -> None:
    async def scenario(world: World) -> None:
        await frames(world, WATCH)
        task = await reading(world)
        world.watch.close()
        world.watch.close()
        await settle()
        assert task.result() == b""
        make(world, "a")
        assert await world.watch.read() == b""
        assert world.storage._listeners == []

    run(scenario)


def test_streams_of_a_life_before_a_restore_end() -> None:
    async def scenario(world: World) -> None:
        make(world, "a")
        await frames(world, WATCH)
        world.storage.restore(100)
        assert await world.watch.read() == b""

    run(scenario)
