# SPDX-License-Identifier: Apache-2.0
"""A disk that hangs holds up nobody who only reads, and the loop never waits for it."""

import asyncio
import os
import threading
from pathlib import Path

import pytest

from tests.rig import ask, body, get, hub_over, status_of, until
from toono.store.disk import Disk
from toono.store.engine import Engine
from toono.store.reader import Reader
from toono.testing import APIServer

PODS = "/api/v1/namespaces/default/pods"
MINE = frozenset({os.getuid()})


def pod(name: str) -> dict:
    return {"metadata": {"name": name}, "spec": {"nodeName": "edge-1"}}


class Held:
    """Lets a test hold every sync of the disk, and see one begin."""

    def __init__(self) -> None:
        self.free = threading.Event()
        self.free.set()
        self.entered = threading.Event()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Held:
    held, real = Held(), Disk.sync

    def sync(self: Disk, descriptor: int) -> None:
        if not held.free.is_set():
            held.entered.set()
            held.free.wait(30)
        real(self, descriptor)

    monkeypatch.setattr(Disk, "sync", sync)
    return held


def test_answers_go_on_while_a_sync_hangs(tmp_path: Path, disk: Held) -> None:
    async def scenario() -> None:
        server = APIServer()
        await server.start()
        for number in range(20):
            server.create("pods", pod(f"p{number}"), namespace="default")
        async with hub_over([server.address], tmp_path, node_uids=MINE) as hub:
            await until(lambda: hub.upstream.online)
            assert status_of(await ask(hub, get(PODS))) == 200
            disk.free.clear()
            try:
                for number in range(20, 40):
                    server.create("pods", pod(f"p{number}"), namespace="default")
                    answer = await ask(hub, get(PODS), seconds=5.0)
                    assert body(answer).count(b'"name":"p') == number + 1
                await until(disk.entered.is_set)
                # What removes something waits for the disk, but not for long.
                server.delete("pods", "p0", namespace="default")
                answer = await ask(hub, get(PODS), seconds=5.0)
                assert body(answer).count(b'"name":"p') == 39
                assert hub.chain.forward.barrier.stalls == 1
                await server.aclose()
                answer = await ask(hub, get(PODS), seconds=5.0)
                assert body(answer).count(b'"name":"p') == 39
            finally:
                disk.free.set()

    asyncio.run(scenario())


def test_nothing_that_touches_the_disk_runs_on_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: dict[str, set[int]] = {}

    def watched(owner: type, name: str) -> None:
        real = getattr(owner, name)

        def call(self, *arguments, **options):
            threads.setdefault(name, set()).add(threading.get_ident())
            return real(self, *arguments, **options)

        monkeypatch.setattr(owner, name, call)

    for name in ("sync", "sync_directory", "connect", "open", "rename", "unlink"):
        watched(Disk, name)
    for name in ("commit", "sync", "checkpoint", "quarantine", "open", "finish"):
        watched(Engine, name)
    for name in ("get", "scan"):
        watched(Reader, name)

    async def scenario() -> None:
        server = APIServer()
        await server.start()
        server.create("pods", pod("a"), namespace="default")
        for _ in range(2):
            async with hub_over([server.address], tmp_path, node_uids=MINE) as hub:
                await until(lambda: hub.upstream.online)
                await ask(hub, get(PODS))
                await ask(hub, get(f"{PODS}/a"))
        await server.aclose()
        async with hub_over([server.address], tmp_path, node_uids=MINE) as hub:
            assert status_of(await ask(hub, get(PODS))) == 200
            assert status_of(await ask(hub, get(f"{PODS}/a"))) == 200

    asyncio.run(scenario())
    assert {"commit", "sync", "open", "scan"} <= set(threads)
    assert threading.get_ident() not in set().union(*threads.values())
