# SPDX-License-Identifier: Apache-2.0
"""A scope: one remembered question and the rows that answer it. The heart of the cache.

A scope owns its rows and shares them with no other: a watch whose selector an object
leaves gets DELETED for it, and what that removes must not be missing elsewhere.
This module is the rules alone: no store, no clock, no sockets. Every rule takes what
the cloud said and returns the `Change` to make durable, or None where nothing changes.

Versions of a scope are compared as (epoch, version): an epoch begins when a
consistent answer shows that the cloud was restored from a backup and its
resourceVersions went back. Inside one epoch a scope's version never falls.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Literal, NamedTuple

from toono.codec.base import Object, Style
from toono.kube.names import parse_version

RowKey = tuple[str, str]
"""(namespace, name)"""


class Question(NamedTuple):
    """What a component asked: two calls with equal questions want the same set.

    `name` is set for what is known of one object by GET or by a write's answer, and
    empty for collections; the form is the media type that the rows are kept in.
    """

    component: str
    group: str
    version: str
    resource: str
    namespace: str
    name: str
    label_selector: str
    field_selector: str
    media_type: str


class Row:
    """One object in a scope. `data` is None while its bytes are only in the store."""

    __slots__ = ("data", "resource_version", "size", "uid")

    def __init__(
        self, uid: str, resource_version: str, data: bytes | None, size: int
    ) -> None:
        self.uid = uid
        self.resource_version = resource_version
        self.data = data
        self.size = size


class Change(NamedTuple):
    """What a rule changed, to be made durable as one batch."""

    puts: Sequence[Object]
    deletes: Sequence[RowKey]
    scope: bool
    """The scope's own row changed in a way that its objects' rows do not tell."""
    removes: bool
    """Something is gone, or begins to go: the barrier on deletes applies."""


@dataclass(slots=True, eq=False)
class Scope:
    """One question's rows at one version of the cloud."""

    id: int
    question: Question
    bucket: int
    """Where the store keeps the rows; changes when a big list is written ahead."""
    kind: str = ""
    """Of the objects: Pod."""
    list_kind: str = ""
    api_version: str = ""
    style: Style = "typed"
    columns: bytes = b""
    """Of a Table's scope: its columnDefinitions."""
    no_rows: Literal["[]", "null"] = "[]"
    """How a Table of its kind writes that it has no rows."""
    version: int = 0
    epoch: int = 0
    complete: bool = False
    imported: bool = False
    """Read from a tree that YurtHub wrote: at no version, equal to nothing."""
    confirmed_at: float = 0.0
    """Wall time of the last word from the cloud about this scope."""
    rows: dict[RowKey, Row] = field(default_factory=dict)
    digest: int = 0
    """Which names the rows have, in one number (`name_hash` of each, XORed)."""
    serial: int = 0
    """Grows with each change: tells whether anything happened since a `Reading`."""
    durable: bool = True
    """False once a change was not taken by the store: the next one writes it whole."""
    loaded: bool = True
    """False from a restart until the rows' index has been read from the store."""
    stored_size: int = 0
    """Bytes of its objects until then, as its own row says."""
    dropped: bool = False
    """Given up: who still feeds it feeds nothing."""

    def reading(
        self, *, consistent: bool, known_epoch: int = 0, seen: int = 0
    ) -> "Reading":
        """Note the state of the scope as a request for it is sent."""
        return Reading(
            consistent, self.version, self.epoch, self.serial, known_epoch, seen
        )

    @property
    def size(self) -> int:
        """Bytes of its objects, in memory or not."""
        if not self.loaded:
            return self.stored_size
        return sum(row.size for row in self.rows.values())

    @property
    def age_order(self) -> tuple[int, int]:
        """What decides between scopes that both could answer: the greater is newer."""
        return (self.epoch, self.version)


class Reading(NamedTuple):
    """How an answer was asked for, noted when its request was sent."""

    consistent: bool
    """Asked without resourceVersion: the answer is not older than the request."""
    version: int
    """The scope's version at that moment."""
    epoch: int
    serial: int
    known_epoch: int = 0
    """The newest epoch that was known: a consistent answer belongs to it."""
    seen: int = 0
    """The newest version in it that anybody had seen of the resource."""

    def is_of_newer_epoch(self, scope: Scope) -> bool:
        """Say whether the answer is from after a restore that `scope` missed."""
        return self.consistent and self.known_epoch > scope.epoch


def accept_list(
    scope: Scope,
    reading: Reading,
    *,
    version: int,
    items: Sequence[Object],
    next_epoch: int,
) -> Change | None:
    """Replace the scope's rows by a complete list, or burst, at `version`.

    Taken if it is not older than the scope; a list that is older changes nothing,
    except a consistent one that is older than what was known *when it was asked for*:
    then the cloud itself went back, and the list begins `next_epoch`.
    """
    if reading.epoch != scope.epoch:
        return None
    restored = reading.consistent and version < max(reading.version, reading.seen)
    restored = restored or reading.is_of_newer_epoch(scope)
    if version < scope.version and not restored and not scope.imported:
        return None
    puts: list[Object] = []
    rows: dict[RowKey, Row] = {}
    # The rows of a complete scope are known to have the sum that it names.
    known = scope.rows if scope.complete else {}
    digest, deleting = (scope.digest if scope.complete else 0), False
    for item in items:
        key = (item.namespace, item.name)
        old = scope.rows.get(key)
        if key not in known:
            digest ^= name_hash(key)
        if old is not None and _same(old, item) and not restored:
            rows[key] = old
            continue
        deleting = deleting or (item.deleting and old is not None)
        puts.append(item)
        rows[key] = _row(item)
    deletes = [key for key in scope.rows if key not in rows]
    for key in deletes:
        if key in known:
            digest ^= name_hash(key)
    changed_scope = (
        scope.version != version
        or not scope.complete
        or scope.imported
        or digest != scope.digest
    )
    _settle(scope, rows, digest, version)
    if restored:
        scope.epoch = next_epoch
    return Change(puts, deletes, changed_scope, bool(deletes) or deleting)


def accept_event(
    scope: Scope, *, position: int, version: int, event_type: str, item: Object | None
) -> Change | None:
    """Apply one watch event, or bookmark (`item` None), at `version`.

    `position` is how far its stream had come before it. The event applies only
    if nothing is missing between the scope and it: position <= scope < event.
    """
    if not scope.complete or not position <= scope.version < version:
        return None
    scope.version = version
    scope.serial += 1
    if item is None:
        return Change((), (), True, False)
    key = (item.namespace, item.name)
    old = scope.rows.get(key)
    if event_type == "DELETED":
        if old is None:
            return Change((), (), True, True)
        del scope.rows[key]
        scope.digest ^= name_hash(key)
        return Change((), (key,), True, True)
    scope.rows[key] = _row(item)
    if old is None:
        scope.digest ^= name_hash(key)
    return Change((item,), (), old is None, item.deleting)


def accept_object(
    scope: Scope, reading: Reading, *, item: Object, version: int, next_epoch: int
) -> Change | None:
    """Remember one object in a scope of one name, from a GET or a write's answer.

    `version` is the greatest that this answer proves: the object's own, or what was
    known when a consistent GET was sent. An object older than the one remembered, or
    than its absence, is taken only from a consistent answer: then the cloud went back
    (a new epoch), and what was known of versions is worth nothing.
    """
    if reading.epoch != scope.epoch:
        return None
    key = (item.namespace, item.name)
    old = scope.rows.get(key)
    moved = reading.serial != scope.serial
    own = parse_version(item.resource_version) or 0
    before = scope.version if scope.complete else 0
    if old is not None:
        before = parse_version(old.resource_version) or 0
    went_back = own < before and reading.consistent
    if not moved and (went_back or reading.is_of_newer_epoch(scope)):
        scope.epoch = next_epoch
        _settle(scope, {key: _row(item)}, name_hash(key), own)
        return Change((item,), (), True, item.deleting)
    if old is None and scope.complete and moved and version <= scope.version:
        # The name went away while this answer was under way: which came first
        # in the cloud cannot be told, so nothing is known of it any more.
        return forget(scope)
    if old is None and version < scope.version and not reading.consistent:
        return None
    if old is not None and not _same(old, item):
        if own < before:
            return None
    elif old is not None and scope.complete and not scope.imported:
        scope.version = max(scope.version, version)
        return None
    _settle(scope, {key: _row(item)}, name_hash(key), max(scope.version, version))
    return Change((item,), (), True, item.deleting)


def accept_absence(scope: Scope, reading: Reading, *, version: int) -> Change | None:
    """Remember that the scope's one name is not there, as a 404 or a delete said.

    `version` is what was known when the request was sent: a lower bound of the
    version at which the name was absent.
    """
    if reading.epoch != scope.epoch:
        return None
    if reading.is_of_newer_epoch(scope) and reading.serial == scope.serial:
        scope.epoch, scope.version = reading.known_epoch, 0
    if version < scope.version:
        return None
    deletes = tuple(scope.rows)
    if not deletes and scope.complete and scope.version == version:
        return None
    _settle(scope, {}, 0, version)
    return Change((), deletes, True, True)


def forget(scope: Scope) -> Change | None:
    """Make the scope incomplete: what it does not hold is unknown until it is listed.

    Rows that are there stay: they were so at some version, and GET may show them.
    """
    scope.serial += 1
    if not scope.complete:
        return None
    scope.complete = False
    return Change((), (), True, False)


def name_hash(key: RowKey) -> int:
    """64 bits of one row's name, the same in every process and version of toono.

    The XOR over a scope's rows is kept in the scope's own row: a row that a damaged
    database has lost shows as another sum, so damage is never taken for absence.
    """
    name = f"{key[0]}\0{key[1]}".encode()
    return int.from_bytes(blake2b(name, digest_size=8).digest(), "big")


def _settle(scope: Scope, rows: dict[RowKey, Row], digest: int, version: int) -> None:
    scope.rows = rows
    scope.digest = digest
    scope.version = version
    scope.serial += 1
    scope.complete = True
    scope.imported = False


def _row(item: Object) -> Row:
    return Row(item.uid, item.resource_version, item.data, len(item.data))


def _same(row: Row, item: Object) -> bool:
    return row.resource_version == item.resource_version and row.uid == item.uid
