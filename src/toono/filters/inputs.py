# SPDX-License-Identifier: Apache-2.0
"""What filters know beside the object: the services' wishes, and where this node is.

Each is followed from the first question that needs it. From them and the door the
filters of a question are built anew after each change; two that are equal filter
equally, so a change that changes nothing here ends no stream.
"""

from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from functools import partial

import msgspec

from toono.codec.base import Object
from toono.codec.json_strict import read
from toono.filters.base import Door, Filter, identity
from toono.filters.discardcloudservice import DiscardCloudService
from toono.filters.fields import Fields
from toono.filters.follow import Ask, Followed, Question
from toono.filters.forwardkubesvctraffic import ForwardKubeSvcTraffic
from toono.filters.inclusterconfig import InClusterConfig
from toono.filters.masterservice import MasterService
from toono.filters.nodeportisolation import NodePortIsolation
from toono.filters.serviceenvupdater import ServiceEnvUpdater
from toono.filters.servicetopology import Place, Rule, ServiceTopology, rule_of
from toono.runtime.clock import Clock

POOL_LABEL = "apps.openyurt.io/nodepool"
ZONE_LABEL = "topology.kubernetes.io/zone"
POOLS = "/apis/apps.openyurt.io/v1beta2/nodepools"
BUCKETS = "/apis/apps.openyurt.io/v1alpha1/nodebuckets"
POOL_OF_BUCKET = "openyurt.io/pool-name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the options say of this node."""

    node_name: str = ""
    door: Door | None = None
    """Where pods reach the hub; None where they cannot."""
    pool: str = ""
    """The node's pool; "" is what its Node's label says."""
    pools: bool = True
    """False: rules of the pool narrow nothing."""
    buckets: bool = False
    """Pools are told by NodeBuckets."""


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What a Node's labels say."""

    pool: str
    zone: str


@dataclass(frozen=True, slots=True)
class PoolPart:
    """Nodes of a pool: all of them, or what one NodeBucket holds."""

    pool: str
    nodes: frozenset[str]


class Inputs:
    """Builds filters out of what is followed."""

    def __init__(
        self,
        around: Surroundings,
        ask: Ask,
        *,
        clock: Clock,
        kept: Callable[[Question, int], bool],
    ) -> None:
        self._around = around
        self.changed: Callable[[], None] = lambda: None
        self.online: Callable[[], bool] = lambda: True
        services = Question(path="/api/v1/services", rule="list, watch services")
        self._services: Followed[Rule] = Followed(
            services,
            ask,
            read=_rule,
            changed=self._tell,
            clock=clock,
            kept=partial(kept, services),
        )
        node = Question(
            path="/api/v1/nodes",
            selector=f"fieldSelector=metadata.name%3D{around.node_name}",
            rule=f"list, watch nodes {around.node_name}",
        )
        self._node: Followed[NodeFacts] = Followed(
            node,
            ask,
            read=_node_facts,
            changed=self._tell,
            clock=clock,
            kept=partial(kept, node),
        )
        path = BUCKETS if around.buckets else POOLS
        resource = path.rpartition("/")[2]
        rule = f"list, watch {resource} in apps.openyurt.io"
        pools = Question(path=path, whole=True, rule=rule)
        self._pools: Followed[PoolPart] = Followed(
            pools,
            ask,
            read=_bucket if around.buckets else _node_pool,
            changed=self._tell,
            clock=clock,
            kept=partial(kept, pools),
        )

    def _tell(self) -> None:
        self.changed()

    @property
    def node_name(self) -> str:
        """This node's name."""
        return self._around.node_name

    @property
    def duties(self) -> list[Callable[[], Coroutine[None, None, None]]]:
        """What runs from start to drain; idle until something is needed."""
        return [self._services.run, self._node.run, self._pools.run]

    def hurry(self) -> None:
        """The link is back: what is followed need not wait."""
        for one in (self._services, self._node, self._pools):
            one.hurry()

    @property
    def hopeless(self) -> bool:
        """Say whether what is not known cannot become known while the link is down."""
        followed = (self._services, self._node, self._pools)
        return not self.online() and any(
            one.tried and not one.known for one in followed
        )

    async def ready(self, names: Iterable[str]) -> None:
        """Return once all that these filters need is known."""
        if "nodeportisolation" in names and not self._around.pool:
            await self._node.wait()
        if "servicetopology" not in names:
            return
        await self._services.wait()
        rules = frozenset(self._services.values.values())
        by_pool = "pool" in rules and self._around.pools
        if "zone" in rules or (by_pool and not self._around.pool):
            await self._node.wait()
        if by_pool and self._pool:
            await self._pools.wait()

    @property
    def _own(self) -> NodeFacts:
        facts = self._node.values.get(("", self._around.node_name))
        return facts or NodeFacts("", "")

    @property
    def _pool(self) -> str:
        return self._around.pool or self._own.pool

    def build(self, name: str, resource: str) -> Filter:
        """Return a filter as of now, for questions of a resource."""
        match name:
            case "discardcloudservice":
                return DiscardCloudService()
            case "inclusterconfig":
                return InClusterConfig()
            case "nodeportisolation":
                return NodePortIsolation(self._pool)
            case "servicetopology":
                rules = dict(self._services.values)
                return ServiceTopology(resource, rules, self._place(rules.values()))
        door = self._around.door
        assert door is not None, "without a door its filters are off"
        return _OF_THE_DOOR[name](door)

    def _place(self, rules: Iterable[Rule]) -> Place:
        """Return where this node is, as far as these rules ask: no more may count."""
        asked = frozenset(rules)
        pool = self._pool
        by_pool = "pool" in asked and self._around.pools
        nodes = self._nodes_of(pool) if by_pool and pool else None
        # A Node that is not there says of no pool that it is not in it.
        is_told = ("", self._around.node_name) in self._node.values
        return Place(
            node=self._around.node_name,
            pool=nodes,
            in_pool=bool(pool) or not is_told or not by_pool,
            zone=self._own.zone if "zone" in asked else "",
        )

    def _nodes_of(self, pool: str) -> frozenset[str] | None:
        """Return a pool's nodes; None where no such pool is there (any more).

        One that names nobody lacks this node, too, which is in it: its nodes were not
        filled in yet, and nobody shall lose all endpoints until they are.
        """
        parts = [one for one in self._pools.values.values() if one.pool == pool]
        return frozenset().union(*(one.nodes for one in parts)) or None


_OF_THE_DOOR: dict[str, Callable[[Door], Filter]] = {
    "masterservice": MasterService,
    "serviceenvupdater": ServiceEnvUpdater,
    "forwardkubesvctraffic": ForwardKubeSvcTraffic,
}


def _rule(fields: Fields, one: Object) -> Rule | None:
    return rule_of(identity(fields, one.data).annotations)


def _node_facts(fields: Fields, one: Object) -> NodeFacts:
    labels = identity(fields, one.data).labels
    return NodeFacts(labels.get(POOL_LABEL, ""), labels.get(ZONE_LABEL, ""))


class _Status(msgspec.Struct):
    nodes: list[str] | None = None


class _NodePool(msgspec.Struct):
    status: _Status | None = None


class _Named(msgspec.Struct):
    name: str = ""


class _NodeBucket(msgspec.Struct):
    nodes: list[_Named] | None = None


_decode_pool = msgspec.json.Decoder(_NodePool).decode
_decode_bucket = msgspec.json.Decoder(_NodeBucket).decode


def _node_pool(_: Fields, one: Object) -> PoolPart:
    status = read(_decode_pool, one.data).status
    return PoolPart(one.name, frozenset((status and status.nodes) or ()))


def _bucket(fields: Fields, one: Object) -> PoolPart:
    nodes = read(_decode_bucket, one.data).nodes or ()
    pool = identity(fields, one.data).labels.get(POOL_OF_BUCKET, "")
    return PoolPart(pool, frozenset(node.name for node in nodes))
