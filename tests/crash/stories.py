# SPDX-License-Identifier: Apache-2.0
"""What the recorded stores live through."""

import errno
import random

from tests.crash.explorer import Driver
from tests.crash.recording import Fail, RecordingDisk
from toono.store.base import Batch

KEYS = [f"r{bucket}{name:02}".encode() for bucket in "abc" for name in range(8)]


def some_batch(chance: random.Random, serial: int) -> Batch:
    """A batch that no other one equals in its effect."""
    value = serial.to_bytes(4, "big")
    puts = [
        (key, value + chance.randbytes(chance.choice([8, 200, 4096])))
        for key in chance.sample(KEYS, chance.choice([1, 1, 2, 5]))
    ]
    deletes = chance.sample(KEYS, chance.choice([0, 0, 1, 3]))
    drops = [b"r" + chance.choice([b"a", b"b", b"c"])] if chance.random() < 0.1 else []
    return Batch(puts=[*puts, (b"serial", value)], deletes=deletes, drops=drops)


async def ordinary(driver: Driver, disk: RecordingDisk, chance: random.Random) -> None:
    """Changes, barriers, pauses, checkpoints, a restart in order."""
    for life in range(2):
        await driver.open(disk)
        for step in range(22):
            batch = some_batch(chance, 1000 * (life + 1) + step)
            driver.apply(batch, sync=chance.random() < 0.3)
            if chance.random() < 0.5:
                await driver.settle()
            if chance.random() < 0.15:
                await driver.fall_due()
        await driver.close()


async def bursts(driver: Driver, disk: RecordingDisk, chance: random.Random) -> None:
    """Batches queue while others are written, and share commits."""
    await driver.open(disk)
    for burst in range(6):
        for step in range(6):
            driver.apply(some_batch(chance, 10 * burst + step), sync=step == 4)
        await driver.settle()
    await driver.fall_due()
    await driver.close()


async def forgetful(driver: Driver, disk: RecordingDisk, chance: random.Random) -> None:
    """As below, and what a failed sync should have written is gone at once."""
    driver.session.recorder.forgetful = True
    await failing_syncs(driver, disk, chance)


async def failing_syncs(
    driver: Driver, disk: RecordingDisk, chance: random.Random
) -> None:
    """Now and then a sync fails, and what it should have written is in doubt."""
    await driver.open(disk)
    recorder = driver.session.recorder
    for step in range(24):
        if step % 6 == 3:
            recorder.judge = once("sync", errno.EIO)
        driver.apply(some_batch(chance, step), sync=chance.random() < 0.5)
        await driver.settle()
        if chance.random() < 0.3:
            await driver.fall_due()
    recorder.judge = lambda kind, name: None
    await driver.close()


def once(wanted: str, number: int, suffix: str = "-wal"):
    """A judge that fails the next call of a kind on a file, and no other."""
    left = [1]

    def judge(kind: str, name: str) -> None:
        if kind == wanted and name.endswith(suffix) and left:
            left.clear()
            raise Fail(number)

    return judge


STORIES = {
    "ordinary": ordinary,
    "bursts": bursts,
    "failing syncs": failing_syncs,
    "forgetful": forgetful,
}
