# SPDX-License-Identifier: Apache-2.0
"""Bad bytes in the database and its log: never a wrong value, never false absence.

The test plays the cache: beside its rows it keeps one with the count and the digest of
their keys, which is how a row that left no trace is missed. An older state, whole, is
no lie: it is what a log that was cut short leaves.

TOONO_PROVE=1 tries 10,000 damages instead of 500.
"""

import asyncio
import os
import random
import shutil
import sqlite3
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.crash.clock import VirtualClock
from tests.crash.explorer import SETTINGS, Rows, apply_to
from toono.errors import DamagedRowError, StoreUnavailableError
from toono.store import reader
from toono.store.base import Batch
from toono.store.engine import Engine
from toono.store.sqlite import NAME, SQLiteStore, open_store

PROVE = bool(os.environ.get("TOONO_PROVE"))
DAMAGES = 10_000 if PROVE else 500
INDEX = b"s1"
KEYS = [f"r1{namespace}/pod-{n:02}".encode() for namespace in "ab" for n in range(12)]


@dataclass
class Image:
    """A directory's files and all states that its rows went through."""

    files: dict[str, bytes]
    states: list[Rows]


def with_index(rows: Rows) -> Rows:
    """Add what tells a missing row: how many there are, and a sum of their keys."""
    keys = [key for key in rows if key != INDEX]
    digest = 0
    for key in keys:
        digest ^= zlib.crc32(key)
    return rows | {INDEX: f"{len(keys)} {digest}".encode()}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Image]:
    """A store as a clean stop leaves it, and as a kill does."""
    return asyncio.run(make_images(tmp_path_factory.mktemp("images") / "store"))


async def make_images(directory: Path) -> dict[str, Image]:
    chance = random.Random(3)
    states: list[Rows] = [{}]
    images = {}
    store = await open_store(directory, clock=VirtualClock(), settings=SETTINGS)
    for life in ("clean", "killed"):
        for _ in range(40):
            change = Batch(
                puts=[
                    (key, chance.randbytes(chance.choice([40, 900, 3000])))
                    for key in chance.sample(KEYS, 3)
                ],
                deletes=chance.sample(KEYS, 1),
            )
            after = with_index(apply_to(states[-1], change))
            batch = Batch(
                puts=[*change.puts, (INDEX, after[INDEX])], deletes=change.deletes
            )
            await store.apply(batch, sync=True)
            states.append(apply_to(states[-1], batch))
        if life == "clean":
            await store.aclose()
        images[life] = Image(read_files(directory), list(states))
        if life == "clean":
            store = await open_store(directory, clock=VirtualClock(), settings=SETTINGS)
    await store.aclose()
    return images


def read_files(directory: Path) -> dict[str, bytes]:
    wanted = (NAME, f"{NAME}-wal", "clean")
    found = {name: directory / name for name in wanted}
    return {name: path.read_bytes() for name, path in found.items() if path.exists()}


def flip_a_bit(content: bytearray, chance: random.Random) -> None:
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)


def flip_a_bit_of_the_header(content: bytearray, chance: random.Random) -> None:
    content[chance.randrange(min(200, len(content)))] ^= 1 << chance.randrange(8)


def flip_a_bit_of_a_page_header(content: bytearray, chance: random.Random) -> None:
    page = chance.randrange(max(1, len(content) // 8192)) * 8192
    content[min(page + chance.randrange(60), len(content) - 1)] ^= (
        1 << chance.randrange(8)
    )


def zero_a_sector(content: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(content)) // 512 * 512
    content[at : at + 512] = bytes(len(content[at : at + 512]))


def cut(content: bytearray, chance: random.Random) -> None:
    del content[chance.randrange(len(content)) :]


def lay_a_page_over_another(content: bytearray, chance: random.Random) -> None:
    pages = len(content) // 8192
    source, target = chance.randrange(pages), chance.randrange(pages)
    page = content[source * 8192 : (source + 1) * 8192]
    content[target * 8192 : (target + 1) * 8192] = page


def scribble(content: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(content))
    content[at : at + 64] = chance.randbytes(len(content[at : at + 64]))


DAMAGE: list[Callable[[bytearray, random.Random], None]] = [
    flip_a_bit,
    flip_a_bit,
    flip_a_bit_of_the_header,
    flip_a_bit_of_a_page_header,
    zero_a_sector,
    cut,
    lay_a_page_over_another,
    scribble,
]


async def judge(directory: Path, states: list[Rows]) -> str:
    """Open what lies in `directory` and say what a cache would make of it."""
    clock = VirtualClock()
    store = await open_store(directory, clock=clock, settings=SETTINGS)
    try:
        verdict = "fine"
        for _ in range(2):  # again, once bad rows are in the quarantine
            told = await look(store, states)
            if told not in {"fine", "older", "told"}:
                return told
            verdict = max(verdict, told)
            await store.apply(Batch(puts=[(b"x", b"")]), sync=True)
            await store.apply(Batch(deletes=[b"x"]), sync=True)
        return verdict
    finally:
        await store.aclose()


async def look(store: SQLiteStore, states: list[Rows]) -> str:
    try:
        found = await store.scan(b"")
        got = {key: await get(store, key) for key in (*KEYS, INDEX)}
    except StoreUnavailableError:
        return "told"
    rows = dict(found.rows)
    for key, value in [*rows.items(), *got.items()]:
        if value not in {None, *(state.get(key) for state in states)}:
            return f"wrong value of {key!r}"
    opened = store.opened
    if opened.damaged or opened.rebuilt or store.counters.losses or found.damaged:
        return "told"
    if {key: value for key, value in got.items() if value is not None} != rows:
        return "get and scan differ"
    if rows in states:
        return "fine" if rows == states[-1] else "older"
    if INDEX not in rows or with_index(rows)[INDEX] != rows[INDEX]:
        return "told"
    return f"looks whole and is not: {set(states[-1]) ^ set(rows)}"


async def get(store: SQLiteStore, key: bytes) -> bytes | None:
    try:
        return await store.get(key)
    except DamagedRowError:
        return None


FOUND = (5515, 8401)
"""A text that is no UTF-8 where a checksum was; a key that is no blob any more."""


def try_damages(images: dict[str, Image], directory: Path, count: int) -> Counter[str]:
    """Count the verdicts over `count` damages, each of its own seed."""
    verdicts: Counter[str] = Counter()
    for seed in (*FOUND, *range(count)):
        chance = random.Random(seed)
        life = chance.choice(["clean", "killed"])
        image = images[life]
        files = {name: bytearray(content) for name, content in image.files.items()}
        target = chance.choice([name for name in files if files[name]])
        damage = chance.choice(DAMAGE)
        damage(files[target], chance)
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(mode=0o700)
        for name, content in files.items():
            (directory / name).write_bytes(content)
        verdict = asyncio.run(judge(directory, image.states))
        if verdict not in {"fine", "older", "told"}:
            verdicts["bad"] += 1
            print(f"seed {seed}: {damage.__name__} of {life} {target}: {verdict}")
        verdicts[verdict if verdict in {"fine", "older", "told"} else "bad"] += 1
    return verdicts


@pytest.mark.timeout(900 if PROVE else 120)
def test_no_bad_byte_is_a_wrong_value_or_an_absence(images, tmp_path: Path):
    verdicts = try_damages(images, tmp_path / "store", DAMAGES)
    assert not verdicts["bad"]
    # The damages must have been such that there was something to notice.
    assert verdicts["told"] > DAMAGES // 4
    assert verdicts["older"]


def checksums_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "sound_value", lambda key, found, value, crc: value)


def quarantine_taken_for_absence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Damaged rows vanish, and the index of keys is brought into line with that."""

    def quarantine(self: Engine, keys) -> int:
        connection = self._writer
        connection.execute("BEGIN IMMEDIATE")
        for key in keys:
            connection.execute("DELETE FROM rows WHERE key = ?", (key,))
        connection.execute("COMMIT")
        return len(keys)

    monkeypatch.setattr(Engine, "quarantine", quarantine)


def test_checksums_left_out_are_noticed(
    images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    checksums_off(monkeypatch)
    assert try_damages(images, tmp_path / "store", 60)["bad"]


@pytest.mark.parametrize("planted", [False, True])
def test_a_quarantined_row_is_still_told_of(
    planted: bool, images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    if planted:
        quarantine_taken_for_absence(monkeypatch)
    image = images["clean"]
    key, value = next(row for row in image.states[-1].items() if len(row[1]) == 3000)
    directory = tmp_path / "store"
    directory.mkdir(mode=0o700)
    for name, content in image.files.items():
        (directory / name).write_bytes(content.replace(value, b"?" + value[1:]))

    async def scenario() -> bool:
        store = await open_store(directory, clock=VirtualClock(), settings=SETTINGS)
        assert (await store.scan(b"r")).damaged == [key]
        await store.apply(Batch(puts=[(b"x", b"")]), sync=True)
        await store.apply(Batch(puts=[(b"x", b"")]), sync=True)
        told = (await store.scan(b"r")).damaged == [key]
        await store.aclose()
        return told

    assert asyncio.run(scenario()) is not planted


@pytest.mark.parametrize("text", ["'plain'", "CAST(x'ff00fe' AS TEXT)"])
def test_a_blob_that_became_a_text_is_one_bad_row(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One bit of a row's header does that; every other row must still be read."""

    async def scenario() -> None:
        store = await open_store(tmp_path, clock=VirtualClock(), settings=SETTINGS)
        rows = [(key, b"value of " + key) for key in KEYS]
        await store.apply(Batch(puts=rows, deletes=[]), sync=True)
        await store.aclose()
        with sqlite3.connect(tmp_path / NAME) as connection:
            connection.execute(f"UPDATE rows SET value = {text} WHERE id = 1")
        connection.close()
        store = await open_store(tmp_path, clock=VirtualClock(), settings=SETTINGS)
        found = await store.scan(b"r1")
        assert list(found.damaged) == KEYS[:1]
        assert list(found.rows) == rows[1:]
        with pytest.raises(DamagedRowError):
            await store.get(KEYS[0])
        await store.aclose()
        with sqlite3.connect(tmp_path / NAME) as connection:
            aside = connection.execute("SELECT key, typeof(value) FROM quarantine")
            assert aside.fetchall() == [(KEYS[0], "blob")]
        connection.close()

    asyncio.run(scenario())
    assert not [one for one in caplog.records if one.levelname == "ERROR"]
