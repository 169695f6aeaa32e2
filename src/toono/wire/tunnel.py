# SPDX-License-Identifier: Apache-2.0
"""Upgraded connections: bytes both ways, each direction with its own half-close."""

import asyncio
import logging

from toono.errors import WireError
from toono.wire.messages import Tunnel
from toono.wire.streams import Gate, Incoming

log = logging.getLogger(__name__)


class TransportTunnel:
    """One side of an upgraded connection, over its transport."""

    def __init__(
        self, transport: asyncio.Transport, incoming: Incoming, gate: Gate
    ) -> None:
        self._transport = transport
        self._incoming = incoming
        self._gate = gate

    async def read(self) -> bytes:
        return await self._incoming.read()

    async def write(self, piece: bytes) -> None:
        self._transport.write(piece)
        await self._gate.passed()

    def write_eof(self) -> None:
        """Half-close where the transport can; TLS cannot, and closes."""
        if self._transport.can_write_eof() and not self._transport.is_closing():
            self._transport.write_eof()
        else:
            self._transport.close()

    def close(self) -> None:
        self._incoming.close()
        self._transport.close()


async def splice(a: Tunnel, b: Tunnel) -> None:
    """Pass bytes both ways until both sides have sent their last; close both."""

    async def one_way(source: Tunnel, sink: Tunnel) -> None:
        while piece := await source.read():
            await sink.write(piece)
        sink.write_eof()

    try:
        async with asyncio.TaskGroup() as ways:
            ways.create_task(one_way(a, b), name="splice-out")
            ways.create_task(one_way(b, a), name="splice-in")
    except* (OSError, WireError) as broken:
        log.debug("a tunnel broke", extra={"err": str(broken.exceptions[0])})
    finally:
        a.close()
        b.close()
