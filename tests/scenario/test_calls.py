# SPDX-License-Identifier: Apache-2.0
"""How many calls a GET makes on its way through a hub, the first and asked again.

What concerns few requests must cost the others nothing: whoever adds a step to the way
of each sees it here. A limit that is passed for a reason is raised with that reason; one
that lies far above the count is lowered. Counted are the functions of toono that are
entered (a coroutine each time it goes on) and the built-in ones that they call, least of
several requests, so that what runs beside them does not count.
"""

import asyncio
import sys
from pathlib import Path

import pytest

import toono
from tests.rig import QUICK, until
from tests.unit.wire.kit import play
from toono.app import Hub, HubSettings
from toono.identity.sockets import Owner

SOURCE = str(Path(toono.__file__).parent)
POD = (
    b'{"kind":"Pod","apiVersion":"v1","metadata":{"name":"web-0",'
    b'"namespace":"default","uid":"u","resourceVersion":"5"}}\n'
)
ANSWER = (
    b"HTTP/1.1 200 OK\r\nAudit-Id: 1\r\nCache-Control: no-cache, private\r\n"
    b"Content-Type: application/json\r\nDate: Sat, 21 Nov 2026 01:00:00 GMT\r\n"
    b"Content-Length: %d\r\n\r\n%b"
)
TURNS = 30

Limit = tuple[int, int]
"""(functions of toono, built-in functions that they call)"""


class Cloud(asyncio.Protocol):
    """An API server of one pod, with nothing of toono in it."""

    def connection_made(self, transport) -> None:
        self.transport = transport

    def data_received(self, piece: bytes) -> None:
        content = b"ok" if b"/readyz" in piece else POD
        self.transport.write(ANSWER % (len(content), content))


class Client(asyncio.Protocol):
    """A client that keeps its connection."""

    def connection_made(self, transport) -> None:
        self.transport = transport

    def data_received(self, piece: bytes) -> None:
        self.answer += piece
        if self.answer.endswith(POD):
            self.whole.set_result(None)

    async def ask(self, agent: str) -> bytes:
        self.answer = b""
        self.whole = asyncio.get_running_loop().create_future()
        head = (
            "GET /api/v1/namespaces/default/pods/web-0 HTTP/1.1\r\nHost: hub\r\n"
            f"User-Agent: {agent}\r\nAccept: application/json\r\n\r\n"
        )
        self.transport.write(head.encode())
        async with asyncio.timeout(30):
            await self.whole
        return self.answer


class Count:
    """Counts calls of toono's code while it is on."""

    def __init__(self) -> None:
        self.own = self.built_in = 0

    def __call__(self, frame, event: str, _: object) -> None:
        if event in ("call", "c_call") and frame.f_code.co_filename.startswith(SOURCE):
            self.own += event == "call"
            self.built_in += event == "c_call"

    async def of(self, client: Client, agent: str) -> Limit:
        self.own = self.built_in = 0
        sys.setprofile(self)
        try:
            await client.ask(agent)
        finally:
            sys.setprofile(None)
        return self.own, self.built_in


async def least(client: Client, agent: str, how: bytes) -> Limit:
    """Return the least calls of several requests, all answered in one way."""
    while how not in await client.ask(agent):
        pass
    for _ in range(5):
        assert how in await client.ask(agent)
    return min([await Count().of(client, agent) for _ in range(TURNS)])


@pytest.mark.parametrize(
    ("agent", "cut", "how", "first", "again"),
    [
        pytest.param(
            "bench/1", False, b"fwd=bypass", (104, 104), (22, 20), id="passed"
        ),
        pytest.param(
            "kubelet/v1.34.0", False, b"stored", (128, 117), (30, 29), id="cached"
        ),
        pytest.param(
            "kubelet/v1.34.0", True, b"toono; hit", (82, 74), (6, 6), id="offline"
        ),
    ],
)
def test_a_request_makes_few_calls(
    tmp_path, agent: str, cut: bool, how: bytes, first: Limit, again: Limit
) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        cloud = await loop.create_server(Cloud, "127.0.0.1", 0)
        settings = HubSettings(
            servers=(cloud.sockets[0].getsockname(),),
            tls=None,
            node_name="edge-1",
            cache_path=tmp_path,
            listen=(("127.0.0.1", 0),),
            status_listen=None,
            health=QUICK,
        )
        async with Hub(settings, owner=lambda *_: Owner(0, frozenset())) as hub:
            await until(lambda: hub.upstream.online, 30)
            _, client = await loop.create_connection(Client, *hub.addresses[0])
            await client.ask(agent)
            hub.upstream.hold(cut)
            short = await least(client, agent, how)
            hub.chain.shortcuts = None
            for way in hub.server.connections.values():
                way._short.known.clear()
            long = await least(client, agent, how)
            client.transport.close()
        cloud.close()
        assert long <= first, f"{long} calls the long way; the limit is {first}"
        assert short <= again, f"{short} calls asked again; the limit is {again}"

    play(scenario)
