# SPDX-License-Identifier: Apache-2.0
"""The short way of what the hub answers by itself: its answer, held ready.

It holds while the same outage lasts and nothing that is remembered has changed, of any
question: which scope answers is `cache.answer`'s to decide, and is not decided here.
Nor does it while a list that some client has already is still being read.
"""

from typing import TYPE_CHECKING

from toono.filters.approval import Approval
from toono.kube.request import Call
from toono.wire.heads import head_bytes
from toono.wire.messages import Asker, Response

if TYPE_CHECKING:
    from toono.pipeline.again import Count, Shortcuts


class KeptAgain:
    """One head that the hub answers while the link is down, its answer held ready."""

    __slots__ = (
        "_approval",
        "_bytes",
        "_call",
        "_changes",
        "_count",
        "_from",
        "_of",
        "_refusals",
        "_response",
        "_since",
        "_to",
        "_until",
    )

    def __init__(
        self, of: "Shortcuts", call: Call, response: Response, *, life: float
    ) -> None:
        self._of = of
        self._response = response
        self._approval: Approval = of.filters.approval
        self._since = of.upstream.since
        self._refusals = of.book.refusals
        self._changes = of.recorder.scopes.changes
        self._until = of.clock.monotonic() + life
        self._call = call
        self._count: Count
        self._bytes = b""
        self._from = self._to = 0.0
        """Wall times between which the answer's Age and Date are right."""

    def begin(self, asker: Asker, now: float) -> bytes | None:
        del asker  # it has its answer at once
        of = self._of
        upstream = of.upstream
        if (
            upstream.online
            or upstream.since != self._since
            or now >= self._until
            or of.recorder.scopes.changes != self._changes
            or of.book.refusals != self._refusals
            or of.filters.approval is not self._approval
            or (of.drill is not None and of.drill.is_on)
        ):
            return None
        wall = of.clock.wall()
        if not self._from <= wall < self._to:
            self._render(wall)
        self._count(of.clock.monotonic() - now)
        return self._bytes

    def _render(self, wall: float) -> None:
        response = self._response
        since, content = response.confirmed_at, response.content
        assert since is not None
        assert isinstance(content, bytes)
        age = max(0, int(wall - since))
        aged = (b"Age", b"%d" % age)
        response.headers = [
            aged if line[0] == b"Age" else line for line in response.headers
        ]
        framing = [b"Content-Length: %d" % len(content)]
        self._count = self._of.counting(self._call, "local", 200)
        self._bytes = head_bytes(response, framing) + content
        self._from = wall
        self._to = min(int(wall) + 1, since + age + 1) if wall >= since else wall

    def abandon(self) -> None:
        """Nothing was begun."""
