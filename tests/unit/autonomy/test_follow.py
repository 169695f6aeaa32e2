# SPDX-License-Identifier: Apache-2.0
"""What is followed changes by what the cloud says, and by nothing else."""

import asyncio
import json
import logging
from typing import Self

import pytest

from toono.autonomy.follow import FORBIDDEN_SECONDS, Followed, Follower
from toono.errors import UnreachableError
from toono.runtime.tasks import cancel_and_wait, spawn
from toono.testing.clock import VirtualClock, settle
from toono.upstream.pool import Credential
from toono.wire.messages import Answer, BytesBody

FOLLOWED = Followed(
    path="/api/v1/namespaces/a/configmaps",
    selector="fieldSelector=metadata.name=x",
    rule="get, list, watch configmaps x in a",
)


class Stream:
    """A watch's body that a test feeds."""

    length = None

    def __init__(self) -> None:
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue()
        self.closed = False

    def send(self, kind: str, content: dict) -> None:
        line = json.dumps({"type": kind, "object": content}).encode() + b"\n"
        self._pieces.put_nowait(line[:7])
        self._pieces.put_nowait(line[7:])

    def raw(self, piece: bytes) -> None:
        self._pieces.put_nowait(piece)

    async def read(self) -> bytes:
        return await self._pieces.get()

    def close(self) -> None:
        self.closed = True


def thing(name: str, version: int) -> dict:
    return {"metadata": {"name": name, "resourceVersion": str(version)}}


def listed(version: int, *things: dict) -> bytes:
    head = {"kind": "ConfigMapList", "metadata": {"resourceVersion": str(version)}}
    return json.dumps(head | {"items": list(things)}).encode()


class Cloud:
    """An upstream that answers what a test has put in."""

    def __init__(self) -> None:
        self.answers: list = []
        self.targets: list[str] = []

    async def send(self, method, target, headers, body, *, credential) -> Answer:
        assert (method, body, credential) == ("GET", None, Credential.NODE)
        self.targets.append(target.decode())
        given = self.answers.pop(0) if self.answers else UnreachableError("no")
        if isinstance(given, Exception):
            raise given
        status, content = given
        content = BytesBody(content) if isinstance(content, bytes) else content
        return Answer(
            status=status, reason=b"", headers=[], fields={}, body=content, tunnel=None
        )


class Following:
    def __init__(self, *answers) -> None:
        self.cloud = Cloud()
        self.cloud.answers = list(answers)
        self.clock = VirtualClock()
        self.seen: list[list[str]] = []
        self.follower = Follower(
            self.cloud,
            FOLLOWED,
            clock=self.clock,
            taken=lambda objects: self.seen.append(sorted(objects)),
        )

    async def __aenter__(self) -> Self:
        self.task = spawn(self.follower.run(), name="follow")
        await settle()
        return self

    async def __aexit__(self, *_) -> None:
        await cancel_and_wait(self.task)


def test_a_list_and_then_each_event_hands_on_the_whole_state() -> None:
    async def scenario() -> None:
        stream = Stream()
        async with Following((200, listed(5, thing("x", 4))), (200, stream)) as one:
            stream.send("ADDED", thing("y", 6))
            stream.send("BOOKMARK", thing("", 7))
            stream.send("DELETED", thing("x", 8))
            await settle()
            assert one.seen == [["x"], ["x", "y"], ["y"]]
            assert one.cloud.targets[0] == (
                "/api/v1/namespaces/a/configmaps?fieldSelector=metadata.name%3Dx"
            )
            assert "&watch=true" in one.cloud.targets[1]
            assert "&resourceVersion=5&" in one.cloud.targets[1]
        assert stream.closed

    asyncio.run(scenario())


def test_a_watch_that_ends_is_resumed_from_where_it_was() -> None:
    async def scenario() -> None:
        first, second = Stream(), Stream()
        async with Following((200, listed(5)), (200, first), (200, second)) as one:
            first.send("BOOKMARK", thing("", 77))
            await one.clock.advance(20)
            first.raw(b"")
            await settle()
            assert "&resourceVersion=77&" in one.cloud.targets[2]
            assert len(one.cloud.targets) == 3
            assert one.seen == [[]]

    asyncio.run(scenario())


def test_a_version_that_is_too_old_is_listed_anew() -> None:
    async def scenario() -> None:
        first, second = Stream(), Stream()
        async with Following(
            (200, listed(5)),
            (200, first),
            (200, listed(9)),
            (410, b""),
            (200, listed(9)),
        ) as one:
            first.send("ERROR", {"code": 410})
            await one.clock.advance(60)
            assert ["watch" in target for target in one.cloud.targets[:5]] == [
                False,
                True,
                False,
                True,
                False,
            ]
        assert second.closed is False

    asyncio.run(scenario())


BAD = [
    (401, b"{}"),
    (404, b"{}"),
    (429, b"{}"),
    (500, b"oops"),
    (200, b"<html>pay</html>"),
    (200, b'{"kind":"Status","metadata":{}}'),
    (200, b'{"kind":"ConfigMap","metadata":{"resourceVersion":"4"},"items":[]}'),
    (200, b'{"kind":"ConfigMapList","metadata":{},"items":[]}'),
    (200, b'{"kind":"ConfigMapList","metadata":{"resourceVersion":"4"},"items":[1]}'),
    (200, b"\xff"),
    UnreachableError("no"),
]


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_no_bad_answer_changes_what_is_known(bad) -> None:
    async def scenario() -> None:
        async with Following(bad, (200, listed(5, thing("x", 4)))) as one:
            assert one.seen == []
            await one.clock.advance(1.1)
            assert one.seen == [["x"]]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "piece", [b"garbage\n", b'{"type":"ERROR","object":{"code":500}}\n', b"\xff\n"]
)
def test_a_bad_event_ends_the_watch_and_nothing_else(piece: bytes) -> None:
    async def scenario() -> None:
        stream = Stream()
        async with Following((200, listed(5, thing("x", 4))), (200, stream)) as one:
            stream.raw(piece)
            await settle()
            assert one.seen == [["x"]]
            assert stream.closed

    asyncio.run(scenario())


def test_a_missing_right_is_said_once_and_asked_for_every_ten_minutes(caplog) -> None:
    async def scenario() -> None:
        stream = Stream()
        no = (403, b"{}")
        async with Following(no, no, (200, listed(5)), (200, stream)) as one:
            assert one.follower.forbidden
            await one.clock.advance(FORBIDDEN_SECONDS - 1)
            assert len(one.cloud.targets) == 1
            await one.clock.advance(1)
            assert len(one.cloud.targets) == 2
            await one.clock.advance(FORBIDDEN_SECONDS)
            assert not one.follower.forbidden
            assert one.seen == [[]]
        (warning,) = [one for one in caplog.records if one.levelname == "WARNING"]
        assert warning.rule == FOLLOWED.rule

    with caplog.at_level(logging.INFO):
        asyncio.run(scenario())


def test_a_cloud_that_is_away_is_asked_slower_and_slower() -> None:
    async def scenario() -> None:
        async with Following() as one:
            await one.clock.advance(600)
            assert 15 <= len(one.cloud.targets) <= 50

    asyncio.run(scenario())
