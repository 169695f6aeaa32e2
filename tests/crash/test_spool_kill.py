# SPDX-License-Identifier: Apache-2.0
"""kill -9 of a hub that spools, and of one that replays: each event lands once.

A hub in a process of its own takes events while the cloud is away and is killed in the
middle; every event it had answered 201 must be there after. Then the cloud comes back
and the hub is killed again and again while it sends: in the end the cloud has each
event once, in the order in which they were taken.
"""

import asyncio
import json
import os
import signal

from tests.crash.test_hub_kill import Rig

EVENTS = "/api/v1/namespaces/shop/events"
COUNT = int(os.environ.get("TOONO_SPOOLED", "300"))
KILLS = int(os.environ.get("TOONO_KILLS", "4"))


def write(number: int) -> bytes:
    content = json.dumps(
        {
            "kind": "Event",
            "apiVersion": "v1",
            "metadata": {"name": f"web.{number:05}", "namespace": "shop"},
            "involvedObject": {"kind": "Pod", "namespace": "shop", "name": "web"},
            "reason": f"Reason{number}",
            "firstTimestamp": "2026-11-21T01:00:00Z",
            "count": 1,
        }
    ).encode()
    head = (
        f"POST {EVENTS} HTTP/1.1\r\nHost: a\r\nUser-Agent: kubelet/v1\r\n"
        f"Accept: application/json\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


async def post(rig: Rig, numbers) -> int:
    """Send events one after the other on one connection; return how many were taken."""
    taken = 0
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    try:
        for number in numbers:
            writer.write(write(number))
            head = await reader.readuntil(b"\r\n\r\n")
            status = int(head.split(b" ", 2)[1])
            lines = dict(
                line.split(b": ", 1)
                for line in head.lower().split(b"\r\n")
                if b": " in line
            )
            await reader.readexactly(int(lines[b"content-length"]))
            assert status in (201, 409), head
            taken += 1
    except (OSError, asyncio.IncompleteReadError):
        pass  # the hub was killed
    finally:
        writer.transport.abort()
    return taken


async def kill(rig: Rig) -> None:
    assert rig.child is not None
    rig.child.send_signal(signal.SIGKILL)
    await rig.child.wait()


async def take_all(rig: Rig) -> None:
    """Spool all events, with a kill in the middle: what was answered is kept."""
    await rig.start_hub()
    sending = asyncio.ensure_future(post(rig, range(COUNT)))
    await asyncio.sleep(rig.rng.uniform(0.05, 0.4))
    await kill(rig)
    taken = await sending
    await rig.start_hub()
    # One more may be there than was told: it is AlreadyExists then, as online.
    assert await post(rig, range(taken, COUNT)) == COUNT - taken


async def replay_all(rig: Rig) -> None:
    """Let the cloud come back, and kill the hub while it sends."""
    await rig.start_server()
    events = rig.server.storage.collection("events")
    for _ in range(KILLS):
        before = len(events.now)
        async with asyncio.timeout(30):
            while len(events.now) == before < COUNT:
                await asyncio.sleep(0.002)
        await asyncio.sleep(rig.rng.uniform(0.0, 0.15))
        await kill(rig)
        await rig.start_hub()
    async with asyncio.timeout(30):
        while len(events.now) < COUNT:
            await asyncio.sleep(0.01)


def test_each_spooled_event_lands_once_over_kill_9(tmp_path) -> None:
    async def scenario() -> None:
        rig = Rig(tmp_path, seed=int(os.environ.get("TOONO_SEED", "7")))
        try:
            await rig.start_server()
            await rig.server.aclose()  # its port answers nobody from here on
            await take_all(rig)
            await replay_all(rig)
            now = rig.server.storage.collection("events").now.values()
            found = sorted(now, key=lambda one: one.version)
            assert [one.object["reason"] for one in found] == [
                f"Reason{number}" for number in range(COUNT)
            ]
            created = [t for m, t in rig.server.requests if m == "POST"]
            # What was sent twice over a kill was refused, and is told by its name.
            assert len(created) >= COUNT
            status, _ = await rig.get("/readyz")
            assert status == 200
        finally:
            await rig.server.aclose()
            if rig.child is not None and rig.child.returncode is None:
                rig.child.kill()
                await rig.child.wait()

    asyncio.run(scenario())
