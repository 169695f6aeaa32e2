# SPDX-License-Identifier: Apache-2.0
"""Every call that reaches the disk fails, once or from then on for good.

Whatever fails: nothing acknowledged is lost, nothing raises but what the contract
names, nothing waits for ever once the disk works again, and reads stay right.
"""

import asyncio
import errno
import os
import random
import threading
from pathlib import Path

import pytest

from tests.crash.clock import VirtualClock, eventually
from tests.crash.explorer import SETTINGS, apply_to, open_and_read
from tests.crash.recording import Fail, Recorder, RecordingDisk
from tests.crash.stories import some_batch
from toono.errors import StoreUnavailableError
from toono.store.base import Batch
from toono.store.sqlite import open_store

PROVE = bool(os.environ.get("TOONO_PROVE"))
ERRNOS = [
    errno.ENOSPC,
    errno.EIO,
    errno.EROFS,
    errno.EDQUOT,
    errno.EMFILE,
    errno.EACCES,
]
CHANGES = {"write", "sync", "open", "truncate", "delete", "rename"}
STRIDE = 1 if PROVE else 3
"""Each errno takes its turn of the calls; all of them fail with all when proving."""


class Judge:
    """Fails the n-th call, or it and all that follow."""

    def __init__(
        self, at: int, number: int, *, for_good: bool, kinds: set[str]
    ) -> None:
        self._kinds = kinds
        self.calls = 0
        self.lifted = False
        self.at = at
        self._number = number
        self._for_good = for_good

    def __call__(self, kind: str, name: str) -> None:
        if kind not in self._kinds or self.lifted:
            return
        self.calls += 1
        if self.calls == self.at or (self._for_good and self.calls > self.at):
            raise Fail(self._number)

    @property
    def reached(self) -> bool:
        return self.calls >= self.at


async def live(directory: Path, judge: Judge, disk: RecordingDisk) -> None:
    """A life of ten batches under `judge`; asserts what a client may rely on."""
    clock, chance = VirtualClock(), random.Random(7)
    states = [{}]
    durable = committed = 0
    try:
        store = await open_store(directory, clock=clock, settings=SETTINGS, disk=disk)
    except StoreUnavailableError:
        assert judge.reached
        judge.lifted = True
        store = await open_store(directory, clock=clock, settings=SETTINGS, disk=disk)
    for serial in range(10):
        batch = some_batch(chance, serial)
        future = store.apply(batch, sync=serial % 3 == 0)
        states.append(apply_to(states[-1], batch))
        await eventually(lambda done=future.done: done() or store.state != "ok")
        if future.done():
            assert future.exception() is None
            committed = serial + 1
            durable = serial + 1 if serial % 3 == 0 else durable
        await check_reads(store, states[-1])
        if serial == 6:
            await eventually(
                lambda: not store.waiting_bytes or store.state != "ok",
                clock=clock,
                step=0.05,
            )
    judge.lifted = True
    if judge.at % 2:  # else the end comes first
        await eventually(lambda: not store.waiting_bytes, clock=clock, step=1.0)
        assert store.state == "ok"
        committed = durable = 10
        found = await store.scan(b"")
        assert (dict(found.rows), list(found.damaged)) == (states[-1], [])
    await store.aclose()
    _, rows, damaged = open_and_read(directory)
    assert not damaged
    assert rows in states[committed:]
    assert rows in states[durable:]


async def check_reads(store, expected) -> None:
    try:
        found = await store.scan(b"")
    except StoreUnavailableError:
        return  # the disk is away, and says so
    if not found.damaged:
        assert dict(found.rows) == expected


def run_once(
    directory: Path, at: int, number: int, *, for_good: bool, kinds: set[str] = CHANGES
) -> bool:
    """Return whether there was an n-th call to fail."""
    recorder = Recorder(directory)
    judge = recorder.judge = Judge(at, number, for_good=for_good, kinds=kinds)
    with RecordingDisk(recorder) as disk:
        asyncio.run(asyncio.wait_for(live(directory, judge, disk), 60))
    return judge.reached


@pytest.mark.parametrize("for_good", [False, True], ids=["once", "for good"])
@pytest.mark.parametrize("number", ERRNOS, ids=errno.errorcode.get)
def test_a_failing_call_loses_nothing_acknowledged(
    number: int, for_good: bool, tmp_path: Path
):
    at = 1 + (0 if PROVE else ERRNOS.index(number) % STRIDE)
    while run_once(tmp_path / str(at), at, number, for_good=for_good):
        at += STRIDE
    assert at > 60


@pytest.mark.parametrize("for_good", [False, True], ids=["once", "for good"])
def test_a_failing_read_is_taken_for_neither_absence_nor_damage(
    for_good: bool, tmp_path: Path
):
    at = 1
    while run_once(
        tmp_path / str(at), at, errno.EIO, for_good=for_good, kinds={"read"}
    ):
        at += STRIDE
    assert at > 10
    assert not list(tmp_path.glob("*/*set-aside*"))


class SyncFailsBehindACommit:
    """A sync of the log that is under way fails after a commit beside it has failed."""

    def __init__(self) -> None:
        self.syncing, self.refused = threading.Event(), threading.Event()

    def __call__(self, kind: str, name: str) -> None:
        if name != "toono.db-wal" or self.refused.is_set():
            return
        beside = threading.current_thread().name == "store-sync"
        if kind == "sync" and beside:  # SQLite itself syncs the head of a new log
            self.syncing.set()
            assert self.refused.wait(30)
            raise Fail(errno.EIO)
        if kind == "write" and self.syncing.is_set():
            self.refused.set()
            raise Fail(errno.ENOSPC)


def test_failed_sync_is_cured_though_a_commit_beside_it_failed_first(
    tmp_path: Path,
) -> None:
    """A full disk alone is tried again as it is; a log that failed to sync never is."""

    async def story(disk: RecordingDisk, judge: SyncFailsBehindACommit) -> None:
        clock = VirtualClock()
        store = await open_store(tmp_path, clock=clock, settings=SETTINGS, disk=disk)
        recorder.judge = judge
        first = store.apply(Batch(puts=[(b"a", b"1")]), sync=True)
        await eventually(judge.syncing.is_set)
        second = store.apply(Batch(puts=[(b"b", b"2")]), sync=True)
        await eventually(lambda: first.done() and second.done(), clock=clock, step=1.0)
        await store.aclose()

    recorder = Recorder(tmp_path)
    with RecordingDisk(recorder) as disk:
        asyncio.run(asyncio.wait_for(story(disk, SyncFailsBehindACommit()), 60))
    kinds = [op.kind for op in recorder.ops]
    failed = kinds.index("sync-failed")
    log = recorder.ops[failed].inode
    assert not any(
        op.kind == "sync" and op.inode == log for op in recorder.ops[failed:]
    )
    assert "rename" in kinds[failed:]  # the log's copy takes its place
    _, rows, damaged = open_and_read(tmp_path)
    assert (rows, list(damaged)) == ({b"a": b"1", b"b": b"2"}, [])
