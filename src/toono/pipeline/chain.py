# SPDX-License-Identifier: Apache-2.0
"""READ FIRST. Every request passes here, from top to bottom of `serve`:

1. the wire's gate has refused what no request may be;
2. the head becomes one `Call`, and a body that is too large is refused (413);
3. it is counted in, or told to come again (429);
4. the node's calls about its own Lease are answered by who renews it;
5. the caller is looked at: the node, a token's owner, or nobody;
6. `route` says who answers: the API server, the hub, nobody;
7. a link that fails on the way sends reads back to 6, as one that is cut off, and
   those writes that the hub may answer alone;
8. the filters of the question, if it has any, take from the answer and change it,
   whoever gave it;
9. whatever goes wrong becomes a v1 Status here, and only here.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from toono.autonomy.drill import Drill
from toono.cache.received import media_type_of
from toono.codec import cbor
from toono.codec.registry import for_media_type
from toono.errors import (
    RejectedRequestError,
    RequestError,
    ToonoError,
    UnreachableError,
)
from toono.filters.learning import is_status_write
from toono.filters.stage import Stage, readable, whole
from toono.identity.rights import Rights, Verdict, question_of
from toono.identity.rows import Question
from toono.kube import accept, status
from toono.kube.request import Call, Caller, parse
from toono.multiplex.shared import Shared
from toono.pipeline import heads
from toono.pipeline.alone import Alone
from toono.pipeline.bounded import bounded
from toono.pipeline.forward import Forward
from toono.pipeline.lease import LeaseGate
from toono.pipeline.limits import InFlight
from toono.pipeline.local import MEDIA_TYPES, Local
from toono.pipeline.relists import Relists
from toono.pipeline.replies import not_allowed
from toono.pipeline.route import READS, Facts, Route, choose_route
from toono.runtime.clock import Clock
from toono.upstream.pool import Credential, Upstream
from toono.wire.messages import Body, BytesBody, Headers, Request, Response

log = logging.getLogger(__name__)

SHARE_SECONDS = 600.0
"""How long a token's owner reads what is shared without the API server being asked."""
UNKNOWN_OPTIONS = "cut off: this question has options that toono does not know"
HTML = "text/html"
BROKEN = "Internal error occurred: toono failed to answer, see its log"


class Hear(Protocol):
    """Has the API server asked what a token's owner may."""

    async def __call__(
        self, caller: Caller, question: Question, *, since: float
    ) -> None: ...


@dataclass(slots=True, kw_only=True)
class Chain:
    """The handlers in order. One object serves every proxy listener."""

    upstream: Upstream
    rights: Rights
    forward: Forward
    local: Local
    alone: Alone
    in_flight: InFlight
    observe: Callable[[Call | None, str, int, float], None]
    clock: Clock
    node_name: str
    filters: Stage
    shared: Shared | None = None
    relists: Relists | None = None
    hear: Hear | None = None
    """Asks the API server what a token's owner may, where that was not heard lately."""
    lease: LeaseGate | None = None
    drill: Drill | None = None
    unchanged: Callable[[Call], bool] = lambda _: False
    """The kubelet asks for its own Node, and the newest there is is remembered."""

    async def serve(self, request: Request) -> Response:
        """Answer one request. Never raises but for cancellation."""
        started = self.clock.monotonic()
        call: Call | None = None
        route = "refuse"
        try:
            call = parse(
                request.method, request.target, request.fields, caller_of(request)
            )
            request.body = bounded(call, request.body)
            await self.in_flight.enter(call)
            try:
                route, response = await self._filtered(call, request)
            except BaseException:
                self.in_flight.leave(call)
                raise
            self._end_in_a_drill(call, route, response)
            self._leave_at_end(call, response)
        except ToonoError as exc:
            response = refusal(call, status.of_error(exc))
        except Exception:
            path = call.path if call is not None else ""  # a query may hold a token
            log.exception("a request failed", extra={"path": path})
            response = refusal(call, status.failure(500, "InternalError", BROKEN))
        self.observe(call, route, response.status, self.clock.monotonic() - started)
        return response

    async def _filtered(self, call: Call, request: Request) -> tuple[str, Response]:
        """Return the answer as this reader may see it: as it is, for almost all."""
        chosen = await self.filters.choose(call)
        if chosen is not None:
            call = whole(call)
            readable(request, watch=call.verb == "watch")
        if is_status_write(call) and await self.rights.is_node(call.caller):
            await self.filters.hear(call, request)
        route, response = await self._admit(call, request)
        if route == "local":
            chosen = self.filters.choose_local(chosen, call)
        if chosen is None:
            return route, response
        try:
            return route, await self.filters.apply(chosen, call, response)
        except BaseException:
            if response.body is not None:
                response.body.close()
            raise

    async def _admit(self, call: Call, request: Request) -> tuple[str, Response]:
        if self.lease is not None and await self.rights.is_node(call.caller):
            self.lease.hear(call)  # a pod's name says nothing of the node's kubelet
            if self.lease.concerns(call):
                return await self.lease(call, request, self._answer)
        return await self._answer(call, request)

    async def _answer(self, call: Call, request: Request) -> tuple[str, Response]:
        unchanged = self.unchanged(call) and await self._is_told_as_node(call)
        online = self.upstream.online and not self.is_drilled(call)
        route = self._route(call, online=online, unchanged=unchanged)
        if route is Route.FORWARD:
            shared = await self._share(call)
            if shared is not None:
                return "shared", shared
            if call.verb == "list" and self.relists is not None:
                await self.relists.turn(call)
            sent = await self.alone.before(call, request)
            try:
                return "forward", await self._forward(call, request, sent)
            except UnreachableError:
                route = self._route(call, online=False)
                if call.verb not in READS:
                    if route is not Route.ALONE or sent is None:
                        raise
                    request.body = BytesBody(sent)
        if route is Route.ALONE:
            return route.value, await self.alone(call, request)
        if route is Route.REFUSE:
            raise RequestError(503, "ServiceUnavailable", self._cut_off())
        judgement = await self.rights.judge(call.caller, call)
        if judgement.verdict is not Verdict.ALLOWED:
            raise not_allowed(call, judgement)
        if call.problem is not None:
            raise call.problem.with_traceback(None)
        if call.unknown_options:
            raise RequestError(503, "ServiceUnavailable", UNKNOWN_OPTIONS)
        try:
            return "local", await self.local(call)
        except RequestError as exc:
            if unchanged:  # and cannot be read: the API server is there to be asked
                return "forward", await self._forward(call, request, None)
            known = heads.HIT if exc.code == 404 else heads.MISS
            return "local", refusal(call, status.of_error(exc), known)

    async def _is_told_as_node(self, call: Call) -> bool:
        """Say whether the node itself asks, and may have what is kept."""
        if not await self.rights.is_node(call.caller):
            return False
        judgement = await self.rights.judge(call.caller, call)
        return judgement.verdict is Verdict.ALLOWED

    async def _share(self, call: Call) -> Response | None:
        """Answer from what all readers share; None where this one asks for itself.

        What is shared was read with the node's right: a token's owner must have one,
        and the API server must have said so lately.
        """
        if self.shared is None or not self.shared.takes(call):
            return None
        caller, heard = call.caller, self.rights.heard_lately
        if await self.rights.is_node(caller):
            response = await self.shared.answer(call)
            if response is not None:
                # What is shared was read with the node's right just now: it holds
                # when the link is cut, as if this question had been passed on.
                self.rights.learn(caller, call, 200, node=True)
            return response
        if self.hear is not None and not heard(caller, call, SHARE_SECONDS):
            since = self.clock.wall() - SHARE_SECONDS
            await self.hear(caller, question_of(call), since=since)
        if heard(caller, call, SHARE_SECONDS):
            return await self.shared.answer(call)
        return None

    def _route(self, call: Call, *, online: bool, unchanged: bool = False) -> Route:
        facts = Facts(
            online=online,
            node_name=self.node_name,
            writes=self.alone.table,
            unchanged=unchanged,
        )
        return choose_route(call, facts)

    async def _forward(
        self, call: Call, request: Request, sent: bytes | None
    ) -> Response:
        """Pass on with the caller's own credential; learn what it was allowed."""
        caller = call.caller
        credential = await self._credential(caller)
        response = await self.forward(call, request, credential)
        if credential.is_node:
            self.alone.after(call, sent, response)
        if tells_of_rights(response):
            node = credential.is_node
            self.rights.learn(caller, call, response.status, node=node)
        return response

    async def _credential(self, caller: Caller) -> Credential:
        """Return whose credential goes upstream: the node's only for the node."""
        if caller.token:
            return Credential.of_token(caller.token)
        if await self.rights.is_node(caller):
            return Credential.NODE
        return Credential.ANONYMOUS

    def _cut_off(self) -> str:
        return "cut off: this request needs the API server, which cannot be reached"

    def is_drilled(self, call: Call) -> bool:
        """Say whether who asks is cut off for practice."""
        return self.drill is not None and self.drill.cuts(call)

    def _end_in_a_drill(self, call: Call, route: str, response: Response) -> None:
        """Have a watch that comes from the link end with it."""
        streams = call.verb == "watch" and route in ("forward", "shared")
        if self.drill is not None and streams and response.body is not None:
            response.body = self.drill.track(call, response.body)

    def _leave_at_end(self, call: Call, response: Response) -> None:
        if response.body is None and response.tunnel is None:
            self.in_flight.leave(call)
            return
        leave = self.in_flight.leave
        if response.body is not None:
            response.body = Counted(response.body, lambda: leave(call))
        else:
            leave(call)  # an upgraded connection is the wire's, and long


class Counted:
    """A streamed answer's body that says when it is over, once."""

    __slots__ = ("_inner", "_over", "length")

    def __init__(self, inner: Body, over: Callable[[], None]) -> None:
        self._inner = inner
        self._over: Callable[[], None] | None = over
        self.length = inner.length

    async def read(self) -> bytes:
        return await self._inner.read()

    def close(self) -> None:
        self._inner.close()
        if self._over is not None:
            over, self._over = self._over, None
            over()


def tells_of_rights(response: Response) -> bool:
    """Say whether an answer is the API server's own, and not some proxy's page.

    An error counts as a v1 Status alone. No API server answers in HTML: whoever does
    stands in the way, and neither its yes nor its no is anybody's right.
    """
    fields = {name.lower(): value for name, value in response.headers}
    media_type = media_type_of(fields)
    if media_type == HTML:
        return False
    if response.status < 400:
        return True
    content = response.content
    assert isinstance(content, bytes), "an answer of the upstream is whole or a stream"
    if media_type == cbor.MEDIA_TYPE:
        return b"Status" in content  # read by nobody here
    codec = for_media_type(media_type)
    return codec is not None and codec.read_status(content) is not None


def refusal(
    call: Call | None, failure: Mapping[str, object], *added: tuple[bytes, bytes]
) -> Response:
    """Return a Status as the answer, in the form that the client takes."""
    code = failure["code"]
    assert isinstance(code, int)
    forms = call.accept if call is not None else ()
    codec = for_media_type(accept.choose(forms, MEDIA_TYPES) or MEDIA_TYPES[0])
    assert codec is not None
    headers = [
        (b"Cache-Control", b"no-cache, private"),
        (b"Content-Type", codec.media_type.encode()),
        heads.VIA,
        *added,
    ]
    if code in (502, 503, 504):
        headers.append(heads.UNAVAILABLE)
    details = failure.get("details")
    if code != 503 and isinstance(details, Mapping) and "retryAfterSeconds" in details:
        headers.append((b"Retry-After", b"%d" % details["retryAfterSeconds"]))
    return Response(status=code, headers=headers, content=codec.write_status(failure))


def refuse(code: int, message: str) -> tuple[Headers, bytes]:
    """Return the Status of a request that the wire's gate has refused."""
    response = refusal(None, status.of_error(RejectedRequestError(code, message)))
    content = response.content
    assert isinstance(content, bytes)
    return response.headers, content


def caller_of(request: Request) -> Caller:
    """Return who sent a request, as plain values."""
    peer, fields = request.peer, request.fields
    authorization = fields.get(b"authorization", b"")
    return Caller(
        connection=peer.connection,
        local=peer.local,
        remote=peer.remote,
        token=authorization.partition(b" ")[2].strip(),
        certificate=peer.certificate or b"",
        impersonates=request.impersonates,
    )
