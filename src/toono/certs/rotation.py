# SPDX-License-Identifier: Apache-2.0
"""When a certificate is to be replaced: at 70 to 90 % of its life, each at its own time.

Pure: the moment is an argument, and is looked at anew each time, because a node's wall
clock may jump by years (it begins in 1970 where there is no battery).
"""

from dataclasses import dataclass
from enum import Enum

EARLIEST, LATEST = 0.7, 0.9


class State(Enum):
    """What a certificate is worth now."""

    MISSING = "missing"
    EARLY = "not valid yet: is this node's clock right?"
    GOOD = "good"
    DUE = "due for rotation"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """From when to when, in seconds since 1970."""

    begins: float
    ends: float

    def due_at(self, spread: float) -> float:
        """Return when to replace it; `spread` from 0 to 1 is this node's own share."""
        part = EARLIEST + (LATEST - EARLIEST) * min(max(spread, 0.0), 1.0)
        return self.begins + (self.ends - self.begins) * part

    def state(self, now: float, *, spread: float) -> State:
        """Return what it is worth at `now`."""
        if now < self.begins:
            return State.EARLY
        if now >= self.ends:
            return State.EXPIRED
        return State.DUE if now >= self.due_at(spread) else State.GOOD


def spread_of(serial: int) -> float:
    """Return a certificate's own share, the same after every restart.

    Serial numbers are random by the CA/Browser rules and in Kubernetes' signer; a
    fleet that was issued in one minute does not come back in one.
    """
    return (serial * 0x9E3779B97F4A7C15 % 2**64) / 2**64
