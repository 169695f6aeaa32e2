# SPDX-License-Identifier: Apache-2.0
"""A real kubelet's first 25 s, recorded: once online, then again from the cache alone.

What the second boot must hear is kubernetes-wire.md 5.12: a kubelet that is told 404
for its own objects, or an empty list, gives up or kills pods.
"""

import asyncio

import pytest

from tests.rig import begin, body, headers_of, hub_over, in_order, status_of, until
from toono.codec.protobuf import ProtobufCodec
from toono.testing.replay import Recorded, Replay

CODEC = ProtobufCodec()
INFORMERS = ("nodes?", "services?", "csidrivers?", "runtimeclasses?", "pods?")


async def hear(hub, one: Recorded, *, least: int, seconds: float = 5.0) -> bytes:
    """Send a recorded request; read until `least` bytes of body, or the end."""
    reader, writer = await begin(hub, one.request)
    heard = b""
    async with asyncio.timeout(seconds):
        while b"\r\n\r\n" not in heard:
            heard += await reader.read(65536)
        head, _, rest = heard.partition(b"\r\n\r\n")
        length = {k.lower(): v for k, v in headers_of(heard)}.get("content-length")
        wanted = int(length) if length is not None else least
        chunked = length is None
        while True:
            content = dechunked(rest) if chunked else rest
            if len(content) >= wanted:
                break
            piece = await reader.read(65536)
            if not piece:
                break
            rest += piece
    writer.close()
    return head.split(b"\r\n")[0] + b"\r\n" + without_framing(head) + content


def without_framing(head: bytes) -> bytes:
    lines = head.split(b"\r\n")[1:]
    kept = [line for line in lines if not line.lower().startswith(b"transfer-enc")]
    return b"\r\n".join(kept) + b"\r\n\r\n"


def dechunked(rest: bytes) -> bytes:
    content = b""
    while b"\r\n" in rest:
        line, _, rest = rest.partition(b"\r\n")
        size = int(line or b"0", 16)
        if size == 0 or len(rest) < size:
            break
        content, rest = content + rest[:size], rest[size + 2 :]
    return content


def events(content: bytes):
    return [CODEC.read_event(frame) for frame in CODEC.frames().feed(content)]


@pytest.mark.parametrize("mode", ["boot-list", "boot-watch-list"])
def test_a_second_boot_cut_off_goes_on(mode: str, tmp_path) -> None:
    boot = in_order(mode)
    assert len(boot) > 20
    agent = ("hollow-kubelet", "kubelet")

    async def scenario() -> None:
        replay = Replay(boot)
        await replay.start()
        async with hub_over([replay.address], tmp_path, agents=agent) as hub:
            await until(lambda: hub.upstream.online)
            for one in boot:
                first = await hear(hub, one, least=len(one.body))
                assert status_of(first) == one.status
                assert body(first)[: len(one.body)] == one.body
            await replay.aclose()
        async with hub_over([replay.address], tmp_path, agents=agent) as hub:
            for one in boot:
                await second_boot(hub, one)

    asyncio.run(scenario())


async def second_boot(hub, one: Recorded) -> None:
    """Ask again what the first boot asked; the kubelet must go on after each."""
    watching = "watch=true" in one.target
    answer = await hear(hub, one, least=1 if "sendInitial" in one.target else 0)
    status, content = status_of(answer), body(answer)
    names = [name.lower() for name, _ in headers_of(answer)]
    assert "retry-after" not in names
    assert status != 404, one.target
    path = one.target.rpartition("/v1/")[2]
    if one.method == "POST" and path == "nodes":
        assert status == 409
    elif one.method != "GET":
        assert status == 503
    elif "csinodes/" in path or "/leases/" in path:
        assert status in (200, 503)
    elif path.startswith(INFORMERS) and not watching:
        assert status == 200
        listed, before = CODEC.split_list(content), CODEC.split_list(one.body)
        assert [item.name for item in listed.items] == [i.name for i in before.items]
        assert int(listed.resource_version) >= int(before.resource_version)
    elif path.startswith(INFORMERS) and "sendInitialEvents" in path:
        assert status == 200
        heard = events(content)
        assert heard[-1].initial_events_end
        recorded = events(one.body)
        burst = recorded[: [e.initial_events_end for e in recorded].index(True)]
        assert {e.object.name for e in heard[:-1]} >= {e.object.name for e in burst}
    elif path.startswith(INFORMERS):
        assert status == 200
    else:
        assert status == 200, one.target
