# SPDX-License-Identifier: Apache-2.0
"""Reading again what was read before: by a poll, a signal, or a caller's wish."""

from collections.abc import Iterable

from toono.restmapper.errors import DiscoveryUnavailableError
from toono.restmapper.fetch import Page
from toono.restmapper.flights import Flights
from toono.restmapper.ledger import Ledger
from toono.restmapper.pages import PageState
from toono.restmapper.values import ROOTS, root_of


class Refresher:
    """Re-reads pages; which ones depends on the form that each root came in."""

    def __init__(self, ledger: Ledger, flights: Flights) -> None:
        self._ledger, self._flights = ledger, flights

    async def refresh(self, groups: Iterable[str] | None, *, asked: bool) -> None:
        """Read again all pages of some groups, or of all; failures are recorded."""
        since = self._ledger.tick()
        wanted = None if groups is None else set(groups)
        lists = self._lists(wanted)
        await self._flights.read(lists, since=since, asked=asked)
        versions = self._versions(wanted)
        await self._flights.read(versions, since=since, asked=asked)

    async def retry(self) -> None:
        """Read the roots, and the group-versions that failed and may be asked again."""
        since, now = self._ledger.tick(), self._ledger.now()
        failed = [
            page
            for page in self._versions(None)
            if (state := self._ledger.page(page)).error and not state.backoff.holds(now)
        ]
        roots = [Page(root) for root in ROOTS]
        await self._flights.read([*roots, *failed], since=since, asked=False)

    def check(self, groups: Iterable[str] | None) -> None:
        """Raise DiscoveryUnavailableError if what was just read could not be."""
        wanted = None if groups is None else set(groups)
        pages = self._ledger.pages
        states = [pages.get(page.path) for page in self._lists(wanted)]
        failing = [state for state in states if state is not None and state.error]
        if failing:
            raise DiscoveryUnavailableError(
                [state.page.path for state in failing],
                "; ".join(state.error for state in failing),
                since=min(state.since or 0.0 for state in failing),
            )

    def is_troubled(self) -> bool:
        """Whether anything is there that cannot be told just now."""
        return bool(self._ledger.snapshot.doubtful) or any(
            state.error for state in self._ledger.pages.values()
        )

    def age(self, group: str | None) -> float | None:
        """Seconds since what is known (of a group) was last confirmed; None: never."""
        if group is None:
            lists = [self._confirmed_at(Page(root)) for root in ROOTS]
        else:
            own = self._confirmed_at(Page.of_group(group))
            root = self._confirmed_at(Page(root_of(group)))
            lists = [
                max((each for each in (own, root) if each is not None), default=None)
            ]
        wanted = None if group is None else {group}
        versions = [self._confirmed_at(page) for page in self._versions(wanted)]
        times = [*lists, *versions]
        known = [each for each in times if each is not None]
        return self._ledger.now() - min(known) if len(known) == len(times) else None

    def _confirmed_at(self, page: Page) -> float | None:
        state = self._ledger.pages.get(page.path)
        return None if state is None else state.confirmed_at

    def _state(self, page: Page) -> PageState:
        return self._ledger.page(page)

    def _lists(self, groups: set[str] | None) -> list[Page]:
        if groups is None or any(self._state(Page(root)).is_untold for root in ROOTS):
            return [Page(root) for root in ROOTS]
        pages: dict[Page, None] = {}
        for group in groups:
            root = Page(root_of(group))
            known = self._ledger.listed(group) is not None
            legacy = known and not self._state(root).is_aggregated
            pages[Page.of_group(group) if legacy else root] = None
        return list(pages)

    def _versions(self, groups: set[str] | None) -> list[Page]:
        """The pages of legacy group-versions that were read, failed, or were announced."""
        snapshot = self._ledger.snapshot
        announced = {row.gv for row in self._ledger.rows.values()}
        return [
            Page.of_version(gv)
            for name in (snapshot.groups if groups is None else groups)
            for gv in snapshot.order(name)
            if not self._ledger.root(gv.group).is_aggregated
            and (gv in announced or self._ledger.record(gv) is not None)
        ]
