# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the hub and of etcd at every step of every change: no ghost, nothing lost.

A child makes one list after another and is killed before or after the n-th call of
its store or of etcd; etcd is killed at the same steps. The parent then looks at both
sides. What a list was acknowledged for must be there; what neither this list nor the
one under way holds must not; and the cache must agree with etcd once it has recovered.
"""

import asyncio
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash import etcd_writer
from tests.crash.etcd_writer import COMPONENT, content_of, nth_list, opened
from tests.etcd import RAISED, running_etcd

CYCLES = int(
    os.environ.get("TOONO_KILLS", "200" if os.environ.get("TOONO_PROVE") else "6")
)
ROOT = Path(__file__).parents[2]


def live_and_die(directory, cluster, *, kill, when, victim, first=1):
    """Run a writer until its death at a step; return the lists it began and ended."""
    member = cluster.members[0]
    command = [
        sys.executable, "-m", "tests.crash.etcd_writer", str(directory),
        str(member.port), str(kill), when, victim, str(member.pid), str(first),
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        told, _ = process.communicate(timeout=60)
    if victim == "etcd":
        member.kill()
        member.start()
        member.wait()
    words = told.decode().split()
    began = [int(word[1:]) for word in words if word[0] == "b"]
    ended = [int(word[1:]) for word in words if word[0] == "e"]
    return max(began, default=0), max(ended, default=0)


async def look(directory, cluster):
    """Recover as a restarted hub does; return its keys and etcd's rows."""
    etcd = cluster.client()
    store, hub = await opened(directory, etcd)
    try:
        mine = set(hub.keys(COMPONENT, "pods"))
        rows = {row.key: row.value for row in (await etcd.scan(b"/registry/")).kvs}
        return mine, rows
    finally:
        await store.aclose()
        etcd.close()
        await asyncio.sleep(0)


def check(directory, cluster, began, ended):
    mine, rows = asyncio.run(look(directory, cluster))
    assert mine == set(rows), "the cache and etcd disagree"
    old, new = nth_list(ended), nth_list(max(began, ended))
    assert set(old) & set(new) <= set(rows), "a key was lost"
    assert set(rows) <= set(old) | set(new), "a ghost"
    for key, value in rows.items():
        assert value in (old.get(key), new.get(key)), "neither the old nor the new"
        if key in old:
            assert int(content_of(value)) >= int(content_of(old[key])), "time travel"


@pytest.mark.parametrize("victim", ["hub", "etcd"])
@pytest.mark.parametrize("limits", ["raised", "default"])
@pytest.mark.timeout(120 + 8 * CYCLES)
def test_a_kill_at_any_step_leaves_no_ghost_and_loses_nothing(tmp_path, victim, limits):
    chance = random.Random(f"{os.environ.get('TOONO_SEED', '0')} {victim} {limits}")
    flags = RAISED if limits == "raised" else ()
    directory = tmp_path / "node"
    with running_etcd(tmp_path / "etcd", *flags) as cluster:
        begun, ended, whole, reached = 0, 0, 0, set()
        for _ in range(CYCLES):
            kill, when = chance.randrange(1, 26), chance.choice(["before", "after"])
            began, told = live_and_die(
                directory, cluster, kill=kill, when=when, victim=victim, first=ended + 1
            )
            reached.add((began - ended, told - ended))
            begun, ended = max(begun, began), max(ended, told)
            check(directory, cluster, begun, ended)
            settled = asyncio.run(etcd_writer.current(cluster.client))
            whole += settled > ended
            ended = max(ended, settled)
        print(
            f"{victim} {limits}: {CYCLES} kills, {ended} lists, {whole} unacknowledged"
        )
        assert ended > 0
        assert len(reached) > 1, "every death was at the same place"


@pytest.mark.timeout(180)
def test_a_cache_lost_with_the_hub_is_rebuilt_and_leaves_no_ghost(tmp_path):
    directory = tmp_path / "node"
    with running_etcd(tmp_path / "etcd", *RAISED) as cluster:
        began, ended = live_and_die(
            directory, cluster, kill=16, when="after", victim="hub"
        )
        for path in directory.iterdir():
            path.unlink()
        check(directory, cluster, began, ended)
