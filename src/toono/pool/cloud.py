# SPDX-License-Identifier: Apache-2.0
"""The leader's view of the cloud: one list and watch a pool-scope resource.

They are recorded by the rules of the hub's own cache, into a scope of the component
that YurtHub calls leader-yurthub. Followers fill the same scope from the pool, so a
hub that becomes leader goes on at the version it has, and answers while cut off are
looked for there like in any other. Knows no etcd.
"""

import asyncio
import logging
import random
from typing import NamedTuple

from toono.cache.coding import MAX_BODY_BYTES
from toono.cache.received import media_type_of
from toono.cache.record import Recorder
from toono.cache.record_watch import WatchRecording
from toono.cache.scope import Question, Scope
from toono.cache.scopes import Scopes
from toono.codec.registry import for_media_type
from toono.errors import BadResponseError, UpstreamError, WireError
from toono.kube.names import GroupResource
from toono.kube.request import Call, Caller, parse
from toono.pool.shared import LEADER
from toono.runtime.clock import Clock
from toono.upstream.pool import Credential, Upstream
from toono.wire.messages import Answer

log = logging.getLogger(__name__)

LISTED = b"application/vnd.kubernetes.protobuf,application/json"
WATCHED = b"application/vnd.kubernetes.protobuf;stream=watch,application/json"
"""Protobuf is what an API server stores; custom resources come as JSON."""
COMPONENT = LEADER.decode()
WATCH_SECONDS = (300, 600)
SHORT_SECONDS = 5.0
"""A watch that lived less and told nothing: its version may be too old."""
RETRY_SECONDS = (1.0, 5.0)
FORBIDDEN_SECONDS = 60.0
_OWN = Caller(connection=0, local=("", 0), remote=("", 0))


class Collection(NamedTuple):
    """A resource that a pool shares, in the version that it is listed in."""

    group: str
    version: str
    resource: str

    @property
    def of(self) -> GroupResource:
        """The resource without its version, as storage keys know it."""
        return GroupResource(self.group, self.resource)

    @property
    def path(self) -> str:
        """Of its list in the cloud."""
        root = f"/apis/{self.group}" if self.group else "/api"
        return f"{root}/{self.version}/{self.resource}"

    @property
    def api_version(self) -> str:
        """As objects name it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def question(self, media_type: str) -> Question:
        """Return whose scope holds all of it in one form."""
        return Question(
            COMPONENT, self.group, self.version, self.resource, "", "", "", "",
            media_type,
        )  # fmt: skip

    def scope(self, scopes: Scopes) -> Scope | None:
        """Return the newest whole scope of it, whatever its form."""
        found = [
            one
            for one in scopes.about(COMPONENT, self.group, self.resource, "")
            if one.complete and one.question == self.question(one.question.media_type)
        ]
        return max(found, key=lambda one: one.age_order, default=None)


class Follower:
    """Keeps the scope of one collection as the cloud has it, while it runs."""

    def __init__(
        self,
        collection: Collection,
        recorder: Recorder,
        upstream: Upstream,
        *,
        clock: Clock,
    ) -> None:
        self._collection = collection
        self._recorder = recorder
        self._upstream = upstream
        self._clock = clock
        self.current = False
        """This run has listed, so the scope is of this leader's own time."""
        self.problem = ""

    async def run(self) -> None:
        """List, watch, and come back; ends by cancellation only."""
        self.current = False
        while True:
            try:
                if not self.current:
                    await self._list()
                await self._watch()
                continue
            except (UpstreamError, WireError) as exc:
                text = f"{self._collection.path}: {exc}"
                if text != self.problem:
                    log.info("the cloud's list cannot be had", extra={"err": text})
                self.problem = text
            first, last = RETRY_SECONDS
            pause = FORBIDDEN_SECONDS if "HTTP 403" in self.problem else last
            await self._clock.sleep(random.uniform(first, pause))  # noqa: S311

    async def _list(self) -> None:
        call = self._call("")
        recording = await self._recorder.begin(call)
        if recording is None:
            raise UpstreamError(f"{COMPONENT} is not kept")
        answer = await self._send(call)
        body = await _whole(answer)
        if answer.status != 200:
            raise BadResponseError(f"HTTP {answer.status}")
        await recording.finish(answer.status, answer.fields, body)
        scope = self._collection.scope(self._recorder.scopes)
        if scope is None:
            raise BadResponseError("no list")
        self.current, self.problem = True, ""

    async def _watch(self) -> None:
        scope = self._collection.scope(self._recorder.scopes)
        if scope is None:
            self.current = False
            return
        seconds = random.randint(*WATCH_SECONDS)  # noqa: S311 - spreads load
        call = self._call(
            f"?watch=true&allowWatchBookmarks=true&timeoutSeconds={seconds}"
            f"&resourceVersion={scope.version}"
        )
        began, version = self._clock.monotonic(), scope.version
        answer = await self._send(call)
        try:
            codec = for_media_type(media_type_of(answer.fields))
            if answer.status != 200 or codec is None:
                self.current = False
                raise BadResponseError(f"HTTP {answer.status}")
            recording = WatchRecording(self._recorder, call, codec)
            await recording.ready()
            while piece := await answer.body.read():
                if recording.feed(piece).ended:
                    self.current = False
                    return
        finally:
            answer.body.close()
            short = self._clock.monotonic() - began < SHORT_SECONDS
            if (short and scope.version == version) or not scope.complete:
                self.current = False
        if not self.current:
            await self._clock.sleep(RETRY_SECONDS[0])

    def _call(self, query: str) -> Call:
        target = f"{self._collection.path}{query}".encode()
        fields = {b"accept": WATCHED if query else LISTED, b"user-agent": LEADER}
        return parse("GET", target, fields, _OWN)

    async def _send(self, call: Call) -> Answer:
        accept = LISTED if call.verb == "list" else WATCHED
        return await self._upstream.send(
            "GET",
            call.target,
            [(b"User-Agent", LEADER), (b"Accept", accept)],
            None,
            credential=Credential.NODE,
        )


async def _whole(answer: Answer) -> bytes:
    pieces, size = [], 0
    try:
        async with asyncio.timeout(60):
            while piece := await answer.body.read():
                pieces.append(piece)
                size += len(piece)
                if size > MAX_BODY_BYTES:
                    raise BadResponseError(
                        f"a list of more than {MAX_BODY_BYTES} bytes"
                    )
    except TimeoutError as exc:
        raise UpstreamError("a list that does not end") from exc
    finally:
        answer.body.close()
    return b"".join(pieces)
