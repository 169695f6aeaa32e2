# SPDX-License-Identifier: Apache-2.0
"""A node moves from YurtHub to toono while cut off, and could move back.

`yurthub-1.5.1-cache.json` is what a real YurtHub 1.5.1 left on its disk: each file's
text by its path, directories without files as null.
"""

import asyncio
import json
import os
from pathlib import Path

import pytest

from tests.rig import ask, body, get, hub_over, status_of

RECORDED = Path(__file__).parents[1] / "data" / "yurthub-1.5.1-cache.json"
KUBELET = "kubelet/v1.28.9"
LISTS = {
    "/api/v1/pods?fieldSelector=spec.nodeName%3Dedge-1": "pods.v1.core",
    "/api/v1/nodes?fieldSelector=metadata.name%3Dedge-1": "nodes.v1.core",
    "/api/v1/services": "services.v1.core",
    "/api/v1/namespaces": "namespaces.v1.core",
    "/apis/x.example.com/v1/crontabs": "crontabs.v1.x.example.com",
}
GETS = {
    "/api/v1/nodes/edge-1": "nodes.v1.core/edge-1",
    "/api/v1/namespaces/default/secrets/key": "secrets.v1.core/default/key",
    "/api/v1/namespaces/default/pods/web-1": "pods.v1.core/default/web-1",
}


def recorded() -> dict[str, str | None]:
    return json.loads(RECORDED.read_text())


@pytest.fixture
def cache(tmp_path) -> Path:
    """Lay the recorded cache down."""
    for name, text in recorded().items():
        place = tmp_path / name
        (place if text is None else place.parent).mkdir(parents=True, exist_ok=True)
        if text is not None:
            place.write_text(text)
    return tmp_path


def state_of(cache: Path) -> dict[str, str | None]:
    """Return a cache as it is recorded, without what is toono's own."""
    found: dict[str, str | None] = {}
    for place in cache.rglob("*"):
        name = place.relative_to(cache).as_posix()
        if name == "_internal/toono" or name.startswith("_internal/toono/"):
            continue
        if place.is_file():
            found[name] = place.read_text()
        elif not any(place.iterdir()):
            found[name + "/"] = None
    return found


def cut_off(cache: Path):
    uids = frozenset({os.getuid()})
    return hub_over([("127.0.0.1", 9)], cache, agents=("*",), node_uids=uids)


async def told(hub, target: str) -> dict:
    answer = await ask(hub, get(target, agent=KUBELET))
    assert status_of(answer) == 200, answer[:300]
    return json.loads(body(answer))


def test_what_yurthub_cached_is_answered(cache) -> None:
    async def scenario() -> None:
        files = recorded()
        async with cut_off(cache) as hub:
            for target, folder in LISTS.items():
                items = (await told(hub, target))["items"]
                names = {item["metadata"]["name"] for item in items}
                prefix = f"kubelet/{folder}/"
                held = {
                    one.rpartition("/")[2] for one in files if one.startswith(prefix)
                }
                wanted = {"edge-1"} if "metadata.name" in target else held
                assert names == wanted, target
            for target, file in GETS.items():
                assert await told(hub, target) == json.loads(
                    files["kubelet/" + file] or ""
                )
            for target in ("/version", "/apis/discovery.k8s.io/v1"):
                name = target.lstrip("/").replace("/", "_")
                name = name if target == "/version" else "_" + name
                assert await told(hub, target) == json.loads(files[name] or "")

    asyncio.run(scenario())


def test_what_yurthub_cached_is_left_as_it_was(cache) -> None:
    async def scenario() -> None:
        for _ in range(2):
            async with cut_off(cache) as hub:
                for target in LISTS:
                    await told(hub, target)
            assert state_of(cache) == recorded()

    asyncio.run(scenario())
