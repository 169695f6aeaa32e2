# SPDX-License-Identifier: Apache-2.0
"""Between the ledger and its files: what is kept, and what is taken back at a start."""

import asyncio
import logging
from pathlib import Path

from toono.restmapper import persist, yurthub
from toono.restmapper.errors import BadDocumentError
from toono.restmapper.fetch import Fetcher, Page
from toono.restmapper.ledger import Ledger
from toono.restmapper.observing import Observer
from toono.restmapper.overlay import Row
from toono.restmapper.persist import Kept, KeptPage, KeptRow
from toono.restmapper.snapshot import Snapshot
from toono.restmapper.values import ROOTS, GroupVersion, Source

log = logging.getLogger(__name__)


class Shelf:
    """Where one cluster's discovery is kept."""

    def __init__(
        self, file: Path | None, yurthub_file: Path | None, *, identity: str
    ) -> None:
        self._file, self._yurthub_file = file, yurthub_file
        self._identity = identity

    def restore(self, ledger: Ledger, fetcher: Fetcher, observer: Observer) -> None:
        """Take back what was kept; whatever cannot be used is left out."""
        kept = persist.read(self._file, self._identity) if self._file else None
        if kept is None:
            if self._yurthub_file is not None:
                ledger.add_rows(yurthub.read(self._yurthub_file))
            return
        if kept.plain:
            fetcher.refuse_aggregated()
        observer.version(kept.version)
        for page in kept.pages:
            self._restore_page(page, ledger, fetcher)
        ledger.add_rows(
            Row(row.gv, row.plural, row.resource, Source.DISK, born=0, until=0.0)
            for row in kept.rows
        )

    def _restore_page(self, kept: KeptPage, ledger: Ledger, fetcher: Fetcher) -> None:
        gv = GroupVersion(kept.group, kept.version)
        page = Page(kept.path, gv if kept.group or kept.version else None)
        try:
            document = fetcher.decode(page, kept.media_type, kept.etag, kept.body)
        except BadDocumentError as exc:
            extra = {"path": kept.path, "reason": str(exc)}
            log.warning("a kept document cannot be read", extra=extra)
            return
        ledger.restore(page, document)

    async def save(self, ledger: Ledger, fetcher: Fetcher, observer: Observer) -> None:
        """Write the files; raises OSError."""
        kept = Kept(
            self._identity,
            observer.version_document,
            fetcher.is_plain,
            tuple(_pages(ledger)),
            tuple(
                KeptRow(row.gv, row.plural, row.resource)
                for root in ROOTS
                for row in ledger.pending(root)
                if row.resource is not None
            ),
        )
        await asyncio.to_thread(self._write, kept, ledger.snapshot)

    def _write(self, kept: Kept, snapshot: Snapshot) -> None:
        if self._file is not None:
            persist.write(self._file, kept)
        if self._yurthub_file is not None:
            yurthub.write(self._yurthub_file, snapshot)


def _pages(ledger: Ledger) -> list[KeptPage]:
    """The documents that came, lists before what they list."""
    pages = []
    for path in sorted(ledger.pages, key=len):
        state = ledger.pages[path]
        if state.document is None:
            continue
        group, version = state.page.gv or ("", "")
        document = state.document
        pages.append(
            KeptPage(
                path, group, version, document.media_type, document.etag, document.raw
            )
        )
    return pages
