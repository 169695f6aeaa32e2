# SPDX-License-Identifier: Apache-2.0
"""A feed and its readers: who hears what, when it ends, and why."""

import asyncio
from collections.abc import Callable, Coroutine

import pytest

from toono.errors import CodecError
from toono.filters.follow import Question
from toono.kube.request import Call, Caller, parse
from toono.multiplex.feed import BOOKMARK_SECONDS, Feed
from toono.multiplex.stream import MAX_FRAMES, SharedStream
from toono.runtime.tasks import cancel_and_wait, spawn
from toono.testing.clock import VirtualClock, settle
from toono.wire.messages import Response

from .kit import CODEC, PROTOBUF, bookmark, frame_of, list_body, service, told

NOBODY = Caller(connection=1, local=("", 0), remote=("", 0))


async def nowhere(target: str, accept: str, *, cached: bool) -> Response:
    raise AssertionError("nothing is asked here")


class Scene:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.epoch = 0
        self.feed = Feed(
            Question("/api/v1/services"),
            nowhere,
            clock=self.clock,
            kept=lambda _: True,
            least_watch=100.0,
            epoch=lambda: self.epoch,
        )
        self.list(9, service("web", 5, x="1"), service("api", 6))
        self.feed.watching(live=True)

    def list(self, version: int, *items: bytes) -> None:
        parts = CODEC.split_list(list_body(version, *items))
        self.feed.listed(CODEC, parts, cached=False)

    def say(self, frame: bytes) -> None:
        event = CODEC.read_event(frame)
        assert event.object is not None
        self.feed.happened(CODEC, event, event.object, frame)

    def watch(self, query: str = "", **how: object) -> SharedStream:
        settings: dict[str, object] = {"after": 9, "listed": False}
        return self.feed.watch(call(query), PROTOBUF, **settings | how)  # type: ignore[arg-type]


def call(query: str = "") -> Call:
    target = f"/api/v1/services?watch=true&resourceVersion=9&{query}"
    return parse("GET", target.rstrip("&").encode(), {}, NOBODY)


def play(story: Callable[[Scene], Coroutine[None, None, None]]) -> None:
    async def run() -> None:
        scene = Scene()
        task = spawn(scene.feed.tick(), name="tick")
        try:
            await story(scene)
        finally:
            await cancel_and_wait(task)

    asyncio.run(run())


async def heard(stream: SharedStream) -> list[tuple[str, str, str] | None]:
    frames = CODEC.frames().feed(await stream.read())
    return [told(PROTOBUF, frame) for frame in frames]


def test_each_reader_hears_what_it_asked_for() -> None:
    async def story(scene: Scene) -> None:
        everything, labelled = scene.watch(), scene.watch("labelSelector=x%3D1")
        assert scene.feed.readers == 2
        scene.say(frame_of("MODIFIED", service("api", 10)))
        scene.say(frame_of("MODIFIED", service("web", 11)))
        assert await heard(everything) == [
            ("MODIFIED", "api", "10"),
            ("MODIFIED", "web", "11"),
        ]
        assert await heard(labelled) == [("DELETED", "web", "11")]

    play(story)


def test_a_reader_may_begin_with_what_is_there_or_after_a_version() -> None:
    async def story(scene: Scene) -> None:
        scene.say(frame_of("ADDED", service("new", 10)))
        assert await heard(scene.watch()) == [("ADDED", "new", "10")]
        late = scene.watch(after=10)
        assert [name for _, name, _ in await heard(scene.watch(listed=True))] == [  # type: ignore[misc]
            "api",
            "new",
            "web",
        ]
        burst = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
        stream = scene.watch(f"{burst}&allowWatchBookmarks=true", listed=True)
        assert (await heard(stream))[-1] == ("BOOKMARK", "", "10")
        unmarked = scene.watch(burst, listed=True)
        assert {kind for kind, _, _ in await heard(unmarked)} == {"ADDED"}
        scene.say(frame_of("DELETED", service("new", 11)))
        assert await heard(late) == [("DELETED", "new", "11")]

    play(story)


def test_a_list_made_anew_ends_the_readers_with_410() -> None:
    async def story(scene: Scene) -> None:
        stream = scene.watch()
        scene.list(30)
        (frame,) = CODEC.frames().feed(await stream.read())
        assert CODEC.read_event(frame).status_code == 410
        assert await stream.read() == b""
        assert (scene.feed.readers, scene.feed.cut["relisted"]) == (0, 1)
        stream.close()

    play(story)


def test_one_stuck_reader_is_cut_and_harms_nobody() -> None:
    async def story(scene: Scene) -> None:
        stuck, good = scene.watch(), scene.watch()
        for version in range(10, 11 + MAX_FRAMES):
            scene.say(frame_of("MODIFIED", service("web", version)))
            assert len(await heard(good)) == 1
        assert await stuck.read() == b""
        stuck.close()
        assert (scene.feed.readers, scene.feed.cut["slow"]) == (1, 1)
        good.close()
        assert scene.feed.readers == 0

    play(story)


def test_a_reader_that_names_no_time_has_one_to_two_times_the_least() -> None:
    async def story(scene: Scene) -> None:
        reading = asyncio.ensure_future(scene.watch().read())
        await settle()
        await scene.clock.advance(99.0)
        assert not reading.done()
        await scene.clock.advance(102.0)
        assert await reading == b""

    play(story)


def test_time_ends_a_reader_and_bookmarks_tell_the_version() -> None:
    async def story(scene: Scene) -> None:
        marked = scene.watch("allowWatchBookmarks=true&timeoutSeconds=90")
        plain = scene.watch("timeoutSeconds=90")
        scene.say(bookmark(40))
        await scene.clock.advance(BOOKMARK_SECONDS + 1)
        assert await heard(marked) == [("BOOKMARK", "", "40")]
        reading = asyncio.ensure_future(plain.read())
        await settle()
        assert not reading.done()
        await scene.clock.advance(30.0)
        assert await reading == b""
        assert await marked.read() == b""

    play(story)


def test_a_hub_that_stops_ends_them_cleanly() -> None:
    async def story(scene: Scene) -> None:
        stream = scene.watch()
        scene.feed.end()
        assert await stream.read() == b""

    play(story)


def test_it_is_ready_while_the_cloud_s_stream_is_open_or_refused() -> None:
    async def story(scene: Scene) -> None:
        assert scene.feed.resumes()
        assert scene.feed.ready.is_set()
        scene.feed.watching(live=False)
        assert not scene.feed.ready.is_set()
        scene.feed.denied()
        assert scene.feed.ready.is_set()
        scene.feed.missing()
        assert not scene.feed.ready.is_set()

    play(story)


def test_a_question_that_cannot_be_answered_harms_no_other_reader() -> None:
    async def story(scene: Scene) -> None:
        bad = scene.watch("fieldSelector=spec.made-up%3D1")
        good = scene.watch()
        scene.say(frame_of("ADDED", service("new", 10)))
        assert await heard(good) == [("ADDED", "new", "10")]
        assert await bad.read() == b""  # it comes back, and asks the cloud itself
        bad.close()
        assert scene.feed.readers == 1
        scene.say(frame_of("DELETED", service("new", 11)))
        assert await heard(good) == [("DELETED", "new", "11")]

    play(story)


def test_a_watch_that_cannot_begin_leaves_nothing_behind() -> None:
    async def story(scene: Scene) -> None:
        scene.say(frame_of("ADDED", service("new", 10)))
        for how in ({"listed": True}, {}):
            with pytest.raises(CodecError):
                scene.watch("fieldSelector=spec.made-up%3D1", **how)
        assert not scene.feed.readers

    play(story)


def test_a_cloud_that_was_restored_ends_the_readers_until_it_is_listed() -> None:
    async def story(scene: Scene) -> None:
        stream = scene.watch()
        scene.epoch = 1
        assert not scene.feed.is_current
        await scene.clock.advance(1.0)
        (frame,) = CODEC.frames().feed(await stream.read())
        assert CODEC.read_event(frame).status_code == 410
        scene.list(3)
        assert scene.feed.is_current

    play(story)
