# SPDX-License-Identifier: Apache-2.0
"""From a miss to an answer: which pages to read, and what it means if none helps.

An aggregated server tells all in one document. A legacy server is asked for the list
of a group's versions whenever a question without a version misses, and then only for
the group-versions that can hold the answer.
"""

from collections.abc import Callable, Iterable, Sequence

from toono.restmapper.errors import DiscoveryUnavailableError, MapperError
from toono.restmapper.fetch import Page
from toono.restmapper.flights import Flights
from toono.restmapper.ledger import Ledger
from toono.restmapper.limits import NegativeCache, TokenBucket
from toono.restmapper.queries import Finding, Question, version_of
from toono.restmapper.snapshot import VersionRecord
from toono.restmapper.values import ROOTS, GroupVersion, root_of
from toono.runtime.clock import Clock

RECENT_SECONDS = 1.0
"""A document asked for this lately answers for what nobody may ask again now."""
OVER_LIMIT = "not asked: over the limit of requests"


class Resolver:
    """Answers what the snapshot cannot."""

    def __init__(self, ledger: Ledger, flights: Flights, clock: Clock) -> None:
        self._ledger, self._flights, self._clock = ledger, flights, clock
        self.bucket = TokenBucket(rate=5.0, burst=10)
        self.absent = NegativeCache(first=1.0, most=30.0)
        self._unavailable = NegativeCache(first=1.0, most=1.0)

    async def resolve(self, question: Question) -> Finding:
        """Ask the servers; returns a finding with mappings or raises a MapperError."""
        now = self._clock.monotonic()
        finding = question.find(self._ledger.snapshot)
        if finding.is_final:
            return finding
        if not finding.mappings and self.absent.holds(question.key, now):
            raise question.absent()
        if not finding.mappings and self._unavailable.holds(question.key, now):
            raise self.unavailable(question)
        attempt = Attempt(self._ledger, self._flights, self._may_ask, question)
        await attempt.settle()
        finding = question.find(self._ledger.snapshot)
        if finding.mappings:
            return finding
        raise self._verdict(question, finding, attempt)

    def clear(self) -> None:
        """A signal came: nothing is known to be absent."""
        self.absent.clear()
        self._unavailable.clear()

    def unavailable(self, question: Question, reason: str = "") -> MapperError:
        """The error for what nobody can tell just now."""
        finding = question.find(self._ledger.snapshot)
        what: list[str] = []
        reasons, times = [reason] if reason else [], []
        for page in self._lists_of(question):
            state = self._ledger.page(page)
            if state.error or state.is_untold:
                what.append(question.group or page.path)
                reasons.extend([state.error] if state.error else [])
                times.extend([state.since] if state.since is not None else [])
        for record in finding.doubtful:
            what.append(str(record.gv))
            reasons.extend([record.error] if record.error else [])
            times.extend([record.since] if record.since is not None else [])
        what.extend(str(gv) for gv in finding.unread)
        return DiscoveryUnavailableError(
            list(dict.fromkeys(what)) or list(question.roots),
            "; ".join(dict.fromkeys(reasons)) or "nobody answered",
            since=min(times, default=None),
            last_known=finding.mappings,
        )

    def _may_ask(self) -> bool:
        return self.bucket.take(self._clock.monotonic())

    def _verdict(
        self, question: Question, finding: Finding, attempt: "Attempt"
    ) -> MapperError:
        """Absent only if everybody who could know was asked and said so."""
        now = self._clock.monotonic()
        if any(self._is_failing(page) for page in self._lists_of(question)):
            return self.unavailable(question)
        if attempt.limited:
            if self.absent.was_asked(question.key) or self._is_recent(question, now):
                return question.absent()
            return self.unavailable(question, OVER_LIMIT)
        if not attempt.is_answered():
            return self.unavailable(question)
        if finding.doubtful or finding.unread:
            if not any(self._asks_itself(record) for record in finding.doubtful):
                self._unavailable.add(question.key, now)
            return self.unavailable(question)
        self.absent.add(question.key, now)
        return question.absent()

    def _asks_itself(self, record: VersionRecord) -> bool:
        """Whether a page of its own, with its own back-off, tells of the version."""
        return not self._ledger.root(record.gv.group).is_aggregated

    def _lists_of(self, question: Question) -> Iterable[Page]:
        """The pages that say which group-versions can hold the answer."""
        for root in question.roots:
            yield Page(root)
        if not question.group:
            return
        page = Page.of_group(question.group)
        state = self._ledger.pages.get(page.path)
        if state is not None and (state.error or not state.is_untold):
            yield page

    def _is_failing(self, page: Page) -> bool:
        state = self._ledger.page(page)
        return bool(state.error) or state.is_untold

    def _is_recent(self, question: Question, now: float) -> bool:
        states = [self._ledger.page(Page(root)) for root in question.roots]
        return all(
            state.is_aggregated
            and state.confirmed_at is not None
            and now - state.confirmed_at <= RECENT_SECONDS
            for state in states
        )


class Attempt:
    """One question being settled: which pages it needs, and which it has read."""

    def __init__(
        self,
        ledger: Ledger,
        flights: Flights,
        may_ask: Callable[[], bool],
        question: Question,
    ) -> None:
        self._ledger, self._flights, self._question = ledger, flights, question
        self._may_ask = may_ask
        self._granted: bool | None = None
        self.limited = False
        """Some request was not sent because of the limit."""
        self._since = ledger.tick()
        self._done: set[str] = set()
        self._listing: list[Page] = []

    def is_answered(self) -> bool:
        """Whether every list that was needed was read since the question."""
        return all(self._ledger.was_sent(page, self._since) for page in self._listing)

    async def settle(self) -> None:
        """Read what could change the answer."""
        finding = self._question.find(self._ledger.snapshot)
        self._listing = self._lists(finding)
        await self._read(self._listing)
        completing = bool(finding.mappings)
        while pages := self._versions(completing=completing):
            await self._read(pages)

    async def _read(self, pages: Sequence[Page]) -> None:
        now = self._ledger.now()
        self._done.update(page.path for page in pages)
        ready = [p for p in pages if not self._ledger.page(p).backoff.holds(now)]
        await self._flights.read(
            ready, since=self._since, asked=True, may_start=self._may_start
        )

    def _may_start(self, page: Page) -> bool:
        """One token a question; the first reading of a listed version is free."""
        if page.gv and page.gv.version and not self._ledger.page(page).sent:
            return True
        if self._granted is None:
            self._granted = self._may_ask()
        self.limited = self.limited or not self._granted
        return self._granted

    def _lists(self, finding: Finding) -> list[Page]:
        """The pages that list groups and versions, as far as the question needs."""
        never = [root for root in ROOTS if self._ledger.page(Page(root)).is_untold]
        if any(root in never for root in self._question.roots):
            return [Page(root) for root in never]
        doubted = {root_of(gv.group) for gv in finding.unread}
        missed = not (finding.mappings and finding.settled)
        pages: list[Page] = []
        for root in self._question.roots:
            if not self._ledger.page(Page(root)).is_aggregated:
                pages.extend(self._legacy_lists(Page(root)) if missed else ())
            elif missed or root in doubted:
                pages.append(Page(root))
        return pages

    def _legacy_lists(self, root: Page) -> list[Page]:
        """A version that is listed needs no list; any other miss re-reads one."""
        question, snapshot = self._question, self._ledger.snapshot
        named = question.group
        group = None if named is None else snapshot.groups.get(named)
        if group is None or self._ledger.listed(group.name) is None:
            return [root]
        if self._ledger.is_all_in_question(root) or self._ledger.page(root).error:
            return [root]
        listed = group.versions if group.confirmed else ()
        if question.is_versioned and all(
            gv.version in listed for gv in question.versions(snapshot)
        ):
            return []
        return [Page.of_group(group.name)]

    def _versions(self, *, completing: bool) -> list[Page]:
        """Pages of group-versions that could still change the answer, if legacy."""
        snapshot = self._ledger.snapshot
        finding = self._question.find(snapshot)
        unread = self._undone(finding.unread)
        if unread:
            return unread
        if completing and finding.mappings:
            return []
        before: Sequence[GroupVersion] = self._question.versions(snapshot)
        if finding.mappings and not self._question.every:
            best = version_of(finding.mappings[0])
            before = before[: before.index(best)] if best in before else ()
        return self._undone(before)

    def _undone(self, versions: Iterable[GroupVersion]) -> list[Page]:
        """Legacy pages of listed versions that were not read since the question."""
        groups = self._ledger.snapshot.groups
        pages = []
        for gv in versions:
            page = Page.of_version(gv)
            group = groups.get(gv.group)
            if (
                group is not None
                and gv.version in group.versions
                and page.path not in self._done
                and self._is_legacy(gv.group)
                and not self._ledger.was_sent(page, self._since)
            ):
                pages.append(page)
        return pages

    def _is_legacy(self, group: str) -> bool:
        state = self._ledger.root(group)
        return state.document is not None and not state.is_aggregated
