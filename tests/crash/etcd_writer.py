# SPDX-License-Identifier: Apache-2.0
"""A hub's writer that is killed at one of its steps, or kills etcd there.

Run as `python -m tests.crash.etcd_writer DIRECTORY PORT STEP before|after hub|etcd PID
LIST`. It makes list after list, prints "bN" when it begins list N and "eN" once that is
acknowledged. Each call that reaches the
node's disk or etcd is a step; so no step of the code under test is named here.
"""

import asyncio
import os
import random
import signal
import sys
from pathlib import Path

from toono.errors import StoreError
from toono.runtime.clock import SystemClock
from toono.store.component_keys import ComponentKeys
from toono.store.etcd_client import Etcd
from toono.store.etcd_components import Claim, Components
from toono.store.sqlite import SQLiteSettings, open_store

COMPONENT = b"kubelet"
MARK = b"/toono/hubs/edge-1"
SETTINGS = SQLiteSettings(allow_tmpfs=True)
PREFIX = b"/registry/pods/"


def nth_list(number):
    """List N: some 200 of 260 names, each with the number of its last change."""
    if not number:
        return {}
    rows = {PREFIX + b"list": b"%d" % number}
    for name in range(260):
        there = random.Random(f"{number} {name}").random() < 0.77
        since = max(n for n in range(number + 1) if (n * 7 + name) % 5 == 0 or not n)
        if there:
            rows[PREFIX + b"p%03d" % name] = b"%d %b" % (since, bytes(64))
    return rows


def content_of(value):
    return value.partition(b" ")[0]


def version(key, value):
    text = content_of(value)
    return int(text) if text.isdigit() else None


class Step:
    """Counts steps, and acts at one."""

    def __init__(self, at, when, act):
        self._left, self._when, self._act = at, when, act

    def before(self):
        self._left -= 1
        if self._left == 0 and self._when == "before":
            self._act()

    def after(self):
        if self._left == 0 and self._when == "after":
            self._left -= 1
            self._act()


class SteppingStore:
    """A store whose every batch is a step."""

    def __init__(self, store, step):
        self._store, self._step = store, step

    async def scan(self, prefix):
        return await self._store.scan(prefix)

    def apply(self, batch, *, sync=False):
        self._step.before()
        future = self._store.apply(batch, sync=sync)
        future.add_done_callback(lambda _: self._step.after())
        return future


class SteppingEtcd:
    """An etcd whose every call is a step."""

    def __init__(self, etcd, step):
        self._etcd, self._step = etcd, step

    @property
    def cluster_id(self):
        return self._etcd.cluster_id

    def __getattr__(self, name):
        call = getattr(self._etcd, name)

        async def stepped(*args, **options):
            self._step.before()
            try:
                return await call(*args, **options)
            finally:
                self._step.after()

        return stepped


async def opened(directory: Path, etcd, step=None):
    """Open a hub's part of the pool as a start does."""
    store = await open_store(directory, clock=SystemClock(), settings=SETTINGS)
    seen = SteppingStore(store, step) if step else store
    keys = ComponentKeys(seen)
    await keys.load()
    over = SteppingEtcd(etcd, step) if step else etcd
    hub = Components(over, keys, mark=MARK, version=version)
    claim = Claim(COMPONENT, "pods", PREFIX, lambda *_: True)
    await hub.recover([claim])
    return store, hub


async def current(client):
    """Return the newest list that is whole in etcd (made, and not acknowledged)."""
    etcd = client()
    rows = {row.key: row.value for row in (await etcd.scan(PREFIX)).kvs}
    etcd.close()
    await asyncio.sleep(0)
    number = int(rows.get(PREFIX + b"list", b"0"))
    return number if rows == nth_list(number) else 0


async def write(directory, port, step, number):
    etcd = Etcd([("127.0.0.1", port)])
    _, hub = await opened(directory, etcd, step)
    while True:
        os.write(1, b"b%d " % number)
        await hub.replace(COMPONENT, "pods", nth_list(number), version=number)
        os.write(1, b"e%d " % number)
        number += 1


def main(directory, port, at, when, victim, pid, number):
    def act():
        os.kill(os.getpid() if victim == "hub" else int(pid), signal.SIGKILL)

    try:
        step = Step(int(at), when, act)
        asyncio.run(write(Path(directory), int(port), step, int(number)))
    except StoreError as exc:
        if victim == "hub":
            raise
        os.write(2, f"{exc}\n".encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
