# SPDX-License-Identifier: Apache-2.0
"""The link comes back, and every client of the node lists at the same moment."""

import asyncio

from tests.rig import ask, get, hub_over, status_of, until
from toono.pipeline.limits import CLIENT_LIMIT
from toono.pipeline.relists import BURST, LISTS_A_SECOND, WAITING_LIMIT
from toono.runtime.tasks import spawn
from toono.testing import APIServer
from toono.testing.clock import VirtualClock

PODS = "/api/v1/namespaces/default/pods"
AGENTS = 40


def test_forty_agents_list_at_the_pace_of_five_a_second(tmp_path) -> None:
    async def scenario() -> None:
        server, clock = APIServer(), VirtualClock()
        await server.start()
        came: list[str] = []

        async def note(request) -> None:
            if request.target.startswith(PODS.encode()):
                came.append(request.fields[b"user-agent"].decode().partition("/")[0])

        server.fault = note
        async with hub_over([server.address], tmp_path, clock=clock) as hub:
            await until(lambda: hub.upstream.online)
            hub.chain.relists.mode(False)
            hub.chain.relists.mode(True)
            asked = [
                spawn(ask(hub, get(PODS, agent=f"agent-{n}/1")), name="agent")
                for n in range(AGENTS)
            ]
            waiting = AGENTS - BURST
            await until(lambda: hub.chain.relists.waiting == waiting)
            await until(lambda: len(came) == BURST)
            kubelet = spawn(ask(hub, get(PODS)), name="kubelet")
            await until(lambda: hub.chain.relists.waiting == waiting + 1)
            # What is no list of a collection waits for nobody.
            assert status_of(await ask(hub, get(f"{PODS}/none"))) == 404
            await clock.advance(0.2)
            assert status_of(await kubelet) == 200
            assert [one for one in came[BURST:] if one == "kubelet"]
            await clock.advance(waiting / LISTS_A_SECOND + 1.0)
            answers = await asyncio.gather(*asked)
            assert {status_of(one) for one in answers} == {200}
            assert hub.chain.relists.paced == waiting + 1
        await server.aclose()

    asyncio.run(scenario())


def test_who_floods_is_told_429_and_the_kubelet_is_served(tmp_path) -> None:
    async def scenario() -> None:
        server, clock = APIServer(), VirtualClock()
        await server.start()
        async with hub_over([server.address], tmp_path, clock=clock) as hub:
            await until(lambda: hub.upstream.online)
            hub.chain.relists.mode(False)
            hub.chain.relists.mode(True)
            flood = [
                spawn(ask(hub, get(PODS, agent=f"flood-{n % 4}/1")), name="flood")
                for n in range(BURST + WAITING_LIMIT)
            ]
            await until(lambda: hub.chain.relists.waiting == WAITING_LIMIT)
            assert BURST + WAITING_LIMIT < 4 * CLIENT_LIMIT
            refused = await ask(hub, get(PODS, agent="flood-0/1"))
            assert status_of(refused) == 429
            assert b"\r\nRetry-After: " in refused
            assert b'"reason":"TooManyRequests"' in refused
            kubelet = spawn(ask(hub, get(PODS)), name="kubelet")
            await until(lambda: hub.chain.relists.waiting == WAITING_LIMIT + 1)
            await clock.advance(0.2)
            assert status_of(await kubelet) == 200
            await clock.advance(WAITING_LIMIT / LISTS_A_SECOND + 1.0)
            assert {status_of(one) for one in await asyncio.gather(*flood)} == {200}
        await server.aclose()

    asyncio.run(scenario())
