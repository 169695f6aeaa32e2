# SPDX-License-Identifier: Apache-2.0
"""One hub of a pool, as a process that is killed: run as `python -m tests.crash.etcd_hub
DIRECTORY NAME PORT...`.

The cloud is a function of the machine's monotonic clock, so that all hubs see one
cloud: `cloud(version)` is what the pool shares, `node(name, version)` what the kubelet
of a node has. A hub uploads its node's list all the time, and the shared one while it
leads. It prints "L REVISION" for each time it begins to lead.
"""

import asyncio
import os
import random
import sys
import time
from pathlib import Path

from toono.errors import StoreError
from toono.pool.leader import Election, LeaderSettings, Role
from toono.runtime.clock import SystemClock
from toono.store.component_keys import ComponentKeys
from toono.store.etcd_client import Etcd
from toono.store.etcd_cluster import EtcdSettings
from toono.store.etcd_components import Claim, Components
from toono.store.etcd_errors import EtcdFencedError
from toono.store.sqlite import SQLiteSettings, open_store

SHARED = b"/registry/services/endpoints/"
PODS = b"/registry/pods/"
LIST = b"/toono/lists"
KUBELET, LEADER = b"kubelet", b"leader-yurthub"
QUICK = LeaderSettings(lease=1.0, renew=0.25, retry=0.1)
SETTINGS = SQLiteSettings(allow_tmpfs=True)


def now():
    return int(time.monotonic() * 50)


def _rows(prefix, seed, version):
    rows = {prefix + b"list": b"%d" % version}
    for name in range(40):
        chance = random.Random(f"{seed} {name} {version // (3 + name % 5)}")
        if chance.random() < 0.7:
            changed = version - version % (3 + name % 5)
            rows[prefix + b"n%02d" % name] = b"%d" % changed
    return rows


def cloud(version):
    return _rows(SHARED, "cloud", version)


def node(name, version):
    return _rows(PODS + name.encode() + b"/", name, version)


def version_of(_, value):
    return int(value) if value.isdigit() else None


async def opened(directory: Path, name, etcd):
    """Open this hub's part of the pool; nothing is asked of etcd yet."""
    store = await open_store(directory, clock=SystemClock(), settings=SETTINGS)
    keys = ComponentKeys(store)
    await keys.load()
    mark = b"/toono/hubs/" + name.encode()
    return Components(etcd, keys, mark=mark, version=version_of)


async def recovered(hub, name, *, lead):
    mine = PODS + name.encode() + b"/"
    claims = [Claim(KUBELET, "pods", mine, lambda *_: True)]
    if lead:
        claims.append(Claim(LEADER, "endpoints", SHARED, lambda *_: True, always=True))
    await hub.recover(claims)


async def live(directory: Path, name, ports):
    etcd = Etcd(
        [("127.0.0.1", port) for port in ports],
        settings=EtcdSettings(attempt=1, deadline=3),
    )
    election = Election(
        etcd, b"/toono/leader", name, clock=SystemClock(), may_lead=lambda: True,
        settings=QUICK,
    )  # fmt: skip
    election.start()
    hub = await opened(directory, name, etcd)
    led, recover = (), True
    while True:
        try:
            if recover:
                await recovered(hub, name, lead=False)
                recover = False
            current = election.now
            if current.role is Role.LEADER and current.guards != led:
                await recovered(hub, name, lead=True)
                led = current.guards
                os.write(1, b"L %d\n" % led[0].create_revision)
            await work(hub, name, led if current.role is Role.LEADER else ())
        except EtcdFencedError:
            led, recover = (), True
        except StoreError:
            pass
        await asyncio.sleep(0.01)


async def work(hub, name, guards):
    version = now()
    await hub.replace(KUBELET, "pods", node(name, version), version=version)
    if guards:
        version = now()
        rows = cloud(version)
        note = (LIST, b"%d" % version)
        await hub.replace(
            LEADER, "endpoints", rows, version=version, guards=guards, note=note
        )


if __name__ == "__main__":
    asyncio.run(live(Path(sys.argv[1]), sys.argv[2], list(map(int, sys.argv[3:]))))
