# SPDX-License-Identifier: Apache-2.0
"""One writer's transactions in etcd: whether one was made is always found out.

Each transaction also sets the writer's *mark* (one small key of its own, outside the
prefix that API servers read), on the condition that it is as this writer left it. The
mark tells which intent of the writer was the last and how many of its steps were made,
after a broken connection as after a crash; and once it was set anew by `open`, a
transaction that was still under way can never be made. A second writer of the same
name ends the first.
"""

from collections.abc import Sequence
from typing import NamedTuple

from toono.store.base import Key
from toono.store.etcd_client import Etcd
from toono.store.etcd_errors import (
    EtcdConflictError,
    EtcdError,
    EtcdFencedError,
    WrongClusterError,
)
from toono.store.etcd_limits import Unit
from toono.store.etcd_messages import (
    Compare,
    KeyValue,
    Range,
    RangeAnswer,
    get,
    put,
    unchanged,
)

SECONDS = 10.0
BYTES_PER_SECOND = 2_000_000
"""A transaction may take as long as its bytes need on a slow link."""
OPEN_ATTEMPTS = 5


class Mark(NamedTuple):
    """What a writer's mark says; it rises."""

    number: int = 0
    """Of transactions, those of `open` among them."""
    intent: int = 0
    steps: int = 0
    """How many of the intent's steps were made."""


class Committed(NamedTuple):
    """What came of a transaction."""

    done: bool
    revision: int
    """etcd's, of the transaction."""
    found: Sequence[KeyValue]
    """Where it was not done: what its keys hold."""


class Session:
    """Transactions of one writer, one after another; `open` before the first.

    `reserved` is how many operations of each transaction it needs itself.
    """

    def __init__(self, etcd: Etcd, mark: Key) -> None:
        self._etcd = etcd
        self._mark = mark
        self._revision = 0
        self.last = Mark()
        """As far as is known."""
        self.is_open = False

    async def open(self, *, at_least: int = 0) -> Mark | None:
        """Begin anew; return what the mark said, None where there was none.

        After this nothing that was begun before can be made any more. `at_least` is
        the number that the caller knows to have been reached: it rises even where
        etcd lost some.
        """
        self.is_open = False
        for _ in range(OPEN_ATTEMPTS):
            row = await self._read()
            found = _read_mark(row)
            last = found or Mark()
            mark = last._replace(number=max(last.number, at_least) + 1)
            seen = row.mod_revision if row is not None else 0
            answer = await self._etcd.txn(
                [unchanged(self._mark, seen)], [put(self._mark, _mark(mark))]
            )
            if answer.succeeded:
                self._revision = answer.header.revision
                self.last = mark
                self.is_open = True
                return found
        raise EtcdConflictError("another writer of this hub's name begins all the time")

    async def commit(
        self,
        units: Sequence[Unit],
        *,
        guards: Sequence[Compare] = (),
        step: tuple[int, int] | None = None,
    ) -> Committed:
        """Make all units, or none and read their keys.

        `step`: of which intent, and how many of its steps are made with this one.
        EtcdFencedError where a guard fails or another writer has our mark; then, and
        after any failure but a refusal, `open` comes first and tells what was made.
        """
        if not self.is_open:
            raise EtcdFencedError("the session is not open")
        compare = [unchanged(self._mark, self._revision), *guards]
        compare += [unit.compare for unit in units if unit.compare is not None]
        intent, steps = step or (self.last.intent, self.last.steps)
        mark = Mark(self.last.number + 1, intent, steps)
        success = [put(self._mark, _mark(mark))]
        success += [unit.op for unit in units if unit.op is not None]
        failure = [get(self._mark), *(get(guard.key) for guard in guards)]
        failure += [unit.reading for unit in units]
        self.is_open = False
        seconds = SECONDS + sum(unit.size for unit in units) / BYTES_PER_SECOND
        try:
            answer = await self._etcd.txn(compare, success, failure, deadline=seconds)
        except WrongClusterError:
            raise
        except EtcdError:
            self.is_open = True  # refused as such: nothing was made
            raise
        if answer.succeeded:
            self._revision = answer.header.revision
            self.last = mark
            self.is_open = True
            return Committed(True, self._revision, ())
        found = [one.response_range or RangeAnswer() for one in answer.responses]
        self._check(found[: 1 + len(guards)], guards)
        self.is_open = True
        rows = [row for answer in found[1 + len(guards) :] for row in answer.kvs]
        return Committed(False, answer.header.revision, rows)

    def reserved(self, guards: Sequence[Compare]) -> int:
        """Return how many operations of a transaction are not the caller's."""
        return 1 + len(guards)

    def _check(self, found: Sequence[RangeAnswer], guards: Sequence[Compare]) -> None:
        """Raise where it was not the caller's units that failed."""
        if _mod_revision(found[0]) != self._revision:
            raise EtcdFencedError("another writer has this hub's name", session=True)
        for guard, answer in zip(guards, found[1:], strict=True):
            if not _holds(guard, answer):
                raise EtcdFencedError(f"{guard.key!r} is not ours any more")

    async def _read(self) -> KeyValue | None:
        found = await self._etcd.range(Range(self._mark))
        return found.kvs[0] if found.kvs else None


def _holds(guard: Compare, answer: RangeAnswer) -> bool:
    if guard.target == "MOD":
        return _mod_revision(answer) == guard.mod_revision
    created = answer.kvs[0].create_revision if answer.kvs else 0
    return created == guard.create_revision


def _mod_revision(answer: RangeAnswer) -> int:
    return answer.kvs[0].mod_revision if answer.kvs else 0


def _mark(mark: Mark) -> bytes:
    return b"%d %d %d" % mark


def _read_mark(row: KeyValue | None) -> Mark | None:
    """Return what a mark says; one that nobody of us wrote counts as none."""
    if row is None:
        return None
    parts = row.value.split(b" ")
    if len(parts) != 3 or not all(part.isdigit() and len(part) < 19 for part in parts):
        return None
    return Mark(*map(int, parts))
