# SPDX-License-Identifier: Apache-2.0
"""One list of the cloud, followed, remembered, and never taken for empty."""

import asyncio
from collections.abc import Callable, Coroutine

from toono.codec.base import Object
from toono.codec.registry import for_media_type
from toono.errors import CodecError
from toono.filters.base import identity
from toono.filters.fields import Fields
from toono.filters.follow import REFUSED_SECONDS, Followed, Question
from toono.runtime.tasks import cancel_and_wait, spawn
from toono.testing.clock import VirtualClock

from .cloud import Cloud, answer, found
from .kit import JSON

PATH = "/api/v1/services"


def service(name: str, wish: str = "", version: str = "5") -> dict[str, object]:
    meta: dict[str, object] = {"name": name, "namespace": "a"}
    meta |= {"resourceVersion": version}
    return {"metadata": meta | ({"annotations": {"wish": wish}} if wish else {})}


def wish(fields: Fields, one: Object) -> str | None:
    if one.name == "broken":
        raise CodecError("garbage")
    return identity(fields, one.data).annotations.get("wish")


class Scene:
    def __init__(self) -> None:
        self.cloud, self.clock, self.changes = Cloud(), VirtualClock(), 0
        self.kept = 1000
        self.followed: Followed[str] = Followed(
            Question(PATH, rule="list services"),
            self.cloud,
            read=wish,
            changed=self._changed,
            clock=self.clock,
            kept=lambda version: version <= self.kept,
        )

    def _changed(self) -> None:
        self.changes += 1

    async def settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    @property
    def values(self) -> dict[str, str]:
        return {name: value for (_, name), value in self.followed.values.items()}


def play(story: Callable[[Scene], Coroutine[None, None, None]]) -> None:
    async def run() -> None:
        scene = Scene()
        task = spawn(scene.followed.run(), name="followed")
        try:
            await story(scene)
        finally:
            await cancel_and_wait(task)

    asyncio.run(run())


async def wanted(scene: Scene) -> None:
    waiting = spawn(scene.followed.wait(), name="waiting")
    await scene.settle()
    await cancel_and_wait(waiting)


def test_nothing_is_asked_before_it_is_needed() -> None:
    async def story(scene: Scene) -> None:
        await scene.settle()
        assert scene.cloud.asked == []
        assert not scene.followed.known

    play(story)


def test_the_cloud_s_list_is_followed_by_a_watch() -> None:
    async def story(scene: Scene) -> None:
        scene.cloud.add(PATH, found("Service", "9", service("web", "near")))
        await wanted(scene)
        assert scene.followed.known
        assert scene.values == {"web": "near"}
        (_, first, cached), (target, _, _), (resumed, accept, _) = scene.cloud.asked
        assert (cached, target) == (True, f"{PATH}?resourceVersion=0")
        assert "as=PartialObjectMetadataList;" in first
        assert "as=PartialObjectMetadata;" in accept
        assert "resourceVersion=9&" in resumed
        stream = scene.cloud.streams[PATH]
        stream.say("ADDED", "Service", service("api", "far", "10"))
        await scene.settle()
        assert scene.values == {"web": "near", "api": "far"}
        stream.say("MODIFIED", "Service", service("web", "", "11"))
        stream.say("BOOKMARK", "Service", service("none", "x", "12"))
        await scene.settle()
        assert scene.values == {"api": "far"}
        stream.say("DELETED", "Service", service("api", "far", "13"))
        await scene.settle()
        assert scene.values == {}
        assert scene.changes == 4
        stream.say("ADDED", "Service", service("plain", "", "14"))
        await scene.settle()
        assert scene.changes == 4  # it changes nothing for any filter

    play(story)


def test_a_watch_that_ends_is_resumed_from_where_it_was() -> None:
    async def story(scene: Scene) -> None:
        scene.cloud.add(PATH, found("Service", "9"))
        await wanted(scene)
        stream = scene.cloud.streams[PATH]
        stream.say("ADDED", "Service", service("api", "far", "10"))
        await scene.settle()
        stream.close()
        await scene.settle()
        await scene.clock.advance(2.0)
        await scene.settle()
        assert "resourceVersion=10&" in scene.cloud.asked[-1][0]
        assert scene.values == {"api": "far"}

    play(story)


def test_a_version_that_is_too_old_is_listed_anew() -> None:
    async def story(scene: Scene) -> None:
        codec = for_media_type(JSON)
        assert codec is not None
        gone = codec.write_error(codec.write_status({"kind": "Status", "code": 410}))
        for piece in (gone, b"nonsense\n"):
            scene.cloud.add(PATH, found("Service", "9", service("web", "near")))
            await wanted(scene)
            scene.cloud.add(PATH, found("Service", "12", service("api", "far")))
            scene.cloud.streams[PATH].put(piece)
            await scene.settle()
            await scene.clock.advance(40.0)
            await scene.settle()
        assert scene.values == {"web": "near"} or scene.values == {"api": "far"}

    play(story)


def test_cut_off_what_was_kept_is_known() -> None:
    async def story(scene: Scene) -> None:
        scene.cloud.cached[PATH] = found("Service", "9", service("web", "near"))
        await wanted(scene)
        assert scene.followed.known
        assert scene.values == {"web": "near"}
        assert scene.changes == 1
        scene.cloud.add(PATH, found("Service", "12", service("web", "near")))
        await scene.clock.advance(40.0)
        await scene.settle()
        assert PATH in scene.cloud.streams
        assert scene.changes == 1  # the same again is no change

    play(story)


def test_cut_off_and_never_kept_is_not_known() -> None:
    async def story(scene: Scene) -> None:
        await wanted(scene)
        assert not scene.followed.known
        assert scene.changes == 0

    play(story)


def test_cut_off_what_a_pool_tells_later_is_known() -> None:
    async def story(scene: Scene) -> None:
        await wanted(scene)
        assert scene.followed.tried
        scene.cloud.cached[PATH] = found("Service", "9", service("web", "near"))
        scene.followed.hurry()
        await scene.settle()
        assert scene.values == {"web": "near"}

    play(story)


def test_what_is_no_list_changes_nothing() -> None:
    async def story(scene: Scene) -> None:
        scene.cloud.add(
            PATH,
            answer(200, b"<html>"),
            answer(200, b"x", "text/html"),
            answer(500, b"{}"),
            answer(403, b"{}"),
        )
        await wanted(scene)
        for _ in range(3):
            await scene.clock.advance(40.0)
            await scene.settle()
        assert not scene.followed.known
        assert scene.followed.refused
        scene.cloud.add(PATH, found("Service", "12", service("web", "near")))
        await scene.clock.advance(REFUSED_SECONDS)
        await scene.settle()
        assert scene.values == {"web": "near"}
        assert not scene.followed.refused

    play(story)


def test_a_resource_that_the_cloud_does_not_serve_has_nobody_in_it() -> None:
    async def story(scene: Scene) -> None:
        scene.cloud.add(PATH, answer(404, b"404 page not found"))
        await wanted(scene)
        assert scene.followed.known
        assert scene.values == {}

    play(story)


def test_an_object_that_cannot_be_read_wishes_nothing() -> None:
    async def story(scene: Scene) -> None:
        objects = (service("broken"), service("web", "near"))
        scene.cloud.add(PATH, found("Service", "9", *objects))
        await wanted(scene)
        assert scene.values == {"web": "near"}

    play(story)


def test_whole_objects_are_asked_for_in_json() -> None:
    question = Question("/apis/x/v1/pools", whole=True, selector="fieldSelector=a%3Db")
    assert question.accept(listed=True) == question.accept(listed=False) == JSON
    assert question.target() == "/apis/x/v1/pools?fieldSelector=a%3Db"
    assert question.target(watch="true").endswith("?fieldSelector=a%3Db&watch=true")
    assert Question("/api/v1/nodes").target() == "/api/v1/nodes"


def test_a_link_that_is_back_ends_the_pause() -> None:
    async def story(scene: Scene) -> None:
        await wanted(scene)
        scene.cloud.add(PATH, found("Service", "9", service("web", "near")))
        await scene.settle()
        assert not scene.followed.known
        scene.followed.hurry()
        await scene.settle()
        assert scene.followed.known

    play(story)


def test_what_the_disk_has_lost_is_listed_again_to_be_kept() -> None:
    async def story(scene: Scene) -> None:
        scene.kept = 8
        scene.cloud.add(PATH, found("Service", "9", service("web", "near")))
        scene.cloud.add(PATH, found("Service", "11", service("web", "near")))
        await wanted(scene)
        targets = [target for target, _, _ in scene.cloud.asked]
        assert targets[:3] == [f"{PATH}?resourceVersion=0"] * 2 + [PATH]
        assert "watch=true" in targets[3]
        assert "resourceVersion=9&" in targets[3], "the stream goes on from its own"
        assert scene.changes == 1

    play(story)


def test_nothing_older_is_listed_after_a_version_was_too_old() -> None:
    async def story(scene: Scene) -> None:
        codec = for_media_type(JSON)
        assert codec is not None
        gone = codec.write_error(codec.write_status({"kind": "Status", "code": 410}))
        scene.cloud.add(PATH, found("Service", "9", service("web", "near")))
        await wanted(scene)
        scene.cloud.add(PATH, found("Service", "12", service("api", "far")))
        scene.cloud.streams[PATH].put(gone)
        await scene.settle()
        await scene.clock.advance(2.0)
        await scene.settle()
        assert scene.cloud.asked[-2][0] == PATH, "as new as the store itself"
        assert "resourceVersion=12&" in scene.cloud.asked[-1][0]
        assert scene.values == {"api": "far"}

    play(story)
