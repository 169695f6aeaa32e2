# SPDX-License-Identifier: Apache-2.0
"""Listing and watching one collection."""

import asyncio
import contextlib
import gzip
import json

import pytest

from tests.unit.restmapper.virtual import VirtualClock, run
from toono.restmapper import Reply
from toono.restmapper import watch as module
from toono.restmapper.transport import TransportError
from toono.restmapper.watch import METADATA_ONLY, EventType, Watcher

PATH = "/apis/a.io/v1/things"
ENDLESS = object()


def listed(*names, version="10", token=""):
    items = [{"metadata": {"name": n, "resourceVersion": v}} for n, v in names]
    meta = {"resourceVersion": version, "continue": token}
    return 200, json.dumps({"metadata": meta, "items": items}).encode()


def frame(kind, name="a", version="11", **facts):
    content = {"metadata": {"name": name, "resourceVersion": version}, **facts}
    return json.dumps({"type": kind, "object": content}).encode() + b"\n"


class Script:
    """A transport that answers in turn; then nobody answers any more."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.targets, self.accepts, self.times = [], [], []

    @contextlib.asynccontextmanager
    async def get(self, target, headers):
        self.targets.append(target.partition("&timeoutSeconds")[0])
        self.accepts.append(headers["accept"])
        self.times.append(asyncio.get_running_loop().time())
        answer = self.answers.pop(0) if self.answers else ENDLESS
        if isinstance(answer, Exception):
            raise answer
        status, *pieces = (200, ENDLESS) if answer is ENDLESS else answer

        async def chunks():
            for piece in pieces:
                if piece is ENDLESS:
                    await asyncio.sleep(1e6)
                yield piece

        yield Reply(status=status, headers={}, chunks=chunks())


class Ear:
    """What a listener was told."""

    def __init__(self):
        self.lists, self.events, self.lives = [], [], []

    def listed(self, *, changed):
        self.lists.append(changed)

    def happened(self, event, name, content):
        self.events.append((event, name))

    def live(self, *, is_live):
        self.lives.append(is_live)


def follow(*answers, seconds=200):
    script, ear = Script(*answers), Ear()

    async def main():
        task = asyncio.ensure_future(Watcher(script, PATH, ear, VirtualClock()).run())
        await asyncio.sleep(seconds)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(main())
    return script, ear


def test_a_list_and_then_a_watch_from_its_version():
    script, ear = follow(listed(("a", "5")), (200, frame("ADDED", "b"), ENDLESS))
    assert script.targets == [
        f"{PATH}?limit=500",
        f"{PATH}?watch=true&allowWatchBookmarks=true&resourceVersion=10",
    ]
    assert script.accepts == [METADATA_ONLY, "application/json"]
    assert (ear.lists, ear.lives) == ([False], [True])
    assert ear.events == [(EventType.ADDED, "b")]


def test_a_long_list_comes_in_pages_and_may_be_packed():
    status, page = listed(("a", "5"), token="a&b")
    last = listed(("b", "6"))
    script, ear = follow((status, gzip.compress(page)), last, ENDLESS)
    assert script.targets[1] == f"{PATH}?limit=500&continue=a%26b"
    assert ear.lists == [False]


def test_frames_may_be_cut_anywhere():
    frames = frame("ADDED", "a") + b"\n" + frame("MODIFIED", "b") + frame("DELETED")
    for size in (1, 7, 50, len(frames)):
        pieces = [frames[at : at + size] for at in range(0, len(frames), size)]
        _, ear = follow(listed(), (200, *pieces, ENDLESS))
        assert [name for _, name in ear.events] == ["a", "b", "a"]


def test_a_watch_that_ends_goes_on_from_the_last_version():
    bookmark = frame("BOOKMARK", "", "30")
    script, ear = follow(listed(), (200, frame("ADDED"), bookmark), ENDLESS)
    assert script.targets[2].endswith("resourceVersion=30")
    assert len(ear.lists) == 1
    assert ear.events == [(EventType.ADDED, "a")]


def test_a_410_makes_it_list_again_and_say_whether_anything_changed():
    expired = frame("ERROR", "", "", code=410)
    for status in ((200, expired), (410,)):
        for names, changed in (([("a", "5")], False), ([("a", "6")], True)):
            _, ear = follow(listed(("a", "5")), status, listed(*names), ENDLESS)
            assert ear.lists == [False, changed]
            assert ear.events == []


def test_what_was_seen_by_a_watch_counts_in_the_comparison():
    seen = (200, frame("ADDED", "b", "12"), frame("DELETED", "a", "13"))
    _, ear = follow(listed(("a", "5")), seen, (410,), listed(("b", "12")), ENDLESS)
    assert ear.lists == [False, False]


@pytest.mark.parametrize("broken", [b"{\n", b'{"type":"ADDED"}\n', b'"\xff"\n'])
def test_a_frame_that_cannot_be_read_makes_it_list_again(broken):
    _, ear = follow(listed(), (200, broken), listed(), ENDLESS)
    assert ear.lists == [False, False]


def test_an_endless_frame_makes_it_list_again(monkeypatch):
    monkeypatch.setattr(module, "MAX_EVENT_BYTES", 100)
    _, ear = follow(listed(), (200, b"x" * 60, b"x" * 60), listed(), ENDLESS)
    assert ear.lists == [False, False]


def test_an_endless_list_is_a_failure(monkeypatch):
    monkeypatch.setattr(module, "MAX_DOCUMENT_BYTES", 100)
    _, ear = follow((200, b"x" * 60, b"x" * 60), listed(), ENDLESS)
    assert ear.lives == [False, True]


@pytest.mark.parametrize(
    "failure",
    [
        TransportError("reset"),
        ConnectionResetError(),
        (500,),
        (200, b"<html>"),
        (200, b"\x1f\x8bgarbage"),
    ],
)
def test_a_list_that_fails_is_tried_again(failure):
    _, ear = follow(failure, failure, listed(), ENDLESS)
    assert ear.lives == [False, False, True]
    assert ear.lists == [False]


def test_an_error_event_breaks_the_watch_and_no_list_is_needed():
    script, ear = follow(listed(), (200, frame("ERROR", "", "", code=500)), ENDLESS)
    assert ear.lives == [True, False, True]
    assert len(ear.lists) == 1
    assert script.targets[1] == script.targets[2]


def test_failures_come_slower_and_slower():
    script, _ = follow(*[TransportError("reset")] * 8, seconds=120)
    gaps = [b - a for a, b in zip(script.times, script.times[1:], strict=False)]
    assert gaps[0] == 0
    bounds = [1, 2, 4, 8, 16, 32, 60]
    for gap, most in zip(gaps[1:], bounds, strict=False):
        assert most / 2 <= gap <= most


@pytest.mark.parametrize("status", [401, 403, 404])
def test_without_the_right_it_says_so_once_and_tries_every_ten_minutes(status, caplog):
    script, ear = follow(*[(status,)] * 4, seconds=1500)
    assert script.times == [0, 600, 1200]
    assert ear.lives == [False] * 3
    assert [each.message.split(";")[0] for each in caplog.records] == [
        "not allowed to watch"
    ]


def test_a_right_that_is_lost_is_told_anew(caplog):
    refused = (403,)
    follow(refused, listed(), (200,), refused, seconds=1000)
    assert len(caplog.records) == 2


def test_a_silent_watch_is_given_up():
    script, ear = follow(listed(), ENDLESS, ENDLESS, seconds=1200)
    assert ear.lives[:3] == [True, False, True]
    assert 240 + 30 <= script.times[2] - script.times[1] <= 480 + 30
