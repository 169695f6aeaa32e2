# SPDX-License-Identifier: Apache-2.0
"""Only the API server's own word that a thing is gone removes it, and never many."""

import asyncio
import json

import pytest

from tests.unit.autonomy.lease_world import CALLER
from toono.autonomy.cloud import Told
from toono.autonomy.sweep import METADATA, Sweeper, SweepSettings, Target, target_of
from toono.cache.received import expected_form, question_of
from toono.cache.scope import Question
from toono.cache.scopes import Scopes
from toono.errors import UnreachableError
from toono.kube.request import parse
from toono.runtime.tasks import cancel_and_wait, spawn
from toono.store.memory import MemoryStore
from toono.testing.clock import VirtualClock

JSON = "application/json"


def question(target: str, agent: str = "kubelet") -> Question:
    call = parse("GET", target.encode(), {b"user-agent": agent.encode()}, CALLER)
    return question_of(call, expected_form(call))


POD = "/api/v1/namespaces/a/pods/x"
EVENT = "/apis/events.k8s.io/v1/namespaces/a/events/x.17"
SECRET = "/api/v1/namespaces/a/secrets?fieldSelector=metadata.name%3Ds"
NODE = "/api/v1/nodes/edge-1"

FRESH = [f"/api/v1/namespaces/a/configmaps/fresh{number}" for number in range(10)]
"""What every cache here holds besides, heard of just now."""


@pytest.mark.parametrize(
    ("asked", "agent", "target"),
    [
        (POD, "kubelet", Target(POD, "x")),
        (EVENT, "kubelet", Target(EVENT, "x.17")),
        (NODE, "kubelet", Target(NODE, "edge-1")),
        (SECRET, "kubelet", Target("/api/v1/namespaces/a/secrets/s", "s")),
        ("/api/v1/namespaces/a/pods", "kubelet", None),
        ("/api/v1/namespaces/a/pods", "agent", Target("/api/v1/namespaces/a", "a")),
        ("/api/v1/pods", "agent", None),
        ("/api/v1/pods?fieldSelector=metadata.name%3Ds", "agent", None),
        ("/api/v1/pods?fieldSelector=spec.nodeName%3Dedge-1", "kubelet", None),
    ],
)
def test_what_is_asked_about_a_question(asked, agent, target) -> None:
    assert target_of(question(asked, agent)) == target


def missing(name: str) -> Told:
    status = {"kind": "Status", "reason": "NotFound", "details": {"name": name}}
    return Told(404, JSON, json.dumps(status).encode())


THERE = Told(200, JSON, b'{"metadata":{"name":"x","resourceVersion":"1"}}')


class Cloud:
    """Says of every path what a test has put there; the rest is there."""

    def __init__(self) -> None:
        self.online = True
        self.told: dict[str, Told | Exception] = {}
        self.asked: list[str] = []

    async def ask(self, method, target, *, accept=METADATA) -> Told:
        assert method == "GET"
        self.asked.append(target)
        told = self.told.get(target, THERE)
        if isinstance(told, Exception):
            raise told
        return told


class Sweep:
    def __init__(self, **settings: float) -> None:
        self.clock = VirtualClock()
        self.cloud = Cloud()
        self.scopes = Scopes(MemoryStore(), clock=self.clock)
        self.sweeper = Sweeper(
            self.cloud,
            self.scopes,
            "edge-1",
            clock=self.clock,
            settings=SweepSettings(**settings),
        )

    async def __aenter__(self):
        await self.scopes.open()
        self.sweeper.look()
        self.know(*FRESH, ago=-1e9)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.scopes.aclose()

    def know(self, *targets: str, agent: str = "kubelet", ago: float = 1e6) -> None:
        for target in targets:
            scope = self.scopes.ensure(question(target, agent))
            assert scope is not None
            scope.confirmed_at = self.clock.wall() - ago

    def left(self) -> set[str]:
        names = {one.question.name for one in self.scopes.all()}
        return {name for name in names if not name.startswith("fresh")}


def pods(count: int) -> list[str]:
    return [f"/api/v1/namespaces/a/pods/p{number:03}" for number in range(count)]


def run(scenario) -> None:
    asyncio.run(scenario())


def test_what_is_gone_is_given_up_and_the_rest_stays() -> None:
    async def scenario() -> None:
        async with Sweep() as one:
            one.know(*pods(3), EVENT)
            one.know("/api/v1/namespaces/a/pods/new", ago=60.0)
            one.cloud.told[pods(3)[1]] = missing("p001")
            one.cloud.told[EVENT] = missing("x.17")
            one.cloud.told["/api/v1/namespaces/a/pods/new"] = missing("new")
            await one.clock.advance(601.0)
            assert await one.sweeper.round()
            assert one.left() == {"p000", "p002", "new"}
            assert one.cloud.asked[0] == NODE
            assert one.sweeper.removed == 2
            one.cloud.asked.clear()
            assert not await one.sweeper.round()
            assert one.cloud.asked == [], "what was there is not asked about again"

    run(scenario)


def test_sets_of_a_namespace_that_is_gone_are_given_up_after_a_day() -> None:
    async def scenario() -> None:
        async with Sweep() as one:
            one.know("/api/v1/namespaces/gone/pods", agent="agent", ago=7200.0)
            one.cloud.told["/api/v1/namespaces/gone"] = missing("gone")
            await one.clock.advance(601.0)
            await one.sweeper.round()
            assert len(one.left()) == 1
            await one.clock.advance(86400.0)
            await one.sweeper.round()
            assert one.left() == set()

    run(scenario)


DOUBTS = [
    Told(200, "text/html", b"<html>Sign in</html>"),
    Told(302, "text/html", b""),
    Told(401, JSON, b'{"kind":"Status","reason":"Unauthorized"}'),
    Told(404, "text/plain", b"404 page not found"),
    Told(404, JSON, b'{"kind":"Status","reason":"NotFound","details":{}}'),
    Told(404, "text/html", b"<html>"),
    Told(429, JSON, b"{}"),
    Told(500, JSON, b"{}"),
    Told(503, JSON, b"{}"),
    UnreachableError("cut"),
]


@pytest.mark.parametrize("told", DOUBTS)
def test_a_doubt_ends_the_round_and_removes_nothing(told) -> None:
    """Not even what was said to be gone before it."""

    async def scenario() -> None:
        async with Sweep() as one:
            one.know(pods(1)[0], ago=2e6)
            one.know(POD, EVENT)
            one.cloud.told = {pods(1)[0]: missing("p000"), POD: told, EVENT: told}
            await one.clock.advance(601.0)
            assert not await one.sweeper.round()
            assert one.left() == {"p000", "x", "x.17"}
            assert one.sweeper.doubts == 1

    run(scenario)


@pytest.mark.parametrize("told", [*DOUBTS, missing("edge-1"), Told(200, JSON, b"{}")])
def test_who_does_not_know_this_node_is_not_believed(told) -> None:
    async def scenario() -> None:
        async with Sweep() as one:
            one.know(POD)
            one.cloud.told = {NODE: told, POD: missing("x")}
            await one.clock.advance(601.0)
            await one.sweeper.round()
            assert one.left() == {"x"}
            assert one.cloud.asked == [NODE]

    run(scenario)


def test_no_right_to_ask_is_no_reason_to_forget_nor_to_stop() -> None:
    async def scenario() -> None:
        async with Sweep() as one:
            one.know(EVENT, ago=7200.0)
            one.know(pods(1)[0], ago=2e6)
            one.know(POD)
            refused = Told(403, JSON, b'{"kind":"Status"}')
            one.cloud.told = {EVENT: refused, pods(1)[0]: refused, POD: missing("x")}
            await one.clock.advance(601.0)
            await one.sweeper.round()
            assert one.left() == {"x.17", "p000"}
            assert one.sweeper.doubts == 0

    run(scenario)


@pytest.mark.parametrize("event", [EVENT, "/api/v1/namespaces/a/events/x.17"])
def test_an_event_of_yesterday_goes_where_the_node_may_not_read_it(event) -> None:
    async def scenario() -> None:
        async with Sweep() as one:
            one.know(event, ago=90_000.0)
            one.cloud.told[event] = Told(403, "text/html", b"<html>")
            await one.clock.advance(601.0)
            await one.sweeper.round()
            assert one.left() == {"x.17"}
            one.cloud.told[event] = Told(403, JSON, b'{"kind":"Status"}')
            await one.sweeper.round()
            assert one.left() == set()

    run(scenario)


@pytest.mark.parametrize(("count", "removed"), [(1, 1), (15, 12), (60, 20), (300, 31)])
def test_never_everything_at_once(count, removed) -> None:
    async def scenario() -> None:
        async with Sweep() as one:
            one.know(*pods(count))
            one.cloud.told = {
                target: missing(target.rpartition("/")[2]) for target in pods(count)
            }
            await one.clock.advance(601.0)
            assert await one.sweeper.round()
            assert one.sweeper.removed == removed

    run(scenario)


def test_a_round_asks_so_much_and_no_more() -> None:
    async def scenario() -> None:
        async with Sweep(asks=10) as one:
            one.know(*pods(25))
            await one.clock.advance(601.0)
            rounds = [await one.sweeper.round() for _ in range(4)]
            assert rounds == [True, True, False, False]
            assert len(one.cloud.asked) == 25 + 3
            assert len(one.left()) == 25

    run(scenario)


def test_what_is_heard_of_meanwhile_stays() -> None:
    async def scenario() -> None:
        async with Sweep() as one:
            one.know(POD, EVENT)
            ask = one.cloud.ask

            async def heard(method, target, **more) -> Told:
                for scope in one.scopes.all():
                    scope.confirmed_at = one.clock.wall()
                return await ask(method, target, **more)

            one.cloud.ask = heard
            one.cloud.told = {POD: missing("x"), EVENT: missing("x.17")}
            await one.clock.advance(601.0)
            await one.sweeper.round()
            assert one.left() == {"x", "x.17"}

    run(scenario)


def test_a_clock_that_jumps_back_makes_nothing_old() -> None:
    async def scenario() -> None:
        async with Sweep() as one:
            one.know(POD, ago=-3e8)
            await one.clock.advance(601.0)
            assert not await one.sweeper.round()
            assert one.cloud.asked == []

    run(scenario)


def test_sweeps_wait_for_a_link_that_lasts() -> None:
    async def scenario() -> None:
        async with Sweep(every=3600.0) as one:
            one.know(POD)
            one.cloud.told = {POD: missing("x")}
            one.cloud.online = False
            task = spawn(one.sweeper.run(), name="sweep")
            await one.clock.advance(20_000.0)
            assert one.left() == {"x"}
            one.cloud.online = True
            await one.clock.advance(590.0)
            assert one.left() == {"x"}
            await one.clock.advance(200.0)
            assert one.left() == set()
            await cancel_and_wait(task)

    run(scenario)


def test_none_are_made_where_there_are_to_be_none() -> None:
    async def scenario() -> None:
        async with Sweep(every=0.0) as one:
            await one.sweeper.run()

    run(scenario)
