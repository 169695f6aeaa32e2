# SPDX-License-Identifier: Apache-2.0
"""This node's own Node: what it says of itself, and the condition that tells of autonomy.

The condition and what decides it are YurtHub's. It is written when it changes, by a
patch that names nothing else: the kubelet's own conditions stay the kubelet's.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from toono.autonomy.cloud import Cloud
from toono.autonomy.distribution import Marked, of_node
from toono.autonomy.follow import Followed
from toono.errors import UpstreamError
from toono.kube.request import Call
from toono.runtime.clock import Clock

log = logging.getLogger(__name__)

AUTONOMY = "node.beta.openyurt.io/autonomy"
EDGE_WORKER = "openyurt.io/is-edge-worker"
CONDITION = "Autonomy"
TRIES = 3
"""Looks at a cache that fails, before it is said."""
EVERY_SECONDS = 10.0
FIRST_SECONDS = 0.5
"""Between looks, until the node is known."""
REFUSED_SECONDS = 600.0
STRATEGIC = "application/strategic-merge-patch+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Whether a node may be left to itself, in YurtHub's words."""

    status: str
    reason: str
    message: str


DISABLED = Condition(
    status="False",
    reason="autonomy disabled",
    message="The autonomy is disabled or this node is not edge node",
)
ENABLED = Condition(
    status="True",
    reason="autonomy enabled successfully",
    message="The autonomy is enabled and it works fine",
)


class _Said(msgspec.Struct):
    type: str
    status: str = ""
    reason: str = ""
    message: str = ""


class _NodeInfo(msgspec.Struct, rename="camel"):
    kubelet_version: str = ""


class _Status(msgspec.Struct, rename="camel"):
    conditions: list[_Said] | None = None
    node_info: _NodeInfo = msgspec.field(default_factory=_NodeInfo)


class _Meta(msgspec.Struct, rename="camel"):
    name: str
    resource_version: str
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class _Node(msgspec.Struct):
    metadata: _Meta
    status: _Status = msgspec.field(default_factory=_Status)


_node = msgspec.json.Decoder(_Node).decode
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """What of a Node the hub reads."""

    resource_version: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    kubelet_version: str = ""
    said: Condition | None = None


def read_node(content: bytes) -> Node | None:
    """Return what a Node says; None where it cannot be read."""
    try:
        node = _node(content)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    said = None
    for one in node.status.conditions or ():
        if one.type == CONDITION:
            said = Condition(status=one.status, reason=one.reason, message=one.message)
    return Node(
        resource_version=node.metadata.resource_version,
        labels=node.metadata.labels or {},
        annotations=node.metadata.annotations or {},
        kubelet_version=node.status.node_info.kubelet_version,
        said=said,
    )


def condition_of(node: Node, *, fault: str, tries: int) -> Condition | None:
    """Return what is to be said of `node`; None: what was said stands.

    `fault` is what is wrong with the cache, seen so many times in a row.
    """
    enabled = node.annotations.get(AUTONOMY) == "true"
    if not enabled or node.labels.get(EDGE_WORKER) == "false":
        return DISABLED
    if not fault:
        return ENABLED
    if tries <= TRIES:
        return None
    return Condition(status="Unknown", reason="cache failed", message=fault)


def followed_node(name: str) -> Followed:
    """Return what to follow, to know this node's Node."""
    return Followed(
        path="/api/v1/nodes",
        selector=f"fieldSelector=metadata.name={name}",
        rule=f"get, list, watch nodes {name}",
    )


class NodeKeeper:
    """Knows this node's Node, and keeps its condition true."""

    def __init__(
        self,
        cloud: Cloud,
        name: str,
        *,
        clock: Clock,
        fault: Callable[[], str],
        marked: Callable[[Marked], None] = lambda _: None,
    ) -> None:
        self._cloud = cloud
        self._name = name
        self._clock = clock
        self._fault = fault
        self._marked = marked
        self._tries = 0
        self.node: Node | None = None
        self.refused = 0

    def take(self, objects: Mapping[str, bytes]) -> None:
        """Take the Node as it is now, by its name; what cannot be read is nothing."""
        node = read_node(objects.get(self._name, b""))
        if node is None:
            self.node = None
            return
        self.node = node
        mark = of_node(node.labels, node.annotations, node.kubelet_version)
        if mark is not None:
            self._marked(mark)

    def asks_for_it(self, call: Call) -> bool:
        """Say whether a call is the kubelet's look at its own Node, at any version."""
        return (
            call.verb == "get"
            and call.resource == "nodes"
            and call.group == ""
            and call.name == self._name
            and call.subresource == ""
            and call.resource_version == "0"
        )

    async def run(self) -> None:
        """Say what changed, every few seconds; ends by cancellation only."""
        while True:
            seconds = FIRST_SECONDS if self.node is None else EVERY_SECONDS
            try:
                await self._once()
            except UpstreamError as exc:
                log.debug("the autonomy condition was not said", extra={"err": exc})
            if self.refused:
                seconds = REFUSED_SECONDS
            await self._clock.sleep(seconds)

    async def _once(self) -> None:
        node = self.node
        fault = self._fault()
        self._tries = self._tries + 1 if fault else 0
        if node is None or not self._cloud.online:
            return
        due = condition_of(node, fault=fault, tries=self._tries)
        if due is None or due == node.said:
            return
        await self._say(
            due, changed=node.said is None or node.said.status != due.status
        )

    async def _say(self, due: Condition, *, changed: bool) -> None:
        now = datetime.fromtimestamp(self._clock.wall(), UTC)
        at = now.strftime("%Y-%m-%dT%H:%M:%SZ")
        condition = {
            "type": CONDITION,
            "status": due.status,
            "reason": due.reason,
            "message": due.message,
            "lastHeartbeatTime": at,
        }
        if changed:
            condition["lastTransitionTime"] = at
        told = await self._cloud.ask(
            "PATCH",
            f"/api/v1/nodes/{self._name}/status",
            _encode({"status": {"conditions": [condition]}}),
            content_type=STRATEGIC,
        )
        if told.status == 200:
            self.refused = 0
            log.info(
                "autonomy condition", extra={"status": due.status, "why": due.reason}
            )
            return
        if told.status == 403 and not self.refused:
            log.warning(
                "a right is missing; asked again in 10m",
                extra={"rule": f"patch nodes/status {self._name}"},
            )
        self.refused = told.status if told.status == 403 else 0
