# SPDX-License-Identifier: Apache-2.0
"""A disk that is really full: spooled events go first, and nothing else does.

The order of giving up is reliability.md's (4.2): events, then memory alone, and never
what is kept already. A small file system of its own is filled to the last byte where
the machine lets us mount one; everywhere the disk fails a write as a full one does.
"""

import asyncio
import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.crash.explorer import open_and_read
from tests.crash.recording import Fail, Recorder, RecordingDisk
from tests.unit.autonomy.spool_kit import event, names, pod_status, put
from toono.autonomy.spool import Spool
from toono.autonomy.spooled import PREFIX
from toono.runtime.clock import SystemClock
from toono.store.base import Batch
from toono.store.disk import Disk
from toono.store.settings import SQLiteSettings
from toono.store.sqlite import SQLiteStore, open_store

EVENTS = 1000
SETTINGS = SQLiteSettings(
    allow_tmpfs=True,
    checkpoint_bytes=512 * 1024,
    retry_first=0.05,
    retry_most=0.2,
    replenish_after=1e9,
)


@pytest.fixture
def small(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file system of a few mebibytes."""
    size = request.param * 1024 * 1024
    place = tmp_path / "small"
    place.mkdir()
    mount = shutil.which("mount")
    command = [mount or "", "-t", "tmpfs", "-o", f"size={size}", "none", str(place)]
    if mount is None or subprocess.run(command, check=False).returncode:
        pytest.skip("LOUD: this machine mounts no file system for tests")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


async def opened(directory: Path, disk: Disk | None = None):
    store = await open_store(
        directory, clock=SystemClock(), settings=SETTINGS, disk=disk
    )
    spool = Spool(store)
    await spool.open()
    store.spare = spool.spare
    return store, spool


async def until(holds) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.01)


def fill(place: Path) -> Path:
    """Leave no byte to anybody."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(65536))
    with filler.open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x")
    assert os.statvfs(place).f_bavail == 0
    return filler


async def spool_many(spool: Spool) -> None:
    """Spool events, and a status among them."""
    events = (event(f"e{number}", pad="x" * 2000) for number in range(EVENTS))
    await asyncio.gather(
        put(spool, pod_status("web")), *(put(spool, one) for one in events)
    )


async def write(store: SQLiteStore, rows: dict[bytes, bytes], serial: int) -> None:
    """Write rows, and wait for the disk or its failure."""
    page = {b"r%05d" % (serial * 8 + n): os.urandom(1000) for n in range(8)}
    future = store.apply(Batch(puts=list(page.items())), sync=True)
    rows.update(page)
    await until(lambda: future.done() or store.state != "ok")


async def write_until_memory_only(store: SQLiteStore) -> dict[bytes, bytes]:
    """Return what was written when the disk was let alone."""
    rows: dict[bytes, bytes] = {}
    serial = 0
    while store.state == "ok":
        await write(store, rows, serial)
        serial += 1
    return rows


@pytest.mark.parametrize("small", [32], indirect=True, ids="{} MiB".format)
def test_events_give_way_on_a_full_disk_then_memory_does(
    small: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        store, spool = await opened(small / "without")
        store.spare = None
        await spool_many(spool)
        filler = fill(small)
        least = len(await write_until_memory_only(store))
        filler.unlink()
        await until(lambda: store.state == "ok")
        await store.aclose()
        shutil.rmtree(small / "without")

        directory = small / "toono"
        store, spool = await opened(directory)
        await spool_many(spool)
        filler = fill(small)
        rows = await write_until_memory_only(store)
        # What the events had is what the rows of the cache have now.
        given_up = spool.counts["disk_full"]
        assert given_up > EVENTS // 3
        assert len(rows) > least + EVENTS // 2
        assert "spooled events are given up" in caplog.text
        assert names(spool)[0] == "web"
        for key, value in rows.items():
            assert await store.get(key) == value
        filler.unlink()
        await until(lambda: store.state == "ok" and not store.waiting_bytes)
        kept = names(spool)
        await store.aclose()
        _, found, damaged = open_and_read(directory)
        assert not damaged
        assert {key: found.get(key) for key in rows} == rows
        store, spool = await opened(directory)
        assert names(spool) == kept
        await store.aclose()

    asyncio.run(scenario())


@pytest.mark.parametrize("small", [12], indirect=True, ids="{} MiB".format)
def test_where_giving_up_helps_nobody_no_more_is_given_up(small: Path) -> None:
    """A disk this small has no ballast: neither the log nor the database can grow."""

    async def scenario() -> None:
        directory = small / "toono"
        store, spool = await opened(directory)
        await spool_many(spool)
        assert not (directory / "ballast").exists()
        filler = fill(small)
        rows = await write_until_memory_only(store)
        await until(lambda: store.counters.failures > 8)
        assert 0 < spool.counts["disk_full"] < EVENTS
        filler.unlink()
        await until(lambda: not store.waiting_bytes)
        await store.aclose()
        _, found, damaged = open_and_read(directory)
        assert not damaged
        assert {key: found.get(key) for key in rows} == rows
        left = [key for key in found if key.startswith(PREFIX)]
        assert len(left) == EVENTS + 1 - spool.counts["disk_full"]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("number", "given_up"), [(errno.ENOSPC, 2), (errno.EIO, 0)], ids=["full", "broken"]
)
def test_a_write_that_finds_no_room_gives_up_events_and_is_made(
    number: int, given_up: int, scratch: Path
) -> None:
    """And one that fails otherwise takes nothing away."""

    async def scenario(disk: Disk) -> None:
        store, spool = await opened(scratch, disk)
        await put(spool, event("a"))
        await put(spool, pod_status("web"))
        await put(spool, event("b"))
        failing.append("write")
        await store.apply(Batch(puts=[(b"r1", b"kept")]), sync=True)
        assert store.counters.failures == 1
        assert spool.counts["disk_full"] == given_up
        await store.aclose()
        _, found, damaged = open_and_read(scratch)
        assert not damaged
        assert found[b"r1"] == b"kept"
        assert len([key for key in found if key.startswith(PREFIX)]) == 3 - given_up

    failing: list[str] = []

    def judge(kind: str, name: str) -> None:
        if kind in failing:
            failing.remove(kind)
            raise Fail(number)

    recorder = Recorder(scratch)
    recorder.judge = judge
    with RecordingDisk(recorder) as disk:
        asyncio.run(scenario(disk))
