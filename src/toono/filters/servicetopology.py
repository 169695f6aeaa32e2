# SPDX-License-Identifier: Apache-2.0
"""servicetopology: kube-proxy and DNS see the endpoints near this node, where a Service
asks for that.

Its annotation is compared as one string, as YurtHub does. Endpoints whose place is not
known are dropped by rule; what this node itself is not known to be part of (a pool
that vanished, a zone it does not bear) narrows nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from toono.filters.base import identity, named
from toono.filters.fields import Field, Fields, change_each

KEYS = "openyurt.io/topologyKeys"
SERVICE_NAME = "kubernetes.io/service-name"
Rule = Literal["node", "pool", "zone"]
RULES: Mapping[str, Rule] = {
    "kubernetes.io/hostname": "node",
    "openyurt.io/nodepool": "pool",
    "kubernetes.io/zone": "pool",
    "topology.kubernetes.io/zone": "zone",
}
"""The last is ours: YurtHub knows no zones but its pools."""

ENDPOINTS = Field("endpoints", 2)
NODE_NAME, ZONE = Field("nodeName", 6), Field("zone", 7)
SUBSETS = Field("subsets", 2, optional=True)
ADDRESSES = Field("addresses", 1, optional=True)
NOT_READY = Field("notReadyAddresses", 2, optional=True)
NODE_OF_ADDRESS = Field("nodeName", 4)


def rule_of(annotations: Mapping[str, str]) -> Rule | None:
    """Return what a Service asks for; None where it asks for nothing that we know."""
    return RULES.get(annotations.get(KEYS, ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where this node is, as far as the cloud has said."""

    node: str
    pool: frozenset[str] | None = None
    """The nodes of its pool; None where it has none, or that is not known."""
    in_pool: bool = True
    """False: this node is in no pool, and rules of the pool mean the node."""
    zone: str = ""


@dataclass(frozen=True, slots=True)
class ServiceTopology:
    """The filter, for one kind of question; `rules` by (namespace, Service)."""

    resource: str
    """endpointslices or endpoints."""
    rules: Mapping[tuple[str, str], Rule]
    place: Place

    @property
    def marks(self) -> tuple[bytes, ...]:
        return ()

    def __call__(self, fields: Fields, data: bytes) -> bytes | None:
        if not self.rules:
            return data
        if self.resource == "endpoints":
            rule = self.rules.get(named(fields, data))
            if rule is None:
                return data
            near = self._near(fields, rule, NODE_OF_ADDRESS, None)
            return data if near is None else _in_subsets(fields, data, near)
        who = identity(fields, data)
        rule = self.rules.get((who.namespace, who.labels.get(SERVICE_NAME, "")))
        if rule is None:
            return data
        near = self._near(fields, rule, NODE_NAME, ZONE)
        if near is None:
            return data
        return change_each(fields, data, ENDPOINTS, near)

    def _near(
        self, fields: Fields, rule: Rule, node: Field, zone: Field | None
    ) -> Callable[[bytes], bytes | None] | None:
        """Return what keeps the endpoints that are near; None where all stay."""
        place = self.place
        if rule == "zone":
            if not place.zone or zone is None:
                return None  # addresses of Endpoints bear no zone
            where, nearby = zone, frozenset({place.zone})
        elif rule == "node" or not place.in_pool:
            where, nearby = node, frozenset({place.node})
        elif place.pool is None:
            return None
        else:
            where, nearby = node, place.pool | {place.node}
        return lambda one: one if fields.text(one, where) in nearby else None


def _in_subsets(
    fields: Fields, data: bytes, near: Callable[[bytes], bytes | None]
) -> bytes:
    def subset(one: bytes) -> bytes | None:
        changed = change_each(fields, one, ADDRESSES, near)
        changed = change_each(fields, changed, NOT_READY, near)
        if changed is one:
            return one
        left = fields.each(changed, ADDRESSES) or fields.each(changed, NOT_READY)
        return changed if left else None

    return change_each(fields, data, SUBSETS, subset)
