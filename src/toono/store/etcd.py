# SPDX-License-Identifier: Apache-2.0
"""The store contract over etcd: batches in order, each one transaction where it fits.

A batch that is larger than etcd takes in one becomes several, puts before deletes: a
crash in between leaves a key too much and never one too few. While etcd is away or
full, batches wait in memory, where reads see them. What was made is found out by the
session's mark, so that no batch is made twice or out of turn.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

from toono.errors import StoreFullError, StoreUnavailableError
from toono.runtime.clock import Clock
from toono.runtime.tasks import cancel_and_wait, spawn
from toono.store.base import Batch, Key, Scan
from toono.store.etcd_client import Etcd
from toono.store.etcd_errors import (
    BadKeyError,
    EtcdError,
    EtcdFencedError,
    EtcdFullError,
    EtcdTooLargeError,
    EtcdTooManyOpsError,
)
from toono.store.etcd_limits import DEFAULTS, Limits, Unit, pack
from toono.store.etcd_messages import Range, delete, end_of, put
from toono.store.etcd_session import Session
from toono.store.overlay import Overlay

log = logging.getLogger(__name__)

QUEUE_BYTES = 8 * 1024 * 1024
CLOSE_SECONDS = 5.0
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0


class _Taken(NamedTuple):
    number: int
    batch: Batch
    future: asyncio.Future[None]


class EtcdStore:
    """A `Store` whose keys stand below `root` in etcd; `open` before anything else.

    `mark` is this writer's own key (see `etcd_session`), outside `root`. With an empty
    root keys are etcd's own, and neither an empty key nor the drop of everything is
    possible.
    """

    def __init__(
        self,
        etcd: Etcd,
        *,
        mark: Key,
        clock: Clock,
        root: Key = b"",
        limits: Limits | None = None,
    ) -> None:
        self._etcd = etcd
        self._root = root
        self._clock = clock
        self._limits = limits or Limits()
        self._session = Session(etcd, mark)
        self._overlay = Overlay()
        self._queue: deque[_Taken] = deque()
        self._bytes = 0
        self._number = 0
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False
        self._fenced: EtcdFencedError | None = None
        self._writer: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin to write; EtcdUnavailableError where etcd is not there."""
        await self._session.open()
        self._writer = spawn(self._write_all(), name="etcd-store")

    async def get(self, key: Key) -> bytes | None:
        """Return the value, None where there is none."""
        known, value = self._overlay.find(key)
        if known:
            return value
        ticket = self._overlay.begin_read()
        try:
            found = (await self._etcd.range(Range(self._root + key))).kvs
            known, value = self._overlay.find(key)
        finally:
            self._overlay.end_read(ticket)
        if known:
            return value
        return found[0].value if found else None

    async def scan(self, prefix: Key) -> Scan:
        """Return all rows whose key starts with `prefix`, by key."""
        ticket = self._overlay.begin_read()
        try:
            found = await self._etcd.scan(self._root + prefix)
            skip = len(self._root)
            rows = [(row.key[skip:], row.value) for row in found.kvs]
            return self._overlay.lay(prefix, Scan(rows, ()))
        finally:
            self._overlay.end_read(ticket)

    def apply(self, batch: Batch, *, sync: bool = False) -> asyncio.Future[None]:
        """Take `batch`; the future is done once a majority of etcd has it on disk.

        `sync` changes nothing: etcd knows no less. A future fails only where etcd
        can never hold the batch (EtcdTooLargeError) or another writer has our name.
        """
        if self._closed:
            raise StoreUnavailableError("the store is closed")
        if self._fenced is not None:
            raise self._fenced
        if not self._root and not all(
            (*batch.drops, *batch.deletes, *dict(batch.puts))
        ):
            raise BadKeyError("no key of etcd is empty")
        size = batch.size
        if self._bytes + size > QUEUE_BYTES:
            raise StoreFullError(
                f"{self._bytes} bytes wait for etcd, {size} do not fit"
            )
        self._bytes += size
        self._number += 1
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._overlay.take(self._number, batch)
        self._queue.append(_Taken(self._number, batch, future))
        self._idle.clear()
        self._wake.set()
        return future

    async def aclose(self) -> None:
        """Write what is queued and stop; what etcd does not take in time is lost."""
        self._closed = True
        if self._writer is None:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._idle.wait()
        await cancel_and_wait(self._writer)
        for taken in self._queue:
            if not taken.future.done():
                taken.future.set_exception(StoreUnavailableError("etcd is away"))
        self._queue.clear()

    # -- the writer -------------------------------------------------------------------

    async def _write_all(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                await self._write(self._queue[0])
            self._idle.set()

    async def _write(self, taken: _Taken) -> None:
        """Make the oldest batch so, whatever it takes."""
        failure: EtcdError | None = self._fenced
        if failure is None:
            try:
                await self._until_made(units_of(taken.batch, self._root))
            except (EtcdFencedError, EtcdTooLargeError) as exc:
                failure = exc
                if isinstance(exc, EtcdFencedError):
                    self._fenced = exc
        self._queue.popleft()
        self._bytes -= taken.batch.size
        self._overlay.settle(taken.number)
        if taken.future.done():
            return
        if failure is None:
            taken.future.set_result(None)
        else:
            taken.future.set_exception(failure)

    async def _until_made(self, units: Sequence[Unit]) -> None:
        pause = FIRST_PAUSE
        name = self._session.last.number + 1
        made = 0
        while True:
            chunks = self._cut(units)
            try:
                if not self._session.is_open:
                    mark = await self._session.open()
                    made = mark.steps if mark and mark.intent == name else 0
                while made < len(chunks):
                    await self._session.commit(chunks[made], step=(name, made + 1))
                    made += 1
                return
            except (EtcdTooManyOpsError, EtcdTooLargeError):
                if self._limits == DEFAULTS:
                    raise
                self._limits = DEFAULTS
                # Cut anew from the start: what was made is made again, the same.
                name, made = self._session.last.number + 1, 0
            except (StoreUnavailableError, EtcdFullError) as exc:
                log.warning("etcd does not take writes", extra={"err": str(exc)})
                await self._clock.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    def _cut(self, units: Sequence[Unit]) -> Sequence[Sequence[Unit]]:
        packed = pack(units, self._limits, reserved=1)
        if packed.too_large:
            key = packed.too_large[0].key
            raise EtcdTooLargeError(f"the value of {key!r} fits no request")
        return packed.chunks


def units_of(batch: Batch, root: Key) -> list[Unit]:
    """Return what a batch does, as operations of which none touches another's keys."""
    puts = {root + key: value for key, value in batch.puts}
    drops = [root + prefix for prefix in batch.drops]
    found = [Unit(key, None, put(key, value)) for key, value in puts.items()]
    gone = dict.fromkeys(root + key for key in batch.deletes)
    found += [Unit(key, None, delete(key)) for key in gone if key not in puts]
    for prefix in drops:
        kept = sorted(key for key in puts if key.startswith(prefix))
        found += _around(prefix, kept)
    return found


def _around(prefix: Key, kept: Iterable[Key]) -> list[Unit]:
    """Return deletes of all below `prefix` but the `kept`: etcd forbids to set a key
    and to delete it in one transaction."""
    found = []
    start, last = prefix, end_of(prefix)
    for end in (*kept, last):
        if start < end or end == b"\0":
            found.append(Unit(start, None, delete(start, end)))
        start = end + b"\0"
    return found
