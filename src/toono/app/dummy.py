# SPDX-License-Identifier: Apache-2.0
"""Keeps the interface that pods call, from start to drain; the hub needs it not to run.

Making it takes a moment that the node's own programs do not wait. Listeners on its
address are bound once it is there, and outlive it: the kernel gives them what comes
again as soon as the address is back.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from toono.app.board import Board
from toono.app.settings import HubSettings
from toono.errors import OptionError
from toono.runtime.clock import Clock
from toono.wire.dummy import DummyLink

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
"""Between looks at what is there: some microseconds each."""
TRY_SECONDS = 60.0
"""Between tries to make what cannot be made."""


@dataclass(slots=True)
class Kept:
    """An interface that is looked after."""

    link: DummyLink
    board: Board
    clock: Clock
    arrived: Callable[[], Awaitable[None]] = field(init=False)
    """What to do whenever it is there; OptionError for what is in the way."""
    problem: str = field(default="", init=False)

    async def start(self, arrived: Callable[[], Awaitable[None]]) -> None:
        """Take it up where it is there already: then pods are served at once."""
        self.arrived = arrived
        self.board.duties.append(("dummy-interface", self.run))
        if self.link.is_there:
            await self.ensure()

    async def run(self) -> None:
        """Have it, and make it again where somebody took it away."""
        while True:
            there = await self.ensure()
            await self.clock.sleep(LOOK_SECONDS if there else TRY_SECONDS)

    async def ensure(self) -> bool:
        """Have it; say whether it is there."""
        before = self.link.on
        if before and not self.problem and self.link.is_there:
            return True
        try:
            if await asyncio.to_thread(self.link.ensure):
                self._tell(before)
            await self.arrived()
        except OptionError as exc:
            self._say(str(exc), before)
            return False
        self.problem = ""
        return True

    async def aclose(self) -> None:
        """Remove it if a hub made it."""
        await asyncio.to_thread(self.link.remove)

    def _say(self, problem: str, before: str) -> None:
        if problem != self.problem:
            log.warning("pods cannot call this hub", extra={"why": problem})
        self.problem = problem
        if not before:  # pods that were sent here are not sent away for a moment
            self.board.tell_door(opened=False)

    def _tell(self, before: str) -> None:
        facts = {"interface": self.link.on, "address": self.link.address}
        if before:
            log.warning("what pods call was taken away and is back", extra=facts)
        elif self.link.on != self.link.name:
            log.warning(
                "this kernel has no kind dummy: the address that pods call is on"
                " its loopback",
                extra=facts,
            )
        else:
            log.info("interface made", extra=facts)


def keep_dummy(
    settings: HubSettings, board: Board, *, clock: Clock, stack: AsyncExitStack
) -> Kept | None:
    """Have it removed when all else has ended; it is made once there are listeners."""
    if settings.dummy is None:
        return None
    kept = Kept(settings.dummy, board, clock)
    board.notes["dummy-interface"] = lambda: kept.problem
    stack.push_async_callback(kept.aclose)
    return kept
