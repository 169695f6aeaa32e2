# SPDX-License-Identifier: Apache-2.0
"""Components that are kept by `*` or a header alone, held within limits of their own.

A node full of agents must not fill the disk, nor use up the questions that the hub
can remember: beyond the limits the guests' oldest answers go first. Components that
are kept by name are never touched, and with them the kubelet.
"""

import logging
from dataclasses import dataclass

from toono.cache.policy import Policy
from toono.cache.scope import Scope
from toono.cache.scopes import FIRST, Scopes
from toono.runtime.clock import Clock

log = logging.getLogger(__name__)

WARN_AT = 0.8
SWEEP_TO = 0.9
"""Of a limit that is passed, so that not every answer ends in another sweep."""
SWEEP_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestLimits:
    """How much all guests together may have."""

    size_bytes: int = 64 * 1024 * 1024
    scopes: int = 2048


class Guests:
    """Keeps guests within their limits; `policy` says who is none."""

    def __init__(
        self, scopes: Scopes, policy: Policy, *, limits: GuestLimits | None = None
    ) -> None:
        self._scopes = scopes
        self._limits = limits or GuestLimits()
        self._warned = False
        self.policy = policy
        self.size_bytes = 0
        self.count = 0
        self.evicted = 0

    def is_guest(self, component: str) -> bool:
        """Say whether a component's data may be evicted."""
        return component != FIRST and not self.policy.names(component)

    def has_room(self, component: str) -> bool:
        """Say whether one more question of `component` may be remembered."""
        if not self.is_guest(component):
            return True
        self.count += 1  # until the next sweep counts again
        return self.count <= self._limits.scopes

    async def run(self, clock: Clock) -> None:
        """Sweep every few seconds."""
        while True:
            await clock.sleep(SWEEP_SECONDS)
            self.sweep()

    def sweep(self) -> None:
        """Count what guests have, warn near the limits, evict beyond them."""
        sizes: dict[Scope, int] = {}
        for scope in self._scopes.all():
            if self.is_guest(scope.question.component):
                sizes[scope] = scope.size
        self.size_bytes, self.count = sum(sizes.values()), len(sizes)
        self._warn()
        limits = self._limits
        if self.size_bytes <= limits.size_bytes and self.count <= limits.scopes:
            return
        for scope in sorted(sizes, key=lambda one: one.confirmed_at):
            if (
                self.size_bytes <= limits.size_bytes * SWEEP_TO
                and self.count <= limits.scopes * SWEEP_TO
            ):
                return
            if self._scopes.drop(scope):
                self.size_bytes -= sizes[scope]
                self.count -= 1
                self.evicted += 1

    def _warn(self) -> None:
        near = (
            self.size_bytes > self._limits.size_bytes * WARN_AT
            or self.count > self._limits.scopes * WARN_AT
        )
        if near and not self._warned:
            log.warning(
                "agents kept by `*` are near their limit: the oldest go first",
                extra={"size_bytes": self.size_bytes, "questions": self.count},
            )
        self._warned = near
