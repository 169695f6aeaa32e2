# SPDX-License-Identifier: Apache-2.0
"""What a change of a component's keys asks of etcd, by what etcd was last seen to hold.

Pure: a plan supposes, its conditions let etcd check that, and where etcd disagrees
another plan is made from what it said.
"""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import NamedTuple

from toono.store.base import Key
from toono.store.component_keys import Step
from toono.store.etcd_limits import Unit
from toono.store.etcd_messages import delete, put, unchanged

VERSION_UNKNOWN = -1
"""Of a value that holds none: anything that does is newer."""

Version = Callable[[Key, bytes], int | None]
"""key, value → the cloud's version of it; None where it is no object of the cloud."""


class Seen(NamedTuple):
    """What etcd held below a key when we last looked: 0, 0 where it held nothing."""

    revision: int
    version: int


ABSENT = Seen(0, 0)


@dataclass(slots=True)
class Outcome:
    """What a change came to."""

    written: int = 0
    older: int = 0
    """Left alone: etcd holds a newer version, or the same."""
    deleted: int = 0
    transactions: int = 0
    refused: list[Key] = field(default_factory=list)
    """Values without a version, and those that no transaction can hold."""


class Plan(NamedTuple):
    """Units in their order, and what they change in the entry."""

    units: list[Unit]
    adds: frozenset[Key]
    drops: frozenset[Key]
    """Given up without a change in etcd: someone newer has them."""
    outcome: Outcome


class Facts(NamedTuple):
    """What a plan is made from."""

    owned: AbstractSet[Key]
    """The entry's keys."""
    shared: Callable[[Key], bool]
    """Another entry of this node holds the key, too."""
    seen: Mapping[Key, Seen]
    version: Version


def make_plan(
    facts: Facts,
    rows: Mapping[Key, bytes],
    gone: AbstractSet[Key] | None,
    version: int | None,
) -> Plan:
    """Return what puts `rows` and deletes `gone`, as known at `version`.

    `gone` None: all of the entry that is not in `rows`. `version` None: delete
    whatever stands there. A key that was not looked at is supposed to be absent, and
    etcd asked whether it is: to give it up unasked would leave a ghost.
    """
    units: list[Unit] = []
    outcome = Outcome()
    for key, value in rows.items():
        seen = facts.seen.get(key, ABSENT)
        ours = facts.version(key, value)
        if ours is None:
            outcome.refused.append(key)
            continue
        newer = not seen.revision or ours > seen.version
        outcome.written += newer
        outcome.older += not newer
        op = put(key, value) if newer else None
        units.append(Unit(key, unchanged(key, seen.revision), op))
    adds = frozenset(unit.key for unit in units) - facts.owned
    leaving = (facts.owned if gone is None else gone & facts.owned) - rows.keys()
    drops = set()
    for key in sorted(leaving):
        seen = facts.seen.get(key, ABSENT)
        overtaken = version is not None and seen.version > version
        absent = key in facts.seen and not seen.revision
        if overtaken or absent or facts.shared(key):
            drops.add(key)
            continue
        outcome.deleted += 1
        units.append(Unit(key, unchanged(key, seen.revision), delete(key)))
    return Plan(units, adds, frozenset(drops), outcome)


def steps_of(chunks: Sequence[Sequence[Unit]], plan: Plan) -> list[Step]:
    """Return what each transaction changes in the entry."""
    steps = []
    for number, chunk in enumerate(chunks):
        adds = tuple(unit.key for unit in chunk if unit.key in plan.adds)
        removes = [
            unit.key
            for unit in chunk
            if unit.op is not None and unit.op.request_delete_range is not None
        ]
        if number == len(chunks) - 1:
            removes += sorted(plan.drops)
        steps.append(Step(adds, tuple(removes)))
    return steps
