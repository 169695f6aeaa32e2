# SPDX-License-Identifier: Apache-2.0
"""A pod in the host's network asks without end, under every name but its own."""

import asyncio
import os
import socket
import struct
import sys
from contextlib import asynccontextmanager

import pytest

from tests.rig import QUICK, status_of, until
from tests.unit.wire.kit import play
from toono.app import Hub, HubSettings
from toono.identity.sockets import Owner
from toono.pipeline.limits import CLIENT_LIMIT
from toono.wire.server import ServerSettings

POD = Owner(0, frozenset({"/kubepods.slice/kubepods-pod1.slice/c"}))
NODE = Owner(0, frozenset({"/system.slice/kubelet.service"}))
AT_ONCE = (socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
MORE = 10
"""That a client asks beyond what it may have under way."""
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"


class Cloud(asyncio.Protocol):
    """Answers probes and the kubelet's Node; all else it thinks about."""

    def connection_made(self, transport) -> None:
        self.transport = transport

    def data_received(self, piece: bytes) -> None:
        if b"/readyz" in piece or b"/nodes/edge-1" in piece:
            self.transport.write(ANSWER)


class Machine:
    """A hub, and who asks it."""

    def __init__(self, hub: Hub, pods: set[int]) -> None:
        self.hub = hub
        self._pods = pods

    async def ask(
        self, agent: str, target: str, *, pod: bool = False, token: str = ""
    ) -> int:
        """Return the code that one request hears."""
        reader, writer = await asyncio.open_connection(*self.hub.addresses[0])
        if pod:
            self._pods.add(writer.get_extra_info("sockname")[1])
        shown = f"Authorization: Bearer {token}\r\n" if token else ""
        writer.write(
            f"GET {target} HTTP/1.1\r\nHost: hub\r\nUser-Agent: {agent}\r\n"
            f"{shown}Accept: application/json\r\n\r\n".encode()
        )
        try:
            return status_of(await reader.readuntil(b"\r\n\r\n"))
        finally:
            # One that closes in order still waits for its answer.
            writer.get_extra_info("socket").setsockopt(*AT_ONCE)
            writer.close()


@asynccontextmanager
async def machine(directory, **settings):
    loop = asyncio.get_running_loop()
    cloud = await loop.create_server(Cloud, "127.0.0.1", 0)
    pods: set[int] = set()
    made = HubSettings(
        servers=(cloud.sockets[0].getsockname(),),
        tls=None,
        node_name="edge-1",
        cache_path=directory,
        listen=(("127.0.0.1", 0),),
        status_listen=None,
        health=QUICK,
        **settings,
    )

    def owner(client, *_) -> Owner:
        return POD if client[1] in pods else NODE

    async with Hub(made, owner=owner) as hub:
        await until(lambda: hub.upstream.online, 30)
        yield Machine(hub, pods)
    cloud.close()


CHILD = """
import encodings.idna, os, socket, sys
os.setuid(65534)
links, port = [], int(sys.argv[1])
for number in range(int(sys.argv[2])):
    link = socket.create_connection(
        ("127.0.0.1", port), source_address=(f"127.0.0.{2 + number % 200}", 0)
    )
    link.sendall(b"GET /api/v1/pods HTTP/1.1\\r\\nHost: hub\\r\\n")
    links.append(link)
print("open", flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(os.getuid() != 0, reason="LOUD: only root can become another user")
def test_a_user_of_this_machine_has_its_own_connections_and_no_more(tmp_path) -> None:
    """It may call from any of 127.0.0.0/8, and never end its head."""

    async def scenario() -> None:
        async with machine(tmp_path) as here:
            server, most = here.hub.server, ServerSettings().connections_per_source
            port, count = here.hub.addresses[0][1], 3 * most
            child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", CHILD, str(port), str(count)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
            async with asyncio.timeout(60):
                assert await child.stdout.readline() == b"open\n"
                await until(lambda: server.refused_connections == count - most, 30)
                assert len(server.connections) == most
                kubelet = here.ask("kubelet/v1.34.0", "/api/v1/nodes/edge-1")
                assert await kubelet == 200
                child.stdin.close()
                await child.wait()
            await until(lambda: not server.connections, 30)

    play(scenario)


@pytest.mark.parametrize(
    ("with_tokens", "yurthub_metrics"),
    [(False, False), (True, True)],
    ids=["bare", "with made-up tokens"],
)
def test_a_pod_has_one_client_s_room_whatever_it_says(
    tmp_path, with_tokens: bool, yurthub_metrics: bool
) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, yurthub_metrics=yurthub_metrics) as here:
            in_flight = here.hub.chain.in_flight
            asking = {
                asyncio.create_task(
                    here.ask(
                        ("kubelet/v1.34.0", f"agent-{number}/1")[number % 2],
                        f"/api/v1/namespaces/a/secrets/s-{number}",
                        pod=True,
                        token=f"made-up-{number}" if with_tokens else "",
                    )
                )
                for number in range(CLIENT_LIMIT + MORE)
            }
            async with asyncio.timeout(60):
                over: set[asyncio.Task[int]] = set()
                while len(over) < MORE:
                    done, asking = await asyncio.wait(
                        asking, return_when=asyncio.FIRST_COMPLETED
                    )
                    over |= done
            assert [task.result() for task in over] == [429] * MORE
            assert in_flight.reading == CLIENT_LIMIT
            kubelet = here.ask("kubelet/v1.34.0", "/api/v1/nodes/edge-1")
            async with asyncio.timeout(60):
                assert await kubelet == 200
            for task in asking:
                task.cancel()
            await asyncio.wait(asking)
            await until(lambda: in_flight.reading == 0, 30)

    play(scenario)
