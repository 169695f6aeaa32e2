# SPDX-License-Identifier: Apache-2.0
"""How a rule's change reaches the store: in order, whole, and never waited for.

Small changes are one batch each. A change of more than a mebibyte is *written ahead*:
the scope's rows go in pieces below a new bucket that nothing points to, and one small
batch then points the scope there; a crash in between leaves the old scope, whole.
What the store does not take makes the scope incomplete, and its next list writes it
anew from the ground.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from toono.cache.rows import (
    ScopeRow,
    bucket_prefix,
    encode_object,
    encode_scope,
    object_key,
    row_of,
    scope_key,
)
from toono.cache.scope import Change, Row, RowKey, Scope
from toono.codec.base import Object
from toono.errors import (
    CodecError,
    DamagedRowError,
    StoreFullError,
    StoreUnavailableError,
)
from toono.runtime.clock import Clock
from toono.runtime.tasks import cancel_and_wait, spawn
from toono.store.base import Batch, Store

log = logging.getLogger(__name__)

WRITE_AHEAD_BYTES = 1024 * 1024
"""Of one batch. More would hold up the barrier of a delete behind it."""
FULL_RETRY_SECONDS = 0.05
MAX_BACKLOG = 64
"""Changes behind a big list, before they are made one: a disk may be away for days."""
REFUSED = (StoreFullError, StoreUnavailableError)
"""What a store says at once: there is no room, or it is closed already."""

Contents = Callable[[Scope, Mapping[RowKey, Row]], Awaitable[Mapping[RowKey, bytes]]]


class Bulk(asyncio.Future[None]):
    """Done once a big list, or what waits behind one, is with the store.

    Written in pieces, it takes its time. With `sync` it is then kept over a power cut,
    else over kill -9 alone.
    """

    def __init__(self, *, sync: bool) -> None:
        super().__init__()
        self.sync = sync
        self.is_late = False
        """It was waited for in vain: nobody waits for it again."""


@dataclass(slots=True)
class WriteAhead:
    """A big list on its way, and what changed in its scope meanwhile."""

    rows: dict[RowKey, Row]
    shown: ScopeRow
    finished: asyncio.Future[None]
    sync: bool
    change: Change
    gone: Sequence[RowKey] = ()
    """Rows of before that are known to be old: they go before anything is written."""
    whole: bool = False
    """It is on disk, and is the scope."""
    backlog: list[Change] = field(default_factory=list)
    backlog_done: Bulk | None = None
    """Done once all of it is kept for good."""
    task: asyncio.Task[None] | None = None


class Keeper:
    """Makes changes durable in the order they are given, scope by scope.

    `lost` is called where the store did not take a change. `contents` returns the
    bytes of rows, from memory or the store.
    """

    def __init__(
        self,
        store: Store,
        *,
        clock: Clock,
        contents: Contents,
        lost: Callable[[Scope, Change], None],
        kept: Callable[[Scope, Sequence[RowKey]], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._contents = contents
        self._lost = lost
        self._kept = kept
        self._stored: dict[int, ScopeRow] = {}
        self._ahead: dict[int, WriteAhead] = {}
        self._late: dict[int, Scope] = {}
        self._gone: dict[int, set[RowKey]] = {}
        self._next_bucket = 1

    def new_bucket(self) -> int:
        """Return a bucket that no scope has had."""
        self._next_bucket += 1
        return self._next_bucket - 1

    def adopt(self, scope: Scope, row: ScopeRow) -> None:
        """Know a scope that the store already holds."""
        self._stored[scope.id] = row
        self._next_bucket = max(self._next_bucket, row.bucket + 1, *row.garbage, 0)
        if row.garbage:
            self._next_bucket = max(self._next_bucket, max(row.garbage) + 1)
            self._sweep(scope, row.garbage)

    def keep(
        self, scope: Scope, change: Change, *, sync: bool, may_wait: bool = False
    ) -> asyncio.Future[None] | None:
        """Queue `change`; the future is done once it is kept (`sync`: for good).

        A change of nothing but the scope's version, as a bookmark brings, waits for
        `flush` or for company if it `may_wait`: written at once, the bookmarks of 150
        watches would wear out a flash card for nothing. What waits goes before all
        else: after a crash no other scope is newer than it was.
        """
        if scope.dropped:
            return None
        ahead = self._ahead.get(scope.id)
        if ahead is not None:
            return self._after(ahead, change)
        if may_wait and not sync and self._only_version(scope):
            self._late[scope.id] = scope
            return None
        self.flush(but=scope)
        size = sum(len(item.data) for item in change.puts)
        if size > WRITE_AHEAD_BYTES or not scope.durable:
            return self._begin(scope, change, sync=sync)
        future = self._apply(scope, [change], sync=sync)
        if future is not None:
            self._kept(scope, [(item.namespace, item.name) for item in change.puts])
        return future

    def is_writing(self, scope: Scope) -> bool:
        """Say whether a scope's list is still on its way to the store."""
        return scope.id in self._ahead

    def drop(self, scope: Scope) -> bool:
        """Have the store forget a scope for good; False where it cannot just now."""
        if scope.id in self._ahead:
            return False
        batch = Batch(
            deletes=[scope_key(scope.id)], drops=[bucket_prefix(scope.bucket)]
        )
        try:
            self._store.apply(batch)
        except REFUSED:
            return False
        self._stored.pop(scope.id, None)
        self._late.pop(scope.id, None)
        scope.dropped = True
        return True

    def stored_version(self, scope: Scope) -> int:
        """Return the version that a scope's own row has in the store, at least."""
        row = self._stored.get(scope.id)
        return row.version if row is not None else 0

    def flush(self, *, but: Scope | None = None) -> None:
        """Write the versions that were left waiting, in one batch.

        Not that `but` one scope's whose rows are not written yet.
        """
        late, self._late = self._late, {}
        if but is not None and but.id in late:
            self._late[but.id] = late.pop(but.id)
        scopes = [scope for scope in late.values() if scope.id not in self._ahead]
        if not scopes:
            return
        batch = Batch(
            puts=[(scope_key(one.id), encode_scope(self._row(one))) for one in scopes],
            deletes=[
                object_key(one.bucket, key)
                for one in scopes
                for key in self._gone.get(one.id, ())
            ],
        )
        try:
            self._store.apply(batch)
        except REFUSED:
            self._late = late | self._late
            return
        for scope in scopes:
            self._gone.pop(scope.id, None)

    async def aclose(self) -> None:
        """Finish what is being written ahead, and flush."""
        tasks = [ahead.task for ahead in self._ahead.values() if ahead.task]
        if tasks:
            _, pending = await asyncio.wait(tasks, timeout=10)
            await cancel_and_wait(*pending)
        self.flush()

    # -- one batch -----------------------------------------------------------

    def _only_version(self, scope: Scope) -> bool:
        stored = self._stored.get(scope.id)
        if stored is None or not scope.durable:
            return False
        return _lasting(stored) == _lasting(row_of(scope, stored.garbage))

    def mark_lost(self, scope: Scope, change: Change) -> None:
        """Have the store know, as soon as it takes anything, what it missed.

        Its rows of what the change was about are older than what was shown: they go.
        Its version stays: older scopes do not stand in for it.
        """
        before = self._stored.get(scope.id)
        if before is None:
            before = msgspec.structs.replace(row_of(scope), count=0, digest=0)
        self._late[scope.id] = scope
        self._stored[scope.id] = msgspec.structs.replace(
            before, complete=False, version=scope.version, epoch=scope.epoch
        )
        gone = self._gone.setdefault(scope.id, set())
        gone.update(change.deletes)
        gone.update((item.namespace, item.name) for item in change.puts)

    def _row(self, scope: Scope) -> ScopeRow:
        row = row_of(scope)
        before = self._stored.get(scope.id)
        if not scope.durable and before is not None:
            row = msgspec.structs.replace(before, complete=False)
        self._stored[scope.id] = row
        return row

    def _apply(
        self, scope: Scope, changes: Sequence[Change], *, sync: bool
    ) -> asyncio.Future[None] | None:
        """Queue the sum of `changes` as one batch."""
        total = _sum(changes)
        puts = [
            (object_key(scope.bucket, (item.namespace, item.name)), encode_object(item))
            for item in total.puts
        ]
        deletes = [object_key(scope.bucket, key) for key in total.deletes]
        if total.scope or scope.id not in self._stored:
            self._late.pop(scope.id, None)
            puts.append((scope_key(scope.id), encode_scope(self._row(scope))))
        try:
            return self._store.apply(Batch(puts=puts, deletes=deletes), sync=sync)
        except REFUSED:
            self._lost(scope, total)
            return None

    # -- a big list ----------------------------------------------------------

    def _begin(self, scope: Scope, change: Change, *, sync: bool) -> Bulk:
        before = self._stored.get(scope.id)
        shown = row_of(scope)
        finished = Bulk(sync=sync)
        gone = tuple(self._gone.pop(scope.id, ()))
        ahead = WriteAhead(dict(scope.rows), shown, finished, sync, change, gone)
        self._ahead[scope.id] = ahead
        self._late.pop(scope.id, None)
        if before is None:
            before = msgspec.structs.replace(
                shown, complete=False, version=0, count=0, digest=0
            )
        elif not scope.durable:
            before = msgspec.structs.replace(before, complete=False)
        ahead.task = spawn(
            self._write(scope, ahead, before), name=f"write-ahead-{scope.id}"
        )
        return finished

    def _after(self, ahead: WriteAhead, change: Change) -> Bulk:
        """Have a change wait for the list before it; all that do so end together."""
        ahead.backlog.append(change)
        if len(ahead.backlog) > MAX_BACKLOG:
            ahead.backlog = [_sum(ahead.backlog)]
        if ahead.backlog_done is None:
            ahead.backlog_done = Bulk(sync=True)
        return ahead.backlog_done

    async def _write(self, scope: Scope, ahead: WriteAhead, before: ScopeRow) -> None:
        old, new = scope.bucket, self.new_bucket()
        marked = msgspec.structs.replace(before, garbage=(*before.garbage, new))
        shown = msgspec.structs.replace(
            ahead.shown, bucket=new, garbage=(*before.garbage, old)
        )
        gone = [object_key(old, key) for key in ahead.gone]
        note = scope_key(scope.id)
        try:
            contents = await self._contents(scope, ahead.rows)
            await self._put(Batch(puts=[(note, encode_scope(marked))], deletes=gone))
            for piece in _pieces(new, ahead.rows, contents):
                await self._put(Batch(puts=piece))
            await self._put(Batch(puts=[(note, encode_scope(shown))]), sync=ahead.sync)
            scope.bucket, scope.durable, ahead.whole = new, True, True
            self._stored[scope.id] = shown
        except (DamagedRowError, CodecError, StoreUnavailableError) as exc:
            log.warning("a list could not be kept", exc_info=exc)
            self._lost(scope, ahead.change)
            for change in (Change((), ahead.gone, True, False), *ahead.backlog):
                self.mark_lost(scope, change)
        finally:
            self._finish(scope, ahead, old)

    def _finish(self, scope: Scope, ahead: WriteAhead, old: int) -> None:
        del self._ahead[scope.id]
        self._kept(scope, list(scope.rows))
        future, waiting = None, ahead.backlog_done
        if ahead.whole:
            if ahead.backlog:
                future = self._apply(scope, ahead.backlog, sync=True)
            self._sweep(scope, (old,))
        _settle(ahead.finished)
        if waiting is not None and future is not None:
            future.add_done_callback(lambda _: _settle(waiting))
        elif waiting is not None:
            _settle(waiting)

    def _sweep(self, scope: Scope, buckets: Sequence[int]) -> None:
        """Delete rows that nothing points to, and the note that says so."""
        row = self._stored[scope.id]
        clean = msgspec.structs.replace(row, garbage=())
        try:
            self._store.apply(
                Batch(
                    drops=[bucket_prefix(bucket) for bucket in buckets],
                    puts=[(scope_key(scope.id), encode_scope(clean))],
                )
            )
        except REFUSED:
            return  # the note stays: the next start deletes them
        self._stored[scope.id] = clean

    async def _put(self, batch: Batch, *, sync: bool = False) -> None:
        """Write, waiting for room in the store's queue."""
        while True:
            try:
                await self._store.apply(batch, sync=sync)
            except StoreFullError:
                await self._clock.sleep(FULL_RETRY_SECONDS)
            else:
                return


def _pieces(
    bucket: int, rows: Mapping[RowKey, Row], contents: Mapping[RowKey, bytes]
) -> list[list[tuple[bytes, bytes]]]:
    pieces: list[list[tuple[bytes, bytes]]] = [[]]
    size = 0
    for key, row in rows.items():
        if size >= WRITE_AHEAD_BYTES:
            pieces.append([])
            size = 0
        item = Object(
            key[0], key[1], row.uid, row.resource_version, False, contents[key]
        )
        pieces[-1].append((object_key(bucket, key), encode_object(item)))
        size += row.size
    return pieces


def _sum(changes: Sequence[Change]) -> Change:
    """Return the one change that all of them come to, in their order."""
    latest: dict[RowKey, Object | None] = {}
    for change in changes:
        latest.update((key, None) for key in change.deletes)
        latest.update(((item.namespace, item.name), item) for item in change.puts)
    return Change(
        [item for item in latest.values() if item is not None],
        [key for key, item in latest.items() if item is None],
        any(change.scope for change in changes),
        any(change.removes for change in changes),
    )


def _lasting(row: ScopeRow) -> ScopeRow:
    """Return a scope's row without what its objects' rows tell, or nobody misses."""
    return msgspec.structs.replace(row, version=0, confirmed_at=0.0, size=0)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
