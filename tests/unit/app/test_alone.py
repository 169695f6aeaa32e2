# SPDX-License-Identifier: Apache-2.0
"""What waits is opened with the hub, counted, and sent when the link is there."""

import json

from tests.rig import ask, body, get, hub_over, status_of
from tests.unit.app.kit import cut, hubs
from tests.unit.wire.kit import play
from toono.app.alone import OUTCOMES

EVENT = {
    "kind": "Event",
    "apiVersion": "v1",
    "metadata": {"name": "web.1", "namespace": "shop"},
}


def posted() -> bytes:
    content = json.dumps(EVENT).encode()
    head = (
        "POST /api/v1/namespaces/shop/events HTTP/1.1\r\nHost: a\r\n"
        "User-Agent: kubelet/v1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + content


async def series(hub) -> dict[str, float]:
    proxies, hub.addresses = hub.addresses, [hub.status_address]
    text = body(await ask(hub, get("/metrics"))).decode()
    hub.addresses = proxies
    lines = (line.rsplit(" ", 1) for line in text.splitlines() if line[:1] != "#")
    return {name: float(value) for name, value in lines if "spool" in name}


def test_what_waits_is_counted_and_there_after_a_restart(tmp_path) -> None:
    async def scenario() -> None:
        status = {"status_listen": ("127.0.0.1", 0)}
        async with hubs(tmp_path, **status) as (cloud, hub):
            await cut(cloud, hub)
            assert status_of(await ask(hub, posted())) == 201
        async with hub_over([("127.0.0.1", 9)], tmp_path, **status) as hub:
            found = await series(hub)
            assert found["toono_spool_writes"] == 1.0
            assert found["toono_spool_size_bytes"] > 100
            assert {f"toono_spool_{name}" for name in OUTCOMES} < found.keys()
            assert status_of(await ask(hub, posted())) == 409

    play(scenario)


def test_on_a_disk_that_cannot_be_used_nothing_is_spooled(tmp_path) -> None:
    async def scenario() -> None:
        (tmp_path / "_internal").write_text("in the way")
        async with hub_over([("127.0.0.1", 9)], tmp_path) as hub:
            answer = await ask(hub, posted())
            assert status_of(answer) == 503
            assert b"disk" in body(answer)

    play(scenario)


def test_the_nodes_key_lies_beside_the_database(tmp_path) -> None:
    async def scenario() -> None:
        async with hub_over([("127.0.0.1", 9)], tmp_path):
            key = tmp_path / "_internal" / "toono" / "node.key"
            assert key.stat().st_mode & 0o777 == 0o600

    play(scenario)
