# SPDX-License-Identifier: Apache-2.0
"""Crash states of a recorded cache, each opened by a fresh one and asked for all.

A state is bad if an answer is not what the cloud held at the version it names, is
older than what was durable, or comes from after the crash; if nothing is known where
it was known all along; if it is taken for damaged, or keeps rows that nobody owns.
"""

import asyncio
import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tests.crash.cache_session import UNKNOWN, Seen, Session, Wrong, ask, is_older
from tests.crash.explorer import PLANS, Plan, Rows, laid_out, open_and_read
from tests.crash.power import Chooser, Files, Platter
from tests.crash.recording import Op
from tests.unit.cache.kit import Cache, call
from toono.cache.received import JSON, question_of
from toono.errors import DamagedRowError
from toono.store.base import Batch, Scan
from toono.store.memory import MemoryStore

Answers = Mapping[str, Seen]


@dataclass
class Verdict:
    """What exploring found."""

    states: int = 0
    distinct: int = 0
    """How many of them differed in their rows."""
    bad: list[str] = field(default_factory=list)


class Known(NamedTuple):
    """What was promised at a point of the record, by the number of a step."""

    committed: int = 0
    durable: int = 0
    begun: int = 0
    kept: Mapping[str, int] = {}

    def after(self, op: Op, session: Session) -> "Known":
        if op.name == "begun":
            return self._replace(begun=op.offset)
        if op.name == "committed":
            return self._replace(committed=max(self.committed, op.offset))
        if op.name == "durable":
            return self._replace(durable=max(self.durable, op.offset))
        target, step = session.kept[op.offset]
        step = max(step, self.kept.get(target, 0))
        return self._replace(kept={**self.kept, target: step})

    def least(self, target: str, plan: Plan) -> int:
        """Return the step whose answer must have survived."""
        least = self.durable if plan else max(self.durable, self.committed)
        return max(least, self.kept.get(target, 0))


def crash_states(
    session: Session, count: int, seed: int
) -> Iterator[tuple[str, Files, Plan, Known]]:
    """Yield crash states turn by turn: kills first, then cuts of several kinds."""
    ops = session.recorder.ops
    share = count // len(PLANS) + 1
    for turn in range(20 * len(PLANS)):
        plan = PLANS[turn % len(PLANS)]
        chance = random.Random(f"{seed} {turn}")
        chosen = set(chance.sample(range(len(ops)), min(share, len(ops))))
        yield from _turn(session, chosen, plan, chance)


def _turn(
    session: Session, chosen: set[int], plan: Plan, chance: random.Random
) -> Iterator[tuple[str, Files, Plan, Known]]:
    recorder = session.recorder
    platter = Platter(recorder.base, recorder.base_inodes())
    known = Known()
    for at, op in enumerate(recorder.ops):
        platter.take(op)
        if op.kind == "mark":
            known = known.after(op, session)
        if at not in chosen:
            continue
        here = f"{at} {op.kind} {op.name} {plan or 'kill'}"
        if plan is None:
            yield here, platter.after_kill(), plan, known
        else:
            yield here, platter.after_power_cut(Chooser(chance, *plan)), plan, known


class Explorer:
    """Opens states of one session; what it found of equal rows it remembers."""

    def __init__(self, session: Session, scratch: Path) -> None:
        self._session = session
        self._scratch = scratch
        self._judged: dict[bytes, Answers | str] = {}
        self._floors = _floors(session)

    async def explore(self, *, states: int, seed: int) -> Verdict:
        """Open `states` states, or fewer: up to the first bad one."""
        verdict = Verdict()
        for what, files, plan, known in crash_states(self._session, states, seed):
            problem = await self._examine(files, plan, known)
            verdict.states += 1
            if problem is not None:
                verdict.bad.append(f"{what}, step {known.begun}: {problem}")
            if verdict.bad or verdict.states >= states:
                break
        verdict.distinct = len(self._judged)
        return verdict

    async def _examine(self, files: Files, plan: Plan, known: Known) -> str | None:
        with laid_out(files, self._scratch) as directory:
            opened, rows, damaged = open_and_read(directory)
        if damaged or opened.damaged or opened.rebuilt:
            return f"it is taken for damaged: {opened} {damaged[:3]}"
        found = hashlib.blake2b(repr(rows).encode()).digest()
        if found not in self._judged:
            self._judged[found] = await judge(rows, self._session)
        answers = self._judged[found]
        return answers if isinstance(answers, str) else self._late(answers, plan, known)

    def _late(self, answers: Answers, plan: Plan, known: Known) -> str | None:
        """Say which answer is not between what was durable and what was said."""
        session = self._session
        for target, seen in answers.items():
            least = min(known.least(target, plan), len(session.history) - 1)
            if seen.age is None:
                # One step on: what was imported goes once a list beside it is kept.
                since = (
                    one[target] for one in session.history[least : known.begun + 2]
                )
                went = _went(session, target, least, known.begun + 2)
                if not went and all(_is_promised(one) for one in since):
                    return f"{target} is unknown, and was known since step {least}"
                continue
            floor = self._floors[least].get(target, UNKNOWN)
            if is_older(seen, floor):
                return f"{target} is {seen}, and was durable at {floor}"
            if session.ages and seen.age > session.ages[known.begun]:
                return f"{target} is {seen}, from after the crash"
        return None


def _is_promised(seen: Seen) -> bool:
    """Say whether an answer must outlast the process.

    Where the one scope that knew it is given up (a change of it was lost on a full
    disk) and another one's list is still being written, nothing can: reliability.md
    4.1 lets a list be lost until it is whole, and forbids to answer from a scope that
    lacks a change which was shown.
    """
    return seen.age is not None and seen.stored


def _went(session: Session, target: str, first: int, end: int) -> bool:
    """Say whether an import went for another question's list: nobody saw the gap."""
    own = question_of(call(target), JSON)
    return any(
        first <= step < end and question != own for step, question in session.retired
    )


def _floors(session: Session) -> list[Answers]:
    """Return, for each step, the last that its questions' own scopes said."""
    floors: list[Answers] = []
    floor: dict[str, Seen] = {}
    for seen in session.history:
        floor.update((target, one) for target, one in seen.items() if one.own)
        floors.append(dict(floor))
    return floors


class Holed(MemoryStore):
    """A store whose disk damaged some rows: they are known by their keys alone."""

    def __init__(self, damaged: Sequence[bytes] = ()) -> None:
        super().__init__()
        self._damaged = damaged

    async def get(self, key: bytes) -> bytes | None:
        if key in self._damaged:
            raise DamagedRowError(key)
        return await super().get(key)

    async def scan(self, prefix: bytes) -> Scan:
        found = await super().scan(prefix)
        hit = [key for key in self._damaged if key.startswith(prefix)]
        return Scan(found.rows, [*found.damaged, *hit])


async def judge(
    rows: Rows, session: Session, damaged: Sequence[bytes] | None = None
) -> Answers | str:
    """Open a cache over `rows` and ask it for everything; say what is wrong."""
    store = Holed(damaged or ())
    await store.apply(Batch(puts=list(rows.items())))
    cache = Cache(store)
    await cache.scopes.open()
    try:
        answers = await ask(cache, session.cloud, session.cloud.age)
    except Wrong as wrong:
        return str(wrong)
    finally:
        await cache.scopes.aclose()
    if cache.scopes.counters.damaged_rows and damaged is None:
        return "rows are taken for damaged"
    owned = {scope.bucket for scope in cache.scopes.all()}
    left = {key[1:9] for key, _ in (await store.scan(b"r")).rows}
    orphans = left - {bucket.to_bytes(8, "big") for bucket in owned}
    return f"nobody owns the buckets {orphans}" if orphans else answers


def explore_losses(session: Session, scratch: Path) -> Verdict:
    """Take each object's row of the last state away, in two ways."""

    async def lose_each() -> None:
        for key in [key for key in whole if key.startswith(b"r")]:
            rows = {other: value for other, value in whole.items() if other != key}
            for damaged in ((), (key,)):
                verdict.states += 1
                found = await judge(rows, session, damaged)
                if isinstance(found, str):
                    verdict.bad.append(f"{key!r} lost, {damaged}: {found}")

    verdict = Verdict()
    platter = Platter(session.recorder.base, session.recorder.base_inodes())
    for op in session.recorder.ops:
        platter.take(op)
    with laid_out(platter.after_kill(), scratch) as directory:
        whole = open_and_read(directory)[1]
    asyncio.run(lose_each())
    return verdict


def explore(session: Session, scratch: Path, *, states: int, seed: int) -> Verdict:
    """Open `states` crash states of a session."""
    return asyncio.run(Explorer(session, scratch).explore(states=states, seed=seed))
