# SPDX-License-Identifier: Apache-2.0
"""Who is cached changes while the hub runs, by a ConfigMap of the cloud."""

import asyncio
import json

from click.testing import CliRunner

from tests.rig import ask, body, get, hub_over, status_of, until
from toono.cli.cache import command
from toono.testing import APIServer
from toono.wire.messages import Response

PODS = "/api/v1/pods"
CONFIG = "/api/v1/namespaces/kube-system/configmaps"
POD = {"metadata": {"name": "web-0"}, "spec": {"nodeName": "edge-1"}}
STATUS = ("127.0.0.1", 0)


async def cloud(agents: str | None) -> APIServer:
    server = APIServer()
    await server.start()
    server.create("pods", POD, namespace="default")
    if agents is not None:
        say(server, agents)
    return server


def say(server: APIServer, agents: str, *, name: str = "yurt-hub-cfg", **meta) -> None:
    content = {"metadata": {"name": name, **meta}, "data": {"cache_agents": agents}}
    try:
        server.create("configmaps", content, namespace="kube-system")
    except Exception:
        server.update("configmaps", content, namespace="kube-system")


async def page(hub, target: str) -> bytes:
    reader, writer = await asyncio.open_connection(*hub.status_address)
    writer.write(
        f"GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
    )
    answer = await reader.read()
    writer.close()
    return body(answer)


def test_agents_are_added_and_removed_while_the_hub_runs(tmp_path) -> None:
    async def scenario() -> None:
        server = await cloud("cilium-agent")
        async with hub_over([server.address], tmp_path, status_listen=STATUS) as hub:
            await until(lambda: "cilium-agent" in hub.agents.policy.agents)
            for agent in ("cilium-agent/1.15", "Fluent-Bit/3 (x)", "kubelet/v1.34"):
                await ask(hub, get(PODS, agent=agent))
            kept = {scope.question.component for scope in hub.scopes.all()}
            assert kept == {"cilium-agent", "kubelet"}
            told = json.loads(await page(hub, "/v1/agents"))
            assert told["line"] == 'cache_agents: "cilium-agent,fluent-bit"'
            printed = await asyncio.to_thread(
                CliRunner().invoke,
                command,
                ["agents", "--serve-port", str(hub.status_address[1])],
            )
            assert printed.exit_code == 0, printed.output
            assert 'cache_agents: "cilium-agent,fluent-bit"' in printed.output
            say(server, "Fluent-Bit")
            await until(lambda: "fluent-bit" in hub.agents.policy.agents)
            kept = {scope.question.component for scope in hub.scopes.all()}
            assert kept == {"kubelet"}
            await ask(hub, get(PODS, agent="fluent-bit/3"))
            say(server, "no good")
            await until(lambda: hub.agents.problem)
            assert b"[!]cache-agents: ConfigMap yurt-hub-cfg" in await page(
                hub, "/readyz?verbose"
            )
            assert b"toono_agents_bad 1.0" in await page(hub, "/metrics")
        await server.aclose()
        async with hub_over([server.address], tmp_path) as hub:
            assert "fluent-bit" in hub.agents.policy.agents
            answer = await ask(hub, get(PODS, agent="fluent-bit/3"))
            assert json.loads(body(answer))["items"][0]["metadata"]["name"] == "web-0"

    asyncio.run(scenario())


def test_a_configmap_of_another_name_is_found_by_its_label(tmp_path) -> None:
    async def scenario() -> None:
        server = await cloud(None)
        label = {"openyurt.io/configmap-name": "yurt-hub-cfg"}
        say(server, "by-label", name="hub-settings", labels=label)
        say(server, "other-spelling", name="yurthub-cfg")
        async with hub_over([server.address], tmp_path) as hub:
            await until(
                lambda: {"by-label", "other-spelling"} <= hub.agents.policy.agents
            )
        await server.aclose()

    asyncio.run(scenario())


def test_without_the_right_to_read_it_all_else_runs(tmp_path) -> None:
    async def scenario() -> None:
        server = await cloud("cilium-agent")

        async def forbid(request) -> Response | None:
            if request.target.decode().startswith(CONFIG):
                return Response(status=403, content=b"{}")
            return None

        server.fault = forbid
        async with hub_over([server.address], tmp_path, agents=("mine",)) as hub:
            await until(lambda: hub.agents.forbidden == 3)
            assert status_of(await ask(hub, get(PODS, agent="mine"))) == 200
            assert [one.question.component for one in hub.scopes.all()] == ["mine"]
        await server.aclose()

    asyncio.run(scenario())


def test_a_header_asks_for_one_request_to_be_kept(tmp_path) -> None:
    async def scenario() -> None:
        server = await cloud(None)
        seen = []

        async def note(request) -> None:
            seen.append(request.fields.get(b"edge-cache"))

        server.fault = note
        async with hub_over([server.address], tmp_path) as hub:
            await until(lambda: hub.upstream.online)
            plain = get(PODS, agent="stranger")
            await ask(hub, plain.replace(b"Host:", b"Edge-Cache: false\r\nHost:"))
            assert list(hub.scopes.all()) == []
            await ask(hub, plain.replace(b"Host:", b"edge-cache: True\r\nHost:"))
            assert [one.question.component for one in hub.scopes.all()] == ["stranger"]
            assert set(seen) == {None}
            await server.aclose()
            await until(lambda: not hub.upstream.online)
            assert status_of(await ask(hub, plain)) == 200

    asyncio.run(scenario())
