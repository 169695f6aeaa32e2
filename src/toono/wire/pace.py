# SPDX-License-Identifier: Apache-2.0
"""Whether bytes flow as fast as they must. Knows no clock, no socket, no direction."""


class Pace:
    """Looked at now and then; slow is who brings too little for too long."""

    __slots__ = ("_at", "_mark")

    def __init__(self) -> None:
        self._at: float | None = None
        self._mark = 0

    def is_slow(self, total: int, *, now: float, least: int, seconds: float) -> bool:
        """Say whether `seconds` have passed with fewer than `least` more of `total`."""
        if self._at is None or total - self._mark >= least:
            self._at, self._mark = now, total
            return False
        return now - self._at >= seconds

    def rest(self) -> None:
        """Begin anew: it is not its turn to be fast."""
        self._at = None

    def is_stuck(self, waits: int, *, now: float, seconds: float) -> bool:
        """Say whether nothing was taken for `seconds` of the bytes that wait."""
        if waits == 0:
            self.rest()
            return False
        return self.is_slow(-waits, now=now, least=1, seconds=seconds)
