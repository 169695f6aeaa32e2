# SPDX-License-Identifier: Apache-2.0
"""GETs asked again on one connection, word for word: answered without the long way.

A node's agents ask the same again and again. What `chain` found out about the first
such GET holds for the next as long as nothing of it has changed: who asks is the
connection's, what is asked is the head's, and everything else that decides is compared
here, each time. Whatever is not exactly as it was goes the long way, which is always
right; and so does everything once in `LIFE_SECONDS`, so that what the long way learns
and tells is never older than that.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from toono.autonomy.drill import Drill
from toono.cache.echo import mark_of
from toono.cache.policy import Policy
from toono.cache.received import expected_form, question_of
from toono.cache.record import Recorder, Recording
from toono.cache.scope import Question, Scope
from toono.cache.taking import Kept
from toono.filters.approval import Approval
from toono.filters.stage import Stage
from toono.identity.book import Book
from toono.kube.request import Call
from toono.pipeline import heads
from toono.pipeline.again_kept import KeptAgain
from toono.pipeline.limits import InFlight
from toono.pipeline.recorded import Barrier
from toono.runtime.clock import Clock
from toono.runtime.tasks import spawn
from toono.upstream.pool import Credential, Server, Upstream
from toono.wire.heads import request_bytes
from toono.wire.link import Link
from toono.wire.messages import Again, Asker, Request, Response
from toono.wire.plain import MAX_CONTENT_BYTES, NotPlainError, fields_of, read_plain

LIFE_SECONDS = 10.0
MAX_KEPT_BYTES = 16 * 1024
"""Of an answer that is held ready while the link is down."""
JUDGED_ANEW = frozenset({"leases", "nodes"})
"""Who answers these is for `lease` and `node` to say each time."""
NEVER_STREAMED = ("", "status", "scale")
"""A log may be followed: what was short once is not so each time."""
_ANY_VERSION = (None, "", "0")
_TAILS = tuple(
    b"%b: %b\r\n%b: %b\r\nContent-Length: " % (*heads.VIA, *where)
    for where in (heads.BYPASSED, heads.STORED)
)
"""What the hub adds to an answer that is not kept, and to one that is."""

Count = Callable[[float], None]
"""Counts one more answer, which took so many seconds."""


class Counting(Protocol):
    """Makes what counts answers of one kind."""

    def __call__(self, call: Call, route: str, code: int) -> Count: ...


class Shortcuts:
    """Makes the short ways of a hub; holds what all of them look at."""

    def __init__(
        self,
        *,
        upstream: Upstream,
        recorder: Recorder,
        barrier: Barrier,
        in_flight: InFlight,
        book: Book,
        filters: Stage,
        drill: Drill | None,
        clock: Clock,
        counting: Counting,
    ) -> None:
        self.upstream = upstream
        self.recorder = recorder
        self.barrier = barrier
        self.in_flight = in_flight
        self.book = book
        self.filters = filters
        self.drill = drill
        self.clock = clock
        self.counting = counting

    def passed(
        self, call: Call, request: Request, credential: Credential, response: Response
    ) -> Again | None:
        """Return the short way of a GET that the API server has just answered."""
        content = response.content
        if (
            call.verb != "get"
            or request.method != "GET"
            or response.status != 200
            or response.body is not None
            or not isinstance(content, bytes)
            or len(content) > MAX_CONTENT_BYTES
            or call.resource in JUDGED_ANEW
            or not call.resource
            or call.subresource not in NEVER_STREAMED
            or request.body.length != 0
            or request.old
            or b"upgrade" in request.fields
        ):
            return None
        stored = response.headers[-1:] == [heads.STORED]  # the server's may say so too
        return PassedAgain(self, call, request, credential, stored=stored)

    def kept(self, call: Call, request: Request, response: Response) -> Again | None:
        """Return the short way of a GET that the hub has just answered by itself."""
        content = response.content
        if (
            call.verb != "get"
            or call.method != "GET"
            or request.old
            or response.status != 200
            or response.confirmed_at is None
            or not isinstance(content, bytes)
            or len(content) > MAX_KEPT_BYTES
            or call.resource in JUDGED_ANEW
            or call.resource_version not in _ANY_VERSION
            or any(name == b"Warning" for name, _ in response.headers)
        ):
            return None
        return KeptAgain(self, call, response, life=LIFE_SECONDS)


class PassedAgain:
    """One head that goes to the API server, on one client's connection."""

    __slots__ = (
        "_approval",
        "_asker",
        "_call",
        "_client",
        "_count",
        "_credential",
        "_epoch",
        "_headers",
        "_lines",
        "_link",
        "_of",
        "_policy",
        "_question",
        "_raw",
        "_refusals",
        "_scope",
        "_seen",
        "_sent",
        "_serial",
        "_server",
        "_started",
        "_tail",
        "_timer",
        "_until",
    )

    def __init__(
        self,
        of: Shortcuts,
        call: Call,
        request: Request,
        credential: Credential,
        *,
        stored: bool,
    ) -> None:
        self._of = of
        self._call = call
        self._client = of.in_flight.client_of(call)
        self._headers = request.headers
        self._credential = credential
        self._approval: Approval = of.filters.approval
        self._policy: Policy = of.recorder.policy
        self._refusals = of.book.refusals
        self._question: Question | None = None
        if stored:
            self._question = question_of(call, expected_form(call))
        self._tail = _TAILS[stored]
        self._until = of.clock.monotonic() + LIFE_SECONDS
        self._count: Count
        self._server: Server | None = None
        self._lines: dict[Server, bytes] = {}
        self._asker: Asker | None = None
        self._link: Link | None = None
        self._raw = b""
        self._started = 0.0
        self._scope: Scope | None = None
        self._serial = self._seen = self._epoch = 0
        self._timer: asyncio.TimerHandle | None = None

    # -- the request ---------------------------------------------------------------

    def begin(self, asker: Asker, now: float) -> bytes | None:
        of = self._of
        upstream, recorder, drill = of.upstream, of.recorder, of.drill
        if (
            now >= self._until
            or not upstream.online
            # Somebody of the same identity heard a no: a yes that is newer is to be
            # remembered, too.
            or of.book.refusals != self._refusals
            or (recorder.policy is not self._policy and not self._keeps_policy())
            or (of.filters.approval is not self._approval and not self._keeps_filters())
            or (drill is not None and drill.is_on)
        ):
            return None
        question = self._question
        if question is not None:
            scopes = recorder.scopes
            scope = self._scope = scopes.find(question)
            if scope is None or not scope.loaded:
                return None
            self._serial, self._epoch = scope.serial, scopes.epoch
            self._seen = scopes.high_water(question.group, question.resource)
        server = upstream.pick()
        if server is None:
            return None
        link = server.origin.take_idle(self._credential)
        if link is None:
            return None
        if not of.in_flight.admit_read(self._client):
            server.origin.put_back(link)
            return None
        lines = self._lines.get(server)
        if lines is None:
            lines = self._address(server)
        self._server = server
        self._asker, self._link, self._started = asker, link, now
        link.relay(lines, self)
        if self._timer is None:
            self._watch(upstream.silence)
        return b""

    def _keeps_policy(self) -> bool:
        """Say whether a policy that was read anew says the same."""
        policy = self._of.recorder.policy
        if policy != self._policy:
            return False
        self._policy = policy
        return True

    def _keeps_filters(self) -> bool:
        approval = self._of.filters.approval
        if approval != self._approval:
            return False
        self._approval = approval
        return True

    def _address(self, server: Server) -> bytes:
        """Return the head as one server gets it."""
        call = self._call
        headers = [server.host, *heads.upstream_headers(self._headers)]
        self._count = self._of.counting(call, "forward", 200)
        lines = request_bytes(call.method, call.target, headers, None, "")
        self._lines[server] = lines
        return lines

    # -- the answer ----------------------------------------------------------------

    def heard(self, piece: bytes) -> None:
        raw = self._raw + piece if self._raw else piece
        link = self._link
        assert link is not None
        try:
            plain = read_plain(raw)
        except NotPlainError:
            self._link = None
            link.relayed_otherwise(raw)
            # What is no 200 may be one again; what is framed otherwise will be again.
            self._decline(for_good=raw.startswith(b"HTTP/1.1 200 "))
            return
        if plain is None:
            self._raw = raw
            return
        link.relayed()
        self._link, self._raw = None, b""
        lines, content = plain
        try:
            if self._question is None or self._is_echo(self._question, content):
                self._answer(lines, content)
            else:
                self._record(self._question, lines, content)
        except BaseException:
            self._decline()  # nobody else would tell the client
            raise

    def _answer(self, lines: bytes, content: bytes) -> None:
        asker, of = self._asker, self._of
        if asker is None:
            return  # gone meanwhile
        self._asker = None
        of.in_flight.leave_read(self._client)
        asker.answer(
            b"".join((lines, self._tail, b"%d\r\n\r\n" % len(content), content))
        )
        self._count(of.clock.monotonic() - self._started)

    def _is_echo(self, question: Question, content: bytes) -> bool:
        echoes = self._of.recorder.echoes
        return echoes.holds(question, self._seen, mark_of(content))

    def _record(self, question: Question, lines: bytes, content: bytes) -> None:
        """Keep what is new, by what was known as the request was sent."""
        recorder, scope = self._of.recorder, self._scope
        scopes = recorder.scopes
        seen = scopes.high_water(question.group, question.resource)
        if (
            scope is None
            or scopes.find(question) is not scope
            or (scope.serial, seen) != (self._serial, self._seen)
            or scopes.epoch != self._epoch
        ):
            self._decline()
            return
        recording = Recording(recorder, self._call, question, scope)
        kept = recording.take(200, fields_of(lines), content)
        if kept is None or kept.done():
            self._answer(lines, content)
        else:
            spawn(self._answer_kept(kept, lines, content), name="kept-again")

    async def _answer_kept(self, kept: Kept, lines: bytes, content: bytes) -> None:
        await self._of.barrier.wait(kept)
        self._answer(lines, content)

    # -- ends ------------------------------------------------------------------------

    def broke(self) -> None:
        self._decline()

    def _decline(self, *, for_good: bool = False) -> None:
        asker = self._asker
        if asker is None:
            return
        self._asker = self._link = None
        self._raw = b""
        self._of.in_flight.leave_read(self._client)
        asker.decline(for_good=for_good)

    def abandon(self) -> None:
        link = self._link
        if self._asker is not None:
            self._of.in_flight.leave_read(self._client)
        self._asker = self._link = None
        self._raw = b""
        if link is not None:
            link.drop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # -- silence -----------------------------------------------------------------------

    def _watch(self, seconds: float) -> None:
        """One timer for many requests: it looks which of them it has met."""
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(seconds, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._asker is None or self._server is None:
            return
        silence = self._of.upstream.silence
        left = self._started + silence - self._of.clock.monotonic()
        if left > 0:
            self._watch(left)
        else:
            self._server.suspect()
