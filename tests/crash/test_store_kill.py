# SPDX-License-Identifier: Apache-2.0
"""kill -9 of a process that writes: what it said was kept is there, in order."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash.explorer import Rows, apply_to, open_and_read
from tests.crash.killed_writer import nth_batch

KILLS = 500 if os.environ.get("TOONO_PROVE") else 20


def live_and_die(directory: Path, acknowledgements: int) -> int:
    """Kill a writer once it has acknowledged so many; returns the last it told."""
    command = [sys.executable, "-m", "tests.crash.killed_writer", str(directory)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root) as process:
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(acknowledgements)]
        process.kill()
        rest = process.stdout.read().split(b"\n")
        told += [int(line) for line in rest[:-1]]
    return max(told)


@pytest.mark.timeout(60 + KILLS)
def test_a_killed_writer_keeps_what_it_acknowledged(tmp_path: Path):
    directory = tmp_path / "store"
    chance = random.Random(os.environ.get("TOONO_SEED", "0"))
    rows: Rows = {}
    done = 0
    for _ in range(KILLS):
        acknowledged = live_and_die(directory, chance.randrange(1, 120))
        opened, found, damaged = open_and_read(directory)
        assert (opened.damaged, opened.rebuilt) == (False, False)
        assert not damaged
        number = int.from_bytes(found[b"serial"], "big")
        assert number >= acknowledged
        for serial in range(done + 1, number + 1):
            rows = apply_to(rows, nth_batch(serial))
        assert found == rows
        done = number
