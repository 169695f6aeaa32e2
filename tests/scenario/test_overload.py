# SPDX-License-Identifier: Apache-2.0
"""Clients that are slow, deaf or many: cut in their time, and nobody else notices."""

import asyncio
from contextlib import AsyncExitStack

from tests.rig import ask, get, hub_over, status_of
from tests.unit.cache.kit import event, pod, pod_list
from tests.unit.wire.kit import dialled, play, refuse, until
from toono.runtime.clock import SystemClock
from toono.testing.clock import VirtualClock
from toono.wire.messages import Response
from toono.wire.server import Server

PODS = "/api/v1/pods"
WATCH = PODS + "?watch=1&resourceVersion=9"
JSON = [(b"Content-Type", b"application/json")]


class Events:
    """A watch that has more to tell than anybody reads."""

    length = None

    def __init__(self) -> None:
        self.told = 0
        self.closed = 0

    async def read(self) -> bytes:
        self.told += 1
        await asyncio.sleep(0)
        note = "x" * 30_000
        return event("MODIFIED", pod("a", 9 + self.told, annotations={"n": note}))

    def close(self) -> None:
        self.closed += 1


async def cloud():
    streams: list[Events] = []

    async def serve(request) -> Response:
        if not request.target.startswith(PODS.encode()):
            return Response(status=404, headers=JSON, content=b"{}")
        if b"watch=" in request.target:
            streams.append(Events())
            return Response(status=200, headers=JSON, body=streams[-1])
        return Response(status=200, headers=JSON, content=pod_list(9, pod("a", 3)))

    server = Server(serve, refuse=refuse, clock=SystemClock())
    return server, streams, await server.start("127.0.0.1", 0)


def test_watchers_that_never_read_are_cut_and_their_places_are_free(tmp_path) -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        server, streams, address = await cloud()
        async with (
            hub_over([address], tmp_path, clock=clock) as hub,
            AsyncExitStack() as stack,
        ):
            await until(lambda: hub.upstream.online)
            for _ in range(5):
                reader, writer = await stack.enter_async_context(
                    dialled(hub.addresses[0], receive_bytes=4096)
                )
                reader._transport.pause_reading()
                writer.write(get(WATCH))
            connections = hub.server.connections
            await until(
                lambda: sum(one._gate.is_shut for one in connections.values()) == 5
            )
            assert hub.chain.in_flight.watching == 5
            assert status_of(await ask(hub, get(PODS))) == 200
            await clock.advance(15.0)
            await until(lambda: hub.chain.in_flight.watching == 0)
            assert not connections
            assert status_of(await ask(hub, get(PODS))) == 200
            await until(lambda: all(one.closed for one in streams))
        await server.aclose()

    play(scenario)


def test_many_half_heads_do_not_keep_others_out(tmp_path) -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        server, _, address = await cloud()
        async with (
            hub_over([address], tmp_path, clock=clock) as hub,
            AsyncExitStack() as stack,
        ):
            await until(lambda: hub.upstream.online)
            lorises = [
                await stack.enter_async_context(dialled(hub.addresses[0]))
                for _ in range(200)
            ]
            for _ in range(10):
                for _, writer in lorises:
                    writer.write(b"G")
                assert status_of(await ask(hub, get(PODS))) == 200
                await clock.advance(1.0)
            await clock.advance(8.0)
            await until(lambda: not hub.server.connections)
            assert status_of(await ask(hub, get(PODS))) == 200
        await server.aclose()

    play(scenario)
