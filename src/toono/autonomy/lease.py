# SPDX-License-Identifier: Apache-2.0
"""Who renews the node's Lease: a state machine of what is seen. No socket, no clock.

A Lease has one writer. The hub may be it only where the kubelet's own renewals come
through the hub (it then answers them in their place) and nobody else renews: a K3s
agent writes straight to its server, and a second writer would make both fail every
ten seconds. So `auto` begins silent, looks for one lease duration, and at the first
foreign renewal is silent for an hour. Health hangs on none of this.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from toono.kube.names import parse_version

Interception = Literal["auto", "always", "never"]
MODES: tuple[Interception, ...] = ("auto", "always", "never")
SILENCE_SECONDS = 3600.0
DURATION_SECONDS = 40.0
"""A kubelet's default; it renews every quarter of it."""
RETRY_SECONDS = 2.0
LATE_SECONDS = 2.0
"""A kubelet's renewals prompt the hub's own; one that is so late is not waited for."""


class State(Enum):
    """What the hub does about the Lease."""

    SILENT = "silent"
    """Nothing: the kubelet's calls pass, the hub does not look."""
    LOOKING = "looking"
    """The kubelet's calls pass; the hub looks who renews."""
    RENEWING = "renewing"
    """The hub renews, and answers the kubelet's own renewals."""
    WAITING = "waiting"
    """As renewing, but the kubelet has been quiet for too long: the Lease runs out."""


class Action(Enum):
    """What the driver is to do."""

    WAIT = "wait"
    LOOK = "look"
    RENEW = "renew"
    """Look, and if nobody else has renewed, write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A change of state, and what was seen that made it."""

    state: State
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A Lease as the API server has it."""

    resource_version: str
    renew_time: str = ""
    """"" where it was not read: then nothing is concluded from it."""
    duration: float = DURATION_SECONDS
    delegated: bool = False
    """A pool's leader renewed it for a node that was cut off: no other writer."""


class LeaseDuty:
    """Decides by events, in the order of their arrival; each takes the time it is at.

    A renewal is foreign if the Lease's renewTime is another than the hub's and than
    any that a renewal through the hub has made.
    """

    def __init__(
        self,
        mode: Interception,
        *,
        now: float,
        grace: float = DURATION_SECONDS,
        decided: Callable[[Decision], None] = lambda _: None,
    ) -> None:
        self.mode = mode
        self.state = State.SILENT
        self.evidence = ""
        self.duration = DURATION_SECONDS
        self.foreign = 0
        """Renewals of others that were noticed."""
        self._grace = grace
        self._decided = decided
        self._known: Seen | None = None
        self._looked = False
        self._unsure = False
        self._in_flight = 0
        self._last_pass = float("-inf")
        self._kubelet_at: float | None = None
        self._due = now
        self._until = float("inf")
        self._for_good = mode != "auto"
        self._renewed_at = float("-inf")
        self._sent = ""
        if mode == "always":
            self._enter(State.RENEWING, "--lease-interception=always")
        elif mode == "never":
            self._enter(State.SILENT, "--lease-interception=never")
        else:
            self._look_from(now, "it starts: who renews is not known yet")

    @property
    def renews(self) -> bool:
        """The hub is the one that renews, and answers the kubelet."""
        return self.state is State.RENEWING

    @property
    def interval(self) -> float:
        """Seconds between renewals, as a kubelet's."""
        return self.duration / 4

    # -- the kubelet ---------------------------------------------------------

    def kubelet_writes(self, now: float) -> bool:
        """Take a renewal of the kubelet's that came to the hub; say who answers it.

        True: the hub does, and renews itself. False: it passes, and `passed` must
        follow with what became of it.
        """
        self._kubelet_at = now
        if self.state is State.WAITING:
            self._enter(State.RENEWING, "the kubelet renews through the hub again")
            self._due = now
        elif self.state is State.LOOKING and self._may_take_over(now):
            self._enter(
                State.RENEWING,
                "the kubelet renews through the hub, and in"
                f" {self.duration:g}s nobody else has",
            )
            self._due = now
        if self.state is State.RENEWING:
            return True
        self._in_flight += 1
        return False

    def wants_renewal(self, now: float) -> bool:
        """Say whether a renewal of the kubelet's that the hub answers prompts its own.

        So the answer carries the newest version, and a kubelet that one day writes
        past the hub meets no conflict.
        """
        return self.renews and now - self._renewed_at >= self.interval / 2

    def passed(self, now: float, seen: Seen | None, *, conflict: bool = False) -> None:
        """Take what became of a renewal that passed; None where that is not known."""
        self._in_flight -= 1
        self._last_pass = now
        if conflict:
            self._notice_foreign(now, "the kubelet's renewal met a conflict")
        elif seen is not None:
            self._known, self._unsure = seen, False
            self._take_duration(seen)
        else:
            self._unsure = True

    def _kubelet_lives(self, now: float) -> bool:
        """Say whether the kubelet is not known to be gone."""
        if self._kubelet_at is None or not self._grace:
            return True
        return now - self._kubelet_at < self._grace

    def _may_take_over(self, now: float) -> bool:
        return self._looked and now >= self._until and self._in_flight == 0

    # -- the Lease -----------------------------------------------------------

    def saw(self, now: float, seen: Seen | None, *, asked_at: float) -> None:
        """Take the Lease as it was looked at; None where there is none."""
        if self._in_flight or self._last_pass >= asked_at:
            self._due = now + RETRY_SECONDS  # it may be that renewal's, or from before
            return
        if seen is None:
            self._known = None
        elif self._is_foreign(seen):
            self._known = seen
            self._notice_foreign(now, f"somebody else renewed it at {seen.renew_time}")
            return
        elif not self._is_old(seen):
            self._known, self._unsure = seen, False
            self._take_duration(seen)
        if self.state is State.LOOKING:
            self._due = now + self.interval
            if not self._looked:
                self._until = now + self.duration
        self._looked = True

    def _is_old(self, seen: Seen) -> bool:
        """Say whether an API server's cache is behind what is known."""
        if self._known is None:
            return False
        mine = parse_version(self._known.resource_version)
        theirs = parse_version(seen.resource_version)
        return mine is not None and theirs is not None and theirs < mine

    def _is_foreign(self, seen: Seen) -> bool:
        known = self._known
        if seen.delegated:
            return False
        if known is None:
            # What there was before anybody looked tells nothing; what is there
            # after nothing was, somebody has made.
            return self._looked and not self._unsure and seen.renew_time != self._sent
        if seen.resource_version == known.resource_version or self._is_old(seen):
            return False
        if self._unsure or seen.renew_time == self._sent:
            return False
        return known.renew_time not in ("", seen.renew_time)

    def _take_duration(self, seen: Seen) -> None:
        if seen.duration > 0:
            self.duration = seen.duration

    # -- the hub's own renewals ----------------------------------------------

    def renewing(self, renew_time: str) -> None:
        """Note what the hub is about to write: should the answer be lost, it is known."""
        self._sent = renew_time

    def renewed(self, now: float, seen: Seen, *, prompted: bool = False) -> None:
        """Take the answer to the hub's own renewal."""
        self._known, self._unsure, self._renewed_at = seen, False, now
        self._due = now + self.interval + (LATE_SECONDS if prompted else 0.0)

    def met_conflict(self, now: float) -> None:
        """Take that somebody wrote between the hub's look and its renewal."""
        self._due = now + RETRY_SECONDS
        self._known, self._looked = None, False
        self._notice_foreign(now, "the hub's renewal met a conflict")

    def failed(self, now: float) -> None:
        """Take that it could be neither read nor written: nobody watched meanwhile."""
        self._due = now + RETRY_SECONDS
        if self.state is State.LOOKING:
            self._looked = False

    # -- what makes the hub silent -------------------------------------------

    def recognised(self, now: float, distribution: str, evidence: str) -> None:
        """Take that the node is one whose kubelet renews past every hub."""
        if self._for_good:
            return
        self._for_good = True
        self._until = self._due = float("inf")
        self._enter(State.SILENT, f"this is {distribution}: {evidence}")

    def _notice_foreign(self, now: float, evidence: str) -> None:
        self.foreign += 1
        if self._for_good:
            return
        self._until = self._due = now + SILENCE_SECONDS
        if self.state is not State.SILENT:
            self._enter(State.SILENT, evidence)

    def _look_from(self, now: float, evidence: str) -> None:
        self._known, self._looked = None, False
        self._enter(State.LOOKING, evidence)
        self._due, self._until = now, float("inf")

    def _enter(self, state: State, evidence: str) -> None:
        self.state, self.evidence = state, evidence
        self._decided(Decision(state=state, evidence=evidence))

    # -- time ----------------------------------------------------------------

    def next(self, now: float) -> tuple[Action, float]:
        """Return what to do now, or how many seconds there is nothing to do."""
        if self.state is State.SILENT and now >= self._until:
            self._look_from(now, "an hour of silence is over")
        if self.state is State.RENEWING and not self._kubelet_lives(now):
            quiet = f"no renewal of the kubelet's for {self._grace:g}s"
            self._enter(State.WAITING, quiet)
        if self.state is State.WAITING:
            return Action.WAIT, self.interval
        if self.state is State.SILENT:
            return Action.WAIT, min(self._until - now, SILENCE_SECONDS)
        if now < self._due:
            return Action.WAIT, self._due - now
        return (Action.LOOK if self.state is State.LOOKING else Action.RENEW), 0.0
