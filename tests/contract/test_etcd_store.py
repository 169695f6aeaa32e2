# SPDX-License-Identifier: Apache-2.0
"""A store over a real etcd cannot be told from the model, etcd killed or not."""

import asyncio
import os
import random

import pytest
from tests.crash.stories import some_batch
from tests.etcd import RAISED, running_etcd

from toono.runtime.clock import SystemClock
from toono.store.etcd import EtcdStore
from toono.store.memory import MemoryStore


async def opened(cluster):
    etcd = cluster.client()
    store = EtcdStore(etcd, mark=b"mark", root=b"r/", clock=SystemClock())
    await store.open()
    return store, etcd


async def same(store, model, chance):
    for prefix in (b"", b"o", bytes([chance.randrange(256)])):
        assert (await store.scan(prefix)).rows == (await model.scan(prefix)).rows
    for key, value in (await model.scan(b"")).rows[:5]:
        assert await store.get(key) == value


@pytest.mark.parametrize("flags", [(), RAISED], ids=["default", "raised"])
def test_random_batches_and_restarts_agree_with_the_model(tmp_path, flags):
    chance = random.Random(os.environ.get("TOONO_SEED", "0"))

    async def story(cluster):
        model = MemoryStore()
        number = 0
        for round_ in range(4):
            store, etcd = await opened(cluster)
            await same(store, model, chance)
            futures = []
            for _ in range(25):
                number += 1
                batch = some_batch(chance, number)
                futures.append(store.apply(batch))
                await model.apply(batch)
                if chance.random() < 0.2:
                    await same(store, model, chance)
            if round_ == 2:
                cluster.kill()
                await asyncio.sleep(0)
                await asyncio.to_thread(cluster.start)
            await asyncio.gather(*futures)
            await same(store, model, chance)
            await store.aclose()
            etcd.close()
            await asyncio.sleep(0)

    with running_etcd(tmp_path, *flags) as cluster:
        asyncio.run(story(cluster))
