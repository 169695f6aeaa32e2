# SPDX-License-Identifier: Apache-2.0
"""One Lease, one writer: every order in which hub and kubelets may arrive, for an hour."""

import asyncio
import itertools
import os
import random

import pytest

from tests.unit.autonomy.lease_world import NODE, Kubelet, World
from toono.autonomy.lease import (
    SILENCE_SECONDS,
    Action,
    Decision,
    LeaseDuty,
    Seen,
    State,
)

HOUR = 3600.0
MOMENTS = (0.0, 3.0, 9.0, 14.0, 41.0, 75.0)
PROVES = "TOONO_PROVE" in os.environ
WHOLE_HOURS = frozenset({(0.0, 3.0), (14.0, 0.0), (75.0, 41.0)})
"""Of these and, in `make prove`, of all orders the whole hour is played."""
ORDERS = [
    (*pair, HOUR if PROVES or pair in WHOLE_HOURS else 300.0)
    for pair in itertools.product(MOMENTS, repeat=2)
]


@pytest.mark.parametrize(("hub_at", "kubelet_at", "seconds"), ORDERS)
def test_a_kubelet_that_renews_through_the_hub_is_renewed_for(
    hub_at, kubelet_at, seconds
) -> None:
    """Kubelet-shaped: one writer after the look, an update each 10 s, no conflict."""

    async def scenario() -> None:
        async with World() as world:
            await _arrive(world, hub_at, kubelet_at, world.through())
            await world.advance(seconds - world.clock.monotonic())
            server = world.server
            assert not server.conflicts
            settled = max(hub_at, kubelet_at) + 55.0
            assert server.writers(after=settled) == {"hub"}
            first = server.updates[0][0]
            assert max(server.gaps(first, seconds)) <= 12.0
            expected = (seconds - first) / 10.0
            assert expected - 2 <= len(server.updates) <= expected + 2

    asyncio.run(scenario())


@pytest.mark.parametrize(("hub_at", "agent_at", "seconds"), ORDERS)
def test_a_kubelet_that_renews_past_the_hub_is_left_alone(
    hub_at, agent_at, seconds
) -> None:
    """K3s-shaped: the hub never writes."""

    async def scenario() -> None:
        async with World() as world:
            await _arrive(world, hub_at, agent_at, world.direct())
            await world.advance(seconds - world.clock.monotonic())
            server = world.server
            assert not server.conflicts
            assert server.writers() == {"agent"}
            assert max(server.gaps(agent_at, seconds)) <= 10.0
            keeper = world.hub.keeper
            assert keeper is not None
            assert keeper.duty.state is State.SILENT
            assert "somebody else renewed it" in keeper.duty.evidence

    asyncio.run(scenario())


async def _arrive(world: World, hub_at: float, other_at: float, other: Kubelet) -> None:
    for at, what in sorted([(hub_at, "hub"), (other_at, "other")]):
        await world.advance(at - world.clock.monotonic())
        if what == "hub":
            world.hub.start()
        else:
            world.begin(other)


@pytest.mark.parametrize("at", [5.0, 44.0, 58.0, 203.0, 207.5])
@pytest.mark.parametrize("first", ["through", "direct"])
def test_a_kubelet_that_changes_its_way_meets_no_conflict(at, first) -> None:
    async def scenario() -> None:
        async with World() as world:
            ways = [world.through(), world.direct()]
            if first == "direct":
                ways.reverse()
            world.hub.start()
            task = world.begin(ways[0])
            await world.advance(at)
            task.cancel()
            world.begin(ways[1])
            await world.advance(600.0 - at)
            server = world.server
            assert not server.conflicts
            last = "agent" if first == "through" else "kubelet"
            assert server.writers(after=at + 60.0) <= {last, "hub"}
            assert len(server.writers(after=at + 60.0)) == 1
            assert max(server.gaps(0.0, 600.0)) <= 13.0

    asyncio.run(scenario())


@pytest.mark.parametrize("seed", range(200 if PROVES else 4))
def test_restarts_and_cuts_in_any_order_make_no_conflict(seed) -> None:
    """The hub stops, starts, and loses its link; a renewal may be lost, none collides."""

    async def scenario() -> None:
        choose = random.Random(seed)
        async with World() as world:
            kubelet = world.through() if seed % 2 else world.direct()
            world.hub.start()
            world.begin(kubelet)
            while world.clock.monotonic() < (HOUR if PROVES else 900.0):
                await world.advance(choose.choice([1.0, 7.0, 13.0, 60.0, 200.0]))
                match choose.choice(["cut", "restart", "lose", "nothing"]):
                    case "cut" if seed % 2:
                        world.server.online = False
                        await world.advance(choose.choice([1.0, 30.0, 90.0]))
                        world.server.online = True
                    case "restart":
                        await world.hub.stop()
                        await world.advance(choose.choice([0.5, 4.0, 25.0]))
                        world.hub.start()
                    case "lose":
                        world.server.loses_answers = True
                        await world.advance(12.0)
                        world.server.loses_answers = False
            assert world.server.conflicts["agent"] == 0
            if seed % 2 == 0:
                assert world.server.writers() == {"agent"}
            else:
                assert world.server.conflicts["hub"] == 0

    asyncio.run(scenario())


@pytest.mark.parametrize("mode", ["always", "never"])
@pytest.mark.parametrize("hub_at", [0.0, 4.0, 33.0])
def test_always_and_never_do_what_they_say(mode, hub_at) -> None:
    async def scenario() -> None:
        async with World(mode) as world:
            await _arrive(world, hub_at, 0.0, world.through())
            await world.advance(300.0)
            writer = {"always": "hub", "never": "kubelet"}[mode]
            assert world.server.writers(after=hub_at + 12.0) == {writer}
            assert not world.server.conflicts

    asyncio.run(scenario())


def test_never_sends_nothing_of_its_own() -> None:
    async def scenario() -> None:
        async with World("never") as world:
            world.hub.start()
            world.begin(world.through())
            await world.advance(300.0)
            assert world.server.asked == 0
            assert world.hub.answered == 0

    asyncio.run(scenario())


def test_always_creates_the_lease_that_is_not_there() -> None:
    async def scenario() -> None:
        async with World("always") as world:
            world.hub.start()
            await world.advance(25.0)
            lease = world.server.lease
            assert lease is not None
            assert lease["spec"]["holderIdentity"] == NODE
            assert lease["metadata"]["ownerReferences"][0]["uid"] == "u-1"
            assert len(world.server.updates) == 3

    asyncio.run(scenario())


def test_a_kubelet_that_stops_is_not_covered_for() -> None:
    """After its grace the Lease runs out; when it is back the hub renews at once."""

    async def scenario() -> None:
        async with World() as world:
            world.hub.start()
            task = world.begin(world.through())
            await world.advance(120.0)
            task.cancel()
            await world.advance(60.0)
            count = len(world.server.updates)
            keeper = world.hub.keeper
            assert keeper is not None
            assert keeper.duty.state is State.WAITING
            assert keeper.duty.evidence == "no renewal of the kubelet's for 40s"
            await world.advance(600.0)
            assert len(world.server.updates) == count
            world.begin(world.through())
            await world.advance(1.0)
            assert len(world.server.updates) == count + 1
            assert keeper.duty.state is State.RENEWING

    asyncio.run(scenario())


def test_without_a_grace_period_a_kubelet_is_never_given_up() -> None:
    one = LeaseDuty("always", now=0.0, grace=0.0)
    one.kubelet_writes(1.0)
    assert one.next(1e6)[0] is Action.RENEW


# -- the decisions alone -----------------------------------------------------


def duty(mode="auto") -> tuple[LeaseDuty, list[Decision]]:
    said: list[Decision] = []
    return LeaseDuty(mode, now=0.0, decided=said.append), said


def seen(version: int, time: str, **more) -> Seen:
    return Seen(resource_version=str(version), renew_time=time, **more)


def taken_over() -> tuple[LeaseDuty, list[Decision]]:
    one, said = duty()
    one.saw(0.0, seen(5, "a"), asked_at=0.0)
    one.kubelet_writes(10.0)
    one.passed(10.0, seen(6, "b"))
    assert one.kubelet_writes(40.0)
    return one, said


def test_each_decision_says_why() -> None:
    one, said = taken_over()
    one.saw(50.0, seen(9, "z"), asked_at=50.0)
    assert [(each.state, each.evidence) for each in said] == [
        (State.LOOKING, "it starts: who renews is not known yet"),
        (
            State.RENEWING,
            "the kubelet renews through the hub, and in 40s nobody else has",
        ),
        (State.SILENT, "somebody else renewed it at z"),
    ]
    assert one.next(50.0) == (Action.WAIT, SILENCE_SECONDS)
    assert one.next(50.0 + SILENCE_SECONDS) == (Action.LOOK, 0.0)
    assert said[-1].evidence == "an hour of silence is over"


def test_a_foreign_renewal_makes_the_silence_last_an_hour_more() -> None:
    one, said = taken_over()
    one.saw(50.0, seen(9, "z"), asked_at=50.0)
    assert not one.kubelet_writes(100.0)
    one.passed(100.0, None, conflict=True)
    assert one.next(101.0) == (Action.WAIT, SILENCE_SECONDS - 1.0)
    assert len(said) == 3
    assert one.foreign == 2


def test_nothing_is_taken_over_without_a_look_at_the_lease() -> None:
    one, _ = duty()
    assert not one.kubelet_writes(100.0)
    one.passed(100.0, seen(1, "a"))
    assert not one.kubelet_writes(200.0)


def test_a_look_that_fails_begins_the_watch_anew() -> None:
    one, _ = duty()
    one.saw(0.0, seen(5, "a"), asked_at=0.0)
    one.failed(30.0)
    one.saw(50.0, seen(5, "a"), asked_at=50.0)
    assert not one.kubelet_writes(60.0)
    one.passed(60.0, seen(6, "b"))
    assert one.kubelet_writes(90.0)


def test_a_renewal_under_way_is_no_strangers() -> None:
    one, _ = duty()
    one.saw(0.0, seen(5, "a"), asked_at=0.0)
    one.kubelet_writes(10.0)
    one.saw(10.5, seen(6, "b"), asked_at=10.0)
    one.passed(11.0, seen(6, "b"))
    one.saw(11.5, seen(5, "a"), asked_at=10.9)
    assert one.foreign == 0
    assert one.next(11.6)[0] is Action.WAIT


def test_an_answer_that_was_lost_proves_nothing() -> None:
    one, _ = duty()
    one.saw(0.0, seen(5, "a"), asked_at=0.0)
    one.kubelet_writes(10.0)
    one.passed(10.0, None)
    one.saw(12.0, seen(6, "b"), asked_at=11.0)
    assert one.foreign == 0
    one.saw(22.0, seen(7, "c"), asked_at=22.0)
    assert one.foreign == 1


def test_the_hubs_own_renewal_is_known_though_its_answer_was_lost() -> None:
    one, _ = taken_over()
    one.renewing("mine")
    one.failed(42.0)
    one.saw(44.0, seen(7, "mine"), asked_at=44.0)
    assert one.foreign == 0


@pytest.mark.parametrize(
    "other",
    [
        seen(4, "older"),  # an API server's cache that is behind
        seen(9, "b"),  # written, but not renewed: an owner or a label
        seen(9, "z", delegated=True),  # a pool's leader, while this node was cut off
    ],
)
def test_what_is_no_renewal_of_a_stranger(other) -> None:
    one, _ = taken_over()
    one.saw(50.0, other, asked_at=50.0)
    assert one.state is State.RENEWING


def test_a_lease_that_somebody_made_is_a_strangers() -> None:
    one, _ = duty()
    one.saw(0.0, None, asked_at=0.0)
    one.saw(10.0, seen(5, "a"), asked_at=10.0)
    assert one.state is State.SILENT


def test_a_conflict_of_the_hubs_own_makes_it_silent() -> None:
    one, said = taken_over()
    one.met_conflict(50.0)
    assert said[-1].evidence == "the hub's renewal met a conflict"


def test_always_counts_strangers_and_goes_on() -> None:
    one, said = duty("always")
    one.saw(0.0, seen(5, "a"), asked_at=0.0)
    one.saw(10.0, seen(6, "b"), asked_at=10.0)
    one.met_conflict(11.0)
    assert one.foreign == 2
    assert one.renews
    assert len(said) == 1


def test_a_distribution_that_renews_past_hubs_is_left_alone_for_good() -> None:
    one, said = taken_over()
    one.recognised(50.0, "K3s", "the kubelet's version is v1.34.1+k3s1")
    assert said[-1].evidence == "this is K3s: the kubelet's version is v1.34.1+k3s1"
    assert one.next(10 * SILENCE_SECONDS)[0] is Action.WAIT
    one.recognised(60.0, "K3s", "again")
    assert len(said) == 3
    always, _ = duty("always")
    always.recognised(1.0, "K3s", "x")
    assert always.renews


def test_the_lease_says_how_often_it_is_renewed() -> None:
    one, _ = duty()
    one.saw(0.0, seen(5, "a", duration=20.0), asked_at=0.0)
    assert one.interval == 5.0
    one.saw(5.0, seen(5, "a", duration=0.0), asked_at=5.0)
    assert one.interval == 5.0
