# SPDX-License-Identifier: Apache-2.0
"""The store on a node's disk: one SQLite database. `writing.py` is the heart.

The event loop never waits for the disk: writes go into a queue, reads to a thread of
their own, and what is still on its way to the disk is read from memory.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from toono.errors import StoreUnavailableError
from toono.runtime.clock import Clock
from toono.runtime.tasks import cancel_and_wait, spawn
from toono.store.base import Batch, Key, Scan
from toono.store.care import Care
from toono.store.directory import Directory
from toono.store.disk import Disk
from toono.store.faults import DISK_ERRORS
from toono.store.overlay import Overlay
from toono.store.reader import Reader
from toono.store.recovery import Opened, Recovery
from toono.store.settings import Counters, SQLiteSettings
from toono.store.worker import Worker
from toono.store.writing import Writing

__all__ = ["NAME", "Counters", "Opened", "SQLiteSettings", "SQLiteStore", "open_store"]

NAME = "toono.db"


async def open_store(
    directory: Path,
    *,
    clock: Clock,
    settings: SQLiteSettings | None = None,
    disk: Disk | None = None,
) -> "SQLiteStore":
    """Open the store in `directory`, making it where there is none.

    Raises StoreUnavailableError only where nothing can be stored or read: it names
    the directory and says what to do. See `SQLiteStore.opened` for what was found.
    """
    store = SQLiteStore(directory, clock, settings or SQLiteSettings(), disk or Disk())
    await store.open()
    return store


class SQLiteStore:
    """A `Store`, and what telemetry and the cache want to know of it."""

    def __init__(
        self, directory: Path, clock: Clock, settings: SQLiteSettings, disk: Disk
    ) -> None:
        path = directory / NAME
        place = Directory(directory, disk, allow_tmpfs=settings.allow_tmpfs)
        self._clock = clock
        self._settings = settings
        self._overlay = Overlay()
        self._writing = Writing(
            Recovery(path, disk, place, clock.wall),
            self._overlay,
            clock=clock,
            settings=settings,
            pause_reads=self._pause_reads,
            resume_reads=self._resume_reads,
            lost=self._note_loss,
            spare=self._name_spare,
        )
        self._loop = asyncio.get_running_loop()
        self._reader = Reader(
            path,
            disk,
            suspect=self._suspect,
            doubt=self._doubt,
        )
        self._reading = Worker("store-read")
        self._readable = asyncio.Event()
        self._readable.set()
        self._care = Care(path, disk, self._writing.doubt)
        self._checking: asyncio.Task[None] | None = None
        self._closed = False
        self.opened = Opened()
        """What was found at the start."""
        self.lost: Callable[[], None] | None = None
        """Called where rows may have been lost while running."""
        self.spare: Callable[[int], Sequence[Key]] | None = None
        """Called where the disk is full: names rows of so many bytes that may go."""

    async def open(self) -> None:
        """Lock, recover, and begin to take batches."""
        try:
            self.opened = await self._writing.open()
        except (*DISK_ERRORS, StoreUnavailableError) as exc:
            self._reading.stop()
            self._care.end()
            if isinstance(exc, StoreUnavailableError):
                raise
            raise StoreUnavailableError(f"the store cannot be opened: {exc}") from exc
        if not self.opened.checked:
            check = self._care.run(self._clock, self._settings.verify_after)
            self._checking = spawn(check, name="store-check")

    @property
    def state(self) -> Literal["ok", "memory-only"]:
        """Whether batches reach the disk."""
        return self._writing.state

    @property
    def reason(self) -> str:
        """Why they do not."""
        return self._writing.reason

    @property
    def waiting_bytes(self) -> int:
        """How much is in memory because it is not durable yet."""
        return self._writing.waiting_bytes

    @property
    def counters(self) -> Counters:
        """What happened since the start."""
        return self._writing.counters

    async def get(self, key: Key) -> bytes | None:
        """Return the value, None where there is none.

        DamagedRowError where it is bad, StoreUnavailableError where the disk is away.
        """
        known, value = self._overlay.find(key)
        if known:
            return value
        await self._readable.wait()
        return await self._reading.call(partial(self._reader.get, key))

    async def scan(self, prefix: Key) -> Scan:
        """Return all rows whose key starts with `prefix`, as `Reader.scan` does."""
        await self._readable.wait()
        ticket = self._overlay.begin_read()
        try:
            found = await self._reading.call(partial(self._reader.scan, prefix))
            return self._overlay.lay(prefix, found)
        finally:
            self._overlay.end_read(ticket)

    def apply(self, batch: Batch, *, sync: bool = False) -> asyncio.Future[None]:
        """Take `batch`; see the contract."""
        return self._writing.take(batch, sync=sync)

    async def aclose(self) -> None:
        """Write what is queued, make it durable, and close."""
        if self._closed:
            return
        self._closed = True
        await self._care.stop()
        if self._checking is not None:
            await cancel_and_wait(self._checking)
        await self._reading.call(self._reader.close)
        await self._writing.aclose()
        self._reading.stop()
        self._care.end()

    def _suspect(self, keys: Sequence[Key]) -> None:
        self._loop.call_soon_threadsafe(self._writing.suspect, keys)

    def _doubt(self, failure: BaseException) -> None:
        self._loop.call_soon_threadsafe(self._writing.doubt, failure)

    async def _pause_reads(self) -> None:
        self._readable.clear()
        await self._care.stop()
        await self._reading.call(self._reader.close)

    def _resume_reads(self) -> None:
        self._readable.set()

    def _name_spare(self, size: int) -> Sequence[Key]:
        return () if self.spare is None else self.spare(size)

    def _note_loss(self, _: Opened) -> None:
        if self.lost is not None:
            self.lost()
