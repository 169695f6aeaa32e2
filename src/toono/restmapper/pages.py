# SPDX-License-Identifier: Apache-2.0
"""One page of discovery over time: which of its documents to believe. No I/O.

Several API servers stand behind one address, and after a change they show it at
different times. What disappears is believed when a document shows it that was asked
for because of a miss or a signal; from a poll nobody asked for, only when a second
document, fetched at once, agrees. So is a document that was seen and replaced before:
it may come from the server that lags. Two documents that disagree are both believed
in what they hold, so that nothing flaps while the servers differ.
"""

from collections import deque
from collections.abc import Iterable, Sequence

import msgspec

from toono.restmapper.discovery import (
    Document,
    Form,
    GroupDocument,
    VersionDocument,
)
from toono.restmapper.fetch import Page, Reading
from toono.restmapper.limits import Backoff

REMEMBERED = 16
"""Replaced documents whose fingerprints are kept."""

Groups = tuple[GroupDocument, ...]


class PageState:
    """What is known of one page, and how its last readings went."""

    __slots__ = (
        "_replaced",
        "backoff",
        "confirmed_at",
        "content",
        "document",
        "error",
        "from_disk",
        "page",
        "sent",
        "since",
        "skewed",
    )

    def __init__(self, page: Page, backoff: Backoff) -> None:
        self.page = page
        self.backoff = backoff
        self.document: Document | None = None
        """The newest document; its ETag is sent with the next question."""
        self.content: Groups = ()
        """What is believed: the document's groups, or more while servers differ."""
        self.skewed = False
        self.sent = 0
        """Place, in the order of events, of the last request that was answered."""
        self.confirmed_at: float | None = None
        """Monotonic time of the last answer that confirmed the content."""
        self.error = ""
        self.since: float | None = None
        self.from_disk = False
        self._replaced: deque[str] = deque(maxlen=REMEMBERED)

    @property
    def etag(self) -> str:
        """What to send as If-None-Match."""
        return self.document.etag if self.document is not None else ""

    @property
    def is_untold(self) -> bool:
        """Whether no answer about this page was ever had, now or before a restart."""
        return self.document is None and self.confirmed_at is None

    @property
    def is_aggregated(self) -> bool:
        """Whether the page last came in the aggregated form."""
        return self.document is not None and self.document.form is Form.AGGREGATED

    def doubts(self, reading: Reading, *, asked: bool) -> bool:
        """Whether a second document must be asked for before this one is believed."""
        if reading.failure or self.document is None or self.from_disk:
            return False
        groups = self._groups(reading)
        if self.skewed or self._was_replaced(reading):
            return groups != self.content
        return not asked and loses(self.content, groups)

    def believe(self, reading: Reading) -> None:
        """Take a reading for the truth."""
        self.content = self._groups(reading)
        self.skewed = self.from_disk = False
        self._remember(reading.document)

    def weigh(self, first: Reading, second: Reading) -> None:
        """Take two readings of a page, the second asked for to confirm the first."""
        if second.failure:
            self.content = union(self.content, self._groups(first))
            return
        agreed = second.unchanged or second.absent
        if first.absent or second.absent:
            agreed = first.absent and second.absent
        elif first.document and second.document:
            agreed = first.document.fingerprint == second.document.fingerprint
        if agreed:
            self.believe(first)
            return
        both = union(self._groups(first), self._groups(second))
        self._remember(first.document)
        self._remember(second.document)
        self.content, self.skewed = both, True

    def _groups(self, reading: Reading) -> Groups:
        if reading.absent:
            return ()
        document = reading.document or self.document
        return document.groups if document is not None else ()

    def _was_replaced(self, reading: Reading) -> bool:
        document = reading.document
        return document is not None and document.fingerprint in self._replaced

    def _remember(self, document: Document | None) -> None:
        if document is None:
            return
        if self.document is not None:
            self._forget(self.document.fingerprint)
            self._replaced.append(self.document.fingerprint)
        self._forget(document.fingerprint)
        self.document = document

    def _forget(self, fingerprint: str) -> None:
        if fingerprint in self._replaced:
            self._replaced.remove(fingerprint)


def loses(before: Iterable[GroupDocument], after: Iterable[GroupDocument]) -> bool:
    """Whether anything named before is not named after."""
    named = {group.name: group for group in after}
    for group in before:
        now = named.get(group.name)
        if now is not group and (now is None or _loses_versions(group, now)):
            return True
    return False


def _loses_versions(before: GroupDocument, after: GroupDocument) -> bool:
    named = {version.version: version for version in after.versions}
    return any(
        (now := named.get(version.version)) is None or _loses_resources(version, now)
        for version in before.versions
    )


def _loses_resources(before: VersionDocument, after: VersionDocument) -> bool:
    """A document that cannot tell the resources of a version denies none."""
    if before.resources is None or after.resources is None:
        return False
    names = {each.resource for each in after.resources}
    return any(each.resource not in names for each in before.resources)


def union(older: Sequence[GroupDocument], newer: Sequence[GroupDocument]) -> Groups:
    """All that either names; where both do, as the newer tells it."""
    old = {group.name: group for group in older}
    joined = [_join(old.pop(group.name, None), group) for group in newer]
    return (*joined, *old.values())


def _join(older: GroupDocument | None, newer: GroupDocument) -> GroupDocument:
    if older is None or older is newer:
        return newer
    old = {version.version: version for version in older.versions}
    versions = [
        _join_version(old.pop(each.version, None), each) for each in newer.versions
    ]
    return GroupDocument(newer.name, (*versions, *old.values()))


def _join_version(
    older: VersionDocument | None, newer: VersionDocument
) -> VersionDocument:
    if older is None or older.resources is None:
        return newer
    if newer.resources is None:
        return older
    names = {each.resource for each in newer.resources}
    kept = [each for each in older.resources if each.resource not in names]
    return msgspec.structs.replace(newer, resources=(*newer.resources, *kept))
