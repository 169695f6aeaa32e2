# SPDX-License-Identifier: Apache-2.0
"""A whole hub: how it starts, what it does without its disk or cloud, how it ends."""

import asyncio
import json

import pytest

from tests.rig import ask, begin, body, get, headers_of, hub_over, status_of
from tests.unit.app.kit import PODS, Cloud, cut, hubs
from tests.unit.cache.kit import event, pod
from tests.unit.wire.kit import play, until
from toono.pipeline.chain import refuse
from toono.testing.certificates import Authority
from toono.testing.clock import settle
from toono.wire.tls import ClientFiles, ServerFiles, make_context


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
    headers, content = refuse(code, "why it was refused")
    found = json.loads(content)
    assert (found["kind"], found["code"], found["status"]) == (
        "Status",
        code,
        "Failure",
    )
    assert "why it was refused" in found["message"]
    assert (b"Content-Type", b"application/json") in headers
