# SPDX-License-Identifier: Apache-2.0
"""An operator asks what a cut would cost, has it fixed, and practises one."""

import asyncio
import json
import os
import signal
import sys
from contextlib import asynccontextmanager

from tests.rig import ask, begin, body, get, hub_over, in_order, status_of, until
from tests.scenario.test_kubelet_boot import INFORMERS, hear
from toono.testing import APIServer
from toono.testing.replay import Replay

STATUS = ("127.0.0.1", 0)
PODS = "/api/v1/pods?fieldSelector=spec.nodeName%3Dedge-1&limit=500&resourceVersion=0"
NODES = "/api/v1/nodes"
POD = {
    "metadata": {"name": "web-0"},
    "spec": {
        "nodeName": "edge-1",
        "containers": [{"name": "c", "image": "c:1"}],
        "volumes": [{"name": "s", "secret": {"secretName": "password"}}],
    },
}


async def cloud() -> APIServer:
    server = APIServer()
    await server.start()
    server.create("nodes", {"metadata": {"name": "edge-1"}})
    server.create("csinodes", {"metadata": {"name": "edge-1"}})
    server.create("pods", POD, namespace="shop")
    server.create("secrets", {"metadata": {"name": "password"}}, namespace="shop")
    return server


@asynccontextmanager
async def a_hub(tmp_path):
    server = await cloud()
    try:
        async with hub_over([server.address], tmp_path, status_listen=STATUS) as hub:
            await until(lambda: hub.upstream.online)
            yield server, hub
    finally:
        await server.aclose()


async def toono(hub, *words: str) -> asyncio.subprocess.Process:
    host, port = hub.status_address
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "toono.cli", *words),
        *("--bind-address", host, "--serve-port", str(port)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"COLUMNS": "200"},
        # A runner in the background is deaf to ctrl-c, and so would its children be.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


async def told(process) -> str:
    out, err = await process.communicate()
    assert b"Traceback" not in err, err
    return out.decode()


async def page(hub, target: str, *, method: str = "GET", content: str = "") -> bytes:
    reader, writer = await asyncio.open_connection(*hub.status_address)
    writer.write(
        f"{method} {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
        f"Content-Length: {len(content)}\r\n\r\n{content}".encode()
    )
    answer = await reader.read()
    writer.close()
    return answer


def test_a_secret_that_was_never_seen_is_named_and_fetched(tmp_path) -> None:
    async def scenario() -> None:
        async with a_hub(tmp_path) as (_, hub):
            await ask(hub, get(PODS))
            await ask(hub, get(NODES, agent="cilium-agent/1.15"))
            asked = await toono(hub, "ready")
            text = await told(asked)
            assert asked.returncode == 1
            lines = [line for line in text.splitlines() if "password" in line]
            assert len(lines) == 1
            assert lines[0].split()[:2] == ["shop/web-0", "lost"]
            assert "cilium-agent" in text
            assert "not ready for a cut" in text
            series = body(await page(hub, "/metrics")).decode()
            assert 'toono_not_ready_for_cut{reason="not_kept"} 1.0' in series
            fixed = json.loads(
                await told(await toono(hub, "ready", "--prefetch", "-o", "json"))
            )
            assert {one["workload"] for one in fixed["findings"]} == {"cilium-agent"}
            series = body(await page(hub, "/metrics")).decode()
            assert 'toono_not_ready_for_cut{reason="never_seen"} 0.0' in series
            assert json.loads(body(await page(hub, "/v1/ready"))) == fixed

    asyncio.run(scenario())


def test_a_node_that_lacks_nothing_is_ready(tmp_path) -> None:
    async def scenario() -> None:
        async with a_hub(tmp_path) as (_, hub):
            await ask(hub, get(PODS))
            asked = await toono(hub, "ready", "--prefetch")
            assert await told(asked) == "ready for a cut\n"
            assert asked.returncode == 0

    asyncio.run(scenario())


def test_a_hub_that_no_kubelet_uses_says_that_it_judged_no_pod(tmp_path) -> None:
    async def scenario() -> None:
        async with a_hub(tmp_path) as (_, hub):
            asked = await toono(hub, "ready")
            text = await told(asked)
            assert (asked.returncode, "no kubelet was heard" in text) == (0, True)

    asyncio.run(scenario())


def test_a_drill_cuts_a_live_hub_and_a_recorded_kubelet_goes_on(tmp_path) -> None:
    boot = [one for one in in_order("boot-list") if one.method == "GET"]
    agent = ("hollow-kubelet", "kubelet")

    async def scenario() -> None:
        replay = Replay(boot)
        await replay.start()
        settings = {"agents": agent, "status_listen": STATUS}
        async with hub_over([replay.address], tmp_path, **settings) as hub:
            await until(lambda: hub.upstream.online)
            for one in boot:
                await hear(hub, one, least=len(one.body))
            drill = await toono(hub, "drill", "--for", "2s", "-o", "json")
            await until(lambda: hub.drill.is_on)
            assert not hub.upstream.online
            verbose = body(await page(hub, "/readyz?verbose")).decode()
            assert "[!]drill: a drill is on for all" in verbose
            assert b"a drill is on" in await page(hub, "/statusz")
            for one in boot:
                path = one.target.rpartition("/v1/")[2]
                if path.startswith(INFORMERS) and "watch=true" not in path:
                    assert status_of(await hear(hub, one, least=0)) == 200, one.target
            report = json.loads(await told(drill))
            await until(lambda: hub.upstream.online)
        await replay.aclose()
        assert (report["on"], report["only"]) == (False, [])
        assert report["seconds"] == 2.0
        (kubelet,) = report["components"]
        assert kubelet["component"] in agent
        assert kubelet["answered"] >= 5
        assert kubelet["rate"] == 1.0
        assert kubelet["before"] is not None

    asyncio.run(scenario())


async def watching(hub, agent: str):
    target = f"{NODES}?watch=true&allowWatchBookmarks=true"
    reader, writer = await begin(hub, get(target, agent=agent))
    assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
    return reader, writer


def test_only_the_kubelet_is_cut_off_and_ctrl_c_gives_the_link_back(tmp_path) -> None:
    async def scenario() -> None:
        async with a_hub(tmp_path) as (server, hub):
            await ask(hub, get(NODES))
            watch, kubelets = await watching(hub, "kubelet/v1.34.0")
            other, others = await watching(hub, "cilium-agent/1.15")
            drill = await toono(
                hub, *["drill", "--for", "1h", "--only", "kubelet", "-o", "json"]
            )
            await until(lambda: hub.drill.is_on)
            assert (await watch.read()).endswith(b"0\r\n\r\n")
            seen = len(server.requests)
            assert status_of(await ask(hub, get(NODES))) == 200
            assert status_of(await ask(hub, get("/api/v1/secrets"))) == 503
            assert ("GET", "/api/v1/secrets") not in server.requests[seen:]
            asked = get("/api/v1/secrets", agent="cilium-agent/1.15")
            assert status_of(await ask(hub, asked)) == 200
            assert hub.upstream.online
            server.create("nodes", {"metadata": {"name": "edge-2"}})
            async with asyncio.timeout(5):
                assert b"edge-2" in await other.readuntil(b"edge-2")
            drill.send_signal(signal.SIGINT)
            report = json.loads(await told(drill))
            assert not hub.drill.is_on
            assert report["components"][0]["refused"] == 1
            assert report["refused"][0]["object"] == "secrets"
            assert status_of(await ask(hub, get("/api/v1/secrets"))) == 200
            kubelets.close()
            others.close()

    asyncio.run(scenario())


def test_every_watch_ends_cleanly_where_everybody_is_cut_off(tmp_path) -> None:
    async def scenario() -> None:
        async with a_hub(tmp_path) as (_, hub):
            kept, first = await watching(hub, "kubelet/v1.34.0")
            passed_on, second = await watching(hub, "cilium-agent/1.15")
            await page(hub, "/v1/drill/start", method="POST", content='{"seconds":60}')
            async with asyncio.timeout(2):
                assert (await kept.read()).endswith(b"0\r\n\r\n")
                assert (await passed_on.read()).endswith(b"0\r\n\r\n")
            assert all(one.origin.open <= 1 for one in hub.upstream.servers)
            first.close()
            second.close()

    asyncio.run(scenario())


def test_a_drill_ends_at_its_time_though_who_asked_is_killed(tmp_path) -> None:
    async def scenario() -> None:
        async with a_hub(tmp_path) as (_, hub):
            drill = await toono(hub, "drill", "--for", "2s")
            await until(lambda: hub.drill.is_on)
            drill.kill()
            await drill.wait()
            assert hub.drill.is_on
            second = await toono(hub, "drill", "--for", "1s")
            out, err = await second.communicate()
            assert (second.returncode, out) == (1, b"")
            assert b"a drill is on already" in err
            await until(lambda: hub.upstream.online)
            assert not hub.drill.is_on

    asyncio.run(scenario())


def test_a_hub_stops_within_a_drill_and_is_in_none_after(tmp_path) -> None:
    async def scenario() -> None:
        async with a_hub(tmp_path) as (server, hub):
            await ask(hub, get(NODES))
            asked = await page(
                hub, "/v1/drill/start", method="POST", content='{"seconds":600}'
            )
            assert status_of(asked) == 200
            _, writer = await watching(hub, "kubelet/v1.34.0")
            bad = await page(hub, "/v1/drill/start", method="POST", content="{}")
            assert status_of(bad) == 400
            async with asyncio.timeout(3):
                await hub.__aexit__()
            writer.close()
            async with hub_over([server.address], tmp_path) as again:
                await until(lambda: again.upstream.online)

    asyncio.run(scenario())
