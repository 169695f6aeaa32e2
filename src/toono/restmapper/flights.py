# SPDX-License-Identifier: Apache-2.0
"""One request at a time for a page, whoever wants it, and none that is too old.

Who asks after a request was sent may have seen what its answer does not show, so it
shares the next one. A waiter that is cancelled or out of time leaves the request to
the others.
"""

import asyncio
from collections.abc import Callable, Sequence

from toono.restmapper.fetch import Fetcher, Page, Reading
from toono.restmapper.ledger import Ledger
from toono.runtime.tasks import cancel_and_wait, spawn

PARALLEL = 8
"""Requests for group-versions at once (legacy discovery asks for each)."""


class Flight:
    """One request for a page, being made or about to be."""

    __slots__ = ("asked", "page", "sent", "task")

    def __init__(self, page: Page, *, asked: bool) -> None:
        self.page = page
        self.asked = asked
        """Somebody waits for it, or a signal wants it; False for a mere poll."""
        self.sent = 0
        self.task: asyncio.Task[None] | None = None

    def covers(self, since: int) -> bool:
        """Whether its answer will be newer than `since`."""
        return not self.sent or self.sent > since


class Flights:
    """The requests under way to one upstream."""

    def __init__(self, fetcher: Fetcher, ledger: Ledger) -> None:
        self._fetcher, self._ledger = fetcher, ledger
        self._under_way: dict[str, Flight] = {}
        self._slots = asyncio.Semaphore(PARALLEL)

    async def read(
        self,
        pages: Sequence[Page],
        *,
        since: int,
        asked: bool,
        may_start: Callable[[Page], bool] = lambda page: True,
    ) -> None:
        """Wait until each page was read, by requests sent after `since`.

        A page whose request would have to be started, and may not be, is left out.
        """
        wanted = list(pages)
        while wanted:
            tasks, older = [], []
            for page in wanted:
                flight = self._under_way.get(page.path)
                if flight is None and may_start(page):
                    flight = self._start(page, asked=asked)
                if flight is None or flight.task is None:
                    continue
                tasks.append(flight.task)
                if flight.covers(since):
                    flight.asked = flight.asked or asked
                else:
                    older.append(page)
            if tasks:
                await asyncio.wait(tasks)
            wanted = older

    async def aclose(self) -> None:
        """Give up what is under way."""
        tasks = [flight.task for flight in self._under_way.values() if flight.task]
        await cancel_and_wait(*tasks)

    def _start(self, page: Page, *, asked: bool) -> Flight:
        flight = Flight(page, asked=asked)
        self._under_way[page.path] = flight
        flight.task = spawn(self._fly(flight), name=f"discovery of {page.path}")
        flight.task.add_done_callback(lambda task: self._landed(flight, task))
        return flight

    def _landed(self, flight: Flight, task: asyncio.Task[None]) -> None:
        """A transport that breaks its word must not make anything look absent."""
        failure = None if task.cancelled() else task.exception()
        if failure is not None:
            reading = Reading(failure=f"{flight.page.path}: {failure!r}")
            self._ledger.take(flight.page, reading, flight.sent)

    async def _fly(self, flight: Flight) -> None:
        try:
            if flight.page.gv is None:
                await self._ask(flight)
            else:
                async with self._slots:
                    await self._ask(flight)
        finally:
            del self._under_way[flight.page.path]

    async def _ask(self, flight: Flight) -> None:
        page, state = flight.page, self._ledger.prepare(flight.page)
        flight.sent = self._ledger.tick()
        first = await self._fetcher.read(page, state.document)
        known = None if first.absent else first.document or state.document
        contrary = None
        for _ in range(state.doubts(first, asked=flight.asked)):
            other = await self._fetcher.read(page, known)
            if not state.agree(first, other):
                contrary = other
                break
        self._ledger.take(page, first, flight.sent, contrary=contrary)
