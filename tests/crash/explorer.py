# SPDX-License-Identifier: Apache-2.0
"""Crash states of a recorded session, each opened by the store's own recovery.

A session is a series of batches over the whole store, recorded with what was
acknowledged when. A state is bad unless it holds the sum of a prefix of the batches,
at least those that were acknowledged, each whole, and nothing reads as damaged.
"""

import asyncio
import errno
import hashlib
import random
import shutil
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.clock import VirtualClock, eventually
from tests.crash.power import Chooser, Files, Platter
from tests.crash.recording import Recorder, RecordingDisk
from toono.store.base import Batch
from toono.store.directory import Directory
from toono.store.disk import Disk
from toono.store.reader import Reader
from toono.store.recovery import Recovery
from toono.store.reserve import BALLAST_NAME
from toono.store.sqlite import NAME, SQLiteSettings, SQLiteStore, open_store

Rows = dict[bytes, bytes]
Plan = tuple[float, float] | None
PLANS: Sequence[Plan] = (
    # How likely a write that was not synced is there, and how likely torn; None: all
    # of them are, because only the process died.
    None,
    (0.0, 0.0),
    (0.5, 0.0),
    (0.9, 0.1),
    (0.5, 0.5),
    (0.1, 0.1),
    (0.98, 0.02),
)
SETTINGS = SQLiteSettings(
    allow_tmpfs=True, checkpoint_bytes=96 * 1024, verify_after=1e9, replenish_after=1e9
)


@dataclass
class Session:
    """What was recorded, and every state that the batches went through."""

    recorder: Recorder
    states: list[Rows]
    """After each batch; `states[0]` is before the first."""

    @property
    def taken(self) -> int:
        return len(self.states) - 1


@dataclass
class Verdict:
    """What exploring found."""

    states: int = 0
    bad: list[str] = field(default_factory=list)


class Driver:
    """Runs batches over a recorded store and notes what it acknowledges."""

    def __init__(self, session: Session, clock: VirtualClock) -> None:
        self.session = session
        self.clock = clock
        self.store: SQLiteStore | None = None
        self._pending: list[asyncio.Future[None]] = []

    async def open(self, disk: Disk) -> None:
        directory = self.session.recorder.directory
        self.store = await open_store(
            directory, clock=self.clock, settings=SETTINGS, disk=disk
        )
        self.mark("opened", 0)

    def apply(self, batch: Batch, *, sync: bool = False) -> asyncio.Future[None]:
        assert self.store is not None
        future = self.store.apply(batch, sync=sync)
        self.session.states.append(apply_to(self.session.states[-1], batch))
        number = self.session.taken
        kind = "durable" if sync else "committed"
        future.add_done_callback(lambda _: self.mark(kind, number))
        self._pending.append(future)
        return future

    async def settle(self) -> None:
        """Wait until everything is acknowledged."""
        assert self.store is not None
        store, pending = self.store, self._pending

        def acknowledged() -> bool:
            if store.state != "ok":
                self.clock.advance(1.0)  # the disk is tried again after a while
            return all(future.done() for future in pending)

        await eventually(acknowledged)
        await asyncio.gather(*pending)
        pending.clear()

    async def fall_due(self) -> None:
        """Let the 50 ms pass that a batch may stay volatile."""
        assert self.store is not None
        await self.settle()
        store, number = self.store, self.session.taken
        await eventually(lambda: not store.waiting_bytes, clock=self.clock, step=0.05)
        self.mark("durable", number)

    async def close(self) -> None:
        assert self.store is not None
        await self.settle()
        await self.store.aclose()
        self.mark("durable", self.session.taken)

    def mark(self, kind: str, number: int) -> None:
        self.session.recorder.mark(kind, number)


def apply_to(rows: Rows, batch: Batch) -> Rows:
    """Return what `batch` makes of `rows`."""
    after = {
        key: value
        for key, value in rows.items()
        if not any(key.startswith(prefix) for prefix in batch.drops)
        and key not in set(batch.deletes)
    }
    after.update(batch.puts)
    return after


Story = Callable[[Driver, RecordingDisk, random.Random], Awaitable[None]]


def record(
    directory: Path, story: Story, seed: int, before: Rows | None = None
) -> Session:
    """Run `story` in `directory`, which may hold a state whose rows are `before`."""
    recorder = Recorder(directory)
    session = Session(recorder, [before or {}])

    async def run() -> None:
        driver = Driver(session, VirtualClock())
        await story(driver, disk, random.Random(seed))

    with RecordingDisk(recorder) as disk:
        asyncio.run(run())
    return session


def explore(session: Session, scratch: Path, *, states: int, seed: int) -> Verdict:
    """Open `states` crash states, no two alike, or fewer: up to the first bad one."""
    verdict = Verdict()
    seen: set[bytes] = set()
    for what, files, least, most in crash_states(session, states, seed):
        fingerprint = _fingerprint(files, least)
        if fingerprint in seen:
            continue
        seen.add(fingerprint)
        problem = examine(files, session.states[least : most + 1], scratch)
        verdict.states += 1
        if problem is not None:
            verdict.bad.append(f"{what}: {problem}, batches {least} to {most}")
        if verdict.bad or verdict.states >= states:
            break
    return verdict


def _fingerprint(files: Files, least: int) -> bytes:
    found = hashlib.blake2b(least.to_bytes(4, "big"), digest_size=12)
    for name, content in sorted(files.items()):
        found.update(f"{name} {len(content)} ".encode())
        found.update(content)
    return found.digest()


def crash_states(
    session: Session, count: int, seed: int
) -> Iterator[tuple[str, Files, int, int]]:
    """Yield (what, files, least, most): acknowledged and taken batches at each.

    Turn by turn over the record: first as a kill leaves it, then cuts of several
    kinds, at points of the record that differ from turn to turn.
    """
    share = count // len(PLANS) + 1
    for turn in range(20 * len(PLANS)):
        plan = PLANS[turn % len(PLANS)]
        chance = random.Random(f"{seed} {turn}")
        points = range(len(session.recorder.ops))
        chosen = set(chance.sample(points, min(share, len(points))))
        yield from _turn(session, chosen, plan, chance)


def _turn(session: Session, chosen: set[int], plan: Plan, chance: random.Random):
    recorder = session.recorder
    platter = Platter(recorder.base, recorder.base_inodes())
    durable = committed = 0
    for at, op in enumerate(recorder.ops):
        platter.take(op)
        if op.kind == "mark":
            committed = max(committed, op.offset)
        if op.kind == "mark" and op.name == "durable":
            durable = max(durable, op.offset)
        if at not in chosen:
            continue
        here = f"{at} {op.kind} {op.name}"
        if plan is None:
            # A disk that forgets what it failed to sync keeps no promise to a kill.
            least = durable if recorder.forgetful else committed
            yield f"killed at {here}", platter.after_kill(), least, session.taken
        else:
            chooser = Chooser(chance, *plan)
            files = platter.after_power_cut(chooser)
            yield f"cut at {here} {plan}", files, durable, session.taken


def examine(files: Files, allowed: Sequence[Rows], scratch: Path) -> str | None:
    """Open a state as the store does at a start; say what is wrong with it."""
    with laid_out(files, scratch) as directory:
        try:
            opened, rows, damaged = open_and_read(directory)
        except Exception as exc:
            return f"it cannot be opened: {exc!r}"
    if damaged or opened.damaged or opened.rebuilt:
        return f"it is taken for damaged: {opened} {damaged[:3]}"
    if rows not in allowed:
        return f"{len(rows)} rows are the sum of no prefix"
    return None


@contextmanager
def laid_out(files: Files, scratch: Path) -> Iterator[Path]:
    """Write `files` into a fresh directory."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(mode=0o700, parents=True)
    for name, content in files.items():
        (scratch / name).write_bytes(content)
        (scratch / name).chmod(0o600)
    yield scratch


def open_and_read(directory: Path):
    """Recover with the standard library's sqlite3; return what was found and read."""
    disk = _WithoutBallast()
    place = Directory(directory, disk, allow_tmpfs=True)
    recovery = Recovery(directory / NAME, disk, place, lambda: 1.8e9)
    reader = Reader(directory / NAME, disk, suspect=_ignore, doubt=_ignore)
    with ExitStack() as closing:
        closing.callback(recovery.abandon)
        recovery.claim()
        opened = recovery.open()
        closing.callback(reader.close)
        found = reader.scan(b"")
        return opened, dict(found.rows), found.damaged


class _WithoutBallast(Disk):
    """A megabyte a state would be a tenth of the time."""

    def open(self, path: Path, flags: int) -> int:
        if path.name == BALLAST_NAME:
            raise OSError(errno.ENOSPC, "no room for ballast")
        return super().open(path, flags)


def _ignore(_: object) -> None:
    """Nobody acts on it here."""
