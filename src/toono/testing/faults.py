# SPDX-License-Identifier: Apache-2.0
"""What breaks: a link, by a TCP proxy that stands for it, and a server's answers.

The answers' faults are for `APIServer.fault`, one at a time.
"""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable

from toono.runtime.clock import Clock
from toono.runtime.tasks import cancel_and_wait, spawn
from toono.wire.messages import Request, Response

AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER on, for no time: what is not sent is thrown away, and RST goes out."""
Fault = Callable[[Request], Awaitable[Response | None]]


def storm(status: int, times: int, *, retry_after: int | None = None) -> Fault:
    """Answer the next `times` requests with a bare status, then let pass."""
    left = times

    async def fault(request: Request) -> Response | None:
        nonlocal left
        if left <= 0:
            return None
        left -= 1
        response = Response(status=status)
        if retry_after is not None:
            response.headers.append((b"Retry-After", b"%d" % retry_after))
        return response

    return fault


def late(seconds: float, clock: Clock) -> Fault:
    """Think for a while before every answer."""

    async def fault(request: Request) -> Response | None:
        await clock.sleep(seconds)
        return None

    return fault


class FaultProxy:
    """Passes bytes to one server until told otherwise; told at run time.

    `cut` refuses and resets; `blackhole` swallows what is sent, on open connections
    too, and answers nothing; `restore` passes again (for new connections).
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.address = ("", 0)
        self.delay = 0.0
        self.piece_bytes = 65536
        self._swallow = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._links: dict[asyncio.Task[None], list[asyncio.StreamWriter]] = {}

    async def start(self, port: int = 0) -> None:
        """Listen on loopback."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        host, bound = self._server.sockets[0].getsockname()[:2]
        self.address = (host, bound)

    async def cut(self) -> None:
        """Refuse new connections and reset those that stand."""
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._end_links()

    def blackhole(self) -> None:
        """Go silent: connections are taken, nothing comes back."""
        self._swallow.set()

    async def restore(self) -> None:
        """Pass again."""
        self._swallow.clear()
        await self._end_links()
        if self._server is None:
            await self.start(self.address[1])

    async def aclose(self) -> None:
        """Stop."""
        await self.cut()

    async def _end_links(self) -> None:
        links, self._links = dict(self._links), {}
        for writers in links.values():
            for writer in writers:
                _reset(writer)
        await cancel_and_wait(*links)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links[task] = [writer]
        try:
            if self._swallow.is_set():
                while await reader.read(65536):
                    pass
                return
            up_reader, up_writer = await asyncio.open_connection(*self.target)
            self._links[task].append(up_writer)
            ways = (
                spawn(self._pass(reader, up_writer), name="fault-up"),
                spawn(self._pass(up_reader, writer), name="fault-down"),
            )
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                await cancel_and_wait(*ways)
        except (OSError, asyncio.CancelledError):
            return
        finally:
            for one in self._links.pop(task, [writer]):
                one.transport.abort()
            writer.transport.abort()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            while piece := await reader.read(self.piece_bytes):
                if self._swallow.is_set():
                    continue
                if self.delay:
                    await asyncio.sleep(self.delay)
                writer.write(piece)
                await writer.drain()
        except OSError:
            return


def _reset(writer: asyncio.StreamWriter) -> None:
    """Break a connection with RST, as a link does that comes back without memory."""
    raw = writer.get_extra_info("socket")
    if raw is not None and raw.fileno() >= 0:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
    writer.transport.abort()
