# SPDX-License-Identifier: Apache-2.0
"""The Autonomy condition says what YurtHub's says, and is written when it changes."""

import asyncio
import json
import logging

import pytest

from tests.unit.autonomy.lease_world import CALLER
from toono.autonomy.cloud import Told
from toono.autonomy.node import (
    AUTONOMY,
    DISABLED,
    EDGE_WORKER,
    ENABLED,
    REFUSED_SECONDS,
    STRATEGIC,
    Condition,
    Node,
    NodeKeeper,
    condition_of,
    followed_node,
    read_node,
)
from toono.errors import UnreachableError
from toono.kube.request import parse
from toono.runtime.tasks import cancel_and_wait, spawn
from toono.testing.clock import VirtualClock

ON = {AUTONOMY: "true"}
FAILED = Condition(status="Unknown", reason="cache failed", message="full")


@pytest.mark.parametrize(
    ("annotations", "labels", "fault", "tries", "due"),
    [
        ({}, {}, "", 0, DISABLED),
        ({AUTONOMY: "yes"}, {}, "", 0, DISABLED),
        (ON, {}, "", 0, ENABLED),
        (ON, {EDGE_WORKER: "true"}, "", 0, ENABLED),
        (ON, {EDGE_WORKER: "false"}, "", 0, DISABLED),
        (ON, {}, "full", 1, None),
        (ON, {}, "full", 3, None),
        (ON, {}, "full", 4, FAILED),
        ({}, {}, "full", 9, DISABLED),
    ],
)
def test_what_is_to_be_said(annotations, labels, fault, tries, due) -> None:
    node = Node(resource_version="1", annotations=annotations, labels=labels)
    assert condition_of(node, fault=fault, tries=tries) == due


def node(*, said: dict | None = None, annotations: dict | None = None) -> bytes:
    content = {
        "metadata": {
            "name": "edge-1",
            "resourceVersion": "7",
            "annotations": annotations or {},
            "labels": {"a": "b"},
        },
        "status": {
            "conditions": [{"type": "Ready"}, *([said] if said else [])],
            "nodeInfo": {"kubeletVersion": "v1.34.1+k3s1"},
        },
    }
    return json.dumps(content).encode()


def test_a_node_is_read() -> None:
    said = {"type": "Autonomy", "status": "True", "reason": "r", "message": "m"}
    read = read_node(node(said=said, annotations=ON))
    assert read == Node(
        resource_version="7",
        labels={"a": "b"},
        annotations=ON,
        kubelet_version="v1.34.1+k3s1",
        said=Condition(status="True", reason="r", message="m"),
    )
    bare = read_node(b'{"metadata":{"name":"edge-1","resourceVersion":"7"}}')
    assert bare == Node(resource_version="7")


@pytest.mark.parametrize("content", [b"", b"<html>", b"{}", b"\xff", b'{"metadata":1}'])
def test_what_is_no_node_is_none(content) -> None:
    assert read_node(content) is None


class Cloud:
    online = True

    def __init__(self, *told) -> None:
        self.told = list(told)
        self.asked: list = []

    async def ask(self, method, target, content, *, content_type) -> Told:
        self.asked.append((method, target, json.loads(content), content_type))
        told = self.told.pop(0) if self.told else Told(200, "", b"")
        if isinstance(told, Exception):
            raise told
        return told

    def said(self) -> list[dict]:
        return [asked[2]["status"]["conditions"][0] for asked in self.asked]


class Keeping:
    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.clock = VirtualClock()
        self.fault = ""
        self.marks: list = []
        self.keeper = NodeKeeper(
            cloud,
            "edge-1",
            clock=self.clock,
            fault=lambda: self.fault,
            marked=self.marks.append,
        )

    async def __aenter__(self):
        self.task = spawn(self.keeper.run(), name="node")
        return self

    async def __aexit__(self, *_: object) -> None:
        await cancel_and_wait(self.task)


def test_the_condition_is_patched_once_and_again_when_it_changes() -> None:
    async def scenario() -> None:
        async with Keeping(Cloud()) as one:
            await one.clock.advance(5.0)
            assert one.cloud.asked == [], "nothing is known of the node"
            one.keeper.take({"edge-1": node(annotations=ON)})
            await one.clock.advance(6.0)
            method, target, content, kind = one.cloud.asked[0]
            assert (method, target) == ("PATCH", "/api/v1/nodes/edge-1/status")
            assert kind == STRATEGIC
            assert content == {
                "status": {
                    "conditions": [
                        {
                            "type": "Autonomy",
                            "status": "True",
                            "reason": ENABLED.reason,
                            "message": ENABLED.message,
                            "lastHeartbeatTime": "2026-11-21T01:00:05Z",
                            "lastTransitionTime": "2026-11-21T01:00:05Z",
                        }
                    ]
                }
            }
            said = one.cloud.said()[0]
            one.keeper.take({"edge-1": node(said=said, annotations=ON)})
            await one.clock.advance(100.0)
            assert len(one.cloud.asked) == 1
            one.keeper.take({"edge-1": node(said=said | {"message": "x"})})
            await one.clock.advance(10.0)
            assert one.cloud.said()[1]["reason"] == DISABLED.reason
            one.keeper.take(
                {"edge-1": node(said=said | {"message": "x"}, annotations=ON)}
            )
            await one.clock.advance(10.0)
            assert "lastTransitionTime" not in one.cloud.said()[2]

    asyncio.run(scenario())


def test_a_cache_that_fails_is_said_after_the_third_look() -> None:
    async def scenario() -> None:
        async with Keeping(Cloud()) as one:
            said = vars_of(ENABLED)
            one.keeper.take({"edge-1": node(said=said, annotations=ON)})
            one.fault = "the cache is memory-only"
            await one.clock.advance(25.0)
            assert one.cloud.asked == []
            await one.clock.advance(10.0)
            assert one.cloud.said()[0]["status"] == "Unknown"
            assert one.cloud.said()[0]["message"] == "the cache is memory-only"

    asyncio.run(scenario())


def vars_of(condition: Condition) -> dict:
    return {
        "type": "Autonomy",
        "status": condition.status,
        "reason": condition.reason,
        "message": condition.message,
    }


def test_a_missing_right_is_said_once_and_tried_again_later(caplog) -> None:
    async def scenario() -> None:
        refused = Told(403, "", b"{}")
        async with Keeping(Cloud(refused, refused, UnreachableError("cut"))) as one:
            one.keeper.take({"edge-1": node()})
            await one.clock.advance(REFUSED_SECONDS - 1)
            assert len(one.cloud.asked) == 1
            await one.clock.advance(2.0)
            assert len(one.cloud.asked) == 2
            one.cloud.online = False
            await one.clock.advance(2 * REFUSED_SECONDS)
            assert len(one.cloud.asked) == 2
            one.cloud.online = True
            await one.clock.advance(2 * REFUSED_SECONDS)
            assert len(one.cloud.asked) == 4
            assert one.keeper.refused == 0

    with caplog.at_level(logging.WARNING):
        asyncio.run(scenario())
    (line,) = caplog.records
    assert vars(line)["rule"] == "patch nodes/status edge-1"


def test_marks_are_handed_on_and_a_node_that_is_gone_is_forgotten() -> None:
    async def scenario() -> None:
        async with Keeping(Cloud()) as one:
            one.keeper.take({"edge-1": node()})
            assert one.marks[0].name == "K3s"
            one.keeper.take({"edge-2": node()})
            assert one.keeper.node is None

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("target", "asks"),
    [
        ("/api/v1/nodes/edge-1?resourceVersion=0", True),
        ("/api/v1/nodes/edge-1?resourceVersion=0&timeout=10s", True),
        ("/api/v1/nodes/edge-1", False),
        ("/api/v1/nodes/edge-1?resourceVersion=5", False),
        ("/api/v1/nodes/edge-2?resourceVersion=0", False),
        ("/api/v1/nodes/edge-1/status?resourceVersion=0", False),
        ("/api/v1/nodes?resourceVersion=0", False),
        ("/apis/a.example/v1/nodes/edge-1?resourceVersion=0", False),
        ("/api/v1/pods/edge-1?resourceVersion=0", False),
    ],
)
def test_which_call_is_the_kubelets_look_at_its_node(target, asks) -> None:
    async def scenario() -> None:
        async with Keeping(Cloud()) as one:
            call = parse("GET", target.encode(), {}, CALLER)
            assert one.keeper.asks_for_it(call) is asks
            patch = parse("PATCH", target.encode(), {}, CALLER)
            assert not one.keeper.asks_for_it(patch)

    asyncio.run(scenario())


def test_the_node_is_followed_by_its_name() -> None:
    followed = followed_node("edge-1")
    assert followed.target == "/api/v1/nodes?fieldSelector=metadata.name%3Dedge-1"
