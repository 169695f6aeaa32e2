# SPDX-License-Identifier: Apache-2.0
"""Whether a server can be reached: decided by probes, prompted by signs.

A sign (a refused connection, a broken answer, no head for two seconds) only starts a
probe on a fresh connection; the probe's result decides. So a server that thinks for
thirty seconds is waited for, and a link that went silent is noticed within four.
No I/O here, no clock: results in, decisions out.
"""

from dataclasses import dataclass
from enum import Enum

INTERVAL_SECONDS = 10.0
DOWN_INTERVAL_SECONDS = 1.0
PROBE_SECONDS = 2.0
SILENCE_SECONDS = 1.9
"""No head for so long is a sign; with a probe's 2 s it stays below four."""
DWELL_SECONDS = 10.0
"""At most one change of the node's mode in this time, once it is online again."""


class Probe(Enum):
    """What a probe found."""

    READY = "ready"
    """The server answers and says that it is ready (or may not tell us: 401, 403)."""
    UNREADY = "unready"
    """The link works, the server says that it is not ready (5xx)."""
    SILENT = "silent"
    """No answer: refused, broken, or not in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthSettings:
    """How many probes it takes, and how far apart they are."""

    up_after: int = 2
    interval: float = INTERVAL_SECONDS
    down_interval: float = DOWN_INTERVAL_SECONDS
    probe_timeout: float = PROBE_SECONDS
    silence: float = SILENCE_SECONDS


class Hysteresis:
    """Health that falls with one failed probe and rises after enough good ones."""

    def __init__(self, *, up_after: int, healthy: bool = False) -> None:
        self._up_after = up_after
        self._streak = 0
        self._seen = False
        self.healthy = healthy
        self.ready = healthy

    def observe(self, probe: Probe) -> bool:
        """Take one probe's result; return whether health flipped.

        The very first result counts at once, in both directions: a hub that starts
        must not wait twenty seconds to believe a cloud that answers.
        """
        first, self._seen = not self._seen, True
        self.ready = probe is Probe.READY
        if probe is Probe.SILENT:
            self._streak = 0
            flipped, self.healthy = self.healthy, False
            return flipped
        if self.healthy:
            return False
        self._streak += 1
        if self._streak < self._up_after and not first:
            return False
        self.healthy = True
        return True


def judge(status: int | None) -> Probe:
    """Return what the status of a GET /readyz says; None where none came in time."""
    if status is None:
        return Probe.SILENT
    return Probe.UNREADY if status >= 500 else Probe.READY
