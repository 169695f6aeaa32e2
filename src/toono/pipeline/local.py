# SPDX-License-Identifier: Apache-2.0
"""A call answered by the hub alone, from what it remembers, by the rules of the cache.

Never a Retry-After on a 503: client-go would sleep and try ten times before its
caller hears anything.
"""

import asyncio
import random
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from toono.cache.answer import Absent, Answers, Found, Unacceptable, Unknown
from toono.cache.scope import Scope
from toono.cache.watch import HeldWatch, lasting
from toono.codec.base import Codec
from toono.errors import RequestError
from toono.kube import accept, status
from toono.kube.names import parse_version
from toono.kube.request import Call
from toono.pipeline import heads
from toono.pipeline.forward import WATCH_PATIENCE
from toono.pipeline.limits import InFlight
from toono.pipeline.route import registers_node
from toono.runtime.clock import Clock
from toono.upstream.pool import Upstream
from toono.wire.messages import Headers, Response

MEDIA_TYPES = ("application/json", "application/vnd.kubernetes.protobuf")
TOO_LARGE_SECONDS = 60.0
RETURN_RATE = 10.0
"""Clients a second that come back to the cloud, as many as it gets connections."""
MAX_CLIENTS = 4096


@dataclass(slots=True)
class Told:
    """What a client has heard in this outage: it is told once."""

    warned_of: float = 0.0
    too_large_at: float = float("-inf")


class Local:
    """Answers GET, LIST and WATCH from the scopes of the caller's component."""

    def __init__(
        self,
        answers: Answers,
        upstream: Upstream,
        in_flight: InFlight,
        clock: Clock,
        back: asyncio.Event,
    ) -> None:
        self._answers = answers
        self._upstream = upstream
        self._in_flight = in_flight
        self._clock = clock
        self._back = back
        self._told: OrderedDict[tuple[str, str], Told] = OrderedDict()
        self._ending = False

    async def __call__(self, call: Call) -> Response:
        """Return the hub's own answer; RequestError where it cannot give one."""
        if registers_node(call):
            return await self._register(call)
        if call.verb == "get":
            return await self._get(call)
        if call.verb == "list":
            return await self._list(call)
        return await self._watch(call)

    # -- the three questions -------------------------------------------------

    async def _get(self, call: Call) -> Response:
        answer = await self._answers.get(call, accepts_of(call))
        if isinstance(answer, Absent):
            raise status.refuse(status.not_found(call.group, call.resource, call.name))
        found = _found(answer)
        scope, codec = found.scope, found.codec
        content = codec.write_single(
            kind=scope.kind,
            api_version=scope.api_version,
            style=scope.style,
            data=found.items[0],
        )
        return self._response(call, scope, codec.media_type, content)

    async def _list(self, call: Call) -> Response:
        if call.continue_token:
            raise status.refuse(status.expired(status.CONTINUE_EXPIRED))
        found = _found(await self._answers.list(call, accepts_of(call)))
        scope, codec = found.scope, found.codec
        self._check_version(call, scope)
        content = codec.join_list(
            kind=scope.list_kind or scope.kind + "List",
            api_version=scope.api_version,
            style=scope.style,
            resource_version=_version(scope),
            items=found.items,
        )
        return self._response(call, scope, codec.media_type, content)

    async def _watch(self, call: Call) -> Response:
        found = _found(await self._answers.list(call, accepts_of(call)))
        scope, codec = found.scope, found.codec
        start = parse_version(call.resource_version or "0") or 0
        first: list[bytes] = []
        if call.send_initial_events or start == 0:
            if call.send_initial_events:
                self._check_version(call, scope)
            first = [_event(scope, codec, item) for item in found.items]
            if call.send_initial_events:
                first.append(_bookmark(scope, codec, end=True))
        elif start < scope.version:
            text = f"too old resource version: {start} ({scope.version})"
            gone = codec.write_error(codec.write_status(status.expired(text)))
            return self._stream(call, scope, codec, [gone], None, seconds=0.0)
        level = start <= scope.version or call.send_initial_events
        bookmark = None
        if call.allow_watch_bookmarks and level:
            bookmark = _bookmark(scope, codec, end=False)
        seconds = lasting(call.timeout_seconds)
        return self._stream(call, scope, codec, first, bookmark, seconds=seconds)

    async def _register(self, call: Call) -> Response:
        """Tell a starting kubelet that its Node exists, if this hub knows it does."""
        node = self._answers.node_name
        for scope in self._answers.scopes.about(call.component, "", "nodes", node):
            await self._answers.scopes.load(scope)
            if ("", node) in scope.rows:
                raise status.refuse(status.already_exists("", "nodes", node))
        raise _unavailable("this node is not known yet")

    # -- versions ------------------------------------------------------------

    def _check_version(self, call: Call, scope: Scope) -> None:
        """Refuse what is asked above our version, once a client and minute.

        An API server says the same, waits for nobody, and its clients then ask for
        less; one that is told for ever would spin.
        """
        asked = parse_version(call.resource_version or "0")
        if asked is None:
            raise RequestError(
                400, "BadRequest", f"invalid resource version {call.resource_version!r}"
            )
        if call.resource_version_match == "Exact" and asked < scope.version:
            text = f"The resourceVersion for the provided list is too old: {asked}"
            raise status.refuse(status.expired(text))
        if asked <= scope.version or scope.imported:
            return
        told = self._of(call)
        now = self._clock.monotonic()
        if now - told.too_large_at >= TOO_LARGE_SECONDS:
            told.too_large_at = now
            raise status.refuse(status.too_large_resource_version(asked, scope.version))

    def _of(self, call: Call) -> Told:
        client = (call.component, call.caller.remote[0])
        told = self._told.get(client)
        if told is None:
            told = self._told[client] = Told()
            if len(self._told) > MAX_CLIENTS:
                self._told.popitem(last=False)
        return told

    # -- heads ---------------------------------------------------------------

    def _headers(self, call: Call, scope: Scope, content_type: str) -> Headers:
        age = max(0, int(self._clock.wall() - scope.confirmed_at))
        headers: Headers = [
            (b"Cache-Control", b"no-cache, private"),
            (b"Content-Type", content_type.encode()),
            (b"Age", b"%d" % age),
            heads.VIA,
            heads.HIT,
        ]
        since = self._upstream.since
        told = self._of(call)
        tables = any(form.as_kind == "Table" for form in call.accept)
        if not self._upstream.online and (tables or told.warned_of != since):
            told.warned_of = since
            headers.append(heads.warning(since))
        return headers

    def _response(
        self, call: Call, scope: Scope, media_type: str, content: bytes | list[bytes]
    ) -> Response:
        headers = self._headers(call, scope, media_type)
        return Response(status=200, headers=headers, content=content)

    def _stream(
        self,
        call: Call,
        scope: Scope,
        codec: Codec,
        first: list[bytes],
        bookmark: bytes | None,
        *,
        seconds: float,
    ) -> Response:
        body = HeldWatch(
            first=first,
            bookmark=bookmark,
            seconds=seconds,
            over=self._back,
            spread=self._spread,
            clock=self._clock,
        )
        headers = self._headers(call, scope, codec.watch_media_type)
        return Response(status=200, headers=headers, body=body, patience=WATCH_PATIENCE)

    def end(self) -> None:
        """End held watches without delay: the hub stops."""
        self._ending = True

    def _spread(self) -> float:
        if self._ending:
            return 0.0
        most = max(1.0, self._in_flight.watching / RETURN_RATE)
        return random.uniform(0.0, most)  # noqa: S311 - spreads load, no secret


def accepts_of(call: Call) -> Callable[[str], bool]:
    """Return the predicate: may a plain object of this media type answer `call`?"""
    return lambda media_type: accept.choose(call.accept, (media_type,)) is not None


def _found(answer: object) -> Found:
    """Return what was found; RequestError for what the hub cannot answer."""
    if isinstance(answer, Unacceptable):
        raise RequestError(406, "NotAcceptable", status.NOT_ACCEPTABLE)
    if isinstance(answer, Unknown):
        raise _unavailable(answer.why)
    assert isinstance(answer, Found)
    return answer


def _unavailable(why: str) -> RequestError:
    return status.refuse(status.unavailable(f"cut off: {why}"))


def _version(scope: Scope) -> str:
    """Return the scope's version; of what was imported, its objects' greatest."""
    if not scope.imported:
        return str(scope.version)
    versions = (parse_version(row.resource_version) for row in scope.rows.values())
    return str(max((version or 0 for version in versions), default=0))


def _event(scope: Scope, codec: Codec, item: bytes) -> bytes:
    return codec.write_event(
        event_type="ADDED",
        kind=scope.kind,
        api_version=scope.api_version,
        style=scope.style,
        data=item,
    )


def _bookmark(scope: Scope, codec: Codec, *, end: bool) -> bytes:
    return codec.write_bookmark(
        kind=scope.kind,
        api_version=scope.api_version,
        style=scope.style,
        resource_version=_version(scope),
        initial_events_end=end,
    )
