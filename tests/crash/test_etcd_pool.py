# SPDX-License-Identifier: Apache-2.0
"""Three hubs and an etcd, killed and paused in all combinations while they work.

At every look the shared collection is exactly the cloud's at the version that stands
beside it (no ghost, nothing lost, no two leaders mixed), versions never go back, and
what a node uploaded is exactly one list of its own.
"""

import asyncio
import itertools
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.crash.etcd_hub import LIST, PODS, SHARED, cloud, node
from tests.etcd import RAISED, running_etcd
from toono.errors import StoreError
from toono.store.etcd_messages import end_of, get

CYCLES = int(
    os.environ.get("TOONO_KILLS", "200" if os.environ.get("TOONO_PROVE") else "5")
)
ROOT = Path(__file__).parents[2]
NAMES = ("edge-1", "edge-2", "edge-3")
VICTIMS = [
    victims
    for size in (1, 2, 3)
    for victims in itertools.combinations(("hub", "leader", "etcd"), size)
] + [("pause",), ("pause", "etcd")]


class Pool:
    """The processes, and who leads."""

    def __init__(self, directory: Path, cluster) -> None:
        self.directory, self.cluster = directory, cluster
        self.hubs: dict[str, subprocess.Popen] = {}
        for name in NAMES:
            self.start(name)

    def start(self, name):
        ports = [str(member.port) for member in self.cluster.members]
        place = self.directory / name
        log = open(self.directory / f"{name}.log", "ab")  # noqa: SIM115
        self.hubs[name] = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.etcd_hub", str(place), name, *ports],
            stdout=log, stderr=log, cwd=ROOT,
        )  # fmt: skip
        log.close()

    def kill(self, name):
        self.hubs[name].kill()
        self.hubs[name].wait()

    def signal(self, name, what):
        self.hubs[name].send_signal(what)

    def close(self):
        for name in NAMES:
            self.signal(name, signal.SIGCONT)
            self.kill(name)

    def led(self):
        """Return how often each hub began to lead."""
        return [
            (self.directory / f"{name}.log").read_bytes().count(b"L ") for name in NAMES
        ]


async def look(cluster, seen):
    """Check one consistent state of etcd; return who leads."""
    etcd = cluster.client()
    try:
        ops = [
            get(LIST),
            get(b"/registry/", end_of(b"/registry/")),
            get(b"/toono/leader"),
        ]
        noted, found, leader = (
            one.response_range.kvs for one in (await etcd.txn([], ops)).responses
        )
    except StoreError:
        return None
    finally:
        etcd.close()
        await asyncio.sleep(0)
    rows = {row.key: row.value for row in found}
    shared = {key: value for key, value in rows.items() if key.startswith(SHARED)}
    if noted:
        version = int(noted[0].value)
        assert version >= seen.get("shared", 0), "time travel"
        seen["shared"] = version
        assert shared == cloud(version), "the collection is not the cloud's"
    for name in NAMES:
        prefix = PODS + name.encode() + b"/"
        mine = {key: value for key, value in rows.items() if key.startswith(prefix)}
        if mine:
            version = int(mine[prefix + b"list"])
            assert version >= seen.get(name, 0), "time travel"
            seen[name] = version
            assert mine == node(name, version), "the upload is not the node's"
    return leader[0].value.decode() if leader else None


async def until_new(cluster, seen, *, than):
    """Look until the shared version is newer: a leader works; return who it is."""
    end = time.monotonic() + 40
    while True:
        leader = await look(cluster, seen)
        if leader and seen.get("shared", 0) > than:
            return leader
        assert time.monotonic() < end, "nobody leads"
        await asyncio.sleep(0.02)


async def cycle(pool, victims, chance, seen):
    leader = await until_new(pool.cluster, seen, than=seen.get("shared", 0))
    other = chance.choice([name for name in NAMES if name != leader])
    killed = [leader] if "leader" in victims else []
    killed += [other] if "hub" in victims else []
    await asyncio.sleep(chance.random() * 0.1)
    if "pause" in victims:
        pool.signal(leader, signal.SIGSTOP)
    for name in killed:
        pool.kill(name)
    if "etcd" in victims:
        pool.cluster.kill()
        await asyncio.to_thread(pool.cluster.start)
    await look(pool.cluster, seen)
    if "pause" in victims:
        paused = leader
        leader = await until_new(pool.cluster, seen, than=seen["shared"])
        assert leader != paused
        pool.signal(paused, signal.SIGCONT)
        for _ in range(10):
            await look(pool.cluster, seen)
            await asyncio.sleep(0.01)
    for name in killed:
        pool.start(name)


@pytest.mark.timeout(180 + 15 * CYCLES)
def test_kills_of_hubs_leader_and_etcd_leave_one_cloud(tmp_path):
    chance = random.Random(os.environ.get("TOONO_SEED", "0"))
    order = itertools.cycle(chance.sample(VICTIMS, len(VICTIMS)))

    async def story(pool):
        seen = {}
        for _, victims in zip(range(CYCLES), order, strict=False):
            await cycle(pool, victims, chance, seen)
        await until_new(pool.cluster, seen, than=seen["shared"])
        assert set(seen) == {"shared", *NAMES}

    with running_etcd(tmp_path / "etcd", *RAISED) as cluster:
        pool = Pool(tmp_path, cluster)
        try:
            asyncio.run(story(pool))
        finally:
            pool.close()
            logs = [(tmp_path / f"{name}.log").read_text()[-2000:] for name in NAMES]
            print(f"{CYCLES} cycles, began to lead: {pool.led()}", *logs, sep="\n")
        assert sum(pool.led()) > 1
