# SPDX-License-Identifier: Apache-2.0
"""A drill ends at its time, cuts whom it names, and counts how they fared."""

import asyncio

import pytest

from toono.autonomy import drill as module
from toono.autonomy.drill import MAX_SECONDS, Drill, Tally
from toono.kube.request import Caller, parse
from toono.runtime.tasks import cancel_and_wait, spawn
from toono.testing.clock import VirtualClock

NOBODY = Caller(connection=0, local=("", 0), remote=("", 0))
EVERYBODY = frozenset()
KUBELET = frozenset({"kubelet"})


def call(agent: str = "kubelet", target: str = "/api/v1/namespaces/a/secrets/b"):
    return parse("GET", target.encode(), {b"user-agent": agent.encode()}, NOBODY)


class Stream:
    length = None

    def __init__(self) -> None:
        self.pieces: asyncio.Queue[bytes] = asyncio.Queue()
        self.closed = 0

    async def read(self) -> bytes:
        return await self.pieces.get()

    def close(self) -> None:
        self.closed += 1


def test_a_drill_ends_at_its_time_and_not_before() -> None:
    async def scenario() -> None:
        clock, told = VirtualClock(), []
        drill = Drill(clock=clock)
        drill.changed = told.append
        task = spawn(drill.run(), name="drill")
        assert drill.start(600.0, EVERYBODY)
        assert (drill.is_on, drill.back.is_set(), told) == (True, False, [True])
        await clock.advance(599.0)
        assert drill.is_on
        assert drill.note_text() == "a drill is on for all, 1 s more"
        await clock.advance(1.0)
        assert (drill.is_on, drill.back.is_set(), told) == (False, True, [True, False])
        assert drill.note_text() == ""
        assert drill.report()["seconds"] == 600.0
        assert drill.start(5.0, EVERYBODY)
        await clock.advance(5.0)
        assert drill.back.is_set()
        await cancel_and_wait(task)

    asyncio.run(scenario())


def test_its_time_is_over_by_the_clock_though_nobody_ends_it() -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        drill = Drill(clock=clock)
        drill.start(2.0, EVERYBODY)
        await clock.advance(2.0)
        assert not drill.is_on
        assert not drill.cuts(call())

    asyncio.run(scenario())


def test_only_who_is_named_is_cut_off() -> None:
    async def scenario() -> None:
        told = []
        drill = Drill(clock=VirtualClock())
        drill.changed = told.append
        otherwise = asyncio.Event()
        assert drill.over(call(), otherwise) is otherwise
        drill.start(2.0, KUBELET)
        assert drill.cuts(call())
        assert not drill.cuts(call("cilium"))
        assert drill.over(call(), otherwise) is drill.back
        assert drill.over(call("cilium"), otherwise) is otherwise
        assert "kubelet" in drill.note_text()
        drill.end()
        drill.end()
        assert told == [False, False]
        assert not drill.cuts(call())

    asyncio.run(scenario())


@pytest.mark.parametrize("seconds", [0.0, -1.0, MAX_SECONDS + 1])
def test_there_is_one_drill_at_a_time_of_a_sane_length(seconds: float) -> None:
    drill = Drill(clock=VirtualClock())
    assert not drill.start(seconds, EVERYBODY)
    assert drill.start(MAX_SECONDS, EVERYBODY)
    assert not drill.start(1.0, EVERYBODY)


def test_watches_of_who_is_cut_off_end_cleanly_and_no_others() -> None:
    async def scenario() -> None:
        drill = Drill(clock=VirtualClock())
        streams = [Stream(), Stream(), Stream()]
        reading, idle, other = (
            drill.track(call(agent), stream)
            for agent, stream in zip(
                ("kubelet", "kubelet", "cilium"), streams, strict=True
            )
        )
        waits = spawn(reading.read(), name="reader")
        await asyncio.sleep(0)
        drill.start(2.0, KUBELET)
        assert await waits == b""
        assert await idle.read() == b""
        late = Stream()
        assert await drill.track(call(), late).read() == b""
        assert [one.closed for one in (*streams, late)] == [1, 1, 0, 1]
        streams[2].pieces.put_nowait(b"goes on")
        assert await other.read() == b"goes on"

    asyncio.run(scenario())


def test_a_reader_that_is_cancelled_hears_of_it() -> None:
    async def scenario() -> None:
        drill = Drill(clock=VirtualClock())
        waits = spawn(drill.track(call(), Stream()).read(), name="reader")
        await asyncio.sleep(0)
        waits.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waits

    asyncio.run(scenario())


def test_a_timeout_of_the_streams_own_is_no_drill() -> None:
    class Slow(Stream):
        async def read(self) -> bytes:
            raise TimeoutError

    async def scenario() -> None:
        with pytest.raises(TimeoutError):
            await Drill(clock=VirtualClock()).track(call(), Slow()).read()

    asyncio.run(scenario())


def test_the_report_compares_a_drill_with_the_time_before() -> None:
    drill = Drill(clock=VirtualClock())
    for code in (200, 404, 500, 200):
        drill.note(call(), code)
    drill.start(10.0, KUBELET)
    for code in (200, 503, 503, 406):
        drill.note(call(), code)
    drill.note(call("cilium"), 200)
    report = drill.report()
    assert (report["on"], report["only"], report["left"]) == (True, ["kubelet"], 10)
    (kubelet,) = report["components"]
    assert kubelet == {
        "component": "kubelet",
        "answered": 1,
        "refused": 3,
        "rate": 0.25,
        "before": 0.75,
    }
    refused = report["refused"]
    assert [(one["object"], one["code"], one["count"]) for one in refused] == [
        ("secrets a/b", 503, 2),
        ("secrets a/b", 406, 1),
    ]


def test_a_report_has_its_limits(monkeypatch) -> None:
    monkeypatch.setattr(module, "MAX_COMPONENTS", 2)
    monkeypatch.setattr(module, "MAX_REFUSED", 2)
    tally = Tally()
    for number in range(5):
        tally.note(call(f"agent-{number}", f"/version-{number}"), 503)
    assert set(tally.failed) == {"agent-0", "agent-1", "other"}
    assert tally.failed["other"] == 3
    assert [one[2] for one in tally.refused] == ["/version-0", "/version-1"]
    assert tally.rate("nobody") is None
