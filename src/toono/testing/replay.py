# SPDX-License-Identifier: Apache-2.0
"""A server that answers recorded requests with the recorded bytes.

For protobuf, tables and whatever else the embedded server does not make itself: the
bytes are a real API server's, chunk by chunk.
"""

import asyncio
import ssl
from collections import defaultdict, deque
from pathlib import Path
from typing import NamedTuple


class Recorded(NamedTuple):
    """One request and the bytes that answered it."""

    method: str
    target: str
    accept: str
    request: bytes
    response: bytes

    @property
    def status(self) -> int:
        return int(self.response.split(b" ", 2)[1])

    @property
    def body(self) -> bytes:
        """The answer's body without its chunk framing."""
        return body_of(self.response)[0]


def read_exchange(request: Path) -> list[Recorded]:
    """Return the exchanges of one recorded connection, in order."""
    asked, answered = (
        request.read_bytes(),
        request.with_suffix(".response").read_bytes(),
    )
    found: list[Recorded] = []
    while asked.strip():
        head, _, rest = asked.partition(b"\r\n\r\n")
        size = _length(head) or 0
        whole, asked = head + b"\r\n\r\n" + rest[:size], rest[size:]
        if not answered:
            break
        _, end = body_of(answered)
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ", 2)
        accept = _field(head, b"accept").decode()
        found.append(Recorded(method, target, accept, whole, answered[:end]))
        answered = answered[end:]
    return found


def body_of(response: bytes) -> tuple[bytes, int]:
    """Return the first answer's body, and where the answer ends."""
    head, _, rest = response.partition(b"\r\n\r\n")
    start = len(head) + 4
    if _field(head, b"transfer-encoding") == b"chunked":
        at, pieces = 0, []
        while at < len(rest):
            line = rest.index(b"\r\n", at)
            size = int(rest[at:line], 16)
            pieces.append(rest[line + 2 : line + 2 + size])
            at = line + 2 + size + 2
            if size == 0:
                break
        return b"".join(pieces), start + at
    length = _length(head)
    if length is None:
        return rest, len(response)
    return rest[:length], start + length


def _length(head: bytes) -> int | None:
    value = _field(head, b"content-length")
    return int(value) if value else None


def _field(head: bytes, name: bytes) -> bytes:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.lower() == name:
            return value.strip()
    return b""


class Replay:
    """Serves recordings: each question its answers in order, the last one again.

    A question nobody recorded gets 404 with an empty body, and is in `unknown`.
    """

    def __init__(self, exchanges: list[Recorded]) -> None:
        self._answers: dict[tuple[str, str, str], deque[Recorded]] = defaultdict(deque)
        for one in exchanges:
            self._answers[one.method, one.target, one.accept].append(one)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.unknown: list[tuple[str, str]] = []
        self.address = ("", 0)

    async def start(self, *, tls: ssl.SSLContext | None = None) -> None:
        """Listen on loopback."""
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", 0, ssl=tls, limit=1024 * 1024
        )
        host, port = self._server.sockets[0].getsockname()[:2]
        self.address = (host, port)

    async def aclose(self) -> None:
        """Stop, and break every connection."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._writers.add(writer)
        try:
            while await self._answer_one(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _answer_one(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n"))[:-4]
        if _field(head, b"transfer-encoding") == b"chunked":
            while await reader.readuntil(b"\r\n") != b"0\r\n":
                pass
            await reader.readuntil(b"\r\n")
        else:
            await reader.readexactly(_length(head) or 0)
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ", 2)
        if target == "/readyz":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            return True
        key = (method, target, _field(head, b"accept").decode())
        answers = self._answers.get(key)
        if not answers:
            self.unknown.append((method, target))
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            return True
        recorded = answers.popleft() if len(answers) > 1 else answers[0]
        writer.write(recorded.response)
        await writer.drain()
        return b"Connection: close" not in recorded.response.split(b"\r\n\r\n", 1)[0]
