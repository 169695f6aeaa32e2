# SPDX-License-Identifier: Apache-2.0
"""How much goes into one transaction of etcd, and where a larger one is cut.

A pool's own etcd runs with both limits raised, so that a whole list is one
transaction. Against a default one it becomes several, in the order given: what must
not be missing goes first.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from toono.store.base import Key
from toono.store.etcd_messages import Compare, Op, get

PER_UNIT_BYTES = 64
"""What a condition, an operation and its reading add to their keys and value."""
MARGIN = 0.95
"""Of the bytes allowed: etcd measures its own form of the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What etcd takes: --max-txn-ops and --max-request-bytes."""

    ops: int = 102_400
    bytes: int = 100_000_000


DEFAULTS = Limits(ops=128, bytes=1536 * 1024)
"""Of an etcd that nobody configured."""


class Unit(NamedTuple):
    """What a transaction does to one key, and on which condition."""

    key: Key
    compare: Compare | None
    op: Op | None

    @property
    def size(self) -> int:
        """An upper bound of its bytes in the request: the key stands there thrice."""
        asked = self.op.request_put if self.op is not None else None
        return 3 * len(self.key) + PER_UNIT_BYTES + len(asked.value if asked else b"")

    @property
    def reading(self) -> Op:
        """What is asked instead where the transaction's conditions fail."""
        return get(self.key)


class Packed(NamedTuple):
    """Units in as many transactions as they need, and those that fit in none."""

    chunks: Sequence[Sequence[Unit]]
    too_large: Sequence[Unit]


def pack(units: Iterable[Unit], limits: Limits, *, reserved: int) -> Packed:
    """Cut units, in their order; `reserved` operations of each are not ours."""
    room, most = int(limits.bytes * MARGIN), limits.ops - reserved
    chunks: list[list[Unit]] = [[]]
    too_large: list[Unit] = []
    size = 0
    for unit in units:
        if unit.size > room:
            too_large.append(unit)
            continue
        if len(chunks[-1]) >= most or size + unit.size > room:
            chunks.append([])
            size = 0
        chunks[-1].append(unit)
        size += unit.size
    return Packed([chunk for chunk in chunks if chunk], too_large)
