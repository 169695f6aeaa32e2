# SPDX-License-Identifier: Apache-2.0
"""A client's own limit: a token bucket, as client-go's QPS and burst."""

import threading

from cni_agent.kit.clock import Clock


class TokenBucket:
    """At most `burst` at once, and `rate` a second in the long run."""

    def __init__(self, *, rate: float, burst: int, clock: Clock) -> None:
        if rate <= 0 or burst < 1:
            raise ValueError(f"a bucket of {burst} tokens, {rate} a second")
        self._rate, self._burst, self._clock = rate, burst, clock
        self._tokens = float(burst)
        self._at = clock.monotonic()
        self._lock = threading.Lock()

    def reserve(self) -> float:
        """Take one token; return how many seconds it is away."""
        with self._lock:
            now = self._clock.monotonic()
            grown = (now - self._at) * self._rate
            self._tokens = min(float(self._burst), self._tokens + grown) - 1
            self._at = now
            return max(0.0, -self._tokens / self._rate)

    def wait(self) -> None:
        """Take one token when it is there. Who came first goes first."""
        seconds = self.reserve()
        if seconds > 0:
            self._clock.sleep(seconds)
