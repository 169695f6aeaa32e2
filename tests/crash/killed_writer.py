# SPDX-License-Identifier: Apache-2.0
"""A process that writes batches for ever and prints what was acknowledged.

Run as `python -m tests.crash.killed_writer DIRECTORY`; goes on where the last left off.
"""

import asyncio
import os
import random
import sys
from collections import deque
from pathlib import Path

from tests.crash.stories import some_batch
from toono.runtime.clock import SystemClock
from toono.store.base import Batch
from toono.store.sqlite import SQLiteSettings, open_store

SETTINGS = SQLiteSettings(allow_tmpfs=True, checkpoint_bytes=256 * 1024)
IN_FLIGHT = 8


def nth_batch(number: int) -> Batch:
    """The batch of a number, the same in every process."""
    return some_batch(random.Random(number), number)


async def write(directory: Path) -> None:
    store = await open_store(directory, clock=SystemClock(), settings=SETTINGS)
    last = await store.get(b"serial")
    number = int.from_bytes(last or b"", "big")
    flying: deque[asyncio.Future[None]] = deque()
    while True:
        number += 1
        future = store.apply(nth_batch(number), sync=number % 5 == 0)
        line = f"{number}\n".encode()
        future.add_done_callback(lambda _, line=line: os.write(1, line))
        flying.append(future)
        if len(flying) >= IN_FLIGHT:
            await flying.popleft()


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1])))
