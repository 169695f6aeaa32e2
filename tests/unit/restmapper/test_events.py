# SPDX-License-Identifier: Apache-2.0
"""Differences between snapshots."""

import asyncio

from tests.unit.restmapper.kit import Wire, X, gvk, mapper_over, standard
from tests.unit.restmapper.virtual import run
from toono.restmapper import Change, Snapshot
from toono.restmapper.events import News, differences


def told(before, after):
    return [(event.change, event.kind) for event in differences(before, after)]


def test_each_kind_that_came_went_or_changed_and_removals_first():
    async def main():
        cluster = standard().add(X, "v1", "Driver").add(X, "v1", "Rider")
        mapper = mapper_over(Wire(cluster))
        before = await mapper.load()
        cluster.remove(X, "v1", "drivers")
        cluster.add(X, "v1", "Rider", namespaced=False).add(X, "v2", "Pilot")
        after = await mapper.refresh()
        removed, *others = told(before, after)
        assert removed == (Change.REMOVED, gvk(X, "v1", "Driver"))
        assert sorted(others, key=str) == [
            (Change.ADDED, gvk(X, "v2", "Pilot")),
            (Change.CHANGED, gvk(X, "v1", "Rider")),
        ]
        gone = next(differences(before, after))
        assert gone.mapping.resource.resource == "drivers"
        assert told(before, before) == []
        every = told(Snapshot(), after)
        assert len(every) == len(after.kinds)

    run(main())


def test_doubt_and_age_are_no_events():
    async def main():
        cluster = standard().add(X, "v1", "Driver")
        mapper = mapper_over(Wire(cluster))
        before = await mapper.load()
        cluster.down.add((X, "v1"))
        after = await mapper.refresh()
        assert after is not before
        assert told(before, after) == []

    run(main())


def test_who_is_slow_gets_the_difference_to_what_it_saw():
    async def main():
        cluster = standard()
        mapper = mapper_over(Wire(cluster))
        await mapper.load()
        events = mapper.events()
        for kind in ("Driver", "Rider"):
            cluster.add(X, "v1", kind)
            await mapper.refresh()
        cluster.remove(X, "v1", "drivers")
        await mapper.refresh()
        assert (await anext(events))[:2] == (Change.ADDED, gvk(X, "v1", "Rider"))

    run(main())


def test_news_wake_all_who_wait():
    async def main():
        newest = [Snapshot()]
        news = News(lambda: newest[0])
        waiting = [asyncio.ensure_future(news.after(newest[0])) for _ in range(3)]
        await asyncio.sleep(0)
        news.tell()
        await asyncio.sleep(1)
        assert not any(task.done() for task in waiting)
        newest[0] = Snapshot()
        news.tell()
        assert await asyncio.gather(*waiting) == [newest[0]] * 3

    run(main())


def test_the_order_of_verbs_and_names_is_no_event_and_another_subresource_is():
    async def main():
        cluster = standard()
        verbs = ["get", "list"]
        cluster.add(X, "v1", "Driver", verbs=verbs, short=["a", "b"])
        mapper = mapper_over(Wire(cluster))
        first = await mapper.load()
        cluster.add(X, "v1", "Driver", verbs=verbs[::-1], short=["b", "a"])
        second = await mapper.refresh()
        assert second is not first
        assert told(first, second) == []
        cluster.groups[X]["v1"]["drivers"].subresources = {"scale": "Scale"}
        third = await mapper.refresh()
        assert told(second, third) == [(Change.CHANGED, gvk(X, "v1", "Driver"))]

    run(main())
