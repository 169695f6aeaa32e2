# SPDX-License-Identifier: Apache-2.0
"""What is known before discovery shows it: rows laid over the documents. Pure.

A CRD that became Established is served at once but shown by discovery some
milliseconds later, and by other servers later still; the same holds for one that is
gone. A row counts until its time is up, because the next document may come from a
server that lags behind the one that agreed.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from toono.restmapper.snapshot import GroupRecord, VersionRecord
from toono.restmapper.values import (
    APIResource,
    GroupVersion,
    Source,
    State,
    root_of,
    version_rank,
)

Key = tuple[GroupVersion, str]
"""A group-version and a plural."""


class Row(msgspec.Struct, frozen=True):
    """One resource of one group-version, there or gone, whatever the documents say."""

    gv: GroupVersion
    plural: str
    resource: APIResource | None
    """None: it is gone."""
    source: Source
    born: int
    """Its place in the order of events: documents asked for before prove nothing."""
    until: float
    """Monotonic time after which documents are right and the row is not."""

    @property
    def key(self) -> Key:
        return (self.gv, self.plural)


def agrees(row: Row, records: Mapping[GroupVersion, VersionRecord]) -> bool:
    """Whether the documents say what the row says."""
    record = records.get(row.gv)
    served = None if record is None else _named(record, row.plural)
    if served is None or row.resource is None:
        return served is row.resource
    if row.source is not Source.CRD:
        return served.kind.kind == row.resource.kind.kind
    return served.essence == row.resource.essence


def lay(
    groups: Sequence[GroupRecord],
    records: Mapping[GroupVersion, VersionRecord],
    rows: Iterable[Row],
    wall: float,
    *,
    silent: Collection[str] = (),
) -> tuple[list[GroupRecord], dict[GroupVersion, VersionRecord]]:
    """Groups and records as they are once the rows are laid over them.

    A row with which the documents agree changes nothing. One from a file is called in
    question until its root was asked in vain: `silent` names the roots that do not
    answer.
    """
    named = {group.name: group for group in groups}
    laid = dict(records)
    by_version: dict[GroupVersion, list[Row]] = {}
    for row in rows:
        if agrees(row, records):
            continue
        by_version.setdefault(row.gv, []).append(row)
    for gv in sorted(by_version, key=lambda gv: (gv.group, version_rank(gv.version))):
        trusted = root_of(gv.group) in silent
        record = _changed(laid.get(gv), by_version[gv], wall, trusted=trusted)
        group = named.get(gv.group)
        if record is None:
            continue
        if record.resources or record.error:
            laid[gv] = record
            named[gv.group] = _with(group, gv)
        elif group is not None:
            laid.pop(gv, None)
            _drop(named, group, gv.version)
    return list(named.values()), laid


def _changed(
    record: VersionRecord | None, rows: Sequence[Row], wall: float, *, trusted: bool
) -> VersionRecord | None:
    """The record with the rows in it; None where there is none and none begins."""
    if record is None and all(row.resource is None for row in rows):
        return None
    if record is None:
        source = rows[0].source
        kept = source is Source.DISK
        record = VersionRecord(
            rows[0].gv,
            (),
            State.STALE if kept else State.FRESH,
            source,
            wall,
            confirmed=trusted or not kept,
        )
    replaced = {row.plural: row for row in rows}
    others = [each for each in record.resources if each.resource not in replaced]
    added = [row.resource for row in rows if row.resource is not None]
    return msgspec.structs.replace(record, resources=(*others, *added))


def _with(group: GroupRecord | None, gv: GroupVersion) -> GroupRecord:
    """Versions that no document shows yet come after those that one does.

    Which version is preferred is the server's to say: an unrelated resource in a new
    version flips it, and the old kinds stay where they are.
    """
    if group is None:
        return GroupRecord(gv.group, (gv.version,))
    if gv.version in group.versions:
        return group
    return msgspec.structs.replace(group, versions=(*group.versions, gv.version))


def _drop(named: dict[str, GroupRecord], group: GroupRecord, version: str) -> None:
    rest = tuple(each for each in group.versions if each != version)
    if rest:
        named[group.name] = msgspec.structs.replace(group, versions=rest)
    else:
        del named[group.name]


def _named(record: VersionRecord, plural: str) -> APIResource | None:
    for resource in record.resources:
        if resource.resource == plural:
            return resource
    return None
