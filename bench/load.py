# SPDX-License-Identifier: Apache-2.0
"""A client that asks the same thing again and again over keep-alive connections."""

import asyncio
import time

import httptools


class Counter:
    """How many requests are left, and who still works."""

    def __init__(self, requests: int, connections: int) -> None:
        self.left = requests
        self.working = connections
        self.errors = 0
        self.seconds: list[float] = []
        self.done = asyncio.Event()

    def take(self) -> bool:
        self.left -= 1
        return self.left >= 0

    def leave(self) -> None:
        self.working -= 1
        if self.working == 0:
            self.done.set()


class Load(asyncio.Protocol):
    """One connection: the next request goes out when an answer is whole."""

    def __init__(self, request: bytes, counter: Counter) -> None:
        self.request = request
        self.counter = counter
        self.parser = httptools.HttpResponseParser(self)
        self.asked_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        if self.counter.take():
            self.asked_at = time.perf_counter()
            self.transport.write(self.request)  # type: ignore[attr-defined]
        else:
            self.transport.close()

    def data_received(self, piece: bytes) -> None:
        self.parser.feed_data(piece)

    def on_message_complete(self) -> None:
        self.counter.seconds.append(time.perf_counter() - self.asked_at)
        if self.parser.get_status_code() != 200:
            self.counter.errors += 1
        self.parser = httptools.HttpResponseParser(self)
        self.ask()

    def connection_lost(self, exc: Exception | None) -> None:
        self.counter.leave()


def request(target: str, agent: str) -> bytes:
    """Return a keep-alive GET."""
    return (
        f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: {agent}\r\n"
        "Accept: application/json\r\nAccept-Encoding: identity\r\n\r\n"
    ).encode()


async def load(
    port: int, target: str, agent: str, count: int, *, links: int = 8, tls=None
) -> Counter:
    """Ask `count` times over `links` connections; return errors and times."""
    counter = Counter(count, links)
    loop = asyncio.get_running_loop()
    for _ in range(links):
        await loop.create_connection(
            lambda: Load(request(target, agent), counter), "127.0.0.1", port, ssl=tls
        )
    await counter.done.wait()
    return counter
