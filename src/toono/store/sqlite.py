# SPDX-License-Identifier: Apache-2.0
"""The store on a node's disk: one SQLite database, written by one thread.

READ FIRST for the write protocol. The event loop takes batches into a queue and never
waits for the disk. A task hands them, in order, to the thread that owns the writing
connection: commit (survives kill -9), then sync (survives a power cut), at once for a
barrier and within 50 ms for all else. Batches stay in memory until they are synced, so
that after a failure they can be written again.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from toono.errors import StoreFullError, StoreUnavailableError
from toono.runtime.clock import Clock
from toono.runtime.tasks import cancel_and_wait, spawn
from toono.store.base import Batch, Key, Scan
from toono.store.directory import Directory
from toono.store.disk import Disk
from toono.store.engine import Engine
from toono.store.faults import DISK_ERRORS
from toono.store.overlay import Overlay
from toono.store.reader import Reader
from toono.store.recovery import Opened, prepare

log = logging.getLogger(__name__)

NAME = "toono.db"
GROUP_BYTES = 1024 * 1024
"""Of batches in one transaction: a barrier behind it must not wait for long."""
BARRIER_SECONDS = 0.2
"""A barrier that takes longer has let its caller down."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class SQLiteSettings:
    """What an operator or a test may choose."""

    allow_tmpfs: bool = False
    queue_bytes: int = 8 * 1024 * 1024
    sync_after: float = 0.03
    """Leaves 20 ms of the 50 that are promised to the sync itself."""
    checkpoint_bytes: int = 4 * 1024 * 1024
    retry_first: float = 1.0
    retry_most: float = 30.0


@dataclass(slots=True)
class Counters:
    """What happened since the start, for telemetry to read."""

    commits: int = 0
    syncs: int = 0
    bytes: int = 0
    """Of keys and values committed."""
    drops: int = 0
    """Batches refused because the queue was full."""
    failures: int = 0
    barrier_stalls: int = 0
    damaged_rows: int = 0
    checkpoints: int = 0


@dataclass(slots=True, eq=False)
class Taken:
    """A batch on its way."""

    number: int
    batch: Batch
    sync: bool
    future: asyncio.Future[None]
    taken_at: float
    size: int


async def open_store(
    directory: Path,
    *,
    clock: Clock,
    settings: SQLiteSettings | None = None,
    disk: Disk | None = None,
) -> "SQLiteStore":
    """Open the store below `directory`; StoreUnavailableError says what to do."""
    store = SQLiteStore(directory, clock, settings or SQLiteSettings(), disk or Disk())
    await store.open()
    return store


class SQLiteStore:
    """See the module. Everything here runs on the event loop."""

    def __init__(
        self, directory: Path, clock: Clock, settings: SQLiteSettings, disk: Disk
    ) -> None:
        self._clock = clock
        self._settings = settings
        self._directory = Directory(directory, disk, allow_tmpfs=settings.allow_tmpfs)
        self._path = directory / NAME
        self._disk = disk
        self._engine = Engine(self._path, disk)
        self._reader = Reader(self._path, disk)
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="store-write")
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="store-read")
        self._overlay = Overlay()
        self._queue: deque[Taken] = deque()
        self._unsynced: deque[Taken] = deque()
        self._bytes = 0
        self._number = 0
        self._wake = asyncio.Event()
        self._sync_due = False
        self._timer: asyncio.Task[None] | None = None
        self._writer: asyncio.Task[None] | None = None
        self._closing = False
        self.state: Literal["ok", "memory-only"] = "ok"
        self.reason = ""
        self.counters = Counters()
        self.opened = Opened(fresh=True)

    async def open(self) -> None:
        """Lock, recover, and begin to take batches."""
        try:
            self.opened = await self._call(self._writing, self._open)
        except DISK_ERRORS as exc:
            self._stop_threads()
            raise StoreUnavailableError(f"{self._path}: {exc}") from exc
        except StoreUnavailableError:
            self._stop_threads()
            raise
        self._writer = spawn(self._write(), name="store-write")

    def _open(self) -> Opened:
        self._directory.claim()
        clean = self._directory.take_clean_mark()
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._clock.wall()))
        opened = prepare(self._path, self._disk, check=not clean, now=now)
        self._engine.open()
        return opened

    # -- reads ---------------------------------------------------------------

    async def get(self, key: Key) -> bytes | None:
        """Return the value, None where there is none; DamagedRowError where bad."""
        known, value = self._overlay.find(key)
        if known:
            return value
        return await self._call(self._reading, lambda: self._reader.get(key))

    async def scan(self, prefix: Key) -> Scan:
        """Return all rows whose key starts with `prefix`."""
        ticket = self._overlay.begin_read()
        try:
            found = await self._call(self._reading, lambda: self._reader.scan(prefix))
            return self._overlay.lay(prefix, found)
        finally:
            self._overlay.end_read(ticket)

    # -- writes --------------------------------------------------------------

    def apply(self, batch: Batch, *, sync: bool = False) -> asyncio.Future[None]:
        """Take `batch`; see the contract."""
        if self._closing:
            raise StoreUnavailableError("the store is closed")
        size = batch.size
        if self._bytes + size > self._settings.queue_bytes:
            self.counters.drops += 1
            raise StoreFullError(f"{self._bytes} bytes wait to be written already")
        self._bytes += size
        self._number += 1
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        now = self._clock.monotonic()
        self._queue.append(Taken(self._number, batch, sync, future, now, size))
        self._overlay.take(self._number, batch)
        self._wake.set()
        return future

    async def aclose(self) -> None:
        """Write what is queued, make it durable, and close."""
        if self._closing:
            return
        self._closing = True
        self._sync_due = True
        self._wake.set()
        if self._writer is not None:
            await asyncio.wait([self._writer])
        if self._timer is not None:
            await cancel_and_wait(self._timer)
        await self._call(self._reading, self._reader.close)
        await self._call(self._writing, self._shut)
        self._stop_threads()

    def _shut(self) -> None:
        if self._engine.shut():
            self._directory.leave_clean_mark()
        self._directory.release()

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._drain()
            if self._closing and not self._queue:
                return

    async def _drain(self) -> None:
        while self._queue or self._sync_due:
            await self._commit_group()
            if self._sync_due or any(taken.sync for taken in self._unsynced):
                await self._sync()

    async def _commit_group(self) -> None:
        group: list[Taken] = []
        size = 0
        for taken in self._queue:
            if group and size + taken.size > GROUP_BYTES:
                break
            group.append(taken)
            size += taken.size
        if not group:
            return
        batches = [taken.batch for taken in group]
        await self._call(self._writing, lambda: self._engine.commit(batches))
        self.counters.commits += 1
        self.counters.bytes += size
        for taken in group:
            self._queue.popleft()
            self._unsynced.append(taken)
            if not taken.sync:
                _settle(taken.future)
        if self._timer is None:
            self._timer = spawn(self._remind(), name="store-sync")

    async def _remind(self) -> None:
        await self._clock.sleep(self._settings.sync_after)
        self._timer = None
        self._sync_due = True
        self._wake.set()

    async def _sync(self) -> None:
        self._sync_due = False
        if self._unsynced:
            await self._call(self._writing, self._engine.sync)
            self.counters.syncs += 1
        now = self._clock.monotonic()
        while self._unsynced:
            taken = self._unsynced.popleft()
            self._bytes -= taken.size
            self._overlay.settle(taken.number)
            if taken.sync and now - taken.taken_at > BARRIER_SECONDS:
                self.counters.barrier_stalls += 1
            _settle(taken.future)

    # -- threads -------------------------------------------------------------

    async def _call(self, pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(pool, work)

    def _stop_threads(self) -> None:
        self._writing.shutdown(wait=True)
        self._reading.shutdown(wait=True)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
