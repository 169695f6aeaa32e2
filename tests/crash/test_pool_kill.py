# SPDX-License-Identifier: Apache-2.0
"""Three whole hubs, an API server and an etcd: hubs, the leader and etcd are killed and
the leader is paused, in all combinations, while the cloud goes on changing.

At every look, what the pool shares is exactly what the cloud held at the version that
stands beside it (no ghost, nothing lost, no two leaders mixed) and that version never
goes back; what a node's kubelet was told is exactly one state of the cloud, too.
"""

import asyncio
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from bisect import bisect_right
from pathlib import Path

import pytest

from tests.etcd import RAISED, running_etcd
from tests.rig import body, get, status_of
from toono.errors import StoreError
from toono.kube.names import GroupResource
from toono.pool.keys import StorageKeys
from toono.pool.shared import Names
from toono.pool.values import read_value
from toono.store.etcd_messages import end_of
from toono.store.etcd_messages import get as read
from toono.testing import APIServer

CYCLES = int(
    os.environ.get("TOONO_KILLS", "200" if os.environ.get("TOONO_PROVE") else "4")
)
ROOT = Path(__file__).parents[2]
NODES = ("edge-1", "edge-2", "edge-3")
VICTIMS = [
    victims
    for size in (1, 2, 3)
    for victims in itertools.combinations(("hub", "leader", "etcd"), size)
] + [("pause",), ("pause", "etcd")]
KEYS = StorageKeys()
OF = GroupResource("discovery.k8s.io", "endpointslices")
VERSION, LEADER = Names(KEYS).version(OF), Names(KEYS).leader
SHARED, PODS = b"/registry/endpointslices/", b"/registry/pods/"
SECONDS = 60.0

State = frozenset


class History:
    """Every state of one set of objects in the cloud, by version."""

    def __init__(self) -> None:
        self.versions = [0]
        self.states: list[State] = [State()]

    def note(self, version: int, changed: dict[str, str]) -> None:
        self.versions.append(version)
        self.states.append(State(changed.items()))

    def at(self, version: int) -> State:
        return self.states[bisect_right(self.versions, version) - 1]


class Cloud:
    """An API server whose objects change, and all that they ever were."""

    def __init__(self, chance: random.Random) -> None:
        self.server = APIServer()
        self.chance = chance
        self.objects: dict[str, dict[str, str]] = {"": {}}
        self.histories = {"": History()}
        for node in NODES:
            self.objects[node], self.histories[node] = {}, History()

    def change(self) -> None:
        """Create or delete a slice, or a pod of some node."""
        whose = self.chance.choice(("", "", *NODES))
        held = self.objects[whose]
        plural = "pods" if whose else "endpointslices"
        name = f"{whose or 'slice'}-{self.chance.randrange(12)}"
        if name in held:
            self.server.delete(plural, name, namespace="default")
            del held[name]
            version = self.server.storage.version
        else:
            content = {"metadata": {"name": name}}
            if whose:
                content["spec"] = {"nodeName": whose}
            else:
                content |= {"addressType": "IPv4", "endpoints": []}
            made = self.server.create(plural, content, namespace="default")
            held[name] = made["metadata"]["resourceVersion"]
            version = int(held[name])
        self.histories[whose].note(version, held)

    async def live(self) -> None:
        while True:
            self.change()
            await asyncio.sleep(0.05)


class Pool:
    """The hubs' processes, and a kubelet on each node."""

    def __init__(self, directory: Path, cloud: Cloud, cluster) -> None:
        self.directory, self.cloud, self.cluster = directory, cloud, cluster
        self.hubs: dict[str, subprocess.Popen] = {}
        for name in NODES:
            self.start(name)

    def start(self, name: str) -> None:
        place = self.directory / name
        place.mkdir(exist_ok=True)
        (place / "port").unlink(missing_ok=True)
        ports = [self.cloud.server.address[1]]
        ports += [member.port for member in self.cluster.members]
        with open(self.directory / f"{name}.log", "ab") as log:
            self.hubs[name] = subprocess.Popen(
                [sys.executable, "-m", "tests.crash.pool_hub", str(place), name,
                 *map(str, ports)],
                stdout=log, stderr=log, cwd=ROOT,
            )  # fmt: skip

    def kill(self, name: str) -> None:
        self.hubs[name].kill()
        self.hubs[name].wait()

    def close(self) -> None:
        for name in NODES:
            self.hubs[name].send_signal(signal.SIGCONT)
            self.kill(name)

    async def kubelet(self, name: str) -> None:
        """List the node's pods again and again, through whatever hub there is."""
        target = f"/api/v1/pods?fieldSelector=spec.nodeName%3D{name}"
        while True:
            await asyncio.sleep(0.2)
            try:
                port = int((self.directory / name / "port").read_text())
                async with asyncio.timeout(2):
                    reader, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.write(get(target))
                    answer = await reader.read()
                    writer.close()
            except (OSError, ValueError):  # TimeoutError too
                continue
            if answer and status_of(answer) == 200:
                json.loads(body(answer))


async def look(pool: Pool, seen: dict[str, int]) -> str | None:
    """Check one consistent state of etcd; return who leads."""
    etcd = pool.cluster.client()
    ops = [read(VERSION), read(b"/registry/", end_of(b"/registry/")), read(LEADER)]
    try:
        noted, found, leader = (
            one.response_range.kvs for one in (await etcd.txn([], ops)).responses
        )
    except StoreError:
        return None
    finally:
        etcd.close()
        await asyncio.sleep(0)
    shared, pods = {}, {name: {} for name in NODES}
    for row in found:
        place = KEYS.parse(row.key)
        version = read_value(place, row.value).object.resource_version
        if row.key.startswith(SHARED):
            shared[place.name] = version
        elif row.key.startswith(PODS):
            pods[place.name.rpartition("-")[0]][place.name] = version
    histories = pool.cloud.histories
    if noted:
        version = int(noted[0].value)
        assert version >= seen.get("", 0), "time travel"
        seen[""] = version
        assert State(shared.items()) == histories[""].at(version), "not the cloud's"
    for name, held in pods.items():
        states = histories[name].states
        first = seen.get(name, 0)
        later = [at for at in range(first, len(states)) if states[at] == held.items()]
        assert later, f"what {name} uploaded was never so, or is older than before"
        seen[name] = later[0]
    return leader[0].value.decode() if leader else None


async def until_new(pool: Pool, seen: dict[str, int], *, than: int) -> str:
    """Look until the shared version is newer: a leader works; return who it is."""
    end = time.monotonic() + SECONDS
    while True:
        leader = await look(pool, seen)
        if leader and seen.get("", 0) > than:
            return leader
        assert time.monotonic() < end, "nobody leads"
        await asyncio.sleep(0.05)


async def cycle(pool: Pool, victims, chance: random.Random, seen) -> None:
    leader = await until_new(pool, seen, than=seen.get("", 0))
    other = chance.choice([name for name in NODES if name != leader])
    killed = [leader] if "leader" in victims else []
    killed += [other] if "hub" in victims else []
    await asyncio.sleep(chance.random() * 0.3)
    if "pause" in victims:
        pool.hubs[leader].send_signal(signal.SIGSTOP)
    for name in killed:
        pool.kill(name)
    if "etcd" in victims:
        pool.cluster.kill()
        await asyncio.to_thread(pool.cluster.start)
    await look(pool, seen)
    if "pause" in victims:
        paused, end = leader, time.monotonic() + SECONDS
        while leader == paused:
            leader = await until_new(pool, seen, than=seen[""])
            assert time.monotonic() < end, "the paused leader still leads"
        pool.hubs[paused].send_signal(signal.SIGCONT)
        for _ in range(20):
            await look(pool, seen)
            await asyncio.sleep(0.02)
    for name in killed:
        pool.start(name)


async def until_all(pool: Pool, seen: dict[str, int]) -> None:
    """The cloud rests: the pool must come to hold all of it, and no more."""
    end = time.monotonic() + SECONDS
    histories = pool.cloud.histories
    while True:
        await look(pool, seen)
        rest = [
            name for name in NODES if seen.get(name, 0) < len(histories[name].states) - 1
            and histories[name].states[seen.get(name, 0)] != histories[name].states[-1]
        ]  # fmt: skip
        if not rest and histories[""].at(seen[""]) == histories[""].states[-1]:
            return
        assert time.monotonic() < end, f"never complete: {rest}"
        await asyncio.sleep(0.1)


@pytest.mark.timeout(240 + 30 * CYCLES)
def test_kills_of_whole_hubs_leader_and_etcd_leave_one_cloud(tmp_path) -> None:
    chance = random.Random(os.environ.get("TOONO_SEED", "0"))
    order = itertools.cycle(chance.sample(VICTIMS, len(VICTIMS)))
    leaders = set()

    async def story(cluster) -> None:
        cloud = Cloud(chance)
        await cloud.server.start()
        pool = Pool(tmp_path, cloud, cluster)
        tasks = [asyncio.create_task(pool.kubelet(name)) for name in NODES]
        living = asyncio.create_task(cloud.live())
        seen: dict[str, int] = {}
        try:
            for _, victims in zip(range(CYCLES), order, strict=False):
                await cycle(pool, victims, chance, seen)
                leaders.add(await until_new(pool, seen, than=seen[""]))
            living.cancel()
            await until_all(pool, seen)
        finally:
            for task in (*tasks, living):
                task.cancel()
            await asyncio.gather(*tasks, living, return_exceptions=True)
            pool.close()
            await cloud.server.aclose()

    with running_etcd(tmp_path / "etcd", *RAISED) as cluster:
        try:
            asyncio.run(story(cluster))
        finally:
            print(f"{CYCLES} cycles, led: {sorted(leaders)}")
            for name in NODES:
                print((tmp_path / f"{name}.log").read_text()[-1500:])
