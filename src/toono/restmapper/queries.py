# SPDX-License-Identifier: Apache-2.0
"""What a question means: apimachinery's rules of matching, over one snapshot.

Pure: a question and a snapshot give a finding, which says what matches, what would
have to be read before that counts, and what may hold more but cannot be asked. The
rules are those of `meta.DefaultRESTMapper` and `meta.PriorityRESTMapper`.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from toono.restmapper.errors import (
    AmbiguousKindError,
    AmbiguousResourceError,
    NoKindMatchError,
    NoMatchError,
    NoResourceMatchError,
)
from toono.restmapper.snapshot import Snapshot, VersionRecord
from toono.restmapper.values import (
    GROUPS_ROOT,
    INTERNAL,
    ROOTS,
    APIResource,
    GroupKind,
    GroupVersion,
    GroupVersionKind,
    GroupVersionResource,
    RESTMapping,
    Scope,
    State,
    guess_plural,
    root_of,
)

LIST = "List"
"""The kind of a list of anything, served by every group-version."""


class Finding(NamedTuple):
    """What a snapshot says to a question."""

    mappings: tuple[RESTMapping, ...]
    """What matches, most wanted first."""
    unread: tuple[GroupVersion, ...]
    """To be read first: what they hold would come before, or belongs to the answer."""
    doubtful: tuple[VersionRecord, ...]
    """May hold a match, but nobody can tell just now."""
    settled: bool = True
    """False where the list of a group's versions is called in question."""

    @property
    def is_final(self) -> bool:
        """A match that no reading could change, as far as anybody told."""
        return bool(self.mappings) and not self.unread and self.settled


class Question(Protocol):
    """Something one can ask the mapper."""

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for questions with one answer."""
        ...

    @property
    def every(self) -> bool:
        """Whether all matches are wanted, not only the first."""
        ...

    @property
    def group(self) -> str | None:
        """The only group that can answer; None where any may."""
        ...

    @property
    def roots(self) -> tuple[str, ...]:
        """The paths whose documents list the groups that can answer."""
        ...

    @property
    def is_versioned(self) -> bool:
        """Whether the question names the versions that can answer."""
        ...

    def versions(self, snapshot: Snapshot) -> tuple[GroupVersion, ...]:
        """The group-versions that can answer, listed or not, most wanted first."""
        ...

    def find(self, snapshot: Snapshot) -> Finding:
        """What the snapshot says."""
        ...

    def absent(self) -> NoMatchError:
        """The error of a confirmed absence."""
        ...


class KindQuestion(NamedTuple):
    """Which resource has this kind? `every` asks for all versions, not the first."""

    kind: GroupKind
    asked: tuple[str, ...] = ()
    every: bool = False

    @property
    def key(self) -> tuple[object, ...]:
        return (self.kind, self.asked)

    @property
    def group(self) -> str:
        return self.kind.group

    @property
    def roots(self) -> tuple[str, ...]:
        return (root_of(self.group),)

    @property
    def is_versioned(self) -> bool:
        return bool(self._named_versions())

    def versions(self, snapshot: Snapshot) -> tuple[GroupVersion, ...]:
        return self._named_versions() or snapshot.order(self.group)

    def _named_versions(self) -> tuple[GroupVersion, ...]:
        return tuple(
            GroupVersion(self.group, version)
            for version in self.asked
            if version and version != INTERNAL
        )

    def find(self, snapshot: Snapshot) -> Finding:
        group = snapshot.groups.get(self.group)
        if group is None:
            return Finding((), (), ())
        found: list[RESTMapping] = []
        unread, doubtful = [], []
        for gv in self.versions(snapshot):
            record = snapshot.records.get(gv)
            if record is None or not record.confirmed:
                unread.extend([gv] if gv.version in group.versions else [])
            here = of_kind(snapshot, gv, self.kind.kind)
            found.extend(here)
            if here and not self.every:
                break
            if record is not None and record.state is not State.FRESH:
                doubtful.append(record)
        return Finding(tuple(found), tuple(unread), tuple(doubtful), group.confirmed)

    def absent(self) -> NoMatchError:
        return NoKindMatchError(self.kind, self.asked)


class ResourceQuestion(NamedTuple):
    """What has this name? Made by `about`; `every` asks for all, not the first."""

    resource: GroupVersionResource
    every: bool = False
    short: bool = False
    """Also by short name, where no plural or singular matches."""

    @classmethod
    def about(
        cls, resource: GroupVersionResource, *, every: bool = False, short: bool = False
    ) -> "ResourceQuestion":
        """A question in the form that matching needs (coerceResourceForMatching)."""
        version = "" if resource.version == INTERNAL else resource.version
        name = resource.resource.lower()
        if not name:
            raise ValueError("a resource must be named")
        return cls(resource._replace(version=version, resource=name), every, short)

    @property
    def key(self) -> tuple[object, ...]:
        return (self.resource, self.short)

    @property
    def group(self) -> str | None:
        """Its group, where a group is named and no prefix of one can be meant."""
        group, version, _ = self.resource
        return group if group and version else None

    @property
    def roots(self) -> tuple[str, ...]:
        return (GROUPS_ROOT,) if self.resource.group else ROOTS

    @property
    def is_versioned(self) -> bool:
        return bool(self.resource.version)

    def versions(self, snapshot: Snapshot) -> tuple[GroupVersion, ...]:
        group, version, _ = self.resource
        if group and version:
            return (GroupVersion(group, version),)
        every = [
            gv
            for name in snapshot.groups
            if name.startswith(group)
            for gv in snapshot.order(name)
            if not version or gv.version == version
        ]
        every.sort(key=lambda gv: (gv.group != group, snapshot.rank(gv)))
        return tuple(every)

    def find(self, snapshot: Snapshot) -> Finding:
        found = sorted(
            self._matches(snapshot),
            key=lambda mapping: snapshot.rank(version_of(mapping)),
        )
        return Finding(
            tuple(found),
            self._unread(snapshot, found),
            tuple(each for each in snapshot.doubtful if self._may_hold(each.gv)),
            not any(
                self._may_hold(GroupVersion(name, "")) for name in snapshot.unsettled
            ),
        )

    def absent(self) -> NoMatchError:
        return NoResourceMatchError(self.resource)

    def _matches(self, snapshot: Snapshot) -> Sequence[RESTMapping]:
        group, version, name = self.resource
        named = list(snapshot.named(name)) or list(_lists(snapshot, name))
        found = _within(named, group, version)
        if not found and self.short:
            found = _within(snapshot.shortened(name), group, version)
        return _without_twins(found, name)

    def _unread(
        self, snapshot: Snapshot, found: Sequence[RESTMapping]
    ) -> tuple[GroupVersion, ...]:
        if not snapshot.unread:
            return ()
        order = self.versions(snapshot)
        if found and not self.every:
            order = order[: order.index(version_of(found[0])) + 1]
        unread = set(snapshot.unread)
        return tuple(gv for gv in order if gv in unread)

    def _may_hold(self, gv: GroupVersion) -> bool:
        group, version, _ = self.resource
        if version and gv.version and gv.version != version:
            return False
        return not group or (gv.group == group if version else gv[0].startswith(group))


def _within(
    candidates: Sequence[RESTMapping], group: str, version: str
) -> list[RESTMapping]:
    """Those of a group (exactly, else by prefix where no version is given)."""
    if version:
        candidates = [each for each in candidates if each.kind.version == version]
    if not group:
        return list(candidates)
    exact = [each for each in candidates if each.kind.group == group]
    if exact or version:
        return exact
    return [each for each in candidates if each.kind.group.startswith(group)]


def _without_twins(found: Sequence[RESTMapping], name: str) -> list[RESTMapping]:
    """In one group-version a plural hides a singular of the same letters."""
    plurals = {version_of(mapping) for mapping in found if mapping.api.resource == name}
    return [
        mapping
        for mapping in found
        if mapping.api.resource == name or version_of(mapping) not in plurals
    ]


def version_of(mapping: RESTMapping) -> GroupVersion:
    """The group-version of a mapping."""
    return GroupVersion(mapping.kind.group, mapping.kind.version)


# -- what apimachinery registers besides the kinds that are served -----------------


def of_kind(snapshot: Snapshot, gv: GroupVersion, kind: str) -> Sequence[RESTMapping]:
    """The mappings of a kind: exact, then in lower case, then as the kind of a list.

    restmapper.NewDiscoveryRESTMapper registers each kind in lower case too, each
    with "List" behind it under a guessed plural, and "List" itself.
    """
    hot = snapshot.kinds.get(GroupVersionKind(gv.group, gv.version, kind))
    if hot is not None:
        return (hot,)
    served = snapshot.mappings(gv)
    exact = [each for each in served if each.kind.kind == kind]
    if exact or not served:
        return exact
    lower = [each for each in served if each.kind.kind.lower() == kind]
    if lower:
        return [_echoing(each, kind) for each in lower]
    if kind == LIST:
        return [_list_mapping(gv, LIST, Scope.CLUSTER)]
    base = kind.removesuffix(LIST)
    if base == kind:
        return []
    return [
        _list_mapping(gv, kind, each.scope) for each in served if each.kind.kind == base
    ][:1]


def _lists(snapshot: Snapshot, name: str) -> Iterable[RESTMapping]:
    """What the guessed plural or singular of a kind of list stands for."""
    if not name.endswith(("list", "lists")):
        return
    singular = name.removesuffix("s")
    if singular == LIST.lower():
        for gv in snapshot.records:
            if snapshot.mappings(gv):
                yield _list_mapping(gv, LIST, Scope.CLUSTER)
        return
    for mapping in snapshot.all_mappings():
        if mapping.kind.kind.lower() + "list" == singular:
            kind = mapping.kind.kind + LIST
            yield _list_mapping(version_of(mapping), kind, mapping.scope)


def _list_mapping(gv: GroupVersion, kind: str, scope: Scope) -> RESTMapping:
    plural, singular = guess_plural(kind)
    named = GroupVersionKind(gv.group, gv.version, kind)
    return RESTMapping(
        GroupVersionResource(gv.group, gv.version, plural),
        named,
        scope,
        APIResource(plural, singular, named, scope),
    )


def _echoing(mapping: RESTMapping, kind: str) -> RESTMapping:
    """The mapping, with the kind spelled as the question spelled it."""
    return RESTMapping(
        mapping.resource,
        mapping.kind._replace(kind=kind),
        mapping.scope,
        mapping.api,
        mapping.stale,
    )


# -- one out of several ---------------------------------------------------------------


def only_kind(question: KindQuestion, mappings: Sequence[RESTMapping]) -> RESTMapping:
    """The mapping that comes first; raises where its group-version has two."""
    first = mappings[0]
    rivals = [each for each in mappings if each.kind == first.kind]
    if len(rivals) > 1:
        raise AmbiguousKindError(question.kind, [each.resource for each in rivals])
    return first


def only_resource(
    question: ResourceQuestion, mappings: Sequence[RESTMapping]
) -> RESTMapping:
    """The mapping that comes first; raises where its group-version has two."""
    first = mappings[0]
    rivals = [each for each in mappings if version_of(each) == version_of(first)]
    if len(rivals) > 1:
        raise AmbiguousResourceError(
            question.resource,
            [each.resource for each in rivals],
            [each.kind for each in rivals],
        )
    return first
