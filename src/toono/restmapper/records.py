# SPDX-License-Identifier: Apache-2.0
"""Records of groups and versions out of documents and failures. Pure.

Each gives back the record that was there wherever it says the same: a snapshot
compares by identity.
"""

import msgspec

from toono.restmapper.discovery import GroupDocument, VersionDocument
from toono.restmapper.snapshot import GroupRecord, VersionRecord
from toono.restmapper.values import GroupVersion, Source, State


def group_record(group: GroupDocument, confirmed: bool) -> GroupRecord:
    """The record of a group as a document lists it."""
    names = dict.fromkeys(version.version for version in group.versions)
    return GroupRecord(group.name, tuple(names), confirmed)


def same(old: GroupRecord | None, new: GroupRecord) -> GroupRecord:
    """`old` where nothing differs."""
    return old if old == new and old is not None else new


def told(
    gv: GroupVersion,
    version: VersionDocument,
    old: VersionRecord | None,
    now: float,
    *,
    source: Source,
    confirmed: bool,
) -> VersionRecord:
    """The record of a version that a document tells of."""
    resources = version.resources
    if resources is None:
        return failed(gv, old, version.problem, now, confirmed=confirmed)
    state = State.STALE if source is Source.DISK else State.FRESH
    if (
        old is not None
        and old.resources is resources
        and (old.state, old.source, old.confirmed) == (state, source, confirmed)
    ):
        return old
    record = VersionRecord(gv, resources, state, source, now, confirmed=confirmed)
    return old if old is not None and record.says_the_same(old) else record


def failed(
    gv: GroupVersion,
    old: VersionRecord | None,
    problem: str,
    now: float,
    *,
    confirmed: bool,
) -> VersionRecord:
    """The record of what cannot be told: its last good resources, or none."""
    since = now if old is None or old.since is None else old.since
    if old is None:
        record = VersionRecord(
            gv, (), State.FAILED, Source.AGGREGATED, now, problem, since, confirmed
        )
    else:
        record = msgspec.structs.replace(
            old,
            state=State.FAILED if old.state is State.FAILED else State.STALE,
            error=problem,
            since=since,
            confirmed=confirmed,
        )
    return old if old == record and old is not None else record


def without(group: GroupRecord, gv: GroupVersion) -> GroupRecord | None:
    """The group without a version; None where none is left."""
    if group.name != gv.group or gv.version not in group.versions:
        return group
    rest = tuple(each for each in group.versions if each != gv.version)
    return msgspec.structs.replace(group, versions=rest) if rest else None
