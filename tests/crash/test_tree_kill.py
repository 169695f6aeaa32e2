# SPDX-License-Identifier: Apache-2.0
"""kill -9 of a process that writes the tree: each file whole, and as told or newer."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash.killed_tree import pods_at
from tests.unit.cache.tree_kit import files_of
from toono.cache.tree import read_manifest, read_tree

KILLS = 100 if os.environ.get("TOONO_PROVE") else 8
FOLDER = "kubelet/pods.v1.core/default/"


def live_and_die(directory: Path, first: int, passes: int, seconds: float) -> int:
    """Kill a writer some time after it told of so many passes; return the last."""
    told = [sys.executable, "-m", "tests.crash.killed_tree", str(directory), str(first)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(told, stdout=subprocess.PIPE, cwd=root) as process:
        assert process.stdout is not None
        done = [int(process.stdout.readline()) for _ in range(passes)]
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
        rest = process.stdout.read().split(b"\n")
        done += [int(line) for line in rest[:-1]]
    return max(done)


@pytest.mark.timeout(60 + KILLS * 6)
def test_a_killed_writer_leaves_whole_files(tmp_path: Path) -> None:
    chance = random.Random(os.environ.get("TOONO_SEED", "0"))
    number = 0
    for _ in range(KILLS):
        first = number + 1
        number = live_and_die(
            tmp_path, first, chance.randrange(1, 9), chance.random() / 50
        )
        (found,) = read_tree(tmp_path)
        shown = {
            single.object.name: int(single.object.resource_version)
            for single in found.singles
        }
        names = {FOLDER + name for name in shown}
        assert set(files_of(tmp_path)) == names
        before, after = pods_at(number), pods_at(number + 1)
        for name in before | after:
            allowed = {pods.get(name) for pods in (before, after)}
            assert shown.get(name) in allowed, (name, number)
        assert set(shown) <= set(before) | set(after)
        assert read_manifest(tmp_path) is not None
