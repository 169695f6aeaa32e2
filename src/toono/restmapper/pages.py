# SPDX-License-Identifier: Apache-2.0
"""One page of discovery over time: which of its documents to believe. No I/O.

Several API servers stand behind one address, and after a change they show it at
different times. What disappears is believed when a document shows it that was asked
for because of a miss or a signal; from a poll nobody asked for, only when a second
document, fetched at once, agrees. A document that was seen and replaced before may come
from a server that lags: it must be told several times in a row. While documents
disagree, what any of them holds stays, so that nothing flaps while servers differ.
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
SURE = 7
"""Further documents that must agree where servers are known to differ: with two of
them behind one address, chance makes as many agree once in 128 times."""

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
    def is_untold(self) -> bool:
        """Whether no answer about this page was ever had, now or before a restart."""
        return self.document is None and self.confirmed_at is None

    @property
    def is_aggregated(self) -> bool:
        """Whether the page last came in the aggregated form."""
        return self.document is not None and self.document.form is Form.AGGREGATED

    def doubts(self, reading: Reading, *, asked: bool) -> int:
        """How many more documents must agree before this one is believed."""
        known = self.document is not None or bool(self.content)
        if reading.failure or self.from_disk or not known:
            return 0
        groups = self._groups(reading)
        if groups == self.content:
            return 0
        lost = loses(self.content, groups)
        if self.skewed or self._was_replaced(reading):
            return SURE if lost or not asked else 0
        return 1 if lost and not asked else 0

    def believe(self, reading: Reading) -> None:
        """Take a reading for the truth."""
        self.content = self._groups(reading)
        self.skewed = self.from_disk = False
        self._remember(reading.document)

    def disbelieve(self, first: Reading, other: Reading) -> None:
        """Take two readings that do not agree, or a second one that failed."""
        readings = [each for each in (first, other) if not each.failure]
        told: Groups = ()
        for reading in readings:
            told = union(told, self._groups(reading))
        kept = self.content if other.failure else common(self.content, told)
        for reading in readings:
            self._remember(reading.document)
        self.content, self.skewed = union(told, kept), True

    def agree(self, first: Reading, other: Reading) -> bool:
        """Whether the answer to a second question says what the first one did."""
        if other.failure or other.unchanged:
            return other.unchanged
        if first.absent or other.absent:
            return first.absent and other.absent
        one, two = first.document or self.document, other.document
        return _same(one, two)

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


def _same(one: Document | None, two: Document | None) -> bool:
    return one is not None and two is not None and one.fingerprint == two.fingerprint


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


def common(groups: Sequence[GroupDocument], told: Sequence[GroupDocument]) -> Groups:
    """Of `groups`, what `told` names too."""
    named = {group.name: group for group in told}
    return tuple(
        msgspec.structs.replace(
            group, versions=_common_versions(group, named[group.name])
        )
        for group in groups
        if group.name in named
    )


def _common_versions(
    group: GroupDocument, told: GroupDocument
) -> tuple[VersionDocument, ...]:
    named = {version.version: version for version in told.versions}
    return tuple(
        _common_resources(version, named[version.version])
        for version in group.versions
        if version.version in named
    )


def _common_resources(
    version: VersionDocument, told: VersionDocument
) -> VersionDocument:
    if version.resources is None or told.resources is None:
        return version
    names = {each.resource for each in told.resources}
    if all(each.resource in names for each in version.resources):
        return version
    kept = tuple(each for each in version.resources if each.resource in names)
    return msgspec.structs.replace(version, resources=kept)
