# SPDX-License-Identifier: Apache-2.0
"""A few objects of the cloud, followed for the hub's own use with the node's rights.

A list, then watches that resume from where they were; after each word of the cloud
the whole state is handed on. Only a list or an event that can be read changes it:
a refusal, an error or a captive portal's page leaves what was known. Missing rights
are said once with the rule that is lacking, and asked for again every ten minutes.
Knows nothing of what the objects mean.
"""

import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

import msgspec

from toono.errors import BadResponseError, CodecError, UpstreamError, WireError
from toono.kube.names import parse_version
from toono.runtime.clock import Clock
from toono.upstream.pool import Credential, Upstream
from toono.wire.messages import Answer, Body, Headers

log = logging.getLogger(__name__)

FORBIDDEN_SECONDS = 600.0
BACKOFF_SECONDS = (1.0, 30.0)
WATCH_SECONDS = (300, 600)
SHORT_SECONDS = 5.0
"""A watch that lived less is not worth coming back for at once."""
MAX_BYTES = 4 * 1024 * 1024
AGENT = b"toono"


class _Meta(msgspec.Struct, rename="camel"):
    name: str = ""
    resource_version: str = ""


class _Named(msgspec.Struct):
    metadata: _Meta = msgspec.field(default_factory=_Meta)
    code: int = 0


class _List(msgspec.Struct):
    kind: str
    metadata: _Meta
    items: list[msgspec.Raw] | None


class _Event(msgspec.Struct):
    type: str
    object: msgspec.Raw


_list = msgspec.json.Decoder(_List).decode
_event = msgspec.json.Decoder(_Event).decode
_named = msgspec.json.Decoder(_Named).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """Which objects: a collection of the API, narrowed by a selector."""

    path: str
    """/api/v1/namespaces/kube-system/configmaps"""
    selector: str
    """One query parameter, as it is written: fieldSelector=metadata.name=x"""
    rule: str
    """The right it takes, in words for whoever writes RBAC."""

    @property
    def target(self) -> str:
        """Path and query of the list."""
        name, _, value = self.selector.partition("=")
        return f"{self.path}?{name}={quote(value, safe='')}"


class _ExpiredError(Exception):
    """The version to resume from is too old, or lost: list again."""


class _ForbiddenError(Exception):
    """The node may not."""


class Follower:
    """Follows some objects until cancelled; `taken` gets all of them by name."""

    def __init__(
        self,
        upstream: Upstream,
        followed: Followed,
        *,
        clock: Clock,
        taken: Callable[[Mapping[str, bytes]], None],
    ) -> None:
        self._upstream = upstream
        self._followed = followed
        self._clock = clock
        self._taken = taken
        self._version = ""
        self._objects: dict[str, bytes] = {}
        self._failures = 0
        self.forbidden = False
        """The cloud said 403 when it was last asked."""
        self.live = False
        """A watch is open: what was taken last is what the cloud has."""

    async def run(self) -> None:
        """List, watch, and come back; ends by cancellation only."""
        while True:
            began = self._clock.monotonic()
            try:
                await self._once()
                if self._clock.monotonic() - began >= SHORT_SECONDS:
                    self._failures = 0
                    continue
            except _ExpiredError:
                self._version = ""
            except _ForbiddenError:
                await self._clock.sleep(FORBIDDEN_SECONDS)
                continue
            except (UpstreamError, WireError, CodecError) as exc:
                log.debug("not followed", extra=self._facts(err=str(exc)))
            await self._pause()

    async def _pause(self) -> None:
        first, most = BACKOFF_SECONDS
        longest = min(most, first * 2.0 ** min(self._failures, 8))
        self._failures += 1
        spread = random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, no secret
        await self._clock.sleep(longest * spread)

    async def _once(self) -> None:
        if not self._version:
            await self._list()
            self._failures = 0
        await self._watch()

    async def _list(self) -> None:
        answer = await self._send(self._followed.target)
        try:
            told = _list(await _whole(answer.body))
            objects = {
                _named(one).metadata.name: bytes(one) for one in told.items or ()
            }
        except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
            raise CodecError(f"no list: {exc}") from exc
        finally:
            answer.body.close()
        if not told.kind.endswith("List") or not parse_version(
            told.metadata.resource_version
        ):
            raise CodecError(f"no list: {told.kind}")
        self._version = told.metadata.resource_version
        self._objects = objects
        self._taken(dict(objects))

    async def _watch(self) -> None:
        seconds = random.randint(*WATCH_SECONDS)  # noqa: S311 - spreads load
        answer = await self._send(
            f"{self._followed.target}&watch=true&allowWatchBookmarks=true"
            f"&resourceVersion={self._version}&timeoutSeconds={seconds}"
        )
        rest, self.live = b"", True
        try:
            while piece := await answer.body.read():
                *lines, rest = (rest + piece).split(b"\n")
                if len(rest) > MAX_BYTES:
                    raise CodecError(f"an event of more than {MAX_BYTES} bytes")
                for line in lines:
                    if line.strip():
                        self._take(line)
        finally:
            self.live = False
            answer.body.close()

    def _take(self, line: bytes) -> None:
        try:
            event = _event(line)
            content = bytes(event.object)
            told = _named(content)
        except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
            raise _ExpiredError from exc
        if event.type == "ERROR":
            if told.code == 410:
                raise _ExpiredError
            raise CodecError(f"an event said {told.code}")
        self._version = told.metadata.resource_version or self._version
        if event.type == "BOOKMARK":
            return
        if event.type == "DELETED":
            self._objects.pop(told.metadata.name, None)
        else:
            self._objects[told.metadata.name] = content
        self._taken(dict(self._objects))

    async def _send(self, target: str) -> Answer:
        headers: Headers = [
            (b"User-Agent", AGENT),
            (b"Accept", b"application/json"),
        ]
        answer = await self._upstream.send(
            "GET", target.encode(), headers, None, credential=Credential.NODE
        )
        if answer.status == 200:
            if self.forbidden:
                self.forbidden = False
                log.info("a right that was missing is there", extra=self._facts())
            return answer
        answer.body.close()
        if answer.status == 403:
            if not self.forbidden:
                self.forbidden = True
                log.warning(
                    "a right is missing; asked again in 10m", extra=self._facts()
                )
            raise _ForbiddenError
        if answer.status == 410:
            raise _ExpiredError
        raise BadResponseError(f"HTTP {answer.status}")

    def _facts(self, **more: str) -> dict[str, str]:
        return {"path": self._followed.path, "rule": self._followed.rule, **more}


async def _whole(body: Body) -> bytes:
    pieces, size = [], 0
    while piece := await body.read():
        size += len(piece)
        if size > MAX_BYTES:
            raise CodecError(f"a list of more than {MAX_BYTES} bytes")
        pieces.append(piece)
    return b"".join(pieces)
