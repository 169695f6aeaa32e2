# SPDX-License-Identifier: Apache-2.0
import pytest

from tests.unit.pipeline.test_again import CALLER, POD, request, shortcuts
from toono.filters.approval import DEFAULTS, Approval
from toono.kube.request import parse
from toono.pipeline.again import LIFE_SECONDS, MAX_KEPT_BYTES
from toono.wire.messages import Response


def answer(at: float, **changes) -> Response:
    chosen = {
        "status": 200,
        "headers": [(b"Content-Type", b"application/json"), (b"Age", b"0")],
        "content": b"{}",
        "confirmed_at": at,
    }
    return Response(**(chosen | changes))


def call_of(target: str = POD, method: str = "GET"):
    asked = request(target, method=method)
    return parse(asked.method, asked.target, asked.fields, CALLER)


def test_the_age_goes_on_and_each_answer_is_counted() -> None:
    counted: list[float] = []
    of = shortcuts(counted)
    again = of.kept(call_of(), request(), answer(of.clock.wall() - 5.5))
    first = again.begin(None, of.clock.monotonic())
    assert first.endswith(b"\r\nContent-Length: 2\r\n\r\n{}")
    assert b"\r\nAge: 5\r\n" in first
    assert again.begin(None, of.clock.monotonic()) is first
    of.clock._now += 0.6
    assert b"\r\nAge: 6\r\n" in again.begin(None, of.clock.monotonic())
    of.clock._wall -= 7200  # somebody set the clock back: an age is never negative
    assert b"\r\nAge: 0\r\n" in again.begin(None, of.clock.monotonic())
    assert len(counted) == 4


def online(of) -> None:
    of.upstream.online = True


def another_outage(of) -> None:
    of.upstream.since += 1


def change(of) -> None:
    of.recorder.scopes.changes += 1


def refusal_heard(of) -> None:
    of.book.refusals += 1


def other_filters(of) -> None:
    of.filters.approval = Approval(off=frozenset(DEFAULTS))


def old(of) -> None:
    of.clock._now += LIFE_SECONDS


@pytest.mark.parametrize(
    "what",
    [online, another_outage, change, refusal_heard, other_filters, old],
)
def test_whatever_changes_ends_it(what) -> None:
    of = shortcuts()
    again = of.kept(call_of(), request(), answer(of.clock.wall()))
    assert again.begin(None, of.clock.monotonic())
    what(of)
    assert again.begin(None, of.clock.monotonic()) is None


@pytest.mark.parametrize(
    ("target", "changes"),
    [
        (POD, {"status": 404}),
        (POD, {"confirmed_at": None}),
        (POD, {"content": b"x" * (MAX_KEPT_BYTES + 1)}),
        (POD, {"headers": [(b"Warning", b"299 cut off")]}),
        (POD + "?resourceVersion=7", {}),
        ("/api/v1/nodes/edge-1", {}),
        ("/api/v1/pods", {}),
    ],
)
def test_other_answers_are_not_held_ready(target: str, changes) -> None:
    of = shortcuts()
    left = answer(of.clock.wall(), **changes)
    assert of.kept(call_of(target), request(target), left) is None


def test_a_head_alone_is_not_held_ready() -> None:
    of = shortcuts()
    asked = request(method="HEAD")
    assert of.kept(call_of(method="HEAD"), asked, answer(of.clock.wall())) is None


def test_nothing_is_held_ready_for_a_client_that_must_hear_of_keep_alive() -> None:
    of = shortcuts()
    asked = request()
    asked.old = True
    assert of.kept(call_of(), asked, answer(of.clock.wall())) is None
