# SPDX-License-Identifier: Apache-2.0
"""A whole hub: how it starts, what it does without its disk or cloud, how it ends."""

import asyncio
import contextlib
import json
from pathlib import Path

import pytest

from tests.rig import QUICK, ask, begin, body, get, headers_of, hub_over, status_of
from tests.unit.cache.kit import encode, event, one, pod, pod_list
from tests.unit.wire.kit import play, refuse, until
from toono import app
from toono.app import Hub, HubSettings
from toono.errors import OptionError, StoreInUseError
from toono.runtime.clock import SystemClock
from toono.testing.certificates import Authority
from toono.testing.clock import settle
from toono.wire.messages import Response
from toono.wire.server import Server
from toono.wire.tls import ClientFiles, ServerFiles, make_context

PODS = "/api/v1/pods"
POD = "/api/v1/namespaces/default/pods/a"
JSON = [(b"Content-Type", b"application/json")]


class Stream:
    """A watch whose events the test sends."""

    length = None

    def __init__(self) -> None:
        self.events: asyncio.Queue[bytes] = asyncio.Queue()
        self.closed = 0

    async def read(self) -> bytes:
        return await self.events.get()

    def close(self) -> None:
        self.closed += 1


class Cloud:
    """One API server that answers what the tests ask."""

    def __init__(self) -> None:
        self.streams: list[Stream] = []
        self.asked: list[bytes] = []
        self.certificates: set[bytes | None] = set()
        self.slow = asyncio.Event()
        self.server = Server(self.serve, refuse=refuse, clock=SystemClock())

    async def serve(self, request) -> Response:
        self.certificates.add(request.peer.certificate)
        if request.target == b"/readyz":
            return Response(status=200, content=b"ok")
        self.asked.append(request.target)
        if b"watch=" in request.target:
            self.streams.append(Stream())
            return Response(status=200, headers=JSON, body=self.streams[-1])
        if request.target.startswith(b"/slow"):
            await self.slow.wait()
        if request.target == POD.encode():
            return Response(status=200, headers=JSON, content=one(pod("a", 3)))
        return Response(status=200, headers=JSON, content=pod_list(9, pod("a", 3)))


@contextlib.asynccontextmanager
async def hubs(tmp_path: Path, **settings):
    """A cloud, and a hub over it that knows it is online."""
    cloud = Cloud()
    address = await cloud.server.start("127.0.0.1", 0)
    async with hub_over([address], tmp_path, **settings) as hub:
        await until(lambda: hub.upstream.online)
        yield cloud, hub
        await cloud.server.aclose()


async def cut(cloud: Cloud, hub: Hub) -> None:
    await cloud.server.aclose()
    await hub.upstream.servers[0].verdict()
    assert not hub.upstream.online


def test_what_passed_online_is_answered_offline_and_after_a_restart(tmp_path) -> None:
    async def scenario() -> None:
        async with hubs(tmp_path) as (cloud, hub):
            online = await ask(hub, get(PODS))
            await cut(cloud, hub)
            offline = await ask(hub, get(PODS))
            assert status_of(online) == status_of(offline) == 200
            assert json.loads(body(online)) == json.loads(body(offline))
            assert ("Cache-Status", "toono; hit") in headers_of(offline)
        async with hub_over([("127.0.0.1", 9)], tmp_path) as hub:
            again = await ask(hub, get(PODS))
            assert json.loads(body(again)) == json.loads(body(online))
            assert hub.status()["mode"] == "offline"
            assert hub.status()["scopes"] == 1
            assert hub.status()["node"] == "edge-1"

    play(scenario)


def test_a_hub_serves_before_it_knows_the_cloud(tmp_path) -> None:
    async def scenario() -> None:
        async with hub_over([("127.0.0.1", 9)], tmp_path) as hub:
            found = await ask(hub, get(PODS))
            assert status_of(found) == 503
            assert not any(name == "Retry-After" for name, _ in headers_of(found))

    play(scenario)


def test_a_port_in_use_names_the_option_and_leaves_nothing_open(tmp_path) -> None:
    async def scenario() -> None:
        taken = Server(lambda _: None, refuse=refuse, clock=SystemClock())
        address = await taken.start("127.0.0.1", 0)
        for option, settings in (
            ("--proxy-port", {"listen": (address,), "status_listen": None}),
            ("--serve-port", {"listen": (("127.0.0.1", 0),), "status_listen": address}),
        ):
            chosen = HubSettings(
                servers=(("127.0.0.1", 9),),
                tls=None,
                node_name="edge-1",
                cache_path=tmp_path,
                health=QUICK,
                **settings,
            )
            with pytest.raises(OptionError) as caught:
                await Hub(chosen).__aenter__()
            assert caught.value.option == option
            assert str(address[1]) in caught.value.problem
        await taken.aclose()

    play(scenario)


def test_a_second_hub_on_one_directory_is_refused(tmp_path) -> None:
    async def scenario() -> None:
        async with hub_over([("127.0.0.1", 9)], tmp_path):
            with pytest.raises(StoreInUseError):
                async with hub_over([("127.0.0.1", 9)], tmp_path):
                    pass

    play(scenario)


def test_a_disk_that_cannot_be_used_does_not_stop_it(tmp_path, caplog) -> None:
    async def scenario() -> None:
        (tmp_path / "_internal").write_text("a file where a directory should be")
        async with hubs(tmp_path) as (cloud, hub):
            assert hub.status()["store"] == "memory-only"
            await ask(hub, get(PODS))
            await cut(cloud, hub)
            assert status_of(await ask(hub, get(PODS))) == 200

    play(scenario)
    assert any("--disk-cache-path" in one.message for one in caplog.records)


def test_a_cache_of_yurthub_is_read_in_once(tmp_path, caplog) -> None:
    caplog.set_level("INFO")
    folder = tmp_path / "kubelet" / "pods.v1.core" / "default"
    folder.mkdir(parents=True)
    (folder / "a").write_bytes(
        encode({"kind": "Pod", "apiVersion": "v1"} | pod("a", 3))
    )

    async def scenario() -> None:
        for _ in range(2):
            async with hub_over([("127.0.0.1", 9)], tmp_path) as hub:
                assert status_of(await ask(hub, get(POD))) == 200

    play(scenario)
    said = [one.message for one in caplog.records]
    assert said.count("read in a cache of YurtHub") == 1


def test_the_node_s_certificate_goes_with_the_node_s_requests(tmp_path) -> None:
    async def scenario() -> None:
        authority = Authority(tmp_path / "ca")
        server, node = authority.server("127.0.0.1"), authority.node("edge-1")
        cloud = Cloud()
        files = ServerFiles(
            certificate=server.certificate, key=server.key, client_ca=authority.file
        )
        address = await cloud.server.start("127.0.0.1", 0, tls=make_context(files))
        tls = ClientFiles(ca=authority.file, certificate=node.certificate, key=node.key)
        async with hub_over([address], tmp_path / "cache", tls=tls) as hub:
            await until(lambda: hub.upstream.online)
            assert status_of(await ask(hub, get(PODS))) == 200
            assert None not in cloud.certificates
            bearer = get(PODS).replace(b"Host:", b"Authorization: Bearer x\r\nHost:")
            assert status_of(await ask(hub, bearer)) == 200
            assert None in cloud.certificates
            await cloud.server.aclose()

    play(scenario)


def test_a_drain_answers_what_is_under_way_and_ends_streams_in_order(tmp_path) -> None:
    """A watch ends at a frame, so that its client resumes from what it has."""

    async def scenario() -> None:
        stopped = asyncio.Event()
        ends = []

        async def run() -> None:
            async with hubs(tmp_path) as (cloud, hub):
                await ask(hub, get(PODS))
                slow, writer = await begin(hub, get("/slow"))
                watch, watcher = await begin(
                    hub, get(PODS + "?watch=1&resourceVersion=9")
                )
                ends.extend([writer, watcher])
                await until(lambda: cloud.streams and b"/slow" in cloud.asked)
                cloud.streams[0].events.put_nowait(event("ADDED", pod("b", 10)))
                await watch.readuntil(b"}\n\r\n")
                found.update(slow=slow, watch=watch, cloud=cloud)
                stopping.set()
                await asyncio.sleep(0)
                cloud.slow.set()

        found: dict = {}
        stopping = asyncio.Event()
        running = asyncio.create_task(run())
        await stopping.wait()
        assert (await found["slow"].read()).startswith(b"HTTP/1.1 200 ")
        assert await found["watch"].read() == b"0\r\n\r\n"
        await running
        stopped.set()
        for writer in ends:
            writer.close()
        await settle()

    play(scenario)


def test_held_watches_end_at_once_when_the_hub_stops(tmp_path) -> None:
    async def scenario() -> None:
        async with hubs(tmp_path) as (cloud, hub):
            await ask(hub, get(PODS))
            await cut(cloud, hub)
            watch, writer = await begin(hub, get(PODS + "?watch=1&resourceVersion=9"))
            await watch.readuntil(b"\r\n\r\n")
            assert hub.chain.in_flight.watching == 1
        assert await watch.read() == b"0\r\n\r\n"
        writer.close()

    play(scenario)


def test_the_status_port_shows_how_it_is(tmp_path) -> None:
    async def scenario() -> None:
        async with hubs(tmp_path, status_listen=("127.0.0.1", 0)) as (_, hub):
            await ask(hub, get(PODS))
            assert hub.status_address is not None
            proxy, hub.addresses = hub.addresses, [hub.status_address]
            text = body(await ask(hub, get("/metrics"))).decode()
            assert status_of(await ask(hub, get("/readyz"))) == 200
            hub.addresses = proxy
        for line in (
            "toono_offline 0.0",
            "toono_cache_objects 1.0",
            "toono_watches 0.0",
        ):
            assert line in text
        assert 'toono_requests_total{code="200",component="kubelet"' in text

    play(scenario)


@pytest.mark.parametrize("code", [400, 408, 414, 431, 503])
def test_a_refusal_of_the_wire_is_a_status(code: int) -> None:
    headers, content = app.refuse(code, "why it was refused")
    found = json.loads(content)
    assert (found["kind"], found["code"], found["status"]) == (
        "Status",
        code,
        "Failure",
    )
    assert "why it was refused" in found["message"]
    assert (b"Content-Type", b"application/json") in headers
