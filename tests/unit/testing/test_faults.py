# SPDX-License-Identifier: Apache-2.0
"""A link that breaks when told, and a server that answers badly."""

import asyncio
from typing import Self

import pytest

from tests.unit.testing.apiserver.kit import World
from toono.testing.clock import settle
from toono.testing.faults import FaultProxy, late, storm


class Echo:
    """A server that sends back what it gets, and a proxy before it."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.proxy = FaultProxy(self._server.sockets[0].getsockname()[:2])
        await self.proxy.start()
        self._ends: list[asyncio.StreamWriter] = []
        return self

    async def __aexit__(self, *_: object) -> None:
        for writer in self._ends:
            writer.close()
        await self.proxy.aclose()
        self._server.close()

    async def _serve(self, reader, writer) -> None:
        while piece := await reader.read(65536):
            writer.write(piece)
        writer.close()

    async def connect(self):
        reader, writer = await asyncio.open_connection(*self.proxy.address)
        self._ends.append(writer)
        return reader, writer


async def said(reader, writer, text: bytes = b"hello") -> bytes:
    writer.write(text)
    async with asyncio.timeout(5):
        return await reader.readexactly(len(text))


def test_bytes_pass_both_ways() -> None:
    async def scenario() -> None:
        async with Echo() as link:
            ends = await link.connect()
            assert await said(*ends) == b"hello"
            link.proxy.piece_bytes = 3
            assert await said(*ends, b"x" * 100) == b"x" * 100

    asyncio.run(scenario())


def test_a_cut_link_resets_and_refuses_until_it_is_restored() -> None:
    async def scenario() -> None:
        async with Echo() as link:
            reader, writer = await link.connect()
            await said(reader, writer)
            await link.proxy.cut()
            with pytest.raises(ConnectionResetError):
                await reader.read()
            with pytest.raises(OSError, match="."):
                await link.connect()
            address = link.proxy.address
            await link.proxy.restore()
            assert link.proxy.address == address
            assert await said(*await link.connect()) == b"hello"

    asyncio.run(scenario())


async def is_silent(reader) -> bool:
    reading = asyncio.ensure_future(reader.read(1))
    await settle(200)
    silent = not reading.done()
    reading.cancel()
    return silent


def test_a_black_hole_takes_everything_and_says_nothing() -> None:
    async def scenario() -> None:
        async with Echo() as link:
            old = await link.connect()
            await said(*old)
            link.proxy.blackhole()
            new = await link.connect()
            for reader, writer in (old, new):
                writer.write(b"anybody?")
                assert await is_silent(reader)
            await link.proxy.restore()
            assert await said(*await link.connect()) == b"hello"

    asyncio.run(scenario())


def test_pieces_may_be_held_up() -> None:
    async def scenario() -> None:
        async with Echo() as link:
            ends = await link.connect()
            await said(*ends)
            loop = asyncio.get_running_loop()
            link.proxy.delay = 0.02
            before = loop.time()
            await said(*ends)
            assert loop.time() - before >= 0.02

    asyncio.run(scenario())


def test_a_storm_passes() -> None:
    async def scenario() -> None:
        world = World()
        world.server.fault = storm(429, 2, retry_after=7)
        for _ in range(2):
            response = await world.respond("GET", "/livez")
            assert (response.status, response.headers) == (
                429,
                [(b"Retry-After", b"7")],
            )
        assert (await world.respond("GET", "/livez")).status == 200
        world.server.fault = storm(500, 1)
        assert (await world.respond("GET", "/livez")).headers == []

    asyncio.run(scenario())


def test_a_slow_server_thinks_first() -> None:
    async def scenario() -> None:
        world = World()
        world.server.fault = late(30, world.clock)
        asking = asyncio.ensure_future(world.respond("GET", "/livez"))
        await settle()
        await world.clock.advance(29)
        assert not asking.done()
        await world.clock.advance(1)
        assert (await asking).status == 200

    asyncio.run(scenario())
