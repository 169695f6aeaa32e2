# SPDX-License-Identifier: Apache-2.0
"""One list of the cloud, followed through the hub's own cache for what a filter needs.

The question goes the way of any client's, so the answer is a scope like any other and
is there after a restart, cut off or not. Until the question is answered once, by the
cloud or the cache, its value is unknown, which is not the same as empty. Nothing is
asked before somebody needs it.
"""

import asyncio
import logging
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

from toono.codec.base import Codec, Event, ListParts, Object
from toono.codec.registry import for_media_type
from toono.errors import CodecError, ToonoError
from toono.filters.fields import FORMS, Fields
from toono.kube.names import parse_version
from toono.runtime.clock import Clock
from toono.runtime.tasks import cancel_and_wait, spawn
from toono.wire.messages import Body, Response

log = logging.getLogger(__name__)

Value = TypeVar("Value")
Key = tuple[str, str]
"""(namespace, name)"""
BACKOFF_SECONDS = (1.0, 30.0)
REFUSED_SECONDS = 600.0
WATCH_SECONDS = (300, 600)
SHORT_SECONDS = 5.0
"""A watch that lived less is not worth coming back for at once."""
MAX_BYTES = 64 * 1024 * 1024
JSON, PROTOBUF = "application/json", "application/vnd.kubernetes.protobuf"


class Ask(Protocol):
    """Asks a question of the hub's own, of the cloud or of what is kept."""

    async def __call__(self, target: str, accept: str, *, cached: bool) -> Response:
        """Return the answer; ToonoError where there is none."""
        ...


class Question(NamedTuple):
    """What is followed."""

    path: str
    selector: str = ""
    """One query parameter, percent-encoded."""
    whole: bool = False
    """Whole objects, in JSON; else their metadata is enough."""
    packed: bool = False
    """Whole objects of a built-in kind, in protobuf."""
    rule: str = ""
    """The right it takes, in words for whoever writes RBAC."""

    def target(self, **more: str) -> str:
        """Return path and query."""
        query = [self.selector] if self.selector else []
        query += [f"{name}={value}" for name, value in more.items()]
        return f"{self.path}?{'&'.join(query)}" if query else self.path

    def accept(self, *, listed: bool) -> str:
        """Return the forms that are read here."""
        if self.whole:
            return f"{PROTOBUF},{JSON}" if self.packed else JSON
        kind = "PartialObjectMetadataList" if listed else "PartialObjectMetadata"
        part = f";as={kind};g=meta.k8s.io;v=v1"
        return f"{PROTOBUF}{part},{JSON}{part}"


class _ExpiredError(Exception):
    """The version to resume from is too old, or lost."""


class _RefusedError(Exception):
    """The cloud answers, and gives no list: nothing such is there, or no right."""


class Following(ABC):
    """The list and the watches of one question, for as long as it runs."""

    def __init__(
        self, question: Question, ask: Ask, *, clock: Clock, kept: Callable[[int], bool]
    ) -> None:
        self.question = question
        self._ask = ask
        self._clock = clock
        self._kept = kept
        self._failures = 0
        self._expired = False
        """What was followed cannot be resumed: nothing older may be listed now."""
        self._asked = asyncio.Event()
        self._hurried = asyncio.Event()
        self.refused = False
        """The cloud answers, and gives no list."""
        self.tried = False
        """Neither the cloud nor what is kept gave an answer, the last time."""

    def begin(self) -> None:
        """Somebody needs it: from here on it is followed."""
        self._asked.set()

    def hurry(self) -> None:
        """The link is back: what waits before it tries again need not."""
        self._hurried.set()

    # -- what becomes of it ----------------------------------------------------

    @abstractmethod
    def listed(self, codec: Codec, parts: ListParts, *, cached: bool) -> None:
        """Take a whole list."""

    @abstractmethod
    def missing(self) -> None:
        """The cloud serves no such resource."""

    @abstractmethod
    def happened(self, codec: Codec, event: Event, one: Object, frame: bytes) -> None:
        """Take one event, bookmarks too."""

    def denied(self) -> None:  # noqa: B027 - most have nothing to do then
        """The cloud answers, and gives no list."""

    def watching(self, *, live: bool) -> None:  # noqa: B027 - nor then
        """A watch has begun, or is over."""

    def resumes(self) -> bool:
        """Say whether a watch may go on from what was recalled, without a list."""
        return False

    @property
    def is_current(self) -> bool:
        """Say whether the cloud is still the one that was listed: not restored since."""
        return True

    def recalls(self) -> bool:
        """Say whether what is kept is asked again where the cloud cannot be."""
        return False

    def is_kept(self, version: str) -> bool:
        """Say whether the cache has all of what is followed, at `version` or newer."""
        return self._kept(parse_version(version) or 0)

    # -- the loop --------------------------------------------------------------

    async def run(self) -> None:
        """Follow from when it is needed; ends by cancellation only."""
        await self._asked.wait()
        version = await self._recall()
        while True:
            began = self._clock.monotonic()
            try:
                version = version or await self._list(cached=False)
                if not (self.is_current and self.is_kept(version)):
                    version = await self._keep(version)
                version = await self._watch(version)
                if self._clock.monotonic() - began >= SHORT_SECONDS:
                    self._failures = 0
                    continue
            except _ExpiredError:
                version, self._expired = "", True
            except _RefusedError:
                await self._clock.sleep(REFUSED_SECONDS)
                continue
            except ToonoError as exc:
                log.debug("not followed", extra=self._facts(err=str(exc)))
                if self.recalls():  # a pool may have told what the cloud cannot
                    version = await self._recall() or version
                self.tried = True
            await self._pause()

    async def _recall(self) -> str:
        """Begin with what is kept: it is what readers were answered with before."""
        try:
            version = await self._list(cached=True)
        except (ToonoError, _RefusedError, _ExpiredError) as exc:
            log.debug("not remembered", extra=self._facts(err=str(exc)))
            return ""
        return version if self.resumes() else ""

    async def _pause(self) -> None:
        first, most = BACKOFF_SECONDS
        longest = min(most, first * 2.0 ** min(self._failures, 8))
        self._failures += 1
        spread = random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, no secret
        self._hurried.clear()
        nap = spawn(self._clock.sleep(longest * spread), name="following-nap")
        hurry = spawn(_wait(self._hurried), name="following-hurry")
        try:
            await asyncio.wait((nap, hurry), return_when=asyncio.FIRST_COMPLETED)
        finally:
            await cancel_and_wait(nap, hurry)

    async def _list(self, *, cached: bool) -> str:
        accept = self.question.accept(listed=True)
        # From the cache of the API server, as informers ask: any version is new here.
        # Where one was seen before a cache may be behind it, so the store is asked.
        again = self._expired and not cached
        target = self.question.target(**({} if again else {"resourceVersion": "0"}))
        response = await self._ask(target, accept, cached=cached)
        content = await _content(response)
        if response.status != 200:
            self._refuse(response.status)
        codec = _codec_of(response)
        parts = codec.split_list(content)
        self.refused = False
        self._expired = self._expired and cached
        self.listed(codec, parts, cached=cached)
        return parts.resource_version

    async def _keep(self, version: str) -> str:
        """Have the cache hold it again; return the version to go on from.

        A scope that lost something, to a full disk or for want of room, takes no event
        until it is listed: once more, for its recording. The stream here goes on as
        if nothing had happened, unless the cloud is older now: it was restored.
        """
        accept = self.question.accept(listed=True)
        response = await self._ask(self.question.target(), accept, cached=False)
        content = await _content(response)
        if response.status != 200:
            self._refuse(response.status)
        codec = _codec_of(response)
        parts = codec.split_list(content)
        found = parse_version(parts.resource_version) or 0
        if self.is_current and found >= (parse_version(version) or 0):
            return version
        self.listed(codec, parts, cached=False)
        return parts.resource_version

    def _refuse(self, status: int) -> None:
        """Act on an answer that is no list: gone for good, not allowed, not now."""
        if status == 410:
            raise _ExpiredError
        if status == 404:
            self.missing()
        if status in (403, 404):
            first, self.refused = not self.refused, True
            self.denied()
            if first:
                log.warning(
                    "what the hub follows is refused; asked again in 10m",
                    extra=self._facts(code=status, rule=self.question.rule),
                )
            raise _RefusedError
        raise CodecError(f"HTTP {status}")

    async def _watch(self, version: str) -> str:
        seconds = random.randint(*WATCH_SECONDS)  # noqa: S311 - spreads load
        target = self.question.target(
            watch="true",
            allowWatchBookmarks="true",
            resourceVersion=version,
            timeoutSeconds=str(seconds),
        )
        accept = self.question.accept(listed=False)
        response = await self._ask(target, accept, cached=False)
        body = response.body
        if response.status != 200 or body is None:
            await _content(response)
            self._refuse(response.status)
        assert body is not None
        self.watching(live=True)
        try:
            return await self._frames(body, _codec_of(response), version)
        finally:
            self.watching(live=False)
            body.close()

    async def _frames(self, body: Body, codec: Codec, version: str) -> str:
        splitter = codec.frames()
        while piece := await body.read():
            for frame in splitter.feed(piece):
                version = self._event(codec, frame) or version
        return version

    def _event(self, codec: Codec, frame: bytes) -> str:
        try:
            event = codec.read_event(frame)
        except CodecError as exc:
            raise _ExpiredError from exc
        one = event.object
        if event.type == "ERROR" or one is None:
            raise _ExpiredError
        self.happened(codec, event, one, frame)
        return one.resource_version

    def _facts(self, **more: object) -> dict[str, object]:
        return {"path": self.question.path, **more}


class Followed(Following, Generic[Value]):
    """One question's objects, as the values that `read` makes of them."""

    def __init__(
        self,
        question: Question,
        ask: Ask,
        *,
        read: Callable[[Fields, Object], Value | None],
        changed: Callable[[], None],
        clock: Clock,
        kept: Callable[[int], bool],
    ) -> None:
        super().__init__(question, ask, clock=clock, kept=kept)
        self._read = read
        self._changed = changed
        self._known = asyncio.Event()
        self.values: Mapping[Key, Value] = {}

    @property
    def known(self) -> bool:
        """The question was answered once."""
        return self._known.is_set()

    async def wait(self) -> None:
        """Return once it is known; from here on it is followed."""
        self.begin()
        await self._known.wait()

    def recalls(self) -> bool:
        return True

    def listed(self, codec: Codec, parts: ListParts, *, cached: bool) -> None:
        fields = FORMS[codec.media_type]
        values = {}
        for one in parts.items:
            value = self._value(fields, one)
            if value is not None:
                values[one.namespace, one.name] = value
        self._take(values)

    def missing(self) -> None:
        self._take({})  # nobody is in it

    def happened(self, codec: Codec, event: Event, one: Object, frame: bytes) -> None:
        if event.type == "BOOKMARK":
            return
        values = dict(self.values)
        values.pop((one.namespace, one.name), None)
        value = None
        if event.type != "DELETED":
            value = self._value(FORMS[codec.media_type], one)
        if value is not None:
            values[one.namespace, one.name] = value
        self._take(values)

    def _value(self, fields: Fields, one: Object) -> Value | None:
        """Return an object's value; one that cannot be read wishes nothing."""
        try:
            return self._read(fields, one)
        except CodecError as exc:
            facts = self._facts(object=one.name, err=str(exc))
            log.warning("an object that filters ask is unreadable", extra=facts)
            return None

    def _take(self, values: Mapping[Key, Value]) -> None:
        if self.known and values == self.values:
            return
        self.values = values
        self._known.set()
        self._changed()


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


def _codec_of(response: Response) -> Codec:
    """Return the codec of an answer; CodecError where it has none."""
    fields = {name.lower(): value for name, value in response.headers}
    media_type = fields.get(b"content-type", b"").partition(b";")[0].decode("latin-1")
    codec = for_media_type(media_type.strip().lower())
    if codec is None:
        raise CodecError(f"an answer in {media_type!r}")
    return codec


async def _content(response: Response) -> bytes:
    """Return an answer's whole body."""
    content: bytes | Sequence[bytes] = response.content
    if response.body is None:
        return content if isinstance(content, bytes) else b"".join(content)
    pieces, size = [], 0
    try:
        while piece := await response.body.read():
            size += len(piece)
            if size > MAX_BYTES:
                raise CodecError(f"a list of more than {MAX_BYTES} bytes")
            pieces.append(piece)
    finally:
        response.body.close()
    return b"".join(pieces)
