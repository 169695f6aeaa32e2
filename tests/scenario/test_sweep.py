# SPDX-License-Identifier: Apache-2.0
"""What the cloud no longer has is given up, asked of a server that speaks as they do."""

import asyncio

import pytest

from tests.rig import ask, get, hub_over, status_of, until
from toono.autonomy.cloud import Cloud
from toono.autonomy.sweep import Sweeper, SweepSettings
from toono.runtime.clock import SystemClock
from toono.testing import APIServer
from toono.wire.messages import Response

POD = "/api/v1/namespaces/shop/pods/{}"
SETS = "/api/v1/namespaces/shop/configmaps"
AT_ONCE = SweepSettings(online=0.0, quiet=0.0, quiet_set=0.0)


async def cloud() -> APIServer:
    server = APIServer()
    await server.start()
    server.create("nodes", {"metadata": {"name": "edge-1"}})
    server.create("namespaces", {"metadata": {"name": "shop"}})
    for name in ("a", "b", "c"):
        pod = {"metadata": {"name": name}, "spec": {"nodeName": "edge-1"}}
        server.create("pods", pod, namespace="shop")
    return server


def sweeper_of(hub) -> Sweeper:
    one = Sweeper(
        Cloud(hub.upstream),
        hub.scopes,
        "edge-1",
        clock=SystemClock(),
        settings=AT_ONCE,
    )
    one.look()
    return one


async def fill(hub) -> None:
    await until(lambda: hub.upstream.online)
    for name in ("a", "b", "c"):
        assert status_of(await ask(hub, get(POD.format(name)))) == 200
    await ask(hub, get(SETS, agent="coredns/1"))


def names(hub) -> set[str]:
    return {one.question.name for one in hub.scopes.all()}


def test_a_pod_that_is_gone_is_forgotten_and_the_others_stay(tmp_path) -> None:
    async def scenario() -> None:
        server = await cloud()
        async with hub_over([server.address], tmp_path) as hub:
            await fill(hub)
            server.delete("pods", "b", namespace="shop")
            await sweeper_of(hub).round()
            assert names(hub) == {"a", "c", ""}
            server.delete("namespaces", "shop")
            assert status_of(await ask(hub, get("/api/v1/namespaces/shop"))) == 404
            sweeper = sweeper_of(hub)
            await sweeper.round()
            left = {one.question.resource for one in hub.scopes.all()}
            assert "configmaps" not in left
        await server.aclose()

    asyncio.run(scenario())


@pytest.mark.parametrize("status", [200, 401, 403, 404, 429, 500])
@pytest.mark.parametrize("knows_the_node", [True, False])
def test_a_portal_or_an_ill_server_empties_nothing(
    status, knows_the_node, tmp_path
) -> None:
    async def scenario() -> None:
        server = await cloud()
        async with hub_over([server.address], tmp_path) as hub:
            await fill(hub)
            before = names(hub)

            async def fault(request) -> Response | None:
                node = request.target.startswith(b"/api/v1/nodes/")
                if request.target == b"/readyz" or (node and knows_the_node):
                    return None
                html = [(b"Content-Type", b"text/html")]
                return Response(status=status, headers=html, content=b"<html>")

            server.fault = fault
            sweeper = sweeper_of(hub)
            assert not await sweeper.round()
            assert names(hub) == before
            assert sweeper.doubts == 1
        await server.aclose()

    asyncio.run(scenario())
