# SPDX-License-Identifier: Apache-2.0
import asyncio
import json

import pytest

from toono.errors import RequestError
from toono.kube import status
from toono.kube.request import Call, Caller
from toono.pipeline.chain import refusal
from toono.pipeline.clients import NODE, Client
from toono.pipeline.limits import InFlight, Limits
from toono.testing.clock import settle


async def enter(in_flight: InFlight, one) -> None:
    """Count a call in as the chain does: now, or when it has its turn."""
    if not in_flight.admit(one):
        await in_flight.queue(one)


def call(component: str, *, method: str = "GET", verb: str = "get") -> Call:
    remote = ("127.0.0.1", 5)
    caller = Caller(connection=1, local=("127.0.0.1", 1), remote=remote)
    return Call(
        method=method,
        target=b"/",
        path="/",
        verb=verb,
        component=component,
        caller=caller,
    )


def by_name(one: Call) -> Client:
    return (NODE, one.component)


class Entering(InFlight):
    """Limits that remember whose calls are under way, so that any of them may leave."""

    def __init__(self, limits: Limits | None = None) -> None:
        super().__init__(limits, client_of=by_name)
        self.calls: list[Call] = []

    def admit(self, one: Call) -> bool:
        entered = super().admit(one)
        if entered:
            self.calls.append(one)
        return entered

    def leave(self, one: Call) -> None:
        alike = (one.component, one.verb)
        found = next(c for c in self.calls if (c.component, c.verb) == alike)
        self.calls.remove(found)
        super().leave(found)


async def filled(limits: Limits, component: str, count: int, **kind) -> Entering:
    in_flight = Entering(limits)
    for _ in range(count):
        await enter(in_flight, call(component, **kind))
    return in_flight


def refused(in_flight: InFlight, one: Call) -> RequestError:
    with pytest.raises(RequestError) as caught:
        asyncio.run(enter(in_flight, one))
    return caught.value


NOW = {"queue_seconds": 0.0}


def test_a_share_of_reads_is_kept_for_the_kubelet() -> None:
    limits = Limits(read=10, client=100, **NOW)
    in_flight = asyncio.run(filled(limits, "other", 8))
    assert refused(in_flight, call("other")).code == 429
    asyncio.run(enter(in_flight, call("kubelet")))
    assert in_flight.reading == 9


def test_reads_and_writes_are_counted_apart() -> None:
    limits = Limits(read=1, write=1, **NOW)
    in_flight = asyncio.run(filled(limits, "kubelet", 1))
    asyncio.run(enter(in_flight, call("kubelet", method="POST", verb="create")))
    assert (in_flight.reading, in_flight.writing) == (1, 1)


def test_one_client_cannot_take_all() -> None:
    limits = Limits(client=3, **NOW)
    in_flight = asyncio.run(filled(limits, "other", 3))
    assert refused(in_flight, call("other")).reason == "TooManyRequests"
    asyncio.run(enter(in_flight, call("else")))


def test_watches_are_limited_for_all_and_for_each() -> None:
    limits = Limits(watch=4, client_watch=2)
    in_flight = asyncio.run(filled(limits, "a", 2, verb="watch"))
    assert refused(in_flight, call("a", verb="watch")).code == 429
    asyncio.run(enter(in_flight, call("b", verb="watch")))
    assert refused(in_flight, call("c", verb="watch")).code == 429


def test_the_kubelet_here_may_watch_for_every_pod() -> None:
    limits = Limits(watch=10, client_watch=2)
    in_flight = asyncio.run(filled(limits, "kubelet", 10, verb="watch"))
    assert refused(in_flight, call("kubelet", verb="watch")).code == 429
    assert in_flight.watching == 10


def test_who_waits_enters_when_another_leaves() -> None:
    async def scenario() -> None:
        in_flight = await filled(Limits(client=1, queue_seconds=60), "a", 1)
        waiting = asyncio.ensure_future(enter(in_flight, call("a")))
        await asyncio.sleep(0)
        assert not waiting.done()
        in_flight.leave(call("a"))
        await waiting
        assert in_flight.reading == 1

    asyncio.run(scenario())


def test_leaving_gives_back_all_that_was_taken() -> None:
    in_flight = asyncio.run(filled(Limits(), "a", 2, verb="watch"))
    in_flight.leave(call("a", verb="watch"))
    in_flight.leave(call("a", verb="watch"))
    assert in_flight.watching == 0
    assert not in_flight._watchers


async def begun(in_flight: InFlight, *calls: Call) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(enter(in_flight, one)) for one in calls]
    await settle()
    return tasks


def test_a_free_place_goes_to_the_first_who_can_take_it() -> None:
    """The first in the queue may wait for another one."""

    async def scenario() -> None:
        limits = Limits(read=10, write=2, client=3, queue_seconds=60.0)
        in_flight = await filled(limits, "busy", 2)
        writing = call("other", method="POST", verb="create")
        await enter(in_flight, writing)
        await enter(in_flight, call("busy"))
        first, second, third = await begun(
            in_flight, call("third", method="PUT", verb="update"), call("busy"), writing
        )
        assert not any(task.done() for task in (first, second, third))
        in_flight.leave(call("busy"))
        await settle()
        assert (first.done(), second.done(), third.done()) == (False, True, False)
        in_flight.leave(writing)
        await settle()
        assert (first.done(), third.done()) == (True, False)
        third.cancel()
        await asyncio.gather(third, return_exceptions=True)

    asyncio.run(scenario())


def test_a_turn_that_is_not_taken_goes_to_the_next() -> None:
    async def scenario() -> None:
        limits = Limits(client=1, queue_seconds=60.0)
        in_flight = await filled(limits, "a", 1)
        gone, next_one = await begun(in_flight, call("a"), call("a"))
        in_flight.leave(call("a"))
        gone.cancel()
        await settle()
        assert gone.cancelled()
        assert next_one.done()
        assert in_flight.reading == 1

    asyncio.run(scenario())


def test_who_waits_in_vain_leaves_no_trace() -> None:
    async def scenario() -> None:
        limits = Limits(client=1, queue_seconds=0.01)
        in_flight = await filled(limits, "a", 1)
        for waiting in await begun(in_flight, call("a"), call("a")):
            with pytest.raises(RequestError):
                await waiting
        assert len(in_flight._waiting) == 0
        in_flight.leave(call("a"))
        await enter(in_flight, call("a"))

    asyncio.run(scenario())


def test_a_share_of_watches_is_kept_for_the_kubelet() -> None:
    limits = Limits(watch=10, client_watch=100)
    watch = {"verb": "watch"}
    in_flight = asyncio.run(filled(limits, "other", 8, **watch))
    assert refused(in_flight, call("else", **watch)).code == 429
    asyncio.run(enter(in_flight, call("kubelet", **watch)))
    assert in_flight.watching == 9


@pytest.mark.parametrize("verb", ["get", "watch"])
def test_who_is_refused_hears_when_to_come_again(verb: str) -> None:
    """Without it client-go gives up at once: it retries a 429 only then."""
    limits = Limits(client=0, watch=0, **NOW)
    failure = refused(Entering(limits), call("other", verb=verb))
    assert failure.code == 429
    told = refusal(None, status.of_error(failure))
    (seconds,) = [value for name, value in told.headers if name == b"Retry-After"]
    assert 1 <= int(seconds) <= 5
    content = json.loads(told.content)
    assert content["details"] == {"retryAfterSeconds": int(seconds)}


def test_times_to_come_again_are_spread() -> None:
    limits = Limits(client=0, **NOW)
    told = {
        refused(Entering(limits), call("other")).details["retryAfterSeconds"]
        for _ in range(100)
    }
    assert len(told) > 2


def test_whose_a_call_was_as_it_entered_counts_until_it_leaves() -> None:
    """Who a client is may be learnt meanwhile."""
    whose = [("127.0.0.1", "")]
    in_flight = InFlight(
        Limits(client=1, client_watch=1), client_of=lambda _: whose[-1]
    )
    calls = [call("a"), call("a", verb="watch")]
    for _ in range(2):
        assert all(map(in_flight.admit, calls))
        whose.append((f"token/{len(whose)}", ""))
        for one in calls:
            in_flight.leave(one)
    assert (in_flight.reading, in_flight.watching) == (0, 0)
    assert not in_flight._clients
    assert not in_flight._watchers
    assert not in_flight._entered


def test_a_kubelet_s_name_alone_has_no_share() -> None:
    in_flight = InFlight(Limits(read=10, client=100, **NOW))
    for _ in range(8):
        asyncio.run(enter(in_flight, call("other")))
    assert refused(in_flight, call("kubelet")).code == 429
