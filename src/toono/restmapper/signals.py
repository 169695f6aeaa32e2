# SPDX-License-Identifier: Apache-2.0
"""From "something may have changed" to a snapshot that shows it.

A signal is a reason to ask again soon: at once, and then a few times more, because
what is Established is shown by discovery some milliseconds later, and by other servers
of the same cluster seconds later.
"""

import asyncio
import logging

from toono.restmapper.crds import Definition, read_definition
from toono.restmapper.errors import BadDocumentError
from toono.restmapper.ledger import Ledger
from toono.restmapper.limits import TokenBucket
from toono.restmapper.overlay import Row, agrees
from toono.restmapper.refresh import Refresher
from toono.restmapper.resolver import Resolver
from toono.restmapper.values import ROOTS, Source
from toono.restmapper.watch import EventType
from toono.runtime.clock import Clock

log = logging.getLogger(__name__)

RECHECKS = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0)
"""Seconds before each look; a CRD's own delay in a cluster of servers is five."""
ROW_SECONDS = 10.0
"""What no document shows for so long after it was announced is not so."""


class Signals:
    """Collects signals, and re-reads until the documents have caught up."""

    def __init__(
        self, ledger: Ledger, resolver: Resolver, refresher: Refresher, clock: Clock
    ) -> None:
        self._ledger, self._resolver = ledger, resolver
        self._refresher, self._clock = refresher, clock
        self._groups: set[str] | None = set()
        self._generation = 0
        self._awaits_change = False
        self._rung = asyncio.Event()
        self._bucket = TokenBucket(rate=5.0, burst=10)
        self.is_running = False
        """Whether `run` runs; without it a signal makes the next question ask."""
        self.count = 0

    # -- giving ------------------------------------------------------------------

    def give(self, group: str | None, *, awaits_change: bool) -> None:
        """Something of a group (None: of any) may have changed.

        With `awaits_change` documents are asked for until they differ (or for some
        seconds); without, the first answer settles it.
        """
        self.count += 1
        self._resolver.clear()
        self._ledger.forgive(group)
        if not self.is_running:
            self._ledger.question(group)
            return
        if group is None:
            self._groups = None
        elif self._groups is not None:
            self._groups.add(group)
        self._awaits_change = self._awaits_change or awaits_change
        self._generation = self._ledger.snapshot.generation
        self._rung.set()

    def learn(self, row: Row) -> None:
        """A body showed a resource that no document has yet."""
        self.give(row.gv.group, awaits_change=False)
        self._ledger.add_rows([row])

    def deadline(self) -> float:
        """Until when a row given now counts."""
        return self._clock.monotonic() + ROW_SECONDS

    # -- what a watch of CRDs tells ---------------------------------------------------

    def crd(self, event: EventType, name: str, content: bytes) -> None:
        """A CRD came, changed or went."""
        try:
            definition = read_definition(content)
        except BadDocumentError as exc:
            log.warning("CRD cannot be read", extra={"crd": name, "reason": str(exc)})
            self.give(None, awaits_change=True)
            return
        self.give(definition.group, awaits_change=False)
        rows = self._rows(definition, deleted=event is EventType.DELETED)
        self._ledger.add_rows(rows)

    def _rows(self, definition: Definition, *, deleted: bool) -> list[Row]:
        """What the documents will show once they have caught up, and do not yet."""
        if not deleted and not definition.is_served:
            return []
        ledger, born, until = self._ledger, self._ledger.tick(), self.deadline()
        served = {} if deleted else dict(definition.resources)
        plural = definition.plural
        rows = [
            Row(gv, plural, resource, Source.CRD, born, until)
            for gv, resource in served.items()
        ]
        for gv in ledger.snapshot.order(definition.group):
            shown = any(
                mapping.resource.resource == plural
                for mapping in ledger.snapshot.mappings(gv)
            )
            if shown and gv not in served:
                rows.append(Row(gv, plural, None, Source.CRD, born, until))
        return [
            row for row in rows if row.key in ledger.rows or not self._is_shown(row)
        ]

    def _is_shown(self, row: Row) -> bool:
        record = self._ledger.record(row.gv)
        return agrees(row, {row.gv: record} if record is not None else {})

    # -- acting ---------------------------------------------------------------------

    async def run(self) -> None:
        """Re-read after signals; ends by cancellation only."""
        while True:
            await self._rung.wait()
            await self._catch_up()

    async def _catch_up(self) -> None:
        groups: set[str] | None = set()
        for pause in RECHECKS:
            await self._clock.sleep(pause)
            self._rung.clear()
            groups = _both(groups, self._groups)
            self._groups = set()
            if self._bucket.take(self._clock.monotonic()):
                await self._refresher.refresh(groups, asked=True)
                if self._rung.is_set() or self._has_caught_up():
                    break
        if self._rung.is_set() and not self._has_caught_up():
            self._groups = _both(groups, self._groups)
        elif not self._rung.is_set():
            self._awaits_change = False

    def _has_caught_up(self) -> bool:
        rows = [row for root in ROOTS for row in self._ledger.pending(root)]
        if any(row.source is not Source.DISK for row in rows):
            return False
        changed = self._ledger.snapshot.generation != self._generation
        return changed or not self._awaits_change


def _both(one: set[str] | None, other: set[str] | None) -> set[str] | None:
    """Groups of either; None stands for all."""
    return None if one is None or other is None else one | other
