# SPDX-License-Identifier: Apache-2.0
"""Mistakes put into the store on purpose: does the explorer see them?

Each fault is what a change of a line or two would do. A proof that does not notice
them proves nothing.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.crash.explorer import explore, record
from tests.crash.recording import RecordingDisk, _File
from tests.crash.stories import STORIES
from toono.store.base import Batch
from toono.store.engine import Engine
from toono.store.queue import Queue
from toono.store.recovery import Recovery
from toono.store.writing import Writing, _resolve

Plant = Callable[[pytest.MonkeyPatch], None]


def no_sync_of_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RecordingDisk, "sync", lambda self, descriptor: None)


def sync_left_out_at_a_barrier(monkeypatch: pytest.MonkeyPatch) -> None:
    """NORMAL instead of FULL: a barrier passes with its commit."""

    def committed(self: Writing) -> None:
        for taken in self._queue.end():
            _resolve(taken.future)

    monkeypatch.setattr(Writing, "_committed", committed)
    monkeypatch.setattr(Queue, "has_barrier", False)


def barrier_passed_before_the_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    take = Queue.take

    def take_and_resolve(self: Queue, batch: Batch, **rest):
        number = take(self, batch, **rest)
        if rest["sync"]:
            _resolve(rest["future"])
        return number

    monkeypatch.setattr(Queue, "take", take_and_resolve)


def _in_two(first: Callable[[Batch], Batch], second: Callable[[Batch], Batch]) -> Plant:
    def plant(monkeypatch: pytest.MonkeyPatch) -> None:
        commit = Engine.commit

        def commit_apart(self: Engine, batches) -> None:
            for batch in batches:
                commit(self, [first(batch)])
                commit(self, [second(batch)])

        monkeypatch.setattr(Engine, "commit", commit_apart)

    return plant


rows_before_deletes = _in_two(
    lambda batch: Batch(puts=batch.puts),
    lambda batch: Batch(
        deletes=[key for key in batch.deletes if key not in dict(batch.puts)],
        drops=[],
    ),
)
version_before_rows = _in_two(
    lambda batch: Batch(puts=batch.puts[-1:]),
    lambda batch: Batch(drops=batch.drops, deletes=batch.deletes, puts=batch.puts[:-1]),
)
version_in_its_own_transaction = _in_two(
    lambda batch: Batch(drops=batch.drops, deletes=batch.deletes, puts=batch.puts[:-1]),
    lambda batch: Batch(puts=batch.puts[-1:]),
)


def failed_sync_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def sync(self: Engine) -> None:
        try:
            self._disk.sync(self._log)
        except OSError:
            self._disk.sync(self._log)

    monkeypatch.setattr(Engine, "sync", sync)


def failed_sync_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    def sync(self: Engine) -> None:
        with suppress(OSError):
            self._disk.sync(self._log)

    monkeypatch.setattr(Engine, "sync", sync)


def log_kept_after_a_failed_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is rewritten: the pages that Linux holds for clean stay so."""
    monkeypatch.setattr(Recovery, "_rewrite_log", lambda self: None)
    monkeypatch.setattr(Queue, "unsettled", lambda self: [])


def log_written_into_the_database_after_a_failed_sync(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The connection that writes is closed last, and SQLite cleans up."""

    def close(self: Engine) -> None:
        guard, self._guard = self._guard, None
        sweeper, self._sweeper = self._sweeper, None
        connection, self._connection = self._connection, None
        log, self._log = self._log, -1
        for held in (guard, sweeper, connection):
            if held is not None:
                held.close()
        if log >= 0:
            self._disk.close(log)

    monkeypatch.setattr(Engine, "close", close)


def lost_batches_not_written_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Queue, "unsettled", lambda self: [])


def replayed_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash between them shows old values beside new ones."""
    commit = Engine.commit

    def commit_each(self: Engine, batches) -> None:
        for batch in batches:
            commit(self, [batch])

    monkeypatch.setattr(Engine, "commit", commit_each)


def checkpoint_without_a_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    sync = _File.xSync

    def sync_logs(self: _File, flags: int) -> None:
        if self._name.endswith("-wal"):
            sync(self, flags)

    monkeypatch.setattr(_File, "xSync", sync_logs)


def database_renamed_before_it_is_synced(monkeypatch: pytest.MonkeyPatch) -> None:
    sync, real = _File.xSync, RecordingDisk.sync
    part = "toono.db.part"

    def sync_others(self: _File, flags: int) -> None:
        if self._name != part:
            sync(self, flags)

    def sync_log(self: RecordingDisk, descriptor: int) -> None:
        if self._descriptors[descriptor][1].name != part:
            real(self, descriptor)

    monkeypatch.setattr(_File, "xSync", sync_others)
    monkeypatch.setattr(RecordingDisk, "sync", sync_log)


@pytest.mark.parametrize(
    ("plant", "story"),
    [
        (no_sync_of_the_log, "ordinary"),
        (sync_left_out_at_a_barrier, "ordinary"),
        (barrier_passed_before_the_commit, "bursts"),
        (rows_before_deletes, "ordinary"),
        (version_before_rows, "ordinary"),
        (version_in_its_own_transaction, "ordinary"),
        (failed_sync_asked_again, "failing syncs"),
        (failed_sync_ignored, "failing syncs"),
        (log_kept_after_a_failed_sync, "failing syncs"),
        (log_written_into_the_database_after_a_failed_sync, "failing syncs"),
        (lost_batches_not_written_again, "forgetful"),
        (replayed_one_by_one, "failing syncs"),
        (checkpoint_without_a_sync, "ordinary"),
        (database_renamed_before_it_is_synced, "ordinary"),
    ],
)
def test_a_planted_fault_is_found(
    plant: Plant,
    story: str,
    scratch: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    with monkeypatch.context() as patched:
        plant(patched)
        sessions = [
            record(scratch / f"live-{seed}", STORIES[story], seed=seed)
            for seed in range(3)
        ]
    found = 0
    for seed, session in enumerate(sessions):
        verdict = explore(session, scratch / "state", states=1500, seed=seed)
        found += len(verdict.bad)
        if found:
            break
    assert found
