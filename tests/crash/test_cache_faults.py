# SPDX-License-Identifier: Apache-2.0
"""Mistakes put into the cache on purpose: does its explorer see them?

Each fault is what a change of a line or two above the store would do; those in the
store are in `test_store_faults`. The living cache itself may be caught saying what it
must not, or a crash state, or one where the disk lost a row.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.crash import cache_stories
from tests.crash.cache_explorer import explore, explore_losses
from tests.crash.cache_session import Wrong, record
from tests.crash.cache_stories import STORIES, Life
from tests.crash.test_store_faults import barrier_passed_before_the_commit
from toono.cache import persist, record_watch
from toono.cache import record as recording
from toono.cache.persist import Keeper, WriteAhead
from toono.cache.rows import SCOPE_PREFIX, ScopeRow
from toono.cache.scope import Scope
from toono.cache.scopes import Scopes
from toono.cache.tree import adopt_tree
from toono.store.base import Batch
from toono.store.engine import Engine

Patch = pytest.MonkeyPatch
Plant = Callable[[Patch], None]
SESSIONS = 24
STATES = 200
"""Of each session: a fault must show within SESSIONS * STATES of them."""


# -- what belongs into one transaction ------------------------------------------


def _in_two(first: Callable[[Batch], Batch], second: Callable[[Batch], Batch]) -> Plant:
    def plant(patch: Patch) -> None:
        commit = Engine.commit

        def commit_apart(self: Engine, batches) -> None:
            for batch in batches:
                commit(self, [first(batch)])
                commit(self, [second(batch)])

        patch.setattr(Engine, "commit", commit_apart)

    return plant


def _of_scopes(batch: Batch) -> Batch:
    return Batch(puts=[put for put in batch.puts if put[0].startswith(SCOPE_PREFIX)])


def _of_objects(batch: Batch) -> Batch:
    rows = [put for put in batch.puts if not put[0].startswith(SCOPE_PREFIX)]
    return Batch(puts=rows, deletes=batch.deletes, drops=batch.drops)


def _puts(batch: Batch) -> Batch:
    return Batch(puts=batch.puts)


def _removals(batch: Batch) -> Batch:
    return Batch(deletes=batch.deletes, drops=batch.drops)


scope_row_in_its_own_transaction = _in_two(_of_objects, _of_scopes)
version_before_rows = _in_two(_of_scopes, _of_objects)
rows_before_deletes = _in_two(_puts, _removals)


# -- a list that is written ahead ----------------------------------------------


def rows_written_ahead_where_they_are_visible(patch: Patch) -> None:
    write = Keeper._write

    async def in_place(
        self: Keeper, scope: Scope, ahead: WriteAhead, before: ScopeRow
    ) -> None:
        contents = await self._contents(scope, ahead.rows)
        for piece in persist._pieces(scope.bucket, ahead.rows, contents):
            await self._put(Batch(puts=piece))
        await write(self, scope, ahead, before)

    patch.setattr(Keeper, "_write", in_place)


def scope_pointed_to_rows_that_are_not_there_yet(patch: Patch) -> None:
    write = Keeper._write

    async def pointed(
        self: Keeper, scope: Scope, ahead: WriteAhead, before: ScopeRow
    ) -> None:
        early = msgspec.structs.replace(ahead.shown, bucket=self._next_bucket)
        await write(self, scope, ahead, early)

    patch.setattr(Keeper, "_write", pointed)


def rows_that_are_replaced_not_swept(patch: Patch) -> None:
    patch.setattr(Keeper, "_sweep", lambda self, scope, buckets: None)


# -- what is known of what the disk lost ------------------------------------------


def quarantine_taken_for_absence(patch: Patch) -> None:
    patch.setattr(Scopes, "_judge", lambda self, scope, **found: None)


def dropped_batch_not_marking_its_scope(patch: Patch) -> None:
    patch.setattr(Scopes, "_lost", lambda self, scope, change: None)


def dropped_batch_marking_its_scope_in_memory_alone(patch: Patch) -> None:
    patch.setattr(Keeper, "mark_lost", lambda self, scope, change: None)


def dropped_batch_leaving_rows_that_are_old(patch: Patch) -> None:
    mark = Keeper.mark_lost

    def mark_alone(self: Keeper, scope: Scope, change) -> None:
        mark(self, scope, change._replace(puts=(), deletes=()))

    patch.setattr(Keeper, "mark_lost", mark_alone)


def rows_known_to_be_old_left_while_a_list_is_written(patch: Patch) -> None:
    write = Keeper._write

    async def forgetful(
        self: Keeper, scope: Scope, ahead: WriteAhead, before: ScopeRow
    ) -> None:
        ahead.gone = ()
        await write(self, scope, ahead, before)

    patch.setattr(Keeper, "_write", forgetful)


# -- what is older -----------------------------------------------------------------


def older_list_applied(patch: Patch) -> None:
    accept = recording.accept_list

    def accept_any(scope: Scope, reading, *, version: int, **rest):
        scope.version = min(scope.version, version)
        reading = reading._replace(consistent=False)
        return accept(scope, reading, version=version, **rest)

    patch.setattr(recording, "accept_list", accept_any)
    patch.setattr(record_watch, "accept_list", accept_any)


def older_event_applied(patch: Patch) -> None:
    accept = record_watch.accept_event

    def accept_any(scope: Scope, *, version: int, **rest):
        scope.version = min(scope.version, version - 1)
        return accept(scope, version=version, **rest)

    patch.setattr(record_watch, "accept_event", accept_any)


def event_applied_over_a_hole(patch: Patch) -> None:
    accept = record_watch.accept_event

    def accept_any(scope: Scope, *, position: int, **rest):
        return accept(scope, position=min(position, scope.version), **rest)

    patch.setattr(record_watch, "accept_event", accept_any)


def older_object_applied(patch: Patch) -> None:
    accept = recording.accept_object

    def accept_any(scope: Scope, reading, **rest):
        for row in scope.rows.values():
            row.resource_version = "1"
        return accept(scope, reading, **rest)

    patch.setattr(recording, "accept_object", accept_any)


class _Blind:
    """Scopes in which nothing is found that is there already."""

    def __init__(self, scopes: Scopes) -> None:
        self._scopes = scopes

    def find(self, question) -> None:
        return None

    def __getattr__(self, name: str):
        return getattr(self._scopes, name)


def import_over_newer(patch: Patch) -> None:
    def adopt(scopes: Scopes, found) -> int:
        return adopt_tree(_Blind(scopes), found)  # type: ignore[arg-type]

    patch.setattr(cache_stories, "adopt_tree", adopt)


def import_retired_before_its_list_is_kept(patch: Patch) -> None:
    commit = recording.commit_list

    def retire_first(scopes: Scopes, scope: Scope, change):
        scopes.retire_imported(scope.question)
        return commit(scopes, scope, change)

    patch.setattr(recording, "commit_list", retire_first)
    patch.setattr(record_watch, "commit_list", retire_first)


# -- what is told to a client ------------------------------------------------------


def removal_not_synced(patch: Patch) -> None:
    keep = Keeper.keep

    def keep_unsynced(self: Keeper, scope: Scope, change, *, sync: bool, **rest):
        return keep(self, scope, change, sync=False, **rest)

    patch.setattr(Keeper, "keep", keep_unsynced)


def client_told_before_the_commit(patch: Patch) -> None:
    keep = Keeper.keep

    def keep_and_tell(self: Keeper, scope: Scope, change, **rest):
        keep(self, scope, change, **rest)
        told = asyncio.get_running_loop().create_future()
        told.set_result(None)
        return told

    patch.setattr(Keeper, "keep", keep_and_tell)


FAULTS: dict[Plant, str] = {
    scope_row_in_its_own_transaction: "ordinary",
    version_before_rows: "ordinary",
    rows_before_deletes: "ordinary",
    rows_written_ahead_where_they_are_visible: "ordinary",
    scope_pointed_to_rows_that_are_not_there_yet: "ordinary",
    rows_that_are_replaced_not_swept: "ordinary",
    quarantine_taken_for_absence: "ordinary",
    dropped_batch_not_marking_its_scope: "troubled",
    dropped_batch_marking_its_scope_in_memory_alone: "troubled",
    dropped_batch_leaving_rows_that_are_old: "troubled",
    rows_known_to_be_old_left_while_a_list_is_written: "troubled",
    older_list_applied: "ordinary",
    older_event_applied: "ordinary",
    event_applied_over_a_hole: "ordinary",
    older_object_applied: "ordinary",
    import_over_newer: "troubled",
    import_retired_before_its_list_is_kept: "imported",
    removal_not_synced: "ordinary",
    client_told_before_the_commit: "ordinary",
    barrier_passed_before_the_commit: "ordinary",
}


def sought(plant: Plant, story: str, scratch: Path, patch: Patch) -> str:
    """Return how a planted fault showed; nothing where it did not."""
    for seed in range(SESSIONS):
        with patch.context() as patched:
            patched.setattr(persist, "WRITE_AHEAD_BYTES", 400 if seed % 2 else 1200)
            plant(patched)
            try:
                session = record(scratch / f"{seed}", STORIES[story], seed, Life)
            except Wrong as wrong:
                return f"living {seed}: {wrong}"
            verdict = explore(session, scratch / "state", states=STATES, seed=seed)
            lost = explore_losses(session, scratch / "state")
        for bad in (*verdict.bad, *lost.bad):
            return f"session {seed}: {bad}"
    return ""


@pytest.mark.timeout(400)
@pytest.mark.parametrize("plant", FAULTS, ids=lambda plant: plant.__name__)
def test_a_planted_fault_is_found(plant: Plant, scratch: Path, monkeypatch: Patch):
    assert sought(plant, FAULTS[plant], scratch, monkeypatch)
