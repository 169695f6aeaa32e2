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
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from toono.autonomy.drill import Drill
from toono.cache.coding import unpacked
from toono.codec import cbor
from toono.codec.registry import for_media_type
from toono.errors import (
    CodecError,
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
from toono.pipeline.again import Shortcuts
from toono.pipeline.alone import WRITES, Alone
from toono.pipeline.begun import REFUSAL_BYTES
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
CUT_OFF = "cut off: this request needs the API server, which cannot be reached"
HTML = "text/html"
STREAMED = ("forward", "shared")
"""Routes of answers that come over the link."""
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
    shortcuts: Shortcuts | None = None
    shared: Shared | None = None
    relists: Relists | None = None
    hear: Hear | None = None
    """Asks the API server what a token's owner may, where that was not heard lately."""
    lease: LeaseGate | None = None
    drill: Drill | None = None
    keeps: bool = True
    """The hub remembers; else whatever the cloud does not answer is refused."""
    unchanged: Callable[[Call], bool] = lambda _: False
    """The kubelet asks for its own Node, and the newest there is is remembered."""
    _facts: Mapping[tuple[bool, bool], Facts] = field(init=False)
    """What routing may look at, by what of it changes: made once."""

    def __post_init__(self) -> None:
        self._facts = {
            (online, unchanged): Facts(
                online=online,
                node_name=self.node_name,
                writes=self.alone.table,
                keeps=self.keeps,
                unchanged=unchanged,
            )
            for online in (False, True)
            for unchanged in (False, True)
        }

    async def serve(self, request: Request) -> Response:
        """Answer one request. Never raises but for cancellation."""
        started = self.clock.monotonic()
        call: Call | None = None
        route = "refuse"
        try:
            call = parse(
                request.method, request.target, request.fields, caller_of(request)
            )
            if request.body.length != 0:
                request.body = bounded(call, request.body)
            node = self.rights.knows_node(call.caller)
            if node is None:  # asked before it is counted: the kubelet has its share
                node = await self.rights.is_node(call.caller)
            if not self.in_flight.admit(call):
                await self.in_flight.queue(call)
            try:
                route, response = await self._filtered(call, request, node)
            except BaseException:
                self.in_flight.leave(call)
                raise
            if response.body is None:
                # An upgraded connection, too, is the wire's from here on, and long.
                self.in_flight.leave(call)
            else:
                self._leave_at_end(call, route, response, response.body)
        except ToonoError as exc:
            response = refusal(call, status.of_error(exc))
        except Exception:
            path = call.path if call is not None else ""  # a query may hold a token
            log.exception("a request failed", extra={"path": path})
            response = refusal(call, status.failure(500, "InternalError", BROKEN))
        self.observe(call, route, response.status, self.clock.monotonic() - started)
        return response

    async def _filtered(
        self, call: Call, request: Request, node: bool
    ) -> tuple[str, Response]:
        """Return the answer as this reader may see it: as it is, for almost all.

        Here and below what concerns few calls is asked after by a comparison or a
        look into a dictionary: every request pays for it.
        """
        chosen = None
        if self.filters.approval.find(call):
            chosen = await self.filters.choose(call)
        if chosen is not None:
            call = whole(call)
            readable(request, watch=call.verb == "watch")
        if call.subresource == "status" and node and is_status_write(call):
            await self.filters.hear(call, request)
        lease = self.lease
        if lease is not None and node and call.user_agent not in lease.agents:
            lease.hear(call)  # a pod's name says nothing of the node's kubelet
        renews = call.resource == "leases" and node and lease is not None
        if renews and lease is not None and lease.concerns(call):
            route, response = await lease(call, request, self._answer_node)
        else:
            route, response = await self._answer(call, request, node)
        if route == "local":
            chosen = self.filters.choose_local(chosen, call)
        if chosen is None:
            return route, response
        response.again = None  # it was not filtered
        try:
            return route, await self.filters.apply(chosen, call, response)
        except BaseException:
            if response.body is not None:
                response.body.close()
            raise

    async def _answer_node(self, call: Call, request: Request) -> tuple[str, Response]:
        return await self._answer(call, request, True)

    async def _answer(
        self, call: Call, request: Request, node: bool
    ) -> tuple[str, Response]:
        unchanged = call.resource == "nodes" and node and self.unchanged(call)
        if unchanged:
            unchanged = self.rights.judge_node(call).verdict is Verdict.ALLOWED
        drill = self.drill
        drilled = drill is not None and drill.is_on and drill.cuts(call)
        online = self.upstream.online and not drilled
        route = choose_route(call, self._facts[online, unchanged])
        if route is Route.FORWARD:
            taken = self.shared
            if taken is not None and call.verb != "get" and taken.takes(call):
                shared = await self._share(call, node)
                if shared is not None:
                    return "shared", shared
            sent = None
            if call.verb == "list":
                if self.relists is not None:
                    await self.relists.turn(call)
            elif call.verb in WRITES:
                sent = await self.alone.before(call, request)
            try:
                return "forward", await self._forward(call, request, node, sent)
            except UnreachableError:
                route = choose_route(call, self._facts[False, False])
                if call.verb not in READS:
                    if route is not Route.ALONE or sent is None:
                        raise
                    request.body = BytesBody(sent)
        if route is Route.LOCAL:
            return await self._answer_here(call, request, node, unchanged=unchanged)
        if route is Route.ALONE:
            return route.value, await self.alone(call, request)
        raise RequestError(503, "ServiceUnavailable", CUT_OFF)

    async def _answer_here(
        self, call: Call, request: Request, node: bool, *, unchanged: bool
    ) -> tuple[str, Response]:
        """Answer from what is kept."""
        if node:
            judgement = self.rights.judge_node(call)
        else:
            judgement = await self.rights.judge(call.caller, call)
        if judgement.verdict is not Verdict.ALLOWED:
            raise not_allowed(call, judgement)
        if call.problem is not None:
            raise call.problem.with_traceback(None)
        if call.unknown_options:
            raise RequestError(503, "ServiceUnavailable", UNKNOWN_OPTIONS)
        try:
            response = await self.local(call)
            if node and not unchanged and self.shortcuts is not None:
                response.again = self.shortcuts.kept(call, request, response)
            return "local", response
        except RequestError as exc:
            if unchanged:  # and cannot be read: the API server is there to be asked
                return "forward", await self._forward(call, request, node, None)
            known = heads.HIT if exc.code == 404 else heads.MISS
            return "local", refusal(call, status.of_error(exc), known)

    async def _share(self, call: Call, node: bool) -> Response | None:
        """Answer from what all readers share; None where this one asks for itself.

        What is shared was read with the node's right: a token's owner must have one,
        and the API server must have said so lately.
        """
        assert self.shared is not None
        caller, heard = call.caller, self.rights.heard_lately
        if node:
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

    async def _forward(
        self, call: Call, request: Request, node: bool, sent: bytes | None
    ) -> Response:
        """Pass on with the caller's own credential; learn what it was allowed."""
        caller = call.caller
        credential = credential_of(caller, node=node)
        response = await self.forward(call, request, credential)
        if node and call.verb in WRITES:
            self.alone.after(call, sent, response)
        if (call.verb in READS or caller.token) and tells_of_rights(response):
            self.rights.learn(caller, call, response.status, node=node)
        if call.verb == "get" and self.shortcuts is not None:
            response.again = self.shortcuts.passed(call, request, credential, response)
        return response

    def _leave_at_end(
        self, call: Call, route: str, response: Response, body: Body
    ) -> None:
        """Count a stream out where it ends; in a drill a watch of the link's does."""
        if self.drill is not None and call.verb == "watch" and route in STREAMED:
            body = self.drill.track(call, body)
        response.body = Counted(body, partial(self.in_flight.leave, call))


def credential_of(caller: Caller, *, node: bool) -> Credential:
    """Return whose credential goes upstream: the node's only for the node."""
    if caller.token:
        return Credential.of_token(caller.token)
    return Credential.NODE if node else Credential.ANONYMOUS


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
    media_type = heads.media_type(response.headers)
    if media_type == HTML:
        return False
    if response.status < 400:
        return True
    content = response.content
    assert isinstance(content, bytes), "an answer of the upstream is whole or a stream"
    try:
        content = unpacked(content, heads.coding(response.headers), limit=REFUSAL_BYTES)
    except CodecError:
        return False
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
    authorization = fields.get(b"authorization")
    return Caller(
        connection=peer.connection,
        local=peer.local,
        remote=peer.remote,
        token=authorization.partition(b" ")[2].strip() if authorization else b"",
        certificate=peer.certificate or b"",
        impersonates=request.impersonates,
    )
