# SPDX-License-Identifier: Apache-2.0
"""A cut for practice: who is cut off, until when, and how they fared.

It lives in memory alone and ends at its time by the clock, whatever becomes of who
asked for it: a hub that starts again is in no drill. No sockets: who answers asks
`cuts`, and the end is told to `changed`.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import ceil

from toono.kube.request import Call
from toono.runtime.clock import Clock
from toono.wire.messages import Body

log = logging.getLogger(__name__)

MAX_SECONDS = 3600.0
MAX_COMPONENTS = 256
MAX_REFUSED = 200
"""Different questions in a report; the others are counted alone."""
NOT_ACCEPTABLE = 406
OTHER = "other"
Refused = tuple[str, str, str, int]
"""(component, verb, object, code)"""


@dataclass(slots=True)
class Tally:
    """How the requests of a time went, by component."""

    answered: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    refused: Counter[Refused] = field(default_factory=Counter)

    def note(self, call: Call, code: int) -> None:
        """Count one answer."""
        name = self.name_of(call)
        if code < 500 and code != NOT_ACCEPTABLE:
            self.answered[name] += 1
            return
        self.failed[name] += 1
        one = (name, call.verb, _object(call), code)
        if one in self.refused or len(self.refused) < MAX_REFUSED:
            self.refused[one] += 1

    def name_of(self, call: Call) -> str:
        """Return under which name a call is counted."""
        component = call.component
        if component in self.answered or component in self.failed:
            return component
        full = len(self.answered) + len(self.failed) >= MAX_COMPONENTS
        return OTHER if full else component

    def rate(self, component: str) -> float | None:
        """Return the share that was answered; None where nothing was asked."""
        answered, failed = self.answered[component], self.failed[component]
        return answered / (answered + failed) if answered + failed else None


class Drill:
    """At most one at a time."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self.changed: Callable[[bool], None] = lambda _: None
        """Told True when everything is cut off, False when that is over."""
        self.back = asyncio.Event()
        """Set while no drill is on: held watches end by it."""
        self.back.set()
        self._started = asyncio.Event()
        self._only: frozenset[str] = frozenset()
        self._started_at = 0.0
        self._ends_at = 0.0
        self._lasted = 0.0
        self._watches: set[CutBody] = set()
        self._before = Tally()
        self._tally = Tally()

    @property
    def is_on(self) -> bool:
        """Some component is cut off now."""
        return self._ends_at != 0.0 and self._clock.monotonic() < self._ends_at

    def cuts_component(self, component: str) -> bool:
        """Say whether a component is cut off now."""
        return self.is_on and (not self._only or component in self._only)

    def cuts(self, call: Call) -> bool:
        """Say whether who asks is cut off now."""
        return self.cuts_component(call.component)

    def over(self, call: Call, otherwise: asyncio.Event) -> asyncio.Event:
        """Return what says that a caller is no longer cut off."""
        return self.back if self.cuts(call) else otherwise

    def start(self, seconds: float, only: frozenset[str]) -> bool:
        """Cut off for so long; False where a drill is on already."""
        if self.is_on or not 0 < seconds <= MAX_SECONDS:
            return False
        self._only, self._tally = only, Tally()
        self._started_at = self._clock.monotonic()
        self._ends_at = self._started_at + seconds
        self.back.clear()
        self._started.set()
        log.warning(
            "a drill begins", extra={"seconds": seconds, "only": sorted(only) or "all"}
        )
        for body in list(self._watches):
            if self.cuts(body.call):
                body.cut()
        self.changed(not only)  # last: who reads hears of an end, not of a broken link
        return True

    def end(self) -> None:
        """Give the link back; nothing where no drill is on."""
        if self.back.is_set():
            return
        now = self._clock.monotonic()
        self._lasted = min(now, self._ends_at) - self._started_at
        self._ends_at = 0.0
        self._started.clear()
        self.changed(False)
        self.back.set()
        log.warning("a drill has ended", extra={"seconds": round(self._lasted, 1)})

    async def run(self) -> None:
        """End each drill at its time."""
        while True:
            await self._started.wait()
            while self.is_on:
                await self._clock.sleep(min(1.0, self._left_exactly()))
            self.end()

    def note(self, call: Call, code: int) -> None:
        """Count one answer: of the drill, or of the time before."""
        tally = self._tally if self._ends_at and self.cuts(call) else self._before
        tally.note(call, code)

    def place(self, call: Call) -> tuple[Counter[str], str]:
        """Return where good answers to `call` are counted while no drill is on."""
        return self._before.answered, self._before.name_of(call)

    def track(self, call: Call, body: Body) -> "CutBody":
        """Return a watch's body that ends when its reader is cut off."""
        cut = CutBody(call, body, self._watches)
        if self.cuts(call):
            cut.cut()
        return cut

    def note_text(self) -> str:
        """Return what readiness says of it; empty where no drill is on."""
        if not self.is_on:
            return ""
        who = ", ".join(sorted(self._only)) or "all"
        return f"a drill is on for {who}, {self._left()} s more"

    def _left(self) -> int:
        return max(0, ceil(self._left_exactly()))

    def _left_exactly(self) -> float:
        return max(0.0, self._ends_at - self._clock.monotonic())

    def report(self) -> Mapping[str, object]:
        """Return how it goes, or how the last one went."""
        tally, on = self._tally, self.is_on
        lasted = self._clock.monotonic() - self._started_at if on else self._lasted
        components = sorted({*tally.answered, *tally.failed})
        return {
            "on": on,
            "only": sorted(self._only),
            "seconds": round(lasted, 1),
            "left": self._left() if on else 0,
            "components": [
                {
                    "component": one,
                    "answered": tally.answered[one],
                    "refused": tally.failed[one],
                    "rate": tally.rate(one),
                    "before": self._before.rate(one),
                }
                for one in components
            ],
            "refused": [
                {
                    "component": component,
                    "verb": verb,
                    "object": name,
                    "code": code,
                    "count": count,
                }
                for (component, verb, name, code), count in tally.refused.most_common()
            ],
        }


class CutBody:
    """A watch's body that can be ended from outside, as cleanly as by a cut link."""

    __slots__ = ("_all", "_inner", "_over", "_timer", "call", "length")

    def __init__(self, call: Call, inner: Body, all_: "set[CutBody]") -> None:
        self.call = call
        self.length = inner.length
        self._inner = inner
        self._all = all_
        self._over = False
        self._timer: asyncio.Timeout | None = None
        all_.add(self)

    async def read(self) -> bytes:
        """Return what comes; b"" once the reader is cut off."""
        if self._over:
            return b""
        try:
            # A timer without a time: `cut` gives it one, and so ends the wait.
            async with asyncio.timeout(None) as self._timer:
                return await self._inner.read()
        except TimeoutError:
            if not self._over:
                raise
            self.close()
            return b""
        finally:
            self._timer = None

    def cut(self) -> None:
        """End it, also for who waits in `read`."""
        self._over = True
        if self._timer is not None:
            self._timer.reschedule(0.0)
        else:
            self.close()

    def close(self) -> None:
        """Let go of what is read."""
        self._over = True
        self._all.discard(self)
        self._inner.close()


def _object(call: Call) -> str:
    if not call.resource:
        return call.path
    named = ".".join(filter(None, (call.resource, call.group)))
    named = "/".join(filter(None, (named, call.subresource)))
    place = "/".join(filter(None, (call.namespace, call.name or call.pinned_name)))
    return f"{named} {place}".strip()
