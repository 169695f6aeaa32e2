# SPDX-License-Identifier: Apache-2.0
"""A process that copies what changes into the tree for ever, and prints each pass.

Run as `python -m tests.crash.killed_tree DIRECTORY FIRST`. Pass N holds the pods that
`pods_at(N)` names, each at the last pass that changed it.
"""

import asyncio
import os
import random
import sys
from pathlib import Path

from tests.unit.cache.kit import Cache, pod, pod_list
from toono.cache.tree_write import TreeWriter

NAMES = [f"pod-{number}" for number in range(12)]
PODS = "/api/v1/pods"


def pods_at(number: int) -> dict[str, int]:
    """Return which pods there are in a pass, and at which version each is."""
    found: dict[str, int] = {}
    for name in NAMES:
        chance = random.Random(f"{name} {number // 7}")
        if chance.random() < 0.8:
            step = chance.choice((1, 3))
            # Never older than in the turn before: versions of one cloud do not go back.
            found[name] = max(number - number % step, number // 7 * 7)
    return found


async def copy(directory: Path, number: int) -> None:
    cache = Cache()
    writer = TreeWriter(cache.scopes, directory, clock=cache.clock)
    while True:
        pods = [pod(name, at) for name, at in pods_at(number).items()]
        await cache.take(PODS, pod_list(number, *pods))
        await writer.bring_up_to_date()
        os.write(1, f"{number}\n".encode())
        number += 1


if __name__ == "__main__":
    asyncio.run(copy(Path(sys.argv[1]), int(sys.argv[2])))
