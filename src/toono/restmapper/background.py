# SPDX-License-Identifier: Apache-2.0
"""What keeps the mapper right while nobody asks: polls, watches, the file.

All of it is optional: a mapper that is only asked works without, and is then as right
as its last miss.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from toono.restmapper.observations import API_SERVICES, CRDS
from toono.restmapper.refresh import Refresher
from toono.restmapper.signals import Signals
from toono.restmapper.transport import Transport
from toono.restmapper.watch import EventType, Watcher
from toono.runtime.clock import Clock

log = logging.getLogger(__name__)

JITTER = 0.2
DEBOUNCE_SECONDS = 5.0
"""Between two writes of the file: flash wears."""

VERSION_SECONDS = 600.0


def collection_path(group_resource: tuple[str, str]) -> str:
    """Where a cluster-scoped v1 collection is listed and watched."""
    group, resource = group_resource
    return f"/apis/{group}/v1/{resource}"


class Polls:
    """Re-reads everything every `period` seconds, and what fails sooner."""

    def __init__(
        self,
        refresher: Refresher,
        clock: Clock,
        period: float,
        ask_version: Callable[[], Awaitable[None]],
    ) -> None:
        self._refresher, self._clock, self._period = refresher, clock, period
        self._ask_version = ask_version
        self._random = random.Random()  # noqa: S311  # jitter, no secret

    async def run(self) -> None:
        """Read once, then again and again; ends by cancellation only."""
        await self._refresher.refresh(None, asked=True)
        await self._ask_version()
        version_asked = polled = self._clock.monotonic()
        period, failures = self._next_period(), 0
        while True:
            troubled = self._refresher.is_troubled()
            failures = failures + 1 if troubled else 0
            due = max(0.0, polled + period - self._clock.monotonic())
            pause = min(due, 2.0 ** min(failures - 1, 16)) if troubled else due
            await self._clock.sleep(pause)
            now = self._clock.monotonic()
            if now < polled + period:
                await self._refresher.retry()
            else:
                polled, period = now, self._next_period()
                await self._refresher.refresh(None, asked=False)
            recovered = troubled and not self._refresher.is_troubled()
            if recovered or now - version_asked >= VERSION_SECONDS:
                version_asked = now
                await self._ask_version()

    def _next_period(self) -> float:
        return self._period * self._random.uniform(1 - JITTER, 1 + JITTER)


class CRDListener:
    """Turns the watches into signals."""

    def __init__(self, signals: Signals, on_live: Callable[[str, bool], None]) -> None:
        self._signals, self._on_live = signals, on_live

    def listed(self, *, changed: bool) -> None:
        self._signals.give(None, awaits_change=changed)

    def happened(self, event: EventType, name: str, content: bytes) -> None:
        self._signals.crd(event, name, content)

    def live(self, *, is_live: bool) -> None:
        self._on_live("crds", is_live)


class APIServiceListener:
    """An APIService only says that a group-version may have changed."""

    def __init__(self, signals: Signals, on_live: Callable[[str, bool], None]) -> None:
        self._signals, self._on_live = signals, on_live

    def listed(self, *, changed: bool) -> None:
        self._signals.give(None, awaits_change=changed)

    def happened(self, event: EventType, name: str, content: bytes) -> None:
        group = name.partition(".")[2]
        self._signals.give(group or None, awaits_change=True)

    def live(self, *, is_live: bool) -> None:
        self._on_live("apiservices", is_live)


def watchers(
    transport: Transport,
    signals: Signals,
    clock: Clock,
    on_live: Callable[[str, bool], None],
) -> list[Watcher]:
    """The two watches that tell of changes as they happen."""
    return [
        Watcher(transport, collection_path(CRDS), CRDListener(signals, on_live), clock),
        Watcher(
            transport,
            collection_path(API_SERVICES),
            APIServiceListener(signals, on_live),
            clock,
        ),
    ]


class Keeper:
    """Writes the file when something changed, not more often than every 5 s."""

    def __init__(self, clock: Clock, write: Callable[[], Awaitable[None]]) -> None:
        self._clock, self._write = clock, write
        self._changed = asyncio.Event()

    def tell(self) -> None:
        """Something changed."""
        self._changed.set()

    async def run(self) -> None:
        """Write after changes; ends by cancellation only."""
        while True:
            await self._changed.wait()
            await self._clock.sleep(DEBOUNCE_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Write now, if anything changed."""
        if not self._changed.is_set():
            return
        self._changed.clear()
        try:
            await self._write()
        except OSError as exc:
            log.warning("discovery cannot be kept", extra={"reason": str(exc)})
