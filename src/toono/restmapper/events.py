# SPDX-License-Identifier: Apache-2.0
"""What changed between two snapshots, for those who keep something per kind.

Subscribers are told by level, not by edge: whoever is slow gets the difference
between what it last saw and what is there now, so that nothing queues up.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from enum import Enum
from typing import NamedTuple

from toono.restmapper.snapshot import Snapshot
from toono.restmapper.values import GroupVersion, GroupVersionKind, RESTMapping


class Change(Enum):
    """What happened to a kind."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    """Another resource, scope, or set of verbs, names or subresources."""


class Event(NamedTuple):
    """One kind in one version that is not what it was."""

    change: Change
    kind: GroupVersionKind
    mapping: RESTMapping
    """As it is now; for REMOVED, as it was."""


def differences(before: Snapshot, after: Snapshot) -> Iterator[Event]:
    """The events from one snapshot to a later one: removals first."""
    if before is after:
        return
    versions = dict.fromkeys((*_served(before), *_served(after)))
    changed = [gv for gv in versions if before.mappings(gv) is not after.mappings(gv)]
    pairs = [(_kinds(before, gv), _kinds(after, gv)) for gv in changed]
    for old, new in pairs:
        for kind in old.keys() - new.keys():
            yield Event(Change.REMOVED, kind, old[kind][0])
    for old, new in pairs:
        for kind, mappings in new.items():
            if kind not in old:
                yield Event(Change.ADDED, kind, mappings[0])
            elif _essence(mappings) != _essence(old[kind]):
                yield Event(Change.CHANGED, kind, mappings[0])


def _served(snapshot: Snapshot) -> Iterator[GroupVersion]:
    for group in snapshot.groups:
        yield from snapshot.order(group)


def _essence(mappings: Iterable[RESTMapping]) -> list[tuple[object, ...]]:
    return [
        (*each.api.essence, frozenset(below.name for below in each.api.subresources))
        for each in mappings
    ]


def _kinds(
    snapshot: Snapshot, gv: GroupVersion
) -> dict[GroupVersionKind, list[RESTMapping]]:
    kinds: dict[GroupVersionKind, list[RESTMapping]] = {}
    for mapping in snapshot.mappings(gv):
        kinds.setdefault(mapping.kind, []).append(mapping)
    return kinds


class News:
    """Wakes all who wait for the next snapshot."""

    def __init__(self, newest: Callable[[], Snapshot]) -> None:
        self._newest = newest
        self._event = asyncio.Event()

    def tell(self) -> None:
        """There is a new snapshot."""
        event, self._event = self._event, asyncio.Event()
        event.set()

    async def after(self, seen: Snapshot) -> Snapshot:
        """The newest snapshot, once it is another than `seen`."""
        while self._newest() is seen:
            await self._event.wait()
        return self._newest()

    async def events(self, seen: Snapshot) -> AsyncIterator[Event]:
        """Every difference after `seen`, for ever."""
        while True:
            now = await self.after(seen)
            for event in differences(seen, now):
                yield event
            seen = now
