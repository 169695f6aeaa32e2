# SPDX-License-Identifier: Apache-2.0
"""Filters built from what is known of services, pools and this node."""

import asyncio
from collections.abc import Callable, Coroutine

import pytest

from toono.filters.approval import DEFAULTS
from toono.filters.base import Door, Filter
from toono.filters.inputs import Inputs, Surroundings
from toono.filters.nodeportisolation import NodePortIsolation
from toono.filters.servicetopology import Place, ServiceTopology
from toono.runtime.tasks import cancel_and_wait, spawn
from toono.testing.clock import VirtualClock

from .cloud import Cloud, found

SERVICES, NODES = "/api/v1/services", "/api/v1/nodes"
POOLS = "/apis/apps.openyurt.io/v1beta2/nodepools"
BUCKETS = "/apis/apps.openyurt.io/v1alpha1/nodebuckets"
DOOR = Door("169.254.2.1", 10268)


def meta(name: str, **more: object) -> dict[str, object]:
    return {"metadata": {"name": name, "resourceVersion": "5", **more}}


def service(rule: str) -> dict[str, object]:
    notes = {"openyurt.io/topologyKeys": rule}
    return meta("web", namespace="a", annotations=notes)


def node(**labels: str) -> dict[str, object]:
    names = {"pool": "apps.openyurt.io/nodepool", "zone": "topology.kubernetes.io/zone"}
    return meta("edge-1", labels={names[key]: value for key, value in labels.items()})


class Scene:
    def __init__(self, **around: object) -> None:
        self.cloud, self.changes = Cloud(), 0
        surroundings = Surroundings(node_name="edge-1", door=DOOR, **around)  # type: ignore[arg-type]
        self.inputs = Inputs(
            surroundings, self.cloud, clock=VirtualClock(), kept=lambda *_: True
        )
        self.inputs.changed = self._changed

    def _changed(self) -> None:
        self.changes += 1

    async def ready(self, *names: str) -> bool:
        """Say whether all is known after some turns of the loop."""
        waiting = spawn(self.inputs.ready(names), name="ready")
        for _ in range(40):
            await asyncio.sleep(0)
        done = waiting.done()
        await cancel_and_wait(waiting)
        return done

    @property
    def paths(self) -> set[str]:
        return {target.partition("?")[0] for target, _, _ in self.cloud.asked}

    def topology(self) -> Filter:
        return self.inputs.build("servicetopology", "endpointslices")


def play(
    story: Callable[[Scene], Coroutine[None, None, None]], **around: object
) -> None:
    async def run() -> None:
        scene = Scene(**around)
        tasks = [spawn(duty(), name="input") for duty in scene.inputs.duties]
        try:
            await story(scene)
        finally:
            await cancel_and_wait(*tasks)

    asyncio.run(run())


def test_constant_filters_ask_nothing() -> None:
    async def story(scene: Scene) -> None:
        assert await scene.ready("masterservice", "discardcloudservice")
        assert scene.paths == set()

    play(story)


@pytest.mark.parametrize("name", DEFAULTS)
def test_each_filter_can_be_built(name: str) -> None:
    async def story(scene: Scene) -> None:
        assert type(scene.inputs.build(name, "x")).__name__.lower() == name

    play(story)


def test_a_pool_of_the_options_needs_no_node() -> None:
    async def story(scene: Scene) -> None:
        assert await scene.ready("nodeportisolation")
        assert scene.paths == set()
        built = scene.inputs.build("nodeportisolation", "services")
        assert built == NodePortIsolation("hangzhou")

    play(story, pool="hangzhou")


def test_the_node_s_label_is_the_pool_where_no_option_says_it() -> None:
    async def story(scene: Scene) -> None:
        assert not await scene.ready("nodeportisolation")
        assert scene.paths == {NODES}
        assert "fieldSelector=metadata.name%3Dedge-1" in scene.cloud.asked[0][0]

    play(story)

    async def known(scene: Scene) -> None:
        scene.cloud.add(NODES, found("Node", "9", node(pool="hangzhou")))
        assert await scene.ready("nodeportisolation")
        built = scene.inputs.build("nodeportisolation", "services")
        assert built == NodePortIsolation("hangzhou")
        assert scene.changes == 1

    play(known)


def test_services_without_wishes_ask_for_no_pool() -> None:
    async def story(scene: Scene) -> None:
        scene.cloud.add(SERVICES, found("Service", "9", service("garbage")))
        assert await scene.ready("servicetopology")
        assert scene.paths == {SERVICES}
        assert scene.topology() == ServiceTopology(
            "endpointslices", {}, Place(node="edge-1")
        )

    play(story)


def test_a_rule_of_the_pool_waits_for_the_pool_s_nodes() -> None:
    async def unknown(scene: Scene) -> None:
        scene.cloud.add(
            SERVICES, found("Service", "9", service("openyurt.io/nodepool"))
        )
        assert not await scene.ready("servicetopology")
        assert scene.paths == {SERVICES, POOLS}

    play(unknown, pool="hangzhou")

    async def known(scene: Scene) -> None:
        scene.cloud.add(
            SERVICES, found("Service", "9", service("openyurt.io/nodepool"))
        )
        pool = meta("hangzhou") | {"status": {"nodes": ["edge-1", "edge-2"]}}
        other = meta("shanghai") | {"status": {}}
        scene.cloud.add(POOLS, found("NodePool", "9", pool, other))
        assert await scene.ready("servicetopology")
        assert scene.topology() == ServiceTopology(
            "endpointslices",
            {("a", "web"): "pool"},
            Place(node="edge-1", pool=frozenset({"edge-1", "edge-2"})),
        )
        before = scene.topology()
        scene.cloud.streams[POOLS].say("DELETED", "NodePool", pool)
        for _ in range(20):
            await asyncio.sleep(0)
        assert scene.topology() != before
        # A pool that vanished narrows nothing.
        assert scene.topology() == ServiceTopology(
            "endpointslices", {("a", "web"): "pool"}, Place(node="edge-1")
        )

    play(known, pool="hangzhou")


@pytest.mark.parametrize("status", [{}, {"status": {}}, {"status": {"nodes": []}}])
def test_a_pool_that_names_nobody_narrows_nothing(status: dict) -> None:
    """This node bears its label: who fills in the pool's nodes has not come yet."""

    async def story(scene: Scene) -> None:
        scene.cloud.add(
            SERVICES, found("Service", "9", service("openyurt.io/nodepool"))
        )
        scene.cloud.add(POOLS, found("NodePool", "9", meta("hangzhou") | status))
        assert await scene.ready("servicetopology")
        topology = scene.topology()
        assert isinstance(topology, ServiceTopology)
        assert topology.place == Place(node="edge-1")

    play(story, pool="hangzhou")


def test_a_node_whose_own_node_is_gone_is_not_known_to_be_in_no_pool() -> None:
    async def story(scene: Scene) -> None:
        scene.cloud.add(SERVICES, found("Service", "9", service("kubernetes.io/zone")))
        scene.cloud.add(NODES, found("Node", "9"))
        assert await scene.ready("servicetopology")
        topology = scene.topology()
        assert isinstance(topology, ServiceTopology)
        assert topology.place == Place(node="edge-1")

    play(story)


def test_pools_may_be_told_by_buckets() -> None:
    async def story(scene: Scene) -> None:
        scene.cloud.add(SERVICES, found("Service", "9", service("kubernetes.io/zone")))
        label = {"openyurt.io/pool-name": "hangzhou"}
        first = meta("h-1", labels=label) | {"nodes": [{"name": "edge-1"}]}
        second = meta("h-2", labels=label) | {"nodes": [{"name": "edge-2"}]}
        other = meta("s-1", labels={}) | {"nodes": None}
        scene.cloud.add(BUCKETS, found("NodeBucket", "9", first, second, other))
        assert await scene.ready("servicetopology")
        topology = scene.topology()
        assert isinstance(topology, ServiceTopology)
        assert topology.place.pool == {"edge-1", "edge-2"}

    play(story, pool="hangzhou", buckets=True)


def test_a_node_in_no_pool_has_a_pool_of_its_own() -> None:
    async def story(scene: Scene) -> None:
        scene.cloud.add(SERVICES, found("Service", "9", service("kubernetes.io/zone")))
        scene.cloud.add(NODES, found("Node", "9", node()))
        assert await scene.ready("servicetopology")
        topology = scene.topology()
        assert isinstance(topology, ServiceTopology)
        assert topology.place == Place(node="edge-1", in_pool=False)

    play(story)


def test_without_pools_their_rules_narrow_nothing() -> None:
    async def story(scene: Scene) -> None:
        scene.cloud.add(SERVICES, found("Service", "9", service("kubernetes.io/zone")))
        assert await scene.ready("servicetopology")
        topology = scene.topology()
        assert isinstance(topology, ServiceTopology)
        assert topology.place == Place(node="edge-1")

    play(story, pools=False)


def test_a_rule_of_the_zone_waits_for_the_node() -> None:
    rule = "topology.kubernetes.io/zone"

    async def story(scene: Scene) -> None:
        scene.cloud.add(SERVICES, found("Service", "9", service(rule)))
        scene.cloud.add(NODES, found("Node", "9", node(zone="z1", pool="hangzhou")))
        assert await scene.ready("servicetopology")
        assert scene.paths == {SERVICES, NODES}
        topology = scene.topology()
        assert isinstance(topology, ServiceTopology)
        assert topology.place == Place(node="edge-1", zone="z1")

    play(story)
