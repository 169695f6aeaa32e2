# SPDX-License-Identifier: Apache-2.0
"""Addresses of pods heard from their kubelet, kept, and told of once."""

import asyncio
import json
import logging
from collections.abc import Callable, Coroutine

import pytest

from toono.filters.addresses import PodKey
from toono.filters.learning import (
    MAX_PODS,
    MAX_WRITE_BYTES,
    ROW_KEY,
    PodAddresses,
    is_status_write,
)
from toono.kube.request import Call, Caller, parse
from toono.runtime.tasks import cancel_and_wait, spawn
from toono.store.base import Batch
from toono.store.memory import MemoryStore
from toono.testing.clock import VirtualClock, settle
from toono.wire.messages import BytesBody, Peer, Request

NOBODY = Caller(connection=1, local=("", 0), remote=("", 0))
PODS = "/api/v1/namespaces/default/pods"


def call(target: str, method: str = "PATCH") -> Call:
    return parse(method, target.encode(), {}, NOBODY)


def request(content: bytes, *, length: int | None = -1) -> Request:
    body = BytesBody(content)
    body.length = len(content) if length == -1 else length
    return Request(
        method="PATCH",
        target=b"/",
        headers=[],
        fields={},
        body=body,
        peer=Peer(connection=1, local=("", 0), remote=("", 0)),
    )


def write(address: str | None, uid: str = "u") -> bytes:
    content = {"metadata": {"uid": uid}, "status": {"podIP": address}}
    return json.dumps(content).encode()


async def hear(known: PodAddresses, name: str, content: bytes) -> None:
    await known.hear(call(f"{PODS}/{name}/status"), request(content))


def play(story: Callable[[PodAddresses], Coroutine[None, None, None]]) -> None:
    async def run() -> None:
        await story(PodAddresses(MemoryStore(), clock=VirtualClock()))

    asyncio.run(run())


@pytest.mark.parametrize(
    ("target", "method", "is_one"),
    [
        (f"{PODS}/a/status", "PATCH", True),
        (f"{PODS}/a/status", "PUT", True),
        (f"{PODS}/a/status", "GET", False),
        (f"{PODS}/a", "PATCH", False),
        (f"{PODS}/a/status?dryRun=All", "PATCH", False),
        ("/api/v1/nodes/a/status", "PATCH", False),
        ("/apis/x.io/v1/namespaces/default/pods/a/status", "PATCH", False),
    ],
)
def test_what_a_status_write_is(target: str, method: str, is_one: bool) -> None:
    assert is_status_write(call(target, method)) is is_one


def test_a_write_is_heard_and_goes_on_as_it_came() -> None:
    async def story(known: PodAddresses) -> None:
        one = request(write("10.1.0.9"))
        await known.hear(call(f"{PODS}/a/status"), one)
        assert known.pods == {PodKey("default", "a", "u"): ("10.1.0.9",)}
        assert one.body.length == len(write("10.1.0.9"))
        assert await one.body.read() == write("10.1.0.9")

    play(story)


def test_what_is_long_or_of_no_length_is_not_read() -> None:
    async def story(known: PodAddresses) -> None:
        for length in (None, MAX_WRITE_BYTES + 1):
            one = request(write("10.1.0.9"), length=length)
            await known.hear(call(f"{PODS}/a/status"), one)
            assert known.pods == {}
            assert await one.body.read() == write("10.1.0.9")

    play(story)


def test_a_pod_that_lost_its_address_or_its_name_is_forgotten() -> None:
    async def story(known: PodAddresses) -> None:
        await hear(known, "a", write("10.1.0.9"))
        await hear(known, "a", write("10.1.0.7", uid="later"))
        assert known.pods == {PodKey("default", "a", "later"): ("10.1.0.7",)}
        await hear(known, "a", b"nonsense")
        await hear(known, "a", write("garbage", uid="later"))
        assert len(known.pods) == 1
        await hear(known, "a", write(None, uid="later"))
        assert known.pods == {}

    play(story)


def test_not_more_are_kept_than_a_node_can_have() -> None:
    async def story(known: PodAddresses) -> None:
        for number in range(MAX_PODS + 1):
            await hear(known, f"p{number}", write("10.1.0.9"))
        assert len(known.pods) == MAX_PODS
        assert PodKey("default", "p0", "u") not in known.pods

    play(story)


def test_it_survives_a_restart(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        store, clock = MemoryStore(), VirtualClock()
        first = PodAddresses(store, clock=clock)
        await first.open()
        await hear(first, "a", write("10.1.0.9"))
        again = PodAddresses(store, clock=clock)
        await again.open()
        assert again.pods == first.pods != {}
        store.apply(Batch(puts=[(ROW_KEY, b"nonsense")]))
        with caplog.at_level(logging.WARNING):
            third = PodAddresses(store, clock=clock)
            await third.open()
        assert third.pods == {}
        assert "are lost" in caplog.text

    asyncio.run(story())


def test_changes_are_told_once_they_settle() -> None:
    async def story() -> None:
        clock = VirtualClock()
        known, told = PodAddresses(MemoryStore(), clock=clock), []
        known.changed = lambda: told.append(len(known.pods))
        task = spawn(known.run(), name="addresses")
        for name in "abc":
            await hear(known, name, write("10.1.0.9"))
        await settle()
        assert told == []
        await clock.advance(1.0)
        assert told == [3]
        await hear(known, "a", write("10.1.0.9"))
        await clock.advance(5.0)
        assert told == [3]
        await cancel_and_wait(task)

    asyncio.run(story())
