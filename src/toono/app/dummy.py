# SPDX-License-Identifier: Apache-2.0
"""Opens the interface that pods call: kept from start to drain, and not needed to run.

Where it cannot be had the hub says why, and nothing sends pods to it.
"""

import logging
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from toono.app.board import Board
from toono.app.settings import HubSettings
from toono.errors import OptionError
from toono.filters.approval import OF_THE_DOOR
from toono.runtime.clock import Clock
from toono.wire.dummy import DummyLink

log = logging.getLogger(__name__)

ENSURE_SECONDS = 60.0
Places = tuple[tuple[str, int], ...]


@dataclass(slots=True)
class Kept:
    """An interface that is looked after."""

    link: DummyLink
    clock: Clock
    problem: str = ""

    def ensure(self) -> bool:
        """Have it; say whether it is there."""
        try:
            if self.link.ensure():
                log.info("interface made", extra={"interface": self.link.name})
        except OptionError as exc:
            if str(exc) != self.problem:
                log.warning("pods cannot call this hub", extra={"why": str(exc)})
            self.problem = str(exc)
            return False
        self.problem = ""
        return True

    async def run(self) -> None:
        """Make it again where somebody took it away."""
        while True:
            await self.clock.sleep(ENSURE_SECONDS)
            self.ensure()


def open_dummy(
    settings: HubSettings, board: Board, *, clock: Clock, stack: AsyncExitStack
) -> HubSettings:
    """Make the interface; return the settings with its listeners, or without any."""
    if settings.dummy is None:
        return settings
    kept = Kept(settings.dummy, clock)
    board.notes["dummy-interface"] = lambda: kept.problem
    stack.callback(kept.link.remove)
    if not kept.ensure():
        return _without(settings)
    board.duties.append(("dummy-interface", kept.run))
    return replace(
        settings,
        listen=_with(settings.listen, kept.link.address),
        listen_tls=_with(settings.listen_tls, kept.link.address),
    )


def _with(places: Places, address: str) -> Places:
    """Return the listeners, and one more on an address that has none."""
    if not places or address in {host for host, _ in places}:
        return places
    return (*places, (address, places[0][1]))


def _without(settings: HubSettings) -> HubSettings:
    """Nothing leads pods to an address that is not there, or asks for its sake."""
    chosen, serving = settings.certificates, settings.serving
    if chosen is not None and chosen.serving:
        chosen, serving = replace(chosen, serving=False), None
    return replace(
        settings,
        certificates=chosen,
        serving=serving,
        surroundings=replace(settings.surroundings, door=None),
        filters_off=settings.filters_off | OF_THE_DOOR,
    )
