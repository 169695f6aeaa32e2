# SPDX-License-Identifier: Apache-2.0
"""READ FIRST. How batches become durable, and what is done when the disk fails.

The event loop decides; two threads obey. Commit (survives kill -9), then sync (survives
a power cut): at once for a barrier, within 50 ms for all else. Commits go on in their
own thread while the other one syncs or checkpoints, because what a client is shown must
survive kill -9 within 5 ms, and a busy flash card takes fifty for a sync. A sync that
failed is never asked again: the database is closed, opened anew and checked, and all
that was not durable is written again, in one transaction, so that no state in between
can be seen after a crash. Where that fails, too, the disk is left alone for a while:
batches stay in memory, and reads see them there.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Literal

from toono.errors import StoreFullError, StoreUnavailableError
from toono.runtime.clock import Clock, Timer
from toono.runtime.tasks import cancel_and_wait, spawn
from toono.store.base import Batch, Key
from toono.store.faults import FAILURES, Fault, classify, is_full
from toono.store.overlay import Overlay
from toono.store.queue import Queue
from toono.store.recovery import Opened, Recovery
from toono.store.settings import BARRIER_SECONDS, Counters, SQLiteSettings
from toono.store.worker import Worker

log = logging.getLogger(__name__)

ROOM_BYTES = 1024 * 1024
"""Given up at a time on a full disk, or more if more waits."""
LOG_FACTOR = 4
"""How many times its usual size the log may reach before commits wait for it."""


class Writing:
    """Owns the queue and the writer's thread. Everything here is on the event loop.

    `pause_reads` returns once no other connection is open; `lost` learns where a
    recovery may have cost rows; `spare` names rows that may go, of so many bytes,
    where the disk is full.
    """

    def __init__(
        self,
        recovery: Recovery,
        overlay: Overlay,
        *,
        clock: Clock,
        settings: SQLiteSettings,
        pause_reads: Callable[[], Awaitable[None]],
        resume_reads: Callable[[], None],
        lost: Callable[[Opened], None],
        spare: Callable[[int], Sequence[Key]],
    ) -> None:
        self._recovery = recovery
        self._overlay = overlay
        self._clock = clock
        self._settings = settings
        self._pause_reads = pause_reads
        self._resume_reads = resume_reads
        self._lost = lost
        self._spare = spare
        self._spared: Sequence[Key] = ()
        self._is_full = False
        self._thread = Worker("store-write")
        self._second = Worker("store-sync")
        self._queue = Queue(settings.queue_bytes)
        self._wake = asyncio.Event()
        self._retry = asyncio.Event()
        self._sync_due = False
        self._beside: asyncio.Future[None] | None = None
        """What the second thread does."""
        self._timer: Timer | None = None
        self._task: asyncio.Task[None] | None = None
        self._suspects: set[Key] = set()
        self._doubt: BaseException | None = None
        self._fault = Fault.DISK
        self._calm_at = 0.0
        self._replenish_at: float | None = None
        self._closing = False
        self.state: Literal["ok", "memory-only"] = "ok"
        self.reason = ""
        self.counters = Counters()

    async def open(self) -> Opened:
        """Open the database, or raise what keeps it from that.

        A disk that only cannot be written is no reason to raise: what is there is
        read, and the rest waits in memory.
        """
        try:
            await self._thread.call(self._recovery.claim)
            opened = await self._open()
        except FAILURES:
            await self._thread.call(self._recovery.abandon)
            self._stop_threads()
            raise
        self._task = spawn(self._run(), name="store-write")
        return opened

    async def _open(self) -> Opened:
        try:
            return await self._thread.call(self._recovery.open)
        except FAILURES as exc:
            self.counters.failures += 1
            fault = classify(exc)
        try:
            return await self._thread.call(partial(self._recovery.restore, fault))
        except FAILURES as exc:
            self.counters.failures += 1
            if not await self._thread.call(self._recovery.can_be_read):
                raise
            self.doubt(exc)
            self._become_memory_only(exc)
            return Opened()

    def take(self, batch: Batch, *, sync: bool) -> asyncio.Future[None]:
        """Queue `batch`; StoreFullError where there is no room."""
        if self._closing:
            raise StoreUnavailableError("the store is closed")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        now = self._clock.monotonic()
        try:
            number = self._queue.take(batch, sync=sync, future=future, now=now)
        except StoreFullError:
            self.counters.drops += 1
            raise
        self._overlay.take(number, batch)
        self._wake.set()
        return future

    @property
    def waiting_bytes(self) -> int:
        """Of batches that are not durable."""
        return self._queue.bytes

    def suspect(self, keys: Iterable[Key]) -> None:
        """Have damaged rows moved to the quarantine."""
        self._suspects.update(keys)
        self._wake.set()

    def doubt(self, failure: BaseException) -> None:
        """Have the database closed, checked and opened anew because of `failure`."""
        self._doubt = failure
        self._wake.set()

    async def aclose(self) -> None:
        """Make durable what is queued, as far as the disk lets us, and close."""
        self._closing = True
        self._sync_due = True
        self._wake.set()
        self._retry.set()
        if self._task is not None:
            await asyncio.wait([self._task])
        if self._timer is not None:
            self._timer.cancel()
        for taken in self._queue.abandon():
            if not taken.future.done():
                failure = StoreUnavailableError(f"closed while {self.reason}")
                taken.future.set_exception(failure)
                taken.future.exception()  # seen: nobody may be waiting
        in_order = self.state == "ok"
        end = self._recovery.finish if in_order else self._recovery.abandon
        try:
            await self._thread.call(end)
        except FAILURES as exc:
            log.warning("the store did not close in order", exc_info=exc)
        self._stop_threads()

    def _stop_threads(self) -> None:
        self._thread.stop()
        self._second.stop()

    # -- when the disk works ---------------------------------------------------

    async def _run(self) -> None:
        while not self._closing or self._queue.bytes or self._beside:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._work()
            except FAILURES as exc:
                await self._beside_ended()
                if not await self._recover(exc):
                    return
                self._wake.set()

    async def _work(self) -> None:
        while True:
            self._heed_doubt()
            await self._commit()
            self._heed_doubt()
            self._begin_sync()
            await self._quarantine()
            await self._tidy()
            if not (self._queue.has_waiting or self._suspects):
                return

    def _heed_doubt(self) -> None:
        if self._doubt is not None:
            raise self._doubt

    async def _commit(self) -> None:
        batches = self._queue.begin(self._settings.group_bytes)
        if not batches:
            return
        await self._thread.call(partial(self._recovery.engine.commit, batches))
        self._committed()
        if self._timer is None:
            after = self._settings.sync_after
            self._timer = self._clock.call_later(after, self._remind)

    def _committed(self) -> None:
        self.counters.commits += 1
        for taken in self._queue.end():
            self.counters.bytes += taken.size
            if not taken.sync:
                _resolve(taken.future)

    @property
    def _must_sync(self) -> bool:
        """Somebody waits, the time is over, or a burst is about to fill the queue."""
        full = self._queue.unsynced_bytes > self._settings.queue_bytes // 4
        return self._sync_due or full or self._queue.has_barrier

    def _remind(self) -> None:
        self._timer = None
        self._sync_due = True
        self._wake.set()

    def _begin_sync(self) -> None:
        """Have the second thread sync what is committed, if it is time and it rests."""
        if self._must_sync and self._beside is None:
            self._sync_due = False
            if self._queue.has_unsynced:
                synced = partial(self._synced, self._queue.last_committed)
                self._begin_beside(self._recovery.engine.sync, synced)

    def _begin_beside(self, work: Callable[[], None], done: Callable[[], None]) -> None:
        self._beside = self._second.begin(work)
        self._beside.add_done_callback(partial(self._end_beside, done))

    def _end_beside(self, done: Callable[[], None], it: asyncio.Future[None]) -> None:
        self._beside = None
        if (failure := it.exception()) is not None:
            self.doubt(failure)
            return
        done()
        engine, most = self._recovery.engine, self._settings.checkpoint_bytes
        if engine.logged_bytes >= most + engine.kept_bytes and self._doubt is None:
            self._begin_beside(engine.checkpoint, self._checkpointed)
        if self._must_sync or self._closing:
            self._wake.set()

    async def _beside_ended(self) -> None:
        """Return once the second thread rests: nobody closes what it works on."""
        while self._beside is not None:
            await asyncio.wait((self._beside,))

    def _synced(self, through: int) -> None:
        self.counters.syncs += 1
        now = self._clock.monotonic()
        for taken in self._queue.settle(through):
            self._overlay.settle(taken.number)
            if taken.sync and now - taken.taken_at > BARRIER_SECONDS:
                self.counters.barrier_stalls += 1
            _resolve(taken.future)

    async def _quarantine(self) -> None:
        if self._suspects:
            keys = list(self._suspects)
            move = partial(self._recovery.engine.quarantine, keys)
            self.counters.quarantined += await self._thread.call(move)
            self._suspects.difference_update(keys)

    def _checkpointed(self) -> None:
        self.counters.checkpoints += 1

    async def _tidy(self) -> None:
        """Have commits wait for a checkpoint now and then.

        Beside them it cannot empty a log that grows all the time.
        """
        engine = self._recovery.engine
        if engine.logged_bytes >= LOG_FACTOR * self._settings.checkpoint_bytes:
            await self._beside_ended()
            self._heed_doubt()
            await self._thread.call(engine.checkpoint)
            self._checkpointed()
        now = self._clock.monotonic()
        if self._replenish_at is not None and now >= self._replenish_at:
            self._replenish_at = None
            await self._thread.call(self._recovery.replenish)

    # -- when it does not --------------------------------------------------------

    async def _recover(self, failure: BaseException) -> bool:
        """Return once all is durable again; False where the end comes first."""
        self._fault, self._is_full = classify(failure), is_full(failure)
        if self._doubt is not None:  # of a sync beside, or what failed itself
            self._fault = max(self._fault, classify(self._doubt))
        wait, most = 0.0, self._settings.retry_most
        if self._clock.monotonic() < self._calm_at:
            wait = self._settings.retry_first
        while True:
            self.counters.failures += 1
            log.warning(
                "the store's disk failed",
                exc_info=failure,
                extra={"fault": self._fault.name, "again_after": wait},
            )
            if wait:
                self._become_memory_only(failure)
                await self._pause(wait)
            last = self._closing
            try:
                await self._restore()
            except FAILURES as exc:
                failure = exc
                self._fault = max(self._fault, classify(exc))
                self._is_full = is_full(exc)
                wait = min(max(2 * wait, self._settings.retry_first), most)
                if last:
                    return False
                continue
            self._become_ok()
            return True

    async def _restore(self) -> None:
        """Open the database anew and write again what is not durable."""
        exclusive = self._fault >= Fault.SYNC or not self._recovery.is_prepared
        if exclusive:
            await self._pause_reads()
        try:
            again = partial(self._recovery.restore, self._fault)
            opened = await self._thread.call(again)
            self._fault = Fault.DISK
            self._doubt = None
            if opened.fresh or opened.rebuilt or opened.damaged:
                self.counters.losses += 1
                self._lost(opened)
            if self._is_full:
                await self._make_room()
            batches = self._queue.unsettled()
            await self._thread.call(partial(self._recovery.engine.commit, batches))
            await self._thread.call(self._recovery.engine.sync)
        finally:
            if exclusive:
                self._resume_reads()
        self._committed()
        self._synced(self._queue.last_committed)

    async def _make_room(self) -> None:
        """Give up what may go, ahead of all that waits; its pages then serve the rest.

        The log begins anew before and after: on a full disk neither file can grow.
        """
        if not self._spared:  # what could not be taken away yet is enough
            self._spared = self._spare(max(self._queue.bytes, ROOM_BYTES))
        if self._spared:
            engine, batch = self._recovery.engine, Batch(deletes=self._spared)
            with suppress(*FAILURES):
                await self._thread.call(engine.checkpoint)
            await self._thread.call(partial(engine.commit, [batch]))
            self._spared = ()
            await self._thread.call(engine.checkpoint)

    async def _pause(self, seconds: float) -> None:
        sleeper = spawn(self._ring(seconds), name="store-retry")
        await self._retry.wait()
        self._retry.clear()
        await cancel_and_wait(sleeper)

    async def _ring(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._retry.set()

    def _become_memory_only(self, failure: BaseException) -> None:
        self.state = "memory-only"
        self.reason = str(failure)

    def _become_ok(self) -> None:
        self.counters.recoveries += 1
        now = self._clock.monotonic()
        self._calm_at = now + 10 * self._settings.retry_first
        self._replenish_at = now + self._settings.replenish_after
        if self.state != "ok":
            log.warning("the store's disk works again")
        self.state = "ok"
        self.reason = ""


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
