# SPDX-License-Identifier: Apache-2.0
"""A call answered by the hub alone, from what it remembers, by the rules of the cache.

Never a Retry-After on a 503: client-go would sleep and try ten times before its
caller hears anything.
"""

import asyncio
import random
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import msgspec

from toono.cache.answer import Absent, Answers, Found, Unacceptable, Unknown
from toono.cache.documents import Documents, is_document
from toono.cache.forms import TABLE
from toono.cache.scope import Scope
from toono.cache.watch import MIN_WATCH_SECONDS, HeldWatch, Newer, lasting
from toono.codec import cbor
from toono.codec.registry import for_media_type
from toono.errors import CannotTranscodeError, CodecError, RequestError
from toono.kube import status
from toono.kube.names import parse_version, quoted
from toono.kube.request import Call
from toono.pipeline import heads, paging
from toono.pipeline.acceptable import check_accept
from toono.pipeline.forward import WATCH_PATIENCE
from toono.pipeline.limits import InFlight
from toono.pipeline.recoded import Rendering
from toono.pipeline.render import INCLUDES, form_for, rendering
from toono.pipeline.route import READINESS, registers_node
from toono.runtime.clock import Clock
from toono.upstream.pool import Upstream
from toono.wire.messages import Headers, Response

MEDIA_TYPES = ("application/json", "application/vnd.kubernetes.protobuf")
TEXT = b"text/plain; charset=utf-8"
TOO_LARGE_SECONDS = 60.0
RETURN_RATE = 10.0
"""Clients a second that come back to the cloud, as many as it gets connections."""
MAX_CLIENTS = 4096
NO_SUCH_INCLUDE = (
    "Unable to convert to Table as requested: includeObject: Invalid value: %s: "
    "must be 'Metadata', 'Object', 'None', or empty"
)
THREAD_BYTES = 64 * 1024
"""Rows of more than this are turned into another form in a thread."""


Discovered = Callable[[Call], Awaitable[Response | None]]
"""Makes a document of discovery that was never seen; None where it cannot."""


async def nothing_discovered(call: Call) -> Response | None:
    """Make nothing."""
    return None


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
        documents: Documents,
        upstream: Upstream,
        in_flight: InFlight,
        clock: Clock,
        back: asyncio.Event,
        *,
        discovered: Discovered = nothing_discovered,
        newer: Newer | None = None,
        least_watch: float = MIN_WATCH_SECONDS,
        over: Callable[[Call, asyncio.Event], asyncio.Event] = lambda _, back: back,
    ) -> None:
        self._least_watch = least_watch
        self._answers = answers
        self._documents = documents
        self._upstream = upstream
        self._in_flight = in_flight
        self._clock = clock
        self._back = back
        self._over = over
        self._discovered = discovered
        self._newer = newer or Newer()
        self._told: OrderedDict[tuple[str, str], Told] = OrderedDict()
        self._ending = False

    async def __call__(self, call: Call) -> Response:
        """Return the hub's own answer; RequestError where it cannot give one."""
        if not call.resource and call.path in READINESS:
            return self._plain([(b"Content-Type", TEXT)], b"ok")
        check_accept(call)
        if not call.resource and is_document(call):
            return await self._document(call)
        if call.method == "HEAD":
            raise status.refuse(status.method_not_allowed())
        if call.verb == "get":
            return await self._get(call)
        if registers_node(call):
            return await self._register(call)
        if call.verb == "list":
            return await self._list(call)
        return await self._watch(call)

    # -- what is no resource -------------------------------------------------

    async def _document(self, call: Call) -> Response:
        found, refused = None, None
        try:
            found = await self._documents.find(call)
        except CodecError as exc:
            refused = exc
        if found is None:
            made = await self._discovered(call)
            if made is not None:
                content = made.content
                return self._plain(made.headers, content, status=made.status)
        if refused is not None:
            text = f"cut off: {refused}"
            raise RequestError(406, "NotAcceptable", text) from refused
        if found is None:
            raise _unavailable("this document was not seen while the link was up")
        document, content = found
        age = max(0, int(self._clock.wall() - document.seen_at))
        headers: Headers = [
            (b"Content-Type", document.content_type.encode("latin-1")),
            (b"Vary", b"Accept"),
            (b"Age", b"%d" % age),
        ]
        if document.etag:
            headers.append((b"Etag", document.etag.encode("latin-1")))
            if document.etag in call.if_none_match:
                return self._plain(headers, b"", status=304)
        return self._plain(headers, content)

    @staticmethod
    def _plain(
        headers: Headers, content: bytes | list[bytes], *, status: int = 200
    ) -> Response:
        added = [(b"Cache-Control", b"no-cache, private"), heads.VIA, heads.HIT]
        return Response(status=status, headers=[*headers, *added], content=content)

    # -- the three questions -------------------------------------------------

    async def _get(self, call: Call) -> Response:
        answer = await self._answers.get(call, accepts_of(call))
        if isinstance(answer, Absent):
            asked = parse_version(call.resource_version or "0") or 0
            if asked > answer.scope.version:  # it may have been made since
                current = answer.scope.version
                raise status.refuse(status.too_large_resource_version(asked, current))
            raise status.refuse(status.not_found(call.group, call.resource, call.name))
        found = _found(answer)
        scope = found.scope
        self._check_version(call, scope)
        written = await self._rendering(call, scope)
        version = scope.rows[call.namespace, call.name].resource_version
        (item,) = found.items
        content = await _made(lambda: [written.single(item, version)], found.items)
        response = self._response(call, scope, written.content_type, content[0])
        response.confirmed_at = scope.confirmed_at
        return response

    async def _list(self, call: Call) -> Response:
        token = paging.opened(call)
        found = _found(await self._answers.list(call, accepts_of(call)))
        scope, version = found.scope, _version(found.scope)
        self._check_version(call, scope)
        written = await self._rendering(call, scope)
        items, page = paging.cut(call, found, version=version, token=token)
        content = await _made(lambda: written.listed(items, page), items)
        return self._response(call, scope, written.content_type, content)

    async def _watch(self, call: Call) -> Response:
        found = _found(await self._answers.list(call, accepts_of(call)))
        scope, version = found.scope, _version(found.scope)
        written = await self._rendering(call, scope)
        start = parse_version(call.resource_version or "0") or 0
        first: list[bytes] = []
        told = start == 0 and not call.no_initial_events
        if call.send_initial_events or told:
            if call.send_initial_events:
                self._check_version(call, scope)
            rows = scope.rows  # one may have gone while its bytes were read
            own = [
                rows[key].resource_version if key in rows else version
                for key in found.keys
            ]
            first = await _made(lambda: written.added(found.items, own), found.items)
            if call.allow_watch_bookmarks:
                first.append(written.bookmark(version, end=True))
        elif 0 < start < scope.version:
            text = f"too old resource version: {start} ({scope.version})"
            return self._stream(
                call, scope, written, [_gone(written, text)], None, seconds=0.0
            )
        level = start <= scope.version or call.send_initial_events
        bookmark = None
        if call.allow_watch_bookmarks and level:
            bookmark = written.bookmark(version, end=False)
        seconds = lasting(call.timeout_seconds, least=self._least_watch)
        return self._stream(call, scope, written, first, bookmark, seconds=seconds)

    async def _rendering(self, call: Call, scope: Scope) -> Rendering:
        """Return what writes the answer in the form that the client likes best."""
        form = form_for(call, scope)
        assert form is not None, "a scope that was not acceptable was chosen"
        definition = None
        if form.as_kind == TABLE:
            if call.include_object not in INCLUDES:
                wrong = NO_SUCH_INCLUDE % quoted(call.include_object)
                raise RequestError(400, "BadRequest", wrong)
            definition = await self._answers.definition(call)
        return rendering(
            call, scope, form, definition=definition, now=self._clock.wall()
        )

    async def _register(self, call: Call) -> Response:
        """Tell a starting kubelet that its Node exists, if this hub knows it does."""
        node = self._answers.node_name
        for scope in self._answers.scopes.of_all("", "nodes", node):
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
        exact = _is_exact(call) and asked > 0
        if exact and asked < scope.version:
            text = f"The resourceVersion for the provided list is too old: {asked}"
            raise status.refuse(status.expired(text))
        if asked <= scope.version or (scope.imported and not exact):
            return
        told = self._of(call)
        now = self._clock.monotonic()
        if exact or now - told.too_large_at >= TOO_LARGE_SECONDS:
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
        tables = TABLE in [form.as_kind for form in call.accept]
        if not self._upstream.online and (tables or told.warned_of != since):
            told.warned_of = since
            headers.append(heads.warning(since))
        return headers

    def _response(
        self, call: Call, scope: Scope, media_type: str, content: bytes | list[bytes]
    ) -> Response:
        headers = self._headers(call, scope, media_type)
        if call.pretty and media_type == MEDIA_TYPES[0]:
            whole = content if isinstance(content, bytes) else b"".join(content)
            content = msgspec.json.format(whole, indent=2)
        return Response(status=200, headers=headers, content=content)

    def _stream(
        self,
        call: Call,
        scope: Scope,
        written: Rendering,
        first: list[bytes],
        bookmark: bytes | None,
        *,
        seconds: float,
    ) -> Response:
        body = HeldWatch(
            first=first,
            bookmark=bookmark,
            seconds=seconds,
            over=self._over(call, self._back),
            newer=self._newer.of(call.group, call.resource),
            spread=self._spread,
            clock=self._clock,
        )
        headers = self._headers(call, scope, written.watch_content_type)
        return Response(status=200, headers=headers, body=body, patience=WATCH_PATIENCE)

    def end(self) -> None:
        """End held watches without delay: the hub stops."""
        self._ending = True

    def _spread(self) -> float:
        if self._ending:
            return 0.0
        most = max(1.0, self._in_flight.watching / RETURN_RATE)
        return random.uniform(0.0, most)  # noqa: S311 - spreads load, no secret


def accepts_of(call: Call) -> Callable[[Scope], bool]:
    """Return the predicate: can rows of a scope be given in a form `call` takes?"""
    return lambda scope: form_for(call, scope) is not None


async def _made(make: Callable[[], list[bytes]], items: Sequence[bytes]) -> list[bytes]:
    """Return what `make` makes of rows, in a thread where they are many bytes.

    What the rows cannot be turned into is not acceptable: 406, and none is lost.
    """
    try:
        if sum(map(len, items)) > THREAD_BYTES:
            return await asyncio.to_thread(make)
        return make()
    except CannotTranscodeError as exc:
        raise RequestError(406, "NotAcceptable", f"cut off: {exc}") from exc
    except CodecError as exc:
        raise _unavailable(f"what was kept cannot be shown so: {exc}") from exc


def _is_exact(call: Call) -> bool:
    """Say whether only the very version that is named answers a list.

    Without resourceVersionMatch a limit makes it so: pages are of one version.
    """
    if call.resource_version_match:
        return call.resource_version_match == "Exact"
    pages = call.verb == "list" and not call.continue_token
    return pages and call.limit > 0


def _gone(written: Rendering, text: str) -> bytes:
    """Return the frame that ends a watch from a version that is too old."""
    for codec in map(for_media_type, MEDIA_TYPES):
        if codec is not None and codec.watch_media_type == written.watch_content_type:
            return codec.write_error(codec.write_status(status.expired(text)))
    codec = for_media_type(MEDIA_TYPES[0])
    assert codec is not None
    frame = codec.write_error(codec.write_status(status.expired(text)))
    if written.watch_content_type == cbor.WATCH_MEDIA_TYPE:
        return cbor.frame_from_json(frame)
    return frame


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
