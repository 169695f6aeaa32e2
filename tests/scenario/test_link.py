# SPDX-License-Identifier: Apache-2.0
"""The link fails in every way it can; what clients hear meanwhile."""

import asyncio
import json

import pytest

from tests.rig import ask, begin, body, get, headers_of, hub_over, status_of, until
from toono.testing import APIServer
from toono.testing.faults import FaultProxy
from toono.upstream.health import HealthSettings
from toono.wire.messages import Response

PODS = "/api/v1/pods"
POD = {"metadata": {"name": "web-0"}, "spec": {"nodeName": "edge-1"}}
BRISK = HealthSettings(silence=0.2, probe_timeout=0.3, down_interval=0.05, up_after=1)


async def cloud() -> APIServer:
    server = APIServer()
    await server.start()
    server.create("pods", POD, namespace="default")
    return server


def cache_status(answer: bytes) -> str:
    return dict(headers_of(answer))["Cache-Status"]


def test_a_silent_link_is_noticed_and_the_waiting_list_answered(tmp_path) -> None:
    """The bars are 1.9 s and 2 s for silence and probe; here 0.2 s and 0.3 s."""

    async def scenario() -> None:
        server = await cloud()
        proxy = FaultProxy(server.address)
        await proxy.start()
        async with hub_over([proxy.address], tmp_path, health=BRISK) as hub:
            await until(lambda: hub.upstream.online)
            online = await ask(hub, get(PODS))
            proxy.blackhole()
            offline = await ask(hub, get(PODS), seconds=3)
            assert not hub.upstream.online
            assert body(offline) == body(online)
            assert cache_status(offline) == "toono; hit"
            again = await ask(hub, get(PODS))
            assert body(again) == body(online)
            await proxy.restore()
            await until(lambda: hub.upstream.online)
            back = await ask(hub, get(PODS))
            assert "fwd" in cache_status(back)
        await proxy.aclose()
        await server.aclose()

    asyncio.run(scenario())


@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_a_large_list_that_was_just_shown_is_there_when_the_link_is_cut(
    tmp_path, coding: str
) -> None:
    """It reaches its client before it is read; whoever asks next waits for that."""

    async def scenario() -> None:
        server = await cloud()
        for number in range(300):
            meta = {"name": f"large-{number}", "annotations": {"x": "y" * 2000}}
            server.create("pods", {**POD, "metadata": meta}, namespace="default")
        asked = get(PODS).replace(
            b"\r\n\r\n", b"\r\nAccept-Encoding: %b\r\n\r\n" % coding.encode()
        )
        async with hub_over([server.address], tmp_path, health=BRISK) as hub:
            await until(lambda: hub.upstream.online)
            first = await ask(hub, asked)
            server.create("pods", {**POD, "metadata": {"name": "new"}}, namespace="x")
            online = await ask(hub, asked)
            assert len(body(first)) != len(body(online))
            await server.aclose()
            offline = await ask(hub, get(PODS))
            assert cache_status(offline) == "toono; hit"
            names = {
                item["metadata"]["name"] for item in json.loads(body(offline))["items"]
            }
            assert len(names) == 302
            assert "new" in names

    asyncio.run(scenario())


def test_a_server_that_thinks_is_waited_for(tmp_path) -> None:
    async def scenario() -> None:
        server = await cloud()
        async with hub_over([server.address], tmp_path, health=BRISK) as hub:
            await until(lambda: hub.upstream.online)
            await ask(hub, get(PODS))

            async def think(request) -> Response | None:
                if request.target != b"/readyz":
                    await asyncio.sleep(1.5)
                return None

            server.fault = think
            server.create("pods", {**POD, "metadata": {"name": "b"}}, namespace="x")
            answer = await ask(hub, get(PODS))
            assert len(json.loads(body(answer))["items"]) == 2
            assert "fwd" in cache_status(answer)
            assert hub.upstream.online
        await server.aclose()

    asyncio.run(scenario())


def test_a_refusing_server_is_cut_off_at_once(tmp_path) -> None:
    async def scenario() -> None:
        server = await cloud()
        async with hub_over([server.address], tmp_path) as hub:
            await until(lambda: hub.upstream.online)
            online = await ask(hub, get(PODS))
            await server.aclose()
            offline = await ask(hub, get(PODS), seconds=2)
            assert body(offline) == body(online)

    asyncio.run(scenario())


def test_failover_leaves_watches_that_work_alone(tmp_path) -> None:
    async def scenario() -> None:
        first = await cloud()
        second = APIServer(first.storage)
        await second.start()
        addresses = [first.address, second.address]
        async with hub_over(addresses, tmp_path, lb_mode="priority") as hub:
            await until(lambda: all(s.health.healthy for s in hub.upstream.servers))
            version = json.loads(body(await ask(hub, get(PODS))))["metadata"]
            target = f"{PODS}?watch=true&resourceVersion={version['resourceVersion']}"
            reader, writer = await begin(hub, get(target))
            await reader.readuntil(b"\r\n\r\n")
            first.ready = False

            async def unready(request) -> Response | None:
                if request.target == b"/readyz":
                    return Response(status=500, content=b"not ready")
                return None

            first.fault = unready
            await hub.upstream.servers[0].verdict()
            assert hub.upstream.pick() is hub.upstream.servers[1]
            first.create("pods", {**POD, "metadata": {"name": "new"}}, namespace="x")
            line = b""
            while b'"new"' not in line:
                line = await reader.readline()
                assert line
            second.requests.clear()
            assert status_of(await ask(hub, get("/api/v1/nodes"))) == 200
            assert ("GET", "/api/v1/nodes") in second.requests
            writer.close()
        await first.aclose()
        await second.aclose()

    asyncio.run(scenario())


@pytest.mark.parametrize("code", [401, 403, 404, 410, 429, 500, 503])
def test_what_the_server_says_is_never_papered_over(tmp_path, code: int) -> None:
    async def scenario() -> None:
        server = await cloud()
        async with hub_over([server.address], tmp_path) as hub:
            await until(lambda: hub.upstream.online)
            await ask(hub, get(PODS))

            async def storm(request) -> Response | None:
                if request.target == b"/readyz":
                    return None
                headers = [(b"Retry-After", b"7")]
                return Response(status=code, headers=headers, content=b"as I say")

            server.fault = storm
            answer = await ask(hub, get(PODS))
            assert (status_of(answer), body(answer)) == (code, b"as I say")
            assert ("Retry-After", "7") in headers_of(answer)
            server.fault = None
            await server.aclose()
            assert status_of(await ask(hub, get(PODS))) == 200

    asyncio.run(scenario())


def test_a_captive_portal_s_page_never_enters_the_cache(tmp_path) -> None:
    async def scenario() -> None:
        server = await cloud()
        async with hub_over([server.address], tmp_path) as hub:
            await until(lambda: hub.upstream.online)

            async def portal(request) -> Response | None:
                if request.target == b"/readyz":
                    return None
                headers = [(b"Content-Type", b"application/json")]
                return Response(
                    status=200, headers=headers, content=b"<html>pay</html>"
                )

            server.fault = portal
            assert body(await ask(hub, get(PODS))) == b"<html>pay</html>"
            await server.aclose()
            assert status_of(await ask(hub, get(PODS))) == 503

    asyncio.run(scenario())


def test_a_list_cut_in_the_middle_is_no_list(tmp_path) -> None:
    async def scenario() -> None:
        server = await cloud()
        for number in range(400):
            content = {"metadata": {"name": f"p{number}"}, "data": {"x": "y" * 500}}
            server.create("configmaps", content, namespace="default")
        proxy = FaultProxy(server.address)
        await proxy.start()
        async with hub_over([proxy.address], tmp_path) as hub:
            await until(lambda: hub.upstream.online)
            proxy.piece_bytes, proxy.delay = 2000, 0.01
            reader, writer = await begin(hub, get("/api/v1/configmaps"))
            await reader.readuntil(b"\r\n\r\n")
            await reader.read(3000)
            await proxy.cut()
            rest = await reader.read()
            assert not rest.endswith(b"]}\n")
            writer.close()
            await until(lambda: not hub.upstream.online)
            assert status_of(await ask(hub, get("/api/v1/configmaps"))) == 503
        await server.aclose()

    asyncio.run(scenario())


def test_an_upgrade_is_spliced_both_ways(tmp_path) -> None:
    async def scenario() -> None:
        async def serve(reader, writer) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            if b"/readyz" in head:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                writer.close()
                return
            assert b"Upgrade: SPDY/3.1" in head
            writer.write(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: SPDY/3.1\r\n"
                b"Connection: Upgrade\r\n\r\nhello "
            )
            while piece := await reader.read(100):
                writer.write(piece.upper())
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()[:2]
        async with hub_over([address], tmp_path) as hub:
            await until(lambda: hub.upstream.online)
            request = (
                b"POST /api/v1/namespaces/a/pods/b/exec HTTP/1.1\r\nHost: a\r\n"
                b"Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n"
            )
            reader, writer = await begin(hub, request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 101 ")
            writer.write(b"ping")
            assert await reader.readexactly(10) == b"hello PING"
            writer.write_eof()
            assert await reader.read() == b""
            writer.close()
        server.close()

    asyncio.run(scenario())


def test_while_cut_off_nobody_but_the_node_is_answered(tmp_path) -> None:
    async def scenario() -> None:
        server = await cloud()
        async with hub_over([server.address], tmp_path) as hub:
            await until(lambda: hub.upstream.online)
            await ask(hub, get(PODS))
            await server.aclose()
            plain = get(PODS)
            assert status_of(await ask(hub, plain)) == 200
            token = plain.replace(b"Host:", b"Authorization: Bearer abc\r\nHost:")
            answer = await ask(hub, token)
            assert status_of(answer) == 503
            assert b"this token cannot be checked" in body(answer)
            assert "Retry-After" not in dict(headers_of(answer))
            assert status_of(await ask(hub, plain)) == 200
        async with hub_over([], tmp_path, node_uids=frozenset({4242})) as hub:
            assert status_of(await ask(hub, plain)) == 503

    asyncio.run(scenario())


def test_the_warning_is_said_once_a_client_and_outage(tmp_path) -> None:
    async def scenario() -> None:
        server = await cloud()
        async with hub_over([server.address], tmp_path) as hub:
            await until(lambda: hub.upstream.online)
            await ask(hub, get(PODS))
            await server.aclose()
            answers = [await ask(hub, get(PODS)) for _ in range(3)]
            warned = ["Warning" in dict(headers_of(one)) for one in answers]
            assert warned == [True, False, False]

    asyncio.run(scenario())


def test_a_version_ahead_of_ours_is_refused_once_and_then_answered(tmp_path) -> None:
    async def scenario() -> None:
        server = await cloud()
        async with hub_over([server.address], tmp_path) as hub:
            await until(lambda: hub.upstream.online)
            await ask(hub, get(PODS))
            await server.aclose()
            ahead = get(PODS + "?resourceVersion=99999999")
            first, second = await ask(hub, ahead), await ask(hub, ahead)
            assert status_of(first) == 504
            assert b"ResourceVersionTooLarge" in body(first)
            assert status_of(second) == 200

    asyncio.run(scenario())
