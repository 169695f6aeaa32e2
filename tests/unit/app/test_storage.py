# SPDX-License-Identifier: Apache-2.0
"""What is on disk: read, refused, or done without."""

import pytest

from tests.rig import ask, get, hub_over, status_of
from tests.unit.app.kit import POD, PODS, cut, hubs
from tests.unit.cache.kit import encode, pod
from tests.unit.wire.kit import play
from toono.errors import StoreInUseError


def test_a_second_hub_on_one_directory_is_refused(tmp_path) -> None:
    async def scenario() -> None:
        async with hub_over([("127.0.0.1", 9)], tmp_path):
            with pytest.raises(StoreInUseError):
                async with hub_over([("127.0.0.1", 9)], tmp_path):
                    pass

    play(scenario)


def test_a_disk_that_cannot_be_used_does_not_stop_it(tmp_path, caplog) -> None:
    async def scenario() -> None:
        (tmp_path / "_internal").write_text("a file where a directory should be")
        async with hubs(tmp_path) as (cloud, hub):
            assert hub.status()["store"] == "memory-only"
            await ask(hub, get(PODS))
            await cut(cloud, hub)
            assert status_of(await ask(hub, get(PODS))) == 200

    play(scenario)
    assert any("--disk-cache-path" in one.message for one in caplog.records)


def test_a_cache_of_yurthub_is_read_in_once(tmp_path, caplog) -> None:
    caplog.set_level("INFO")
    folder = tmp_path / "kubelet" / "pods.v1.core" / "default"
    folder.mkdir(parents=True)
    (folder / "a").write_bytes(
        encode({"kind": "Pod", "apiVersion": "v1"} | pod("a", 3))
    )

    async def scenario() -> None:
        for _ in range(2):
            async with hub_over([("127.0.0.1", 9)], tmp_path) as hub:
                assert status_of(await ask(hub, get(POD))) == 200

    play(scenario)
    said = [one.message for one in caplog.records]
    assert said.count("read in a cache of YurtHub") == 1
