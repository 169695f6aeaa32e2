# SPDX-License-Identifier: Apache-2.0
"""After an outage lists take turns; at any other time nobody waits."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from toono.errors import RequestError
from toono.kube.request import Call, Caller, parse
from toono.pipeline.clients import NODE, Client
from toono.pipeline.relists import (
    BURST,
    LISTS_A_SECOND,
    RETURN_SECONDS,
    WAITING_LIMIT,
    Relists,
)
from toono.runtime.tasks import cancel_and_wait, spawn
from toono.testing.clock import VirtualClock, settle

PODS = "/api/v1/pods"


def call(agent: str = "agent", target: str = PODS, *, source="10.0.0.7") -> Call:
    who = Caller(connection=1, local=("", 0), remote=(source, 5))
    return parse("GET", target.encode(), {b"user-agent": agent.encode()}, who)


def kubelet(target: str = PODS) -> Call:
    return call("kubelet", target, source="127.0.0.1")


def by_name(one: Call) -> Client:
    local = one.caller.remote[0] == "127.0.0.1"
    return (NODE if local else one.caller.remote[0], one.component)


class Scene:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.relists = Relists(self.clock, client_of=by_name)
        self.went: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []

    def back(self) -> None:
        self.relists.mode(False)
        self.relists.mode(True)

    def ask(self, *calls: Call) -> None:
        for one in calls:
            self.tasks.append(spawn(self._go(one), name="asking"))

    async def _go(self, one: Call) -> None:
        await self.relists.turn(one)
        self.went.append(one.component)


def play(story: Callable[[Scene], Awaitable[None]]) -> None:
    async def run() -> None:
        scene = Scene()
        duty = spawn(scene.relists.run(), name="relists")
        try:
            await story(scene)
        finally:
            await cancel_and_wait(duty, *scene.tasks)

    asyncio.run(run())


def test_nobody_waits_where_nothing_was_cut() -> None:
    async def story(scene: Scene) -> None:
        scene.relists.mode(True)  # the hub has started, and the link is there
        for _ in range(1000):
            await scene.relists.turn(call())
        assert scene.relists.paced == 0

    play(story)


def test_five_lists_a_second_go_once_the_link_is_back() -> None:
    async def story(scene: Scene) -> None:
        scene.back()
        scene.ask(*[call(f"agent-{n}") for n in range(BURST + 20)])
        await settle()
        assert len(scene.went) == BURST
        for second in range(1, 5):
            await scene.clock.advance(1.0)
            assert len(scene.went) == BURST + second * LISTS_A_SECOND
        assert scene.relists.waiting == 0
        assert scene.relists.paced == 20

    play(story)


def test_the_kubelet_is_first_and_who_asks_much_is_last() -> None:
    async def story(scene: Scene) -> None:
        scene.back()
        scene.ask(*[call("first")] * BURST)
        scene.ask(*[call("greedy")] * 3, call("modest"), kubelet())
        await settle()
        del scene.went[:]
        await scene.clock.advance(1.0)
        assert scene.went == ["kubelet", "greedy", "modest", "greedy", "greedy"]

    play(story)


def test_a_pod_that_calls_itself_kubelet_is_a_pod() -> None:
    async def story(scene: Scene) -> None:
        scene.back()
        scene.ask(*[call("first")] * BURST, call("agent"), call("kubelet"))
        await settle()
        del scene.went[:]
        await scene.clock.advance(1.0)
        assert scene.went == ["agent", "kubelet"]

    play(story)


def test_where_too_many_wait_the_next_is_told_when_to_come_again() -> None:
    async def story(scene: Scene) -> None:
        scene.back()
        scene.ask(*[call(f"agent-{n}") for n in range(BURST + WAITING_LIMIT)])
        await settle()
        with pytest.raises(RequestError) as raised:
            await scene.relists.turn(call())
        assert raised.value.code == 429
        scene.ask(kubelet())
        del scene.went[:]
        await scene.clock.advance(1 / LISTS_A_SECOND)
        assert scene.went == ["kubelet"]

    play(story)


@pytest.mark.parametrize(
    "target",
    [
        f"{PODS}?fieldSelector=metadata.name%3Dweb",
        f"{PODS}?limit=5&continue=abc",
    ],
)
def test_what_is_no_collection_anew_needs_no_turn(target) -> None:
    async def story(scene: Scene) -> None:
        scene.back()
        scene.ask(*[call()] * (BURST + 1), *[call("quick", target)] * 10)
        await settle()
        assert scene.went.count("quick") == 10

    play(story)


def test_the_link_is_cut_again_and_nobody_waits_for_it() -> None:
    async def story(scene: Scene) -> None:
        scene.back()
        scene.ask(*[call()] * (BURST + 10))
        await settle()
        scene.relists.mode(False)
        await settle()
        assert len(scene.went) == BURST + 10
        assert scene.relists.waiting == 0

    play(story)


def test_who_leaves_gives_its_turn_to_the_next() -> None:
    async def story(scene: Scene) -> None:
        scene.back()
        scene.ask(*[call()] * BURST, call("gone"), call("next"))
        await settle()
        await cancel_and_wait(scene.tasks[-2])
        assert scene.relists.waiting == 1
        await scene.clock.advance(1 / LISTS_A_SECOND)
        assert scene.went[BURST:] == ["next"]

    play(story)


def test_after_a_while_nobody_waits_any_more() -> None:
    async def story(scene: Scene) -> None:
        scene.back()
        await scene.clock.advance(RETURN_SECONDS)
        scene.ask(*[call()] * 100)
        await settle()
        assert len(scene.went) == 100
        assert not scene.relists.is_on

    play(story)
