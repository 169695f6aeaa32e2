# SPDX-License-Identifier: Apache-2.0
"""Informers that speak watch-list, through a cut and back, on a clock of the test's."""

import asyncio
import os
from contextlib import asynccontextmanager

import pytest

from tests.reflector import Heard, Reflector
from tests.rig import begin, body, get, hub_over, status_of
from toono.testing import APIServer
from toono.testing.clock import VirtualClock
from toono.upstream.health import HealthSettings

PODS = "/api/v1/pods"
POD = {"spec": {"nodeName": "edge-1", "containers": [{"name": "c", "image": "i"}]}}
SECONDLY = HealthSettings(down_interval=1.0, up_after=1)
MINE = frozenset({os.getuid()})
QUIET_SECONDS = 600.0
AGENT = "controller/v1.35.0"


class Chunks:
    """A chunked answer, a chunk a time; ConnectionError where it breaks off."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    async def read(self) -> bytes:
        line = await self._reader.readline()
        if not line:
            raise ConnectionError("a watch was broken off")
        size = int(line, 16)
        content = await self._reader.readexactly(size + 2)
        return content[:size]


class Stage:
    """A cloud, a hub and reflectors."""

    def __init__(self, server: APIServer, clock: VirtualClock) -> None:
        self.server, self.clock = server, clock
        self.tasks: list[asyncio.Task] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.hub = None

    async def send(self, target: str) -> Heard:
        """Ask over a connection of its own, as if each were a new one of a pool."""
        reader, writer = await begin(self.hub, get(target, agent=AGENT))
        self.writers.append(writer)
        head = await reader.readuntil(b"\r\n\r\n")
        if status_of(head) == 200 and "watch=true" in target:
            return Heard(200, b"", Chunks(reader))
        answer = head + await reader.read()
        return Heard(status_of(head), body(answer), None)

    def reflect(self, path: str = PODS) -> Reflector:
        reflector = Reflector(self.send, path, clock=self.clock)
        self.tasks.append(asyncio.create_task(reflector.run()))
        return reflector

    async def until(self, fact, *, most: float = 60.0) -> None:
        """Let time pass, in tenths, until something holds."""
        began = self.clock.monotonic()
        while not fact():
            assert self.clock.monotonic() - began < most
            await asyncio.sleep(0.005)  # what sockets and disks do takes real time
            await self.clock.advance(0.1)

    async def pass_time(self, seconds: float) -> None:
        for _ in range(int(seconds)):
            await self.clock.advance(1.0)

    def names(self) -> dict[str, str]:
        """What the cloud holds, as a reflector's store shows it."""
        state = self.server.storage.collection("pods").now
        return {
            f"{one.object['metadata']['namespace']}/{one.object['metadata']['name']}": (
                one.object["metadata"]["resourceVersion"]
            )
            for one in state.values()
        }

    async def drive(self, ending) -> None:
        """Let time pass until something that takes some has ended."""
        task = asyncio.ensure_future(ending)
        await self.until(task.done)
        await task

    async def cut(self) -> None:
        await self.drive(self.server.aclose())
        await self.until(lambda: not self.hub.upstream.online)

    async def leave(self) -> None:
        """Let every reflector go, and its connections."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.tasks.clear()
        for writer in self.writers:
            writer.close()
        self.writers.clear()
        await self.until(lambda: self.hub.chain.in_flight.watching == 0)

    async def mend(self) -> None:
        await self.server.start(port=self.server.address[1])


@asynccontextmanager
async def staged(tmp_path, **settings):
    clock = VirtualClock()
    server = APIServer(clock=clock)
    await server.start()
    for name in ("a", "b"):
        server.create("pods", POD | {"metadata": {"name": name}}, namespace="default")
    stage = Stage(server, clock)
    chosen = {"node_uids": MINE, "agents": ("*",), "health": SECONDLY} | settings
    context = hub_over([server.address], tmp_path, clock=clock, **chosen)
    stage.hub = await context.__aenter__()
    try:
        await stage.until(lambda: stage.hub.upstream.online)
        yield stage
    finally:
        await stage.leave()
        await stage.drive(context.__aexit__(None, None, None))
        await stage.drive(server.aclose())


def test_an_informer_syncs_cut_off_stays_quiet_and_misses_nothing(tmp_path) -> None:
    async def scenario() -> None:
        async with staged(tmp_path) as stage:
            before = stage.reflect()
            await stage.until(lambda: before.synced_at is not None)
            known = stage.names()
            await stage.cut()
            after = stage.reflect()  # a controller that starts while cut off
            await stage.until(lambda: after.synced_at is not None)
            assert len(after.requests) == 1, "it had to ask again"
            assert after.store == known
            await quiet(stage, before, after)
            await changed_meanwhile(stage)
            await stage.mend()
            for one in (before, after):
                await stage.until(lambda one=one: one.store == stage.names())
            for one in (before, after):
                assert ("DELETED", "default/a") in one.events
                assert one.asked("sendInitialEvents") == 1, "it listed again"
                assert one.asked("limit=") == 0

    asyncio.run(scenario())


async def quiet(stage: Stage, *reflectors: Reflector) -> None:
    """Ten minutes: hardly a request, nothing heard, nothing lost."""
    counts = [len(one.requests) for one in reflectors]
    stores = [dict(one.store) for one in reflectors]
    await stage.pass_time(QUIET_SECONDS)
    for one, count, store in zip(reflectors, counts, stores, strict=True):
        assert (len(one.requests) - count) <= 3, one.requests[count:]
        assert one.store == store
        assert one.events == []


async def changed_meanwhile(stage: Stage) -> None:
    stage.server.delete("pods", "a", namespace="default")
    stage.server.create("pods", POD | {"metadata": {"name": "c"}}, namespace="default")


def test_what_nobody_asked_does_not_make_an_informer_spin(tmp_path) -> None:
    async def scenario() -> None:
        async with staged(tmp_path) as stage:
            await stage.cut()
            one = stage.reflect("/api/v1/services")
            await stage.pass_time(QUIET_SECONDS)
            assert one.synced_at is None
            assert 0 < len(one.requests) < QUIET_SECONDS / 10
            await stage.mend()
            await stage.until(lambda: one.synced_at is not None, most=60.0)

    asyncio.run(scenario())


def test_a_burst_that_breaks_replaces_nothing_and_the_next_prunes(tmp_path) -> None:
    """Deleted while the hub was away: gone with the next burst, not with half of one."""

    async def scenario() -> None:
        async with staged(tmp_path) as stage:
            one = stage.reflect()
            await stage.until(lambda: one.synced_at is not None)
            known = dict(one.store)
            await stage.leave()
            await changed_meanwhile(stage)
            stage.server.fault = half_a_burst(stage.server)
            broken = stage.reflect()
            await stage.until(lambda: len(broken.requests) > 3)
            await stage.leave()
            await stage.cut()
            old = stage.reflect()
            await stage.until(lambda: old.synced_at is not None)
            assert old.store == known
            stage.server.fault = None
            await stage.mend()
            await stage.until(lambda: old.store == stage.names())
            fresh = stage.reflect()
            await stage.until(lambda: fresh.synced_at is not None)
            await stage.cut()
            last = stage.reflect()
            await stage.until(lambda: last.synced_at is not None)
            assert last.store == stage.names()

    asyncio.run(scenario())


def half_a_burst(server: APIServer):
    """Let a watch-list end after its first object, without its bookmark."""

    async def fault(request):
        if b"sendInitialEvents" not in request.target:
            return None
        server.fault = None
        response = await server.handle(request)
        server.fault = fault
        first = (await response.body.read()).splitlines(keepends=True)[0]
        response.body.close()
        response.body = None
        response.content = first
        return response

    return fault


@pytest.mark.parametrize("query", ["", "&resourceVersion=99999999"])
def test_a_version_ahead_of_the_hub_does_not_make_an_informer_spin(
    tmp_path, query
) -> None:
    async def scenario() -> None:
        async with staged(tmp_path) as stage:
            one = stage.reflect()
            await stage.until(lambda: one.synced_at is not None)
            await stage.cut()
            later = Reflector(stage.send, PODS, clock=stage.clock)
            later.version = query.rpartition("=")[2]
            stage.tasks.append(asyncio.create_task(later.run()))
            await stage.until(lambda: later.synced_at is not None)
            assert len(later.requests) <= 2
            assert later.store == one.store

    asyncio.run(scenario())
