# SPDX-License-Identifier: Apache-2.0
"""A cache at work over a recorded store, and what it answered after each step.

The cloud's own history is the judge. After each step the live cache is asked for all
targets: an answer must name what the cloud held at the version it names, and never be
older than an answer before it. What was answered, and what is known to be durable, is
kept for the crash states.
"""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeVar

from tests.crash.clock import VirtualClock, eventually
from tests.crash.cloud import (
    QUESTIONS,
    TARGETS,
    Age,
    Cloud,
    Key,
    key_of,
    version_of,
)
from tests.crash.explorer import SETTINGS
from tests.crash.recording import Recorder, RecordingDisk
from tests.unit.cache.kit import Cache, call
from toono.cache.answer import Absent, Found
from toono.cache.persist import Bulk
from toono.cache.received import JSON, question_of
from toono.cache.scope import Question, Scope
from toono.errors import StoreFullError
from toono.store.base import Batch, Scan, Store
from toono.store.disk import Disk
from toono.store.sqlite import SQLiteStore, open_store

IMPORTED = Age(-1, 0)
"""Older than everything: what a tree said before the cloud said anything."""


class Wrong(AssertionError):
    """The cache said what it must not say."""


class Seen(NamedTuple):
    """One answer, and when it was so in the cloud. Unknown: at no time."""

    since: Age | None
    """From when on, as far as the cache knows: an absence is known from a version on,
    and may have begun later."""
    until: Age | None
    """Up to, and not with, when; None where it is so still."""
    names: tuple[tuple[Key, str], ...] = ()
    age: Age | None = None
    """What the answer itself names."""
    own: bool = False
    """The scope that answered is the question's own: it never goes back."""
    stored: bool = True
    """False of a list that is still being written, once another scope was given up."""


UNKNOWN = Seen(None, None)


def is_older(seen: Seen, floor: Seen) -> bool:
    """Say whether an answer was over before another one, and shows it.

    A version that brought nothing new is written late: it may be lost in a crash.
    """
    if floor.since is None or seen.names == floor.names:
        return False
    return seen.until is not None and seen.until <= floor.since


async def ask(cache: Cache, cloud: Cloud, most: Age) -> Mapping[str, Seen]:
    """Return what the cache answers to all targets, each judged by the cloud."""
    return {target: await _ask(cache, cloud, target, most) for target in TARGETS}


async def _ask(cache: Cache, cloud: Cloud, target: str, most: Age) -> Seen:
    answers = cache.answers
    ask_for = answers.list if target in QUESTIONS else answers.get
    answer = await ask_for(call(target), lambda _: True)
    if not isinstance(answer, Absent | Found):
        return UNKNOWN
    scope = answer.scope
    items = answer.items if isinstance(answer, Found) else ()
    pods = {key_of(pod): pod for pod in map(json.loads, items)}
    names = tuple((key, str(version_of(pod))) for key, pod in pods.items())
    if scope.imported:
        if not pods or any(cloud.tree.get(key) != pod for key, pod in pods.items()):
            raise Wrong(f"{target} has what was not imported: {names}")
        return Seen(IMPORTED, Age(0, 0), names, IMPORTED)
    age = Age(scope.epoch, scope.version)
    if age > most:
        raise Wrong(f"{target} is answered at {age}, which is yet to come")
    # What is known of one name alone is known at a version *or later*.
    last = most if scope.question.name else age
    stretch = cloud.stretch(target, age, last, pods)
    if stretch is None or len(items) != len(pods):
        raise Wrong(f"{target} was not {names} at {age}")
    since = min(stretch.since, age) if isinstance(answer, Absent) else stretch.since
    own, stored = _own(scope, target), True
    if _is_on_its_way(cache, scope):
        again = await ask_for(call(target), lambda one: not _is_on_its_way(cache, one))
        others = isinstance(again, Absent | Found) and again.scope is not scope
        stored = others or not any(map(_is_given_up, cache.scopes.all()))
    return Seen(since, stretch.until, names, age, own, stored)


def _is_on_its_way(cache: Cache, scope: Scope) -> bool:
    """Say whether the store still lacks the only list that a scope ever had whole."""
    keeper = cache.scopes._keeper
    before = keeper._stored.get(scope.id)
    was_whole = scope.durable and before is not None and before.complete
    return keeper.is_writing(scope) and not was_whole


def _is_given_up(scope: Scope) -> bool:
    """Say whether a change of a scope was lost, or could not be read."""
    return scope.version > 0 and not (scope.complete or scope.imported)


def _own(scope: Scope, target: str) -> bool:
    return scope.question == question_of(call(target), JSON)


class Narrow:
    """A store that can be full, and knows what it has yet to acknowledge."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.full = False
        self.pending: list[asyncio.Future[None]] = []

    async def get(self, key: bytes) -> bytes | None:
        return await self._store.get(key)

    async def scan(self, prefix: bytes) -> Scan:
        return await self._store.scan(prefix)

    def apply(self, batch: Batch, *, sync: bool = False) -> asyncio.Future[None]:
        if self.full:
            raise StoreFullError("full")
        future = self._store.apply(batch, sync=sync)
        self.pending = [one for one in self.pending if not one.done()]
        self.pending.append(future)
        return future

    async def aclose(self) -> None:
        await self._store.aclose()


@dataclass
class Session:
    """What was recorded. Steps are numbered; `history[n]` is what step n left."""

    recorder: Recorder
    cloud: Cloud = field(default_factory=Cloud)
    history: list[Mapping[str, Seen]] = field(default_factory=list)
    ages: list[Age] = field(default_factory=list)
    """How far the cloud was after each step."""
    kept: list[tuple[str, int]] = field(default_factory=list)
    """Removals that were passed on: which target's, and in which step."""
    retired: list[tuple[int, Question]] = field(default_factory=list)
    """What was imported went: in which step, and for which question's list."""


class Hub:
    """Drives the cache as the pipeline does, and notes what it answers."""

    def __init__(self, session: Session, disk: Disk, chance: random.Random) -> None:
        self.session = session
        self.cloud = session.cloud
        self.chance = chance
        self.clock = VirtualClock()
        self._disk = disk
        self._floor: dict[str, Seen] = {}

    async def open(self) -> None:
        directory = self.session.recorder.directory
        self._sqlite: SQLiteStore = await open_store(
            directory, clock=self.clock, settings=SETTINGS, disk=self._disk
        )
        self.store = Narrow(self._sqlite)
        self.cache = Cache(self.store)
        scopes = self.cache.scopes
        retire = scopes.retire_imported

        def noted(question: Question) -> None:
            self.session.retired.append((len(self.session.history), question))
            retire(question)

        scopes.retire_imported = noted  # type: ignore[method-assign]
        await scopes.open()

    async def close(self) -> None:
        """End in order: what was known before is known after."""
        await self.cache.scopes.aclose()
        await self._settled()
        await self._sqlite.aclose()

    async def restart(self) -> None:
        """Nothing is forgotten, nothing is made up."""
        before = await ask(self.cache, self.cloud, self.cloud.age)
        await self.close()
        await self.open()
        after = await ask(self.cache, self.cloud, self.cloud.age)
        for target, seen in before.items():
            if after[target].names != seen.names or is_older(after[target], seen):
                raise Wrong(f"a restart made {after[target]} of {target}: {seen}")
        self.mark("durable", len(self.session.history) - 1)

    def mark(self, kind: str, number: int) -> None:
        self.session.recorder.mark(kind, number)

    async def step(self, action: Callable[[], object]) -> None:
        """Do one thing, and note what the cache answers then."""
        self.mark("begun", len(self.session.history))
        done = action()
        if done is not None:
            await done  # type: ignore[misc]
        await self.note()

    async def note(self) -> None:
        """Ask for everything: nothing is older than a question's own scope was."""
        seen = await ask(self.cache, self.cloud, self.cloud.age)
        for target, answer in seen.items():
            if answer.since is None:
                continue
            if is_older(answer, self._floor.get(target, UNKNOWN)):
                raise Wrong(f"{target} went back to {answer}")
            if answer.own:
                self._floor[target] = answer
        self.session.history.append(seen)
        self.session.ages.append(self.cloud.age)

    async def settle(self) -> None:
        """Wait until everything was taken by the store and committed.

        What follows from it, as the end of what was imported, is a step of its own.
        """
        await self._settled()
        await self.step(lambda: None)
        self.mark("committed", len(self.session.history) - 1)

    async def _settled(self) -> None:
        keeper, store = self.cache.scopes._keeper, self.store
        await eventually(
            lambda: not keeper._ahead and all(one.done() for one in store.pending)
        )

    async def fall_due(self) -> None:
        """Let the seconds pass after which all is durable."""
        self.cache.scopes.flush()
        await self.settle()
        await eventually(
            lambda: not self._sqlite.waiting_bytes, clock=self.clock, step=0.05
        )
        self.mark("durable", len(self.session.history) - 1)

    def passes_on(self, target: str, kept: asyncio.Future[None] | None) -> None:
        """Note a removal that a client is told of once `kept` is done."""
        if kept is not None and not (isinstance(kept, Bulk) and not kept.sync):
            number = len(self.session.kept)
            self.session.kept.append((target, len(self.session.history)))
            kept.add_done_callback(lambda _: self.mark("kept", number))


H = TypeVar("H", bound=Hub)


def record(
    directory: Path,
    tell: Callable[[H], Awaitable[None]],
    seed: int,
    kind: type[H],
) -> Session:
    """Have `tell` drive a hub of a `kind` over a recorded disk in `directory`.

    Raises Wrong where the living cache says what it must not.
    """
    session = Session(Recorder(directory))

    async def run() -> None:
        hub = kind(session, disk, random.Random(seed))
        await hub.open()
        await hub.note()
        try:
            await tell(hub)
        finally:
            await hub.close()

    with RecordingDisk(session.recorder) as disk:
        asyncio.run(run())
    return session
