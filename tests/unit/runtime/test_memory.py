# SPDX-License-Identifier: Apache-2.0
import platform
import subprocess
import sys

import pytest

CHILD = """
import sys
from toono.runtime.memory import give_back_large_blocks
if sys.argv[1] == "told":
    assert give_back_large_blocks()
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096
for _ in range(4):
    block = bytes(8 << 20)
    del block
before = resident()
blocks, pins = [], []
for number in range(8):
    blocks.append(b"x" * (3 << 20))
    pins.append(b"y" * (2000 + number))
del blocks
print(resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="about glibc alone")
def test_large_blocks_go_back_when_they_are_freed() -> None:
    def kept(how: str) -> int:
        done = subprocess.run(
            [sys.executable, "-c", CHILD, how],
            capture_output=True,
            text=True,
            check=True,
        )
        return int(done.stdout)

    assert kept("told") < 8 << 20
    assert kept("not told") > kept("told") + (8 << 20)
