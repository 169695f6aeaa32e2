# SPDX-License-Identifier: Apache-2.0
"""All scopes of the node: found by question, loaded from the store, written to it.

The index (names, versions, uids) of every scope in use is in memory and is what
decides; objects' bytes are in memory while they are hot, else in the store. All of
it belongs to the event loop: no rule ever waits for a disk.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from toono.cache.hot import Hot
from toono.cache.index import Index
from toono.cache.overlap import belies
from toono.cache.persist import Keeper
from toono.cache.rows import (
    SCOPE_PREFIX,
    ScopeRow,
    bucket_prefix,
    checked,
    decode_object,
    decode_scope,
    object_key,
    row_key,
    scope_id,
)
from toono.cache.scope import Change, Question, Row, RowKey, Scope, forget, name_hash
from toono.errors import CodecError
from toono.kube.names import parse_version
from toono.runtime.clock import Clock
from toono.runtime.tasks import cancel_and_wait, spawn
from toono.store.base import Store

log = logging.getLogger(__name__)

MAX_SCOPES = 8192
"""Questions remembered; a node asks some hundreds (one a Secret and ConfigMap)."""
BUDGETS = {"kubectl": 16 * 1024 * 1024}
"""Bytes of components that look at much and need little: their oldest goes first."""
MAX_BYTES = 256 * 1024 * 1024
"""Objects' bytes remembered in all; beyond it only the kubelet's are taken."""
FLUSH_SECONDS = 5.0
FIRST = "kubelet"
"""The component whose data is the last to go: without it no pod runs."""


@dataclass(slots=True)
class Counters:
    """What the cache did since the start; read by metrics."""

    dropped_changes: int = 0
    damaged_rows: int = 0
    epochs: int = 0
    refused_scopes: int = 0


class Scopes:
    """Every remembered question of this node."""

    def __init__(self, store: Store, *, clock: Clock, hot: Hot | None = None) -> None:
        self._store = store
        self._clock, self.now = clock, clock.wall
        self._hot = hot or Hot()
        self._keeper = Keeper(
            store, clock=clock, contents=self.contents, lost=self._lost, kept=self._keep
        )
        self._index = Index()
        self._high_water: dict[tuple[str, str], int] = {}
        self._loading: dict[int, asyncio.Task[None]] = {}
        self._next_id = 1
        self._flusher: asyncio.Task[None] | None = None
        self.epoch = 0
        self.changes = 0
        """Grows whenever what is known may answer a question otherwise than before."""
        self.counters = Counters()
        self.has_room: Callable[[str], bool] = lambda _: True

    async def open(self) -> None:
        """Read every scope's own row; their objects are read when first asked for."""
        scan = await self._store.scan(SCOPE_PREFIX)
        self.counters.damaged_rows += len(scan.damaged)
        for key, value in scan.rows:
            try:
                self._adopt(scope_id(key), decode_scope(value))
            except CodecError as exc:
                self.counters.damaged_rows += 1
                log.warning("a remembered question is lost", exc_info=exc)
        self._flusher = spawn(self._flush_often(), name="cache-flush")

    def _adopt(self, number: int, row: ScopeRow) -> None:
        scope = Scope(
            number,
            Question(*row.question),
            row.bucket,
            kind=row.kind,
            list_kind=row.list_kind,
            api_version=row.api_version,
            style=row.style,
            columns=row.columns,
            no_rows=row.no_rows,
            version=row.version,
            epoch=row.epoch,
            complete=row.complete,
            imported=row.imported,
            confirmed_at=row.confirmed_at,
            digest=row.digest,
            stored_size=row.size,
            loaded=False,
        )
        self.changes += 1
        self._index.place(scope)
        self._next_id = max(self._next_id, number + 1)
        if row.epoch > self.epoch:
            self.epoch = row.epoch
            self._high_water.clear()
        self._raise_high_water(scope)
        self._keeper.adopt(scope, row)

    async def aclose(self) -> None:
        """Make everything durable that waits; the store stays open."""
        if self._flusher is not None:
            await cancel_and_wait(self._flusher)
        await cancel_and_wait(*self._loading.values())
        await self._keeper.aclose()

    async def _flush_often(self) -> None:
        while True:
            await self._clock.sleep(FLUSH_SECONDS)
            self._keeper.flush()

    def flush(self) -> None:
        """Write versions that wait for company: before the hub answers by itself."""
        self._keeper.flush()

    # -- finding -------------------------------------------------------------

    def find(self, question: Question) -> Scope | None:
        """Return the scope of exactly this question."""
        return self._index.find(question)

    def about(
        self, component: str, group: str, resource: str, name: str
    ) -> Sequence[Scope]:
        """Return a component's scopes of all names, and those of `name` if it is set."""
        return self._index.about(component, group, resource, name)

    def of_all(self, group: str, resource: str, name: str) -> Sequence[Scope]:
        """Return the same of every component of the node."""
        return self._index.of_all(group, resource, name)

    def all(self) -> Iterable[Scope]:
        """Return every scope, by component and resource."""
        return self._index.all()

    def ensure(self, question: Question) -> Scope | None:
        """Return the question's scope, new if need be; None beyond the limits."""
        scope = self.find(question)
        if scope is not None:
            return scope
        component = question.component
        if component != FIRST and (self._full() or not self.has_room(component)):
            self.counters.refused_scopes += 1
            return None
        bucket = self._keeper.new_bucket()
        scope = Scope(self._next_id, question, bucket, epoch=self.epoch)
        self._next_id += 1
        self.changes += 1
        self._index.place(scope)
        return scope

    def _full(self) -> bool:
        return self._index.count >= MAX_SCOPES or self.size_bytes >= MAX_BYTES

    @property
    def size_bytes(self) -> int:
        """Bytes of all objects remembered, in memory or not."""
        return sum(scope.size for scope in self.all())

    def doubt(self) -> None:
        """Hold every scope for incomplete: rows may be lost, or old."""
        self.changes += 1
        for scope in self.all():
            scope.durable = False
            forget(scope)

    def write_anew(self) -> None:
        """Have each scope written whole at its next change: the disk lost rows."""
        for scope in self.all():
            scope.durable = False

    def is_kept(self, scope: Scope) -> bool:
        """Say whether all that a scope has ever shown is with the store."""
        return scope.complete and not self._keeper.is_writing(scope)

    def retire_imported(self, question: Question) -> None:
        """Forget what was imported for a question's component and resource.

        The cloud has listed some of it: an older file could now only show a ghost.
        """
        for scope in self.about(question[0], question[1], question[3], ""):
            if scope.imported and scope.rows:
                deletes = tuple(scope.rows)
                scope.rows, scope.digest = {}, 0
                self.commit(scope, Change((), deletes, True, False))

    def high_water(self, group: str, resource: str) -> int:
        """Return the newest version seen of a resource, whoever asked."""
        return self._high_water.get((group, resource), 0)

    def next_epoch(self, scope: Scope) -> int:
        """Return the epoch that `scope` enters if the cloud proves to be restored."""
        return max(self.epoch, scope.epoch + 1)

    # -- changing ------------------------------------------------------------

    def commit(
        self, scope: Scope, change: Change, *, sync: bool = False
    ) -> asyncio.Future[None] | None:
        """Take a rule's change: account for it and queue it for the store.

        The future is done once it is kept (with `sync`: over a power cut); None
        where nothing needs keeping or it could not be. A change that the store does
        not take makes the scope incomplete until its next list.
        """
        self.changes += 1
        scope.confirmed_at = self.now()
        if scope.epoch > self.epoch:
            self._enter_epoch(scope)
        self._raise_high_water(scope)
        if change.puts and scope.question.component in BUDGETS:
            self._keep_to_budget(scope.question.component, scope)
        for key in change.deletes:
            self._hot.drop((scope.id, key))
        if not (change.puts or change.deletes or change.scope):
            return None
        if scope.question.resource == "leases":
            return None  # not worth a write: a lease is old before it can be read
        may_wait = not (change.puts or change.deletes) and not self._is_belied(scope)
        return self._keeper.keep(scope, change, sync=sync, may_wait=may_wait)

    def _is_belied(self, scope: Scope) -> bool:
        """Say whether another scope would answer what this one's version denies."""
        since = self._keeper.stored_version(scope)
        others = self._index.beside(scope)
        return any(one is not scope and belies(one, scope, since) for one in others)

    def _keep_to_budget(self, component: str, newest: Scope) -> None:
        """Empty a component's oldest scopes until the rest is within its budget."""
        scopes = [one for one in self.all() if one.question.component == component]
        left = sum(one.size for one in scopes) - BUDGETS[component]
        for scope in sorted(scopes, key=lambda one: one.confirmed_at):
            size = scope.size
            if left > 0 and scope is not newest and size:
                left -= size
                self.empty(scope)

    def empty(self, scope: Scope) -> None:
        """Give up what a scope holds: its question is unknown again."""
        self.changes += 1
        if not scope.loaded:
            self.drop(scope)  # what it holds is known to the store alone
            return
        deletes = tuple(scope.rows)
        scope.rows, scope.digest = {}, 0
        forget(scope)
        scope.version = 0  # as if never asked: it hides no other scope's answer
        for key in deletes:
            self._hot.drop((scope.id, key))
        self._keeper.keep(scope, Change((), deletes, True, False), sync=False)

    def drop(self, scope: Scope) -> bool:
        """Give up a scope and its question; False while its list is being written."""
        if not self._keeper.drop(scope):
            return False
        self.changes += 1
        for key in scope.rows:
            self._hot.drop((scope.id, key))
        self._index.remove(scope)
        return True

    def _enter_epoch(self, scope: Scope) -> None:
        self.epoch = scope.epoch
        self.counters.epochs += 1
        self._high_water.clear()
        log.warning(
            "resourceVersions went back: the cloud was restored, a new epoch begins",
            extra={"resource": scope.question.resource, "epoch": scope.epoch},
        )

    def _raise_high_water(self, scope: Scope) -> None:
        place = (scope.question.group, scope.question.resource)
        if scope.epoch == self.epoch and scope.version > self._high_water.get(place, 0):
            self._high_water[place] = scope.version

    def _keep(self, scope: Scope, keys: Sequence[RowKey]) -> None:
        protected = scope.question.component == FIRST
        for key in keys:
            row = scope.rows.get(key)
            if row is not None and row.data is not None:
                self._hot.keep((scope.id, key), row, protected=protected)

    def _lost(self, scope: Scope, change: Change) -> None:
        self.changes += 1
        self.counters.dropped_changes += 1
        scope.durable = False
        forget(scope)
        self._keeper.mark_lost(scope, change)
        for item in change.puts:
            scope.rows.pop((item.namespace, item.name), None)
        log.warning(
            "the disk did not keep up: a change was not kept, its scope is incomplete",
            extra={"component": scope.question.component, "scope": scope.id},
        )

    # -- reading -------------------------------------------------------------

    async def load(self, scope: Scope) -> None:
        """Read a scope's index after a restart; damage makes the scope incomplete."""
        if scope.loaded:
            return
        task = self._loading.get(scope.id)
        if task is None:
            task = spawn(self._load(scope), name=f"load-scope-{scope.id}")
            self._loading[scope.id] = task
        await asyncio.shield(task)

    async def _load(self, scope: Scope) -> None:
        try:
            scan = await self._store.scan(bucket_prefix(scope.bucket))
            count, digest, damaged = 0, 0, len(scan.damaged)
            for store_key, value in scan.rows:
                try:
                    key = row_key(store_key)
                    uid, version, content = decode_object(value)
                except CodecError:
                    damaged += 1
                    continue
                count += 1
                digest ^= name_hash(key)
                scope.rows[key] = Row(uid, version, content, len(content))
                if not scope.imported:  # that is at no version, older than any
                    scope.version = max(scope.version, parse_version(version) or 0)
            self._judge(scope, digest=digest, damaged=damaged)
            self._keep(scope, list(scope.rows))
            self._raise_high_water(scope)
            scope.loaded = True
            self.changes += 1
        finally:
            del self._loading[scope.id]

    def _judge(self, scope: Scope, *, digest: int, damaged: int) -> None:
        """Mark the scope incomplete unless every name it had is there, undamaged.

        Of one that is incomplete already nobody claims to know all names.
        """
        lost = digest != scope.digest and (scope.complete or scope.imported)
        scope.digest = digest
        if not (damaged or lost):
            return
        self.counters.damaged_rows += max(damaged, 1)
        scope.durable = False
        forget(scope)
        log.warning(
            "rows of a remembered question are damaged or lost: it is incomplete",
            extra={"component": scope.question.component, "scope": scope.id},
        )

    async def contents(
        self, scope: Scope, rows: Mapping[RowKey, Row]
    ) -> Mapping[RowKey, bytes]:
        """Return the bytes of `rows`; DamagedRowError where one cannot be had."""
        found = {key: row.data for key, row in rows.items() if row.data is not None}
        missing = [key for key in rows if key not in found]
        if len(missing) > 8:
            scan = await self._store.scan(bucket_prefix(scope.bucket))
            stored = {row_key(store_key): value for store_key, value in scan.rows}
        else:
            stored = {}
            for key in missing:
                value = await self._store.get(object_key(scope.bucket, key))
                if value is not None:
                    stored[key] = value
        for key in missing:
            found[key] = checked(rows[key], stored.get(key), key)
        return found

    def touch(self, scope: Scope, key: RowKey) -> None:
        """Note that an object was asked for by name."""
        self._hot.touch((scope.id, key))
