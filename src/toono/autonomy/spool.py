# SPDX-License-Identifier: Apache-2.0
"""Writes that wait for the link, in order, on disk.

A write that was taken is there after a power cut: `put` returns only then. Bounded by
count and by bytes; the oldest go first, those of pods before the node's own once pods
hold more than half. It knows what a write is of, and not what it says; how it is sent
is `replay`'s business.
"""

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from toono.autonomy.spooled import (
    EVENT,
    PREFIX,
    STATUS,
    Target,
    Write,
    decode,
    encode,
    key_of,
    same_object,
    serial_of,
)
from toono.errors import (
    CodecError,
    DamagedRowError,
    StoreError,
    StoreUnavailableError,
)
from toono.store.base import Batch, Key, Store

log = logging.getLogger(__name__)

DISK_SECONDS = 2.0
"""A disk that takes longer has not kept the write: its sender is told so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolSettings:
    """How much may wait."""

    max_writes: int = 10_000
    max_bytes: int = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is held in memory of a write; the rest is on disk."""

    serial: int
    kind: str
    method: str
    target: Target
    owner: str
    at: float
    size: int


class Spool:
    """The queue. Serials only grow while the process lives."""

    def __init__(self, store: Store, *, settings: SpoolSettings | None = None) -> None:
        self._store = store
        self._settings = settings or SpoolSettings()
        self._entries: OrderedDict[int, Entry] = OrderedDict()
        self._of_object: dict[Target, set[int]] = {}
        self._next = 1
        self._sending: tuple[Entry, asyncio.Future[None]] | None = None
        self._pod_bytes = 0
        self._unkept: set[int] = set()
        self.size_bytes = 0
        self.filled = asyncio.Event()
        """Set while anything waits."""
        self.counts: Counter[str] = Counter()
        """Writes by what became of them."""

    async def open(self) -> None:
        """Read what waits; a row that cannot be read is counted and taken away."""
        scan = await self._store.scan(PREFIX)
        bad = list(scan.damaged)
        for key, value in scan.rows:
            serial = serial_of(key)
            try:
                write = decode(value)
            except CodecError:
                serial = None
            if serial is None:
                bad.append(key)
            else:
                self._note(_entry(serial, write, len(value)))
        if bad:
            self.counts["damaged"] += len(bad)
            log.warning("spooled writes were damaged", extra={"count": len(bad)})
            self._store.apply(Batch(deletes=bad))
        if self._entries:
            self._next = max(self._entries) + 1

    # -- taking ------------------------------------------------------------------

    def reserve(self) -> int:
        """Return the serial, and so the place, of the next write."""
        serial = self._next
        self._next += 1
        return serial

    async def put(
        self, serial: int, write: Write, *, replaces: Iterable[Entry] = ()
    ) -> Entry:
        """Keep a write in the place of those it replaces; return once it is durable.

        StoreError where nobody can say that it is kept.
        """
        value = encode(write)
        entry = _entry(serial, write, len(value))
        replaced = [one for one in replaces if one.serial in self._entries]
        evicted = self._too_many(entry, replaced)
        deletes = [key_of(one.serial) for one in (*replaced, *evicted)]
        future = self._store.apply(
            Batch(puts=[(key_of(serial), value)], deletes=deletes), sync=True
        )
        for one in replaced:
            self._forget(one, "replaced")
        for one in evicted:
            self._forget(one, "overflow")
        self._note(entry)
        self.counts["taken"] += 1
        self._unkept.add(serial)
        try:
            kept = await _in_time(future)
        finally:
            self._unkept.discard(serial)
        if not kept:
            raise StoreUnavailableError("the disk did not keep it in time")
        return entry

    def _too_many(self, entry: Entry, replaced: Sequence[Entry]) -> list[Entry]:
        """Return what must go so that `entry` fits: the oldest."""
        settings = self._settings
        if entry.size > settings.max_bytes // 2:
            raise StoreUnavailableError("it is too large to be kept")
        gone = {one.serial for one in replaced}
        count = len(self._entries) - len(gone) + 1
        size = self.size_bytes - sum(one.size for one in replaced) + entry.size
        pods = self._pod_bytes + (entry.size if entry.owner else 0)
        evicted: list[Entry] = []
        while count > settings.max_writes or size > settings.max_bytes:
            crowded = pods * 2 > size
            one = self._oldest(gone, of_pods=crowded)
            if one is None:
                break
            evicted.append(one)
            gone.add(one.serial)
            count, size = count - 1, size - one.size
            pods -= one.size if one.owner else 0
        return evicted

    def _oldest(self, gone: set[int], *, of_pods: bool) -> Entry | None:
        left = (one for one in self._entries.values() if one.serial not in gone)
        if not of_pods:
            return next(left, None)
        first = None
        for one in left:
            if one.owner:
                return one
            first = first or one
        return first

    # -- looking -----------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._entries)

    def entries(self) -> Sequence[Entry]:
        """Return what waits, in order."""
        return tuple(self._entries.values())

    def first(self) -> Entry | None:
        """Return what is sent next."""
        return next(iter(self._entries.values()), None)

    def of(self, target: Target) -> Sequence[Entry]:
        """Return the writes of one object, in order."""
        serials = self._of_object.get(same_object(target), ())
        return tuple(self._entries[serial] for serial in sorted(serials))

    async def read(self, entry: Entry) -> Write | None:
        """Return a write whole; None where it is gone, or its row is damaged.

        StoreUnavailableError where the disk cannot be read just now.
        """
        try:
            value = await self._store.get(key_of(entry.serial))
            return None if value is None else decode(value)
        except (CodecError, DamagedRowError):
            return None

    # -- letting go --------------------------------------------------------------

    def begin(self, entry: Entry) -> bool:
        """Say that `entry` is being sent: who overtakes it waits for its end.

        False where it is gone by now, and must not be sent.
        """
        if entry.serial not in self._entries:
            return False
        self._sending = (entry, asyncio.get_running_loop().create_future())
        return True

    def end(self, entry: Entry) -> None:
        """Say that it is sent no more."""
        if self._sending is not None and self._sending[0] is entry:
            self._sending[1].set_result(None)
            self._sending = None

    async def finish(self, entry: Entry, outcome: str) -> None:
        """Be done with a write, and count what became of it.

        A create that is sent again after a power cut is told by its name. What sets a
        state must be gone for good before anything newer of it can pass.
        """
        if entry.serial not in self._entries:
            return
        lasting = _states(entry)
        future = self._store.apply(Batch(deletes=[key_of(entry.serial)]), sync=lasting)
        self._forget(entry, outcome)
        if lasting:
            await _in_time(future)

    async def drop(self, entries: Iterable[Entry], outcome: str) -> int:
        """Take writes away, durably; return how many were there."""
        left = [one for one in entries if one.serial in self._entries]
        if not left:
            return 0
        keys = [key_of(one.serial) for one in left]
        future = self._store.apply(Batch(deletes=keys), sync=True)
        for one in left:
            self._forget(one, outcome)
        await _in_time(future)
        return len(left)

    def spare(self, size: int) -> Sequence[Key]:
        """Give up the oldest events, of `size` bytes or all; return their rows' keys.

        A disk that is full needs room for what pods run by. Who just now waits to
        hear that an event is kept is not deceived: that one stays.
        """
        chosen: list[Entry] = []
        busy = set(self._unkept)
        if self._sending is not None:
            busy.add(self._sending[0].serial)
        for one in self._entries.values():
            if size <= 0:
                break
            if one.kind == EVENT and one.serial not in busy:
                chosen.append(one)
                size -= one.size
        for one in chosen:
            self._forget(one, "disk_full")
        keys = [key_of(one.serial) for one in chosen]
        if keys:
            log.warning(
                "the disk is full: spooled events are given up",
                extra={"count": len(keys), "left": len(self._entries)},
            )
            with suppress(StoreError):  # behind those of them that are on their way
                self._store.apply(Batch(deletes=keys))
        return keys

    async def overtaken(self, target: Target) -> None:
        """A newer write of an object passes: what waits of its state must not follow.

        Returns once none can: what was being sent has ended, the rest is gone for
        good. Creates stay: they cannot land twice.
        """
        target = same_object(target)
        while self._sending is not None:
            entry, future = self._sending
            if same_object(entry.target) != target or not _states(entry):
                break
            await asyncio.wait((future,))
        older = [one for one in self.of(target) if _states(one)]
        try:
            await self.drop(older, "overtaken")
        except StoreError:
            # The newer one is not held up by a disk: while this process lives the
            # older can be sent no more.
            for one in older:
                self._forget(one, "overtaken")

    # -- the index ---------------------------------------------------------------

    def _note(self, entry: Entry) -> None:
        self._entries[entry.serial] = entry
        self._of_object.setdefault(same_object(entry.target), set()).add(entry.serial)
        self.size_bytes += entry.size
        self._pod_bytes += entry.size if entry.owner else 0
        self.filled.set()

    def _forget(self, entry: Entry, outcome: str) -> None:
        del self._entries[entry.serial]
        target = same_object(entry.target)
        self._of_object[target].discard(entry.serial)
        if not self._of_object[target]:
            del self._of_object[target]
        self.size_bytes -= entry.size
        self._pod_bytes -= entry.size if entry.owner else 0
        self.counts[outcome] += 1
        if not self._entries:
            self.filled.clear()


async def _in_time(future: asyncio.Future[None]) -> bool:
    """Wait until a batch is durable; False where the disk takes too long."""
    done, _ = await asyncio.wait((future,), timeout=DISK_SECONDS)
    return bool(done)


def _states(entry: Entry) -> bool:
    """Say whether a write sets what a newer one sets again."""
    return entry.kind == STATUS or entry.method == "PATCH"


def _entry(serial: int, write: Write, size: int) -> Entry:
    return Entry(
        serial=serial,
        kind=write.kind,
        method=write.method,
        target=write.target,
        owner=write.owner,
        at=write.at,
        size=size,
    )
