# SPDX-License-Identifier: Apache-2.0
"""Real servers and raw peers on loopback, and a run that fails on what is left over."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager

import uvloop

from toono.runtime.clock import SystemClock
from toono.testing.clock import settle
from toono.wire.client import Origin
from toono.wire.messages import Headers, Request, Response
from toono.wire.server import Server, ServerSettings

HOST: Headers = [(b"Host", b"a")]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def play(scenario: Callable[[], Awaitable[None]], *, fast: bool = False) -> None:
    """Run a scenario; no task may be left, no exception unheard. `fast` is uvloop."""
    heard: list[dict] = []

    async def checked() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: heard.append(context))
        async with asyncio.timeout(30):
            await scenario()
        await settle()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, left

    factory = uvloop.new_event_loop if fast else None
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(checked())
    assert not heard, heard


def refuse(code: int, message: str) -> tuple[Headers, bytes]:
    return [], message.encode()


@asynccontextmanager
async def serving(handler, *, clock=None, tls=None, **settings):
    """A server over `handler` on a free port; yields it and its address."""
    server = Server(
        handler,
        refuse=refuse,
        clock=clock or SystemClock(),
        settings=ServerSettings(**settings),
    )
    address = await server.start("127.0.0.1", 0, tls=tls)
    try:
        yield server, address
    finally:
        await server.aclose()
        await settle()


@asynccontextmanager
async def upstream(serve, *, tls=None, tls_of=None):
    """A raw server: `serve(reader, writer)` has each connection; yields an Origin.

    `tls` is the server's context, `tls_of` the client's.
    """
    tasks: set[asyncio.Task] = set()

    async def kept(reader, writer) -> None:
        tasks.add(asyncio.current_task())
        try:
            await serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(kept, "127.0.0.1", 0, ssl=tls)
    host, port = server.sockets[0].getsockname()[:2]
    origin = Origin(host, port, tls=lambda _: tls_of)
    try:
        yield origin
    finally:
        origin.close()
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await settle()


@asynccontextmanager
async def dialled(address, *, receive_bytes: int | None = None, tls=None):
    """A raw client's two streams; `receive_bytes` makes a small window."""
    raw = socket.socket()
    if receive_bytes is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, address)
    reader, writer = await asyncio.open_connection(
        sock=raw, ssl=tls, server_hostname="127.0.0.1" if tls else None, limit=2**24
    )
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        await settle()


async def whole(body) -> bytes:
    """Return all of a body."""
    pieces = []
    while piece := await body.read():
        pieces.append(piece)
    return b"".join(pieces)


async def until(fact) -> None:
    """Wait until `fact()` holds; each look is a turn of the loop."""
    async with asyncio.timeout(10):
        while not fact():
            await asyncio.sleep(0.001)


async def answer_of(reader) -> tuple[int, dict[bytes, bytes], bytes]:
    """Read one answer as a client would: status, fields in lower case, content."""
    head = (await reader.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
    status = int(head[0].split(b" ")[1])
    fields = {}
    for line in head[1:]:
        name, _, value = line.partition(b":")
        fields[name.lower()] = value.strip()
    if fields.get(b"transfer-encoding") == b"chunked":
        return status, fields, await chunks_of(reader)
    return status, fields, await reader.readexactly(int(fields[b"content-length"]))


async def chunks_of(reader) -> bytes:
    """Read a chunked body to its end."""
    content = b""
    while size := int(await reader.readline(), 16):
        content += await reader.readexactly(size)
        assert await reader.readexactly(2) == b"\r\n"
    assert await reader.readexactly(2) == b"\r\n"
    return content


class Pieces:
    """A body of pieces, given out one a read; `gate` holds back all but the first."""

    def __init__(self, *pieces: bytes, length: int | None = None, gate=None) -> None:
        self.length = length
        self.pieces = list(pieces)
        self.gate = gate
        self.given = 0
        self.closed = 0

    async def read(self) -> bytes:
        if self.given and self.gate is not None:
            await self.gate.wait()
        if not self.pieces:
            return b""
        self.given += 1
        return self.pieces.pop(0)

    def close(self) -> None:
        self.closed += 1


async def echo(request: Request) -> Response:
    """A handler that gives back method, target and body."""
    content = await whole(request.body)
    words = [request.method.encode(), request.target, content]
    return Response(status=200, content=b" ".join(words))
