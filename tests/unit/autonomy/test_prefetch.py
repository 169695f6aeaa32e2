# SPDX-License-Identifier: Apache-2.0
"""What is missing is asked ahead, once, and never for a kubelet that was not heard."""

import asyncio
from contextlib import asynccontextmanager

from tests.unit.cache.kit import CALLER
from toono.autonomy.needs import Need, of_node
from toono.autonomy.prefetch import (
    EVERY_SECONDS,
    FIRST_SECONDS,
    OLD_SECONDS,
    Prefetch,
    Sources,
)
from toono.errors import UnreachableError
from toono.kube.request import parse
from toono.runtime.tasks import cancel_and_wait, spawn
from toono.testing.clock import VirtualClock

STATUS = "/api/v1/nodes/edge-1/status"
OF_NODE = len(list(of_node("edge-1")))
POD = {
    "metadata": {"namespace": "shop", "name": "web", "uid": "u"},
    "spec": {"volumes": [{"secret": {"secretName": "tls"}}]},
}
SECRET = (
    "/api/v1/namespaces/shop/secrets?fieldSelector=metadata.name%3Dtls"
    "&limit=500&resourceVersion=0"
)


def call(method: str, target: str):
    return parse(method, target.encode(), {b"user-agent": b"kubelet/v1"}, CALLER)


class Rig:
    """A cloud that answers `codes`, and a cache that then knows it."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.known: dict[Need, float] = {}
        self.codes: dict[str, int] = {}
        self.asked: list[str] = []
        self.agents: set[str] = set()
        self.pods = [POD]
        self.cut = False
        sources = Sources(
            known_since=self.known_since, fetch=self.fetch, pods=self.held
        )
        self.prefetch = Prefetch("edge-1", sources, clock=self.clock)

    async def known_since(self, need: Need, agent: str) -> float | None:
        return self.known.get(need)

    async def fetch(self, need: Need, agent: str) -> int:
        if self.cut:
            raise UnreachableError("cut")
        self.asked.append(need.target)
        self.agents.add(agent)
        code = self.codes.get(need.target, 200)
        if code == 200:
            self.known[need] = self.clock.wall()
        return code

    async def held(self, need: Need, agent: str):
        return self.pods

    @asynccontextmanager
    async def running(self, *, heard: str = STATUS, method: str = "PATCH"):
        task = spawn(self.prefetch.run(), name="prefetch")
        self.prefetch.mode(online=True)
        self.prefetch.heard(call(method, heard))
        try:
            yield
        finally:
            await cancel_and_wait(task)

    async def round(self) -> list[str]:
        before = len(self.asked)
        await self.clock.advance(EVERY_SECONDS + 10)
        return self.asked[before:]


def play(scenario) -> None:
    asyncio.run(scenario())


def test_what_is_missing_is_asked_as_the_kubelet_once_it_was_heard() -> None:
    async def scenario() -> None:
        rig = Rig()
        async with rig.running():
            await rig.clock.advance(FIRST_SECONDS - 1)
            assert rig.asked == []
            found = await rig.round()
            assert len(found) == len(set(found)) == OF_NODE + 1
            assert SECRET in found
            assert rig.agents == {"kubelet/v1"}
            assert await rig.round() == []
            assert (rig.prefetch.fetched, rig.prefetch.missing) == (OF_NODE + 1, 0)
            rig.pods = []
            assert await rig.round() == []

    play(scenario)


def test_who_is_no_kubelet_of_this_node_starts_nothing() -> None:
    async def scenario() -> None:
        for method, heard in [
            ("GET", STATUS),
            ("PATCH", STATUS.replace("edge-1", "edge-2")),
            ("PATCH", "/api/v1/namespaces/a/pods/p/status"),
        ]:
            rig = Rig()
            async with rig.running(heard=heard, method=method):
                assert await rig.round() == []
        rig = Rig()
        async with rig.running(heard="/api/v1/nodes", method="POST"):
            assert await rig.round() != []

    play(scenario)


def test_what_is_known_is_not_asked_and_what_nobody_watches_is_asked_again() -> None:
    async def scenario() -> None:
        rig = Rig()
        mine = Need(SECRET)
        rig.known = dict.fromkeys(of_node("edge-1"), 0.0)
        async with rig.running():
            assert await rig.round() == [SECRET]
            await rig.clock.advance(OLD_SECONDS)
            assert rig.asked.count(SECRET) == 2
            assert len(rig.asked) == 2
            rig.known[mine] = rig.clock.wall() + OLD_SECONDS
            assert await rig.round() == []

    play(scenario)


def test_what_cannot_be_had_is_counted_and_not_asked_each_time() -> None:
    async def scenario() -> None:
        rig = Rig()
        csinode = "/apis/storage.k8s.io/v1/csinodes/edge-1"
        rig.codes = {SECRET: 403, csinode: 404}
        async with rig.running():
            assert SECRET in await rig.round()
            assert rig.prefetch.missing == 1
            assert await rig.round() == []
            assert rig.prefetch.missing == 1
            rig.codes = {}
            await rig.clock.advance(OLD_SECONDS)
            assert {SECRET, csinode} <= set(rig.asked[-2:])
            assert rig.prefetch.missing == 0

    play(scenario)


def test_a_link_that_breaks_ends_the_round_and_the_next_goes_on() -> None:
    async def scenario() -> None:
        rig = Rig()
        rig.cut = True
        async with rig.running():
            assert await rig.round() == []
            rig.prefetch.mode(online=False)
            rig.cut = False
            assert await rig.round() == []
            rig.prefetch.mode(online=True)
            assert len(await rig.round()) == OF_NODE + 1

    play(scenario)


def test_a_link_that_breaks_within_a_round_ends_it() -> None:
    async def scenario() -> None:
        rig = Rig()
        fetch = rig.fetch

        async def once(need: Need, agent: str) -> int:
            rig.prefetch.mode(online=False)
            return await fetch(need, agent)

        rig.fetch = once  # type: ignore[method-assign]
        rig.prefetch = Prefetch(
            "edge-1",
            Sources(known_since=rig.known_since, fetch=once, pods=rig.held),
            clock=rig.clock,
        )
        async with rig.running():
            assert len(await rig.round()) == 1

    play(scenario)


def test_by_hand_it_is_asked_at_once_and_again_and_without_a_kubelet() -> None:
    async def scenario() -> None:
        rig = Rig()
        rig.prefetch.mode(True)
        rig.codes[SECRET] = 403
        assert not rig.prefetch.is_heard
        assert list(await rig.prefetch.pods()) == [POD]
        assert not await rig.prefetch.known(Need(SECRET))
        await asyncio.gather(rig.prefetch.now(), rig.clock.advance(60.0))
        assert rig.asked.count(SECRET) == 1
        assert rig.agents == {"kubelet"}
        rig.codes[SECRET] = 200
        await asyncio.gather(rig.prefetch.now(), rig.clock.advance(60.0))
        assert rig.asked.count(SECRET) == 2
        assert await rig.prefetch.known(Need(SECRET))
        assert rig.prefetch.missing == 0

    asyncio.run(scenario())


def test_a_kubelet_that_was_heard_is_known_to_be_there() -> None:
    async def scenario() -> None:
        rig = Rig()
        rig.prefetch.heard(call("PATCH", STATUS))
        assert rig.prefetch.is_heard

    asyncio.run(scenario())
