# SPDX-License-Identifier: Apache-2.0
"""Which objects belong into one folder of the tree, of all scopes that share it.

Pure: takes what the scopes hold at one moment and says what the folder should hold.
Scopes of one component and resource share a folder, and no two are at one version:
of an object the newest wins, a newer scope that would hold it and does not says that
it is gone, and what none holds is removed; but never on the word of a scope that has
lost rows, for damage is not absence.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from toono.cache.scope import Question, Row, RowKey, Scope
from toono.cache.tree_layout import Folder, place_of
from toono.kube import selectors
from toono.kube.names import parse_version

State = tuple[int, str, str]
"""(epoch, uid, resourceVersion)"""
JSON_MEDIA_TYPES = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A scope as it was when the pass began; `rows` is a copy of its index."""

    scope: Scope
    question: Question
    rows: Mapping[RowKey, Row]
    age_order: tuple[int, int]
    complete: bool
    imported: bool
    lost_rows: bool
    """The store did not take, or has lost, some of it."""


class Wanted(NamedTuple):
    """The row that a file is to be made of."""

    held: Held
    key: RowKey
    row: Row

    @property
    def state(self) -> State:
        return (self.held.age_order[0], self.row.uid, self.row.resource_version)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a folder should hold, by path below it (parts joined with /)."""

    files: dict[str, Wanted] = field(default_factory=dict)
    directories: frozenset[str] = frozenset()
    """Below the folder ("" itself): there even if empty, for a list of nothing."""
    gone: frozenset[str] = frozenset()
    """Names that a newer scope denies: removed whatever else is in doubt."""
    removes: bool = False
    """Files that are not wanted may be removed."""
    placeless: int = 0
    """Objects that have no place in the layout."""


def hold(scope: Scope) -> Held:
    """Note what `scope` holds now."""
    return Held(
        scope=scope,
        question=scope.question,
        rows=dict(scope.rows),
        age_order=scope.age_order,
        complete=scope.complete,
        imported=scope.imported,
        lost_rows=not scope.durable and not scope.complete,
    )


def plan(folder: Folder, scopes: Sequence[Held], *, ignores_case: bool) -> Plan:
    """Say what `folder` should hold; `ignores_case` as its file system does."""
    newest = _newest(scopes)
    deniers = [one for one in scopes if _may_deny(one)]
    files: dict[str, Wanted] = {}
    gone: set[str] = set()
    placeless = 0
    for key, (wanted, known_at) in newest.items():
        place = place_of(folder, key)
        if place is None:
            placeless += 1
        elif any(one.age_order > known_at and _denies(one, key) for one in deniers):
            gone.add("/".join(place))
        else:
            files["/".join(place)] = wanted
    clashes = _clashes(files, ignores_case=ignores_case)
    for path in clashes:
        del files[path]
    return Plan(
        files=files,
        directories=_directories(folder, scopes),
        gone=frozenset(gone),
        removes=_may_remove(scopes),
        placeless=placeless + len(clashes),
    )


def _newest(
    scopes: Iterable[Held],
) -> dict[RowKey, tuple[Wanted, tuple[int, int]]]:
    """Return of each object the newest row, and the newest scope that holds it."""
    found: dict[RowKey, tuple[Wanted, tuple[int, int]]] = {}
    for held in scopes:
        for key, row in held.rows.items():
            known = found.get(key)
            if known is None:
                found[key] = (Wanted(held, key, row), held.age_order)
                continue
            wanted, known_at = known
            if _rank(held, row) > _rank(wanted.held, wanted.row):
                wanted = Wanted(held, key, row)
            found[key] = (wanted, max(known_at, held.age_order))
    return found


def _rank(held: Held, row: Row) -> tuple[int, int, bool]:
    """Order rows of one object; at one version the form that needs no transcoding."""
    version = parse_version(row.resource_version) or 0
    in_json = held.question.media_type.startswith(JSON_MEDIA_TYPES)
    return (held.age_order[0], version, in_json)


def _may_deny(held: Held) -> bool:
    return held.complete and not held.imported and not held.question.label_selector


def _denies(held: Held, key: RowKey) -> bool:
    """Say whether a complete scope would hold this name whatever the object holds."""
    question = held.question
    if key in held.rows:
        return False
    if question.name:
        return (question.namespace, question.name) == key
    if question.namespace not in ("", key[0]):
        return False
    return question.field_selector == "" or selectors.covers_name(
        question.field_selector, namespace=key[0], name=key[1]
    )


def _clashes(files: Iterable[str], *, ignores_case: bool) -> list[str]:
    """Return paths that cannot be beside others: as a directory, or but for case."""
    paths = sorted(files)
    directories = {path.partition("/")[0] for path in paths if "/" in path}
    clashes = [path for path in paths if path in directories]
    if ignores_case:
        seen: set[str] = set()
        for path in paths:
            folded = path.casefold()
            if folded in seen:
                clashes.append(path)
            seen.add(folded)
    return list(dict.fromkeys(clashes))


def _directories(folder: Folder, scopes: Iterable[Held]) -> frozenset[str]:
    """Return what an empty list leaves: a directory, so that it is not unknown."""
    found = set()
    for held in scopes:
        question = held.question
        pinned = question.name or selectors.pinned_name(question.field_selector)
        if not held.complete or held.imported or pinned:
            continue
        place = place_of(folder, (question.namespace, "x"))
        if place is not None:
            found.add("/".join(place[:-1]))
    return frozenset(found)


def _may_remove(scopes: Sequence[Held]) -> bool:
    """Say whether a file that no scope holds may go.

    Not while all that is known was read from the tree itself, nor while a scope may
    have held what it lost.
    """
    known = any(not held.imported for held in scopes)
    return known and not any(held.lost_rows for held in scopes)
