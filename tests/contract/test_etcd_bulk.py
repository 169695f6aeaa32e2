# SPDX-License-Identifier: Apache-2.0
"""Whole lists in one transaction, timed beside etcdctl putting the same bytes."""

import asyncio
import subprocess
import time

import pytest
from tests.etcd import RAISED, need_etcd, running_etcd

from toono.store.component_keys import ComponentKeys
from toono.store.etcd_components import Components
from toono.store.memory import MemoryStore

VALUE = b'{"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":"%d"}}'
ETCDCTL_BYTES = 1_900_000
"""etcdctl sends no request of more than 2 MiB."""


def rows_of(count, at):
    body = VALUE % at + b" " * 3000
    return {b"/registry/pods/default/p%05d" % n: body for n in range(count)}


def put_by_etcdctl(cluster, rows):
    """Put all rows in as few transactions as etcdctl takes; return the seconds."""
    program = need_etcd("etcdctl")
    pieces, size = [[]], 0
    for key, value in rows.items():
        if size + len(value) > ETCDCTL_BYTES:
            pieces.append([])
            size = 0
        text = value.decode().replace("\\", "\\\\").replace('"', '\\"')
        pieces[-1].append(f'put "{key.decode()}" "{text}"')
        size += len(value)
    texts = ["\n" + "\n".join(piece) + "\n\n\n" for piece in pieces]
    end = f"--endpoints=127.0.0.1:{cluster.members[0].port}"
    start = time.perf_counter()
    for text in texts:
        subprocess.run(
            [program, end, "txn"], input=text.encode(), check=True, capture_output=True
        )
    return time.perf_counter() - start


@pytest.mark.timeout(300)
def test_ten_thousand_objects_take_no_longer_than_etcdctl_takes(tmp_path):
    async def replaced(cluster, rows):
        etcd = cluster.client()
        hub = Components(
            etcd,
            ComponentKeys(MemoryStore()),
            mark=b"/toono/hubs/a",
            version=lambda *_: 5,
        )
        await hub.recover()
        asked = etcd.requests.reads + etcd.requests.writes
        start = time.perf_counter()
        made = await hub.replace(b"kubelet", "pods", rows, version=5)
        seconds = time.perf_counter() - start
        asked = etcd.requests.reads + etcd.requests.writes - asked
        count = (await etcd.scan(b"/registry/pods/", keys_only=True)).count
        etcd.close()
        await asyncio.sleep(0)
        return seconds, asked, made, count

    with running_etcd(tmp_path, *RAISED, "--quota-backend-bytes=2000000000") as cluster:
        for count in (1000, 10_000):
            rows = rows_of(count, 5)
            ratios = []
            for _ in range(3):
                theirs = put_by_etcdctl(cluster, rows)
                asyncio.run(cleared(cluster.client()))
                ours, asked, made, found = asyncio.run(replaced(cluster, rows))
                asyncio.run(cleared(cluster.client()))
                assert (asked, made.transactions, made.written) == (1, 1, count)
                assert found == count
                ratios.append(ours / theirs)
                print(f"{count} objects, {sum(map(len, rows.values())) / 1e6:.1f} MB: "
                      f"{ours:.2f} s in {asked} request, etcdctl {theirs:.2f} s")  # fmt: skip
            assert min(ratios) <= 1.5


async def cleared(etcd):
    await etcd.delete(b"\0", b"\0")
    etcd.close()
    await asyncio.sleep(0)
