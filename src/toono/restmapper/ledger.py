# SPDX-License-Identifier: Apache-2.0
"""All that the mapper knows, changed in one place by one writer. No I/O, no waiting.

Readings of pages come in, rows are laid over them, a new snapshot comes out whenever
something differs. The order of events (asking, sending, signals) is counted here, so
that a document is never taken for newer than what it was asked before.
"""

import logging
import operator
from collections.abc import Callable, Iterable, Mapping

import msgspec

from toono.restmapper.discovery import Document, GroupDocument, VersionDocument
from toono.restmapper.fetch import Page, Reading
from toono.restmapper.limits import Backoff
from toono.restmapper.overlay import Key, Row, agrees, lay
from toono.restmapper.pages import Groups, PageState
from toono.restmapper.records import failed, group_record, same, told, without
from toono.restmapper.snapshot import GroupRecord, Snapshot, VersionRecord
from toono.restmapper.values import ROOTS, GroupVersion, Source, root_of
from toono.runtime.clock import Clock

log = logging.getLogger(__name__)

LIST_BACKOFF = (0.2, 0.7)
"""A list that fails is asked again within a second of being wanted."""
VERSION_BACKOFF = (1.0, 60.0)

Records = dict[GroupVersion, VersionRecord]


class Ledger:
    """Pages, rows and the newest snapshot."""

    def __init__(self, clock: Clock, *, on_change: Callable[[], None]) -> None:
        self._clock = clock
        self._on_change = on_change
        self.snapshot = Snapshot()
        self.pages: dict[str, PageState] = {}
        self.rows: dict[Key, Row] = {}
        self._groups: dict[str, list[GroupRecord]] = {root: [] for root in ROOTS}
        self._records: dict[str, Records] = {root: {} for root in ROOTS}
        self._published: list[object] = []
        """What the newest snapshot was made of; never changed in place."""
        self._sequence = 0
        self._questioned: dict[str | None, int] = {}
        self._applied: dict[str, tuple[Groups, int]] = {}
        """By root: what the records were made of, and before which question."""

    def now(self) -> float:
        """Monotonic time."""
        return self._clock.monotonic()

    def tick(self) -> int:
        """The next place in the order of events."""
        self._sequence += 1
        return self._sequence

    def page(self, page: Page) -> PageState:
        """The state of a page, made at its first mention."""
        state = self.pages.get(page.path)
        if state is None:
            of_version = page.gv is not None and page.gv.version
            first, most = VERSION_BACKOFF if of_version else LIST_BACKOFF
            state = PageState(page, Backoff(first=first, most=most))
            self.pages[page.path] = state
        return state

    def prepare(self, page: Page) -> PageState:
        """The state of a page that is about to be read.

        What a legacy group serves is told by its root too: its own pages start from
        what is believed, and doubt as much as the root does.
        """
        state, gv = self.page(page), page.gv
        if gv is None:
            return state
        root = self.root(gv.group)
        state.skewed = state.skewed or root.skewed
        if gv.version and state.document is not None:
            return state
        listed = {
            each.name: [v for v in each.versions if gv.version in ("", v)]
            for each in self._groups[root.page.path]
        }
        versions = [VersionDocument(each, None) for each in listed.get(gv.group, ())]
        state.content = (GroupDocument(gv.group, tuple(versions)),) if versions else ()
        return state

    def root(self, group: str) -> PageState:
        """The page that lists a group."""
        return self.page(Page(root_of(group)))

    def was_sent(self, page: Page, since: int) -> bool:
        """Whether the page was answered to a request sent after `since`."""
        state = self.pages.get(page.path)
        return state is not None and state.sent > since

    def record(self, gv: GroupVersion) -> VersionRecord | None:
        """What the documents alone say of a group-version."""
        return self._records[root_of(gv.group)].get(gv)

    def listed(self, group: str) -> GroupRecord | None:
        """What the documents alone say of a group's versions."""
        groups = self._groups[root_of(group)]
        return next((each for each in groups if each.name == group), None)

    def restore(self, page: Page, document: Document) -> None:
        """Take a document that was kept on disk: good until it can be confirmed."""
        state = self.page(page)
        state.document, state.content = document, document.groups
        state.from_disk = True
        self._apply(state, 0)
        self.publish()

    # -- readings ----------------------------------------------------------------

    def take(
        self, page: Page, first: Reading, sent: int, *, contrary: Reading | None = None
    ) -> None:
        """Take what came of asking for a page, and of asking again in doubt."""
        if page.gv is not None and self.root(page.gv.group).is_aggregated:
            return
        state = self.page(page)
        state.sent = sent
        if first.absent and page.gv is None:
            first = self._absent_root(state)
        if first.failure:
            self._fail(state, first)
        else:
            if contrary is None:
                state.believe(first)
            else:
                state.disbelieve(first, contrary)
            if state.error and not (page.gv and page.gv.version):
                self.forgive(page.gv.group if page.gv else None)
            if page.gv is None:
                self._relieve(page.path)
            state.error, state.since = "", None
            state.backoff.clear()
            state.confirmed_at = self._clock.monotonic()
            self._apply(state, sent)
            self._settle_rows(page, sent)
        self.publish()

    def _relieve(self, root: str) -> None:
        """A root lists what a group's own page does: that one's failure is past."""
        for state in self.pages.values():
            gv = state.page.gv
            if gv is not None and not gv.version and root_of(gv.group) == root:
                state.error, state.since = "", None

    def _absent_root(self, state: PageState) -> Reading:
        """A server may lack the core group; one that had it does not lose it."""
        if state.page.path == ROOTS[0] and not state.content:
            return Reading(absent=True)
        return Reading(failure=f"{state.page.path}: HTTP 404")

    def _apply(self, state: PageState, sent: int) -> None:
        gv = state.page.gv
        if gv is None:
            self._apply_root(state, sent)
        elif gv.version:
            self._apply_version(state, gv)
        else:
            self._apply_group(state, gv.group, sent)

    def _apply_root(self, state: PageState, sent: int) -> None:
        root = state.page.path
        last_question = max(self._questioned.values(), default=0)
        applied = self._applied.get(root)
        if applied and applied[0] is state.content and applied[1] == last_question:
            return
        before = self._records[root]
        confirmed = {each.name: each for each in self._groups[root] if each.confirmed}
        groups, records, now = [], Records(), self._clock.wall()
        source = Source.DISK if state.from_disk else Source.AGGREGATED
        for group in state.content:
            settled = self._is_settled(group.name, sent)
            record = group_record(group, settled)
            groups.append(same(confirmed.get(group.name), record))
            for version in group.versions:
                gv = GroupVersion(group.name, version.version)
                old = before.get(gv)
                if state.is_aggregated:
                    records[gv] = told(
                        gv, version, old, now, source=source, confirmed=settled
                    )
                elif old is not None:
                    records[gv] = old
        self._groups[root], self._records[root] = groups, records
        if state.is_aggregated and not state.from_disk and sent > last_question:
            self._applied[root] = (state.content, last_question)
            self._forget_pages_below(root)

    def _forget_pages_below(self, root: str) -> None:
        """An aggregated root tells all that the pages below it did."""
        for path, state in list(self.pages.items()):
            if state.page.gv is not None and root_of(state.page.gv.group) == root:
                del self.pages[path]

    def _apply_group(self, state: PageState, group: str, sent: int) -> None:
        root = root_of(group)
        groups, records = self._groups[root], self._records[root]
        if not state.content:
            self._groups[root] = [each for each in groups if each.name != group]
            gone = [gv for gv in records if gv.group == group]
        else:
            record = group_record(state.content[0], self._is_settled(group, sent))
            self._groups[root] = [
                same(each, record) if each.name == group else each for each in groups
            ]
            gone = [
                gv
                for gv in records
                if gv.group == group and gv.version not in record.versions
            ]
        self._records[root] = {
            gv: each for gv, each in records.items() if gv not in gone
        }

    def _apply_version(self, state: PageState, gv: GroupVersion) -> None:
        root, old = root_of(gv.group), self.record(gv)
        groups, records = self._groups[root], self._records[root]
        if not state.content:
            lefts = [without(each, gv) for each in groups]
            self._groups[root] = [each for each in lefts if each is not None]
            self._records[root] = {
                each: records[each] for each in records if each != gv
            }
            return
        version = state.content[0].versions[0]
        if version.resources is None or not self._is_listed(gv):
            return
        source = Source.DISK if state.from_disk else Source.LEGACY
        settled, now = self._is_settled(gv.group, state.sent), self._clock.wall()
        record = told(gv, version, old, now, source=source, confirmed=settled)
        if record is not old:
            self._records[root] = {**records, gv: record}

    def _is_listed(self, gv: GroupVersion) -> bool:
        """Whether a list names it. A document that a row alone led to may come from a
        server ahead of the list's: the row answers until a list names it too.
        """
        group = self.listed(gv.group)
        return group is not None and gv.version in group.versions

    # -- failures ----------------------------------------------------------------

    def _fail(self, state: PageState, reading: Reading) -> None:
        """Keep the last good; say that nobody can tell, and since when."""
        if not state.error:
            log.warning(
                "what is served cannot be asked; what was known is still answered",
                extra={"path": state.page.path, "reason": reading.failure},
            )
        state.error = reading.failure
        state.since = state.since or self._clock.wall()
        state.backoff.fail(self._clock.monotonic(), permanent=reading.permanent)
        gv = state.page.gv
        if gv is not None and gv.version:
            if not self._is_listed(gv):
                return
            records = self._records[root_of(gv.group)]
            now = self._clock.wall()
            record = failed(gv, records.get(gv), reading.failure, now, confirmed=True)
            self._records[root_of(gv.group)] = {**records, gv: record}
        elif gv is not None:
            self._give_up(root_of(gv.group), state, {gv.group})
        else:
            self._give_up(state.page.path, state, None)

    def _give_up(self, root: str, state: PageState, groups: set[str] | None) -> None:
        """What was called in question and cannot be asked is answered as it was."""
        self._groups[root] = [
            msgspec.structs.replace(each, confirmed=True)
            if not each.confirmed and (groups is None or each.name in groups)
            else each
            for each in self._groups[root]
        ]
        if self.page(Page(root)).is_aggregated:
            self._give_up_records(root, state.error)

    def _give_up_records(self, root: str, reason: str) -> None:
        now = self._clock.wall()
        self._records[root] = {
            gv: record
            if record.confirmed
            else failed(gv, record, reason, now, confirmed=True)
            for gv, record in self._records[root].items()
        }

    def stop_waiting(self, root: str, reason: str) -> None:
        """Answer with the last good, flagged, what a slow server will not confirm."""
        state = self.page(Page(root))
        state.error = state.error or reason
        state.since = state.since or self._clock.wall()
        state.sent = self.tick()
        self._groups[root] = [
            msgspec.structs.replace(each, confirmed=True) for each in self._groups[root]
        ]
        self._give_up_records(root, reason)
        self.publish()

    # -- calling in question -------------------------------------------------------

    def question(self, group: str | None) -> None:
        """Believe nothing of a group (or of any) until it was asked for again."""
        self._questioned[group] = self.tick()
        for root in ROOTS:
            self._groups[root] = [
                msgspec.structs.replace(each, confirmed=False)
                if group is None or each.name == group
                else each
                for each in self._groups[root]
            ]
            self._records[root] = {
                gv: msgspec.structs.replace(record, confirmed=False)
                if group is None or gv.group == group
                else record
                for gv, record in self._records[root].items()
            }
        self.forgive(group)
        self.publish()

    def is_all_in_question(self, root: Page) -> bool:
        """Whether nothing was read from a root since everything was questioned."""
        return self.page(root).sent < self._questioned.get(None, 0)

    def _is_silent(self, root: Page) -> bool:
        return bool(self.page(root).error) and not self.is_all_in_question(root)

    def forgive(self, group: str | None) -> None:
        """Ask again at once what failed before."""
        for state in self.pages.values():
            gv = state.page.gv
            if group is None or gv is None or gv.group == group:
                state.backoff.clear()

    def _is_settled(self, group: str, sent: int) -> bool:
        questioned = self._questioned
        last = max(questioned.get(group, 0), questioned.get(None, 0))
        return sent > last

    # -- rows and the snapshot -------------------------------------------------------

    def add_rows(self, rows: Iterable[Row]) -> None:
        """Lay rows over the documents; the newest of a key counts."""
        for row in rows:
            self.rows[row.key] = row
        self.publish()

    def _settle_rows(self, page: Page, sent: int) -> None:
        """Drop the rows whose time is up: documents asked for after them are right."""
        root = root_of(page.gv.group) if page.gv is not None else page.path
        now = self._clock.monotonic()
        for key, row in list(self.rows.items()):
            judged = root_of(row.gv.group) == root and sent > row.born
            if judged and now >= row.until:
                del self.rows[key]

    def pending(self, root: str) -> list[Row]:
        """The rows with which the documents below a root do not agree yet."""
        records = self._records[root]
        return [
            row
            for row in self.rows.values()
            if root_of(row.gv.group) == root and not agrees(row, records)
        ]

    def publish(self) -> None:
        """Make the newest snapshot out of what is known."""
        parts: list[object] = [*self._groups.values(), *self._records.values()]
        made = self._published and all(map(operator.is_, parts, self._published))
        if made and not self.rows:
            return  # one of hundreds of legacy pages, and nothing new in it
        self._published = parts if not self.rows else []
        groups = [group for root in ROOTS for group in self._groups[root]]
        records: Mapping[GroupVersion, VersionRecord] = {
            gv: each for root in ROOTS for gv, each in self._records[root].items()
        }
        if self.rows:
            rows = list(self.rows.values())
            silent = [root for root in ROOTS if self._is_silent(Page(root))]
            wall = self._clock.wall()
            groups, records = lay(groups, records, rows, wall, silent=silent)
        after = self.snapshot.succeed(groups, records)
        if after is not self.snapshot:
            self.snapshot = after
            self._on_change()
