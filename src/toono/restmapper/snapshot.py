# SPDX-License-Identifier: Apache-2.0
"""All that is known at one instant, indexed; never changed, only replaced.

A hit is a read of a plain dict of the newest snapshot: no lock, no await, nothing
that a refresh could hold up. A successor shares what did not change with the one
before it, so that one new resource among thousands costs the copy of four dicts.
This module decides nothing; `queries` does.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from toono.restmapper.values import (
    CORE,
    APIResource,
    GroupKind,
    GroupVersion,
    GroupVersionKind,
    GroupVersionResource,
    RESTMapping,
    Source,
    State,
)


class VersionRecord(msgspec.Struct, frozen=True):
    """What is known of one group-version."""

    gv: GroupVersion
    resources: tuple[APIResource, ...]
    state: State
    source: Source
    fetched_at: float
    """Wall clock of when this content was first read."""
    error: str = ""
    since: float | None = None
    """Wall clock of the first failure in a row; None while it can be read."""
    confirmed: bool = True
    """False once someone said that it may be wrong: ask before answering."""

    def says_the_same(self, other: "VersionRecord | None") -> bool:
        """Whether only the time of reading differs."""
        return other is not None and self == msgspec.structs.replace(
            other, fetched_at=self.fetched_at
        )


class GroupRecord(msgspec.Struct, frozen=True):
    """A group and its versions in the order the server gave them."""

    name: str
    versions: tuple[str, ...]
    confirmed: bool = True
    """False once the list of versions may be wrong: read it before answering."""


class Indexes(NamedTuple):
    """The dicts of a snapshot; copied, changed, and then never again."""

    mapped: dict[GroupVersion, tuple[RESTMapping, ...]]
    kinds: dict[GroupVersionKind, RESTMapping]
    preferred: dict[GroupKind, RESTMapping]
    names: dict[str, tuple[RESTMapping, ...]]
    shorts: dict[str, tuple[RESTMapping, ...]]

    def copy(self) -> "Indexes":
        return Indexes(
            self.mapped.copy(),
            self.kinds.copy(),
            self.preferred.copy(),
            self.names.copy(),
            self.shorts.copy(),
        )


class Snapshot:
    """Everything known, at one instant. Immutable; share it as you like."""

    __slots__ = (
        "_index",
        "_order",
        "_rank",
        "doubtful",
        "generation",
        "groups",
        "kinds",
        "preferred",
        "records",
        "unread",
        "unsettled",
    )

    def __init__(self) -> None:
        self.generation = 0
        """Grows by one with every change."""
        self.groups: Mapping[str, GroupRecord] = {}
        """By name, in the server's order."""
        self.records: Mapping[GroupVersion, VersionRecord] = {}
        self.unread: tuple[GroupVersion, ...] = ()
        """Listed, but their resources were never read or are called in question."""
        self.unsettled: tuple[str, ...] = ()
        """Groups whose list of versions is called in question."""
        self.doubtful: tuple[VersionRecord, ...] = ()
        """Not FRESH: what is missing from these may still be there."""
        self._index = Indexes({}, {}, {}, {}, {})
        self._order: dict[str, tuple[GroupVersion, ...]] = {}
        self._rank: dict[str, int] = {}
        self.kinds = self._index.kinds
        """The hot path: a kind in a version → its only mapping."""
        self.preferred = self._index.preferred
        """The hot path: a kind → its mapping in the version that comes first."""

    # -- reading -----------------------------------------------------------------

    def order(self, group: str) -> tuple[GroupVersion, ...]:
        """The versions of a group, most wanted first, () if it is unknown."""
        return self._order.get(group, ())

    def rank(self, gv: GroupVersion) -> tuple[int, int]:
        """Order over all group-versions: core first, then groups as served."""
        order = self._order[gv.group]
        return (self._rank[gv.group], order.index(gv))

    def mappings(self, gv: GroupVersion) -> tuple[RESTMapping, ...]:
        """Every mapping of a group-version, as served."""
        return self._index.mapped.get(gv, ())

    def named(self, name: str) -> tuple[RESTMapping, ...]:
        """Whatever has `name` as its plural or singular, in no order."""
        return self._index.names.get(name, ())

    def shortened(self, name: str) -> tuple[RESTMapping, ...]:
        """Whatever has `name` as a short name, in no order."""
        return self._index.shorts.get(name, ())

    def served(self, resource: GroupVersionResource) -> RESTMapping | None:
        """The mapping of a resource by its full name; None if it is not known.

        For who has a URL and wants the kind: that of a list nobody has an object of.
        """
        for mapping in self.named(resource.resource):
            if mapping.resource == resource:
                return mapping
        return None

    def all_mappings(self) -> Iterable[RESTMapping]:
        """Every mapping, group by group in the server's order."""
        for group in self.groups:
            for gv in self._order[group]:
                yield from self.mappings(gv)

    # -- succeeding ----------------------------------------------------------------

    def succeed(
        self,
        groups: Sequence[GroupRecord],
        records: Mapping[GroupVersion, VersionRecord],
    ) -> "Snapshot":
        """The snapshot that follows this one; this one itself if nothing changed."""
        by_name = {group.name: group for group in groups}
        same_order = list(by_name) == list(self.groups)
        if same_order and by_name == self.groups and records == self.records:
            return self
        after = Snapshot()
        after.generation = self.generation + 1
        after.groups, after.records = by_name, records
        touched = self._touched(by_name, records)
        index = self._index.copy()
        order = {name: self._order[name] for name in by_name if name not in touched}
        for name in touched & self._order.keys():
            _remove(index, name, self._order[name])
        for name in touched & by_name.keys():
            order[name] = _ordered(by_name[name], records)
            _add(index, by_name[name], order[name], records)
        after._take(index, order)
        return after

    def _touched(
        self,
        groups: Mapping[str, GroupRecord],
        records: Mapping[GroupVersion, VersionRecord],
    ) -> set[str]:
        """Groups of which anything differs."""
        touched = {
            name
            for name in groups.keys() | self.groups.keys()
            if groups.get(name) != self.groups.get(name)
        }
        mine = self.records
        for gv, record in records.items():
            if mine.get(gv) is not record:
                touched.add(gv.group)
        touched.update(gv.group for gv in mine if gv not in records)
        return touched

    def _take(self, index: Indexes, order: dict[str, tuple[GroupVersion, ...]]) -> None:
        self._index = index
        self.kinds, self.preferred = index.kinds, index.preferred
        self._order = order
        self._rank = {name: place for place, name in enumerate(self.groups, 1)}
        if CORE in self._rank:
            self._rank[CORE] = 0
        self.unread = tuple(
            gv
            for name in self.groups
            for gv in order[name]
            if (record := self.records.get(gv)) is None or not record.confirmed
        )
        self.unsettled = tuple(
            group.name for group in self.groups.values() if not group.confirmed
        )
        self.doubtful = tuple(
            record
            for record in self.records.values()
            if record.state is not State.FRESH
        )


def _ordered(
    group: GroupRecord, records: Mapping[GroupVersion, VersionRecord]
) -> tuple[GroupVersion, ...]:
    """As served, but what the server cannot tell just now comes last.

    client-go takes stale versions out of the list and prefers the first that is
    left (discovery/aggregated_discovery.go); ours keep their last good answer.
    """

    def is_stale(gv: GroupVersion) -> bool:
        record = records.get(gv)
        return record is not None and record.state is State.STALE

    versions = [GroupVersion(group.name, version) for version in group.versions]
    return tuple(sorted(versions, key=is_stale))


def _add(
    index: Indexes,
    group: GroupRecord,
    order: Sequence[GroupVersion],
    records: Mapping[GroupVersion, VersionRecord],
) -> None:
    complete = group.confirmed
    decided: set[str] = set()
    for gv in order:
        record = records.get(gv)
        if record is None:
            complete = False
            continue
        complete = complete and record.confirmed
        mappings = tuple(_mappings(record))
        index.mapped[gv] = mappings
        for mapping in mappings:
            _add_names(index, mapping)
        if group.confirmed and record.confirmed:
            _add_kinds(index, mappings, decided if complete else None)


def _mappings(record: VersionRecord) -> Iterable[RESTMapping]:
    group, version = record.gv
    stale = record.state is not State.FRESH
    for api in record.resources:
        kind = api.kind.kind
        if kind:
            yield RESTMapping(
                GroupVersionResource(group, version, api.resource),
                GroupVersionKind(group, version, kind),
                api.scope,
                api,
                stale,
            )


def _add_names(index: Indexes, mapping: RESTMapping) -> None:
    api = mapping.api
    own, names = (mapping,), index.names
    names[api.resource] = names.get(api.resource, ()) + own
    if api.singular != api.resource:
        names[api.singular] = names.get(api.singular, ()) + own
    for short in api.short_names:
        index.shorts[short] = index.shorts.get(short, ()) + own


def _add_kinds(
    index: Indexes, mappings: Sequence[RESTMapping], decided: set[str] | None
) -> None:
    """Put on the hot path what has exactly one answer.

    `decided` holds the kinds that a version before this one has; None where such a
    version was not read, so that nothing can be said without a version.
    """
    single: dict[GroupVersionKind, RESTMapping | None] = {}
    for mapping in mappings:
        single[mapping.kind] = None if mapping.kind in single else mapping
    for kind, only in single.items():
        if only is not None:
            index.kinds[kind] = only
        if decided is None or kind.kind in decided:
            continue
        decided.add(kind.kind)
        if only is not None:
            index.preferred[GroupKind(kind.group, kind.kind)] = only


def _remove(index: Indexes, group: str, order: Sequence[GroupVersion]) -> None:
    for gv in order:
        for mapping in index.mapped.pop(gv, ()):
            kind, api = mapping.kind, mapping.api
            index.kinds.pop(kind, None)
            index.preferred.pop(GroupKind(group, kind.kind), None)
            for name in (api.resource, api.singular):
                _remove_name(index.names, name, group)
            for short in api.short_names:
                _remove_name(index.shorts, short, group)


def _remove_name(
    names: dict[str, tuple[RESTMapping, ...]], name: str, group: str
) -> None:
    rest = tuple(each for each in names.get(name, ()) if each.kind.group != group)
    if rest:
        names[name] = rest
    else:
        names.pop(name, None)
