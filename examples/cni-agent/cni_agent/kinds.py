# SPDX-License-Identifier: Apache-2.0
"""The agent's own resource, and what it reads of others; typed, and no more than it needs."""

import msgspec

from cni_agent.kit.meta import Kind

NETWORKS = "/apis/net.example.org/v1/networks"
PODS = "/api/v1/pods"
NODES = "/api/v1/nodes"
POLICIES = "/apis/networking.k8s.io/v1/networkpolicies"


# -- the custom resource ------------------------------------------------------------


class Route(msgspec.Struct):
    dst: str
    gw: str = ""


class NetworkSpec(msgspec.Struct):
    mtu: int = 1450
    routes: list[Route] = []


class NodeStatus(msgspec.Struct, rename="camel"):
    """What one node's agent says of a network; each writes its own."""

    observed_generation: int = 0
    ready: bool = False
    range: str = ""
    pods: int = 0
    isolated: int = 0
    peers: int = 0
    message: str = ""


class NetworkStatus(msgspec.Struct):
    nodes: dict[str, NodeStatus] = {}


class Network(Kind):
    spec: NetworkSpec = msgspec.field(default_factory=NetworkSpec)
    status: NetworkStatus = msgspec.field(default_factory=NetworkStatus)


# -- what is read of Kubernetes ----------------------------------------------------


class NodeSpec(msgspec.Struct):
    pod_cidr: str = msgspec.field(default="", name="podCIDR")


class Address(msgspec.Struct):
    type: str
    address: str


class NodeState(msgspec.Struct):
    addresses: list[Address] = []


class Node(Kind):
    spec: NodeSpec = msgspec.field(default_factory=NodeSpec)
    status: NodeState = msgspec.field(default_factory=NodeState)

    @property
    def address(self) -> str:
        """Where other nodes find it."""
        found = [x.address for x in self.status.addresses if x.type == "InternalIP"]
        return found[0] if found else ""


class PodSpec(msgspec.Struct, rename="camel"):
    host_network: bool = False


class Pod(Kind):
    spec: PodSpec = msgspec.field(default_factory=PodSpec)


class Requirement(msgspec.Struct):
    key: str
    operator: str
    values: list[str] = []


class Selector(msgspec.Struct, rename="camel"):
    match_labels: dict[str, str] = {}
    match_expressions: list[Requirement] = []

    def matches(self, labels: dict[str, str]) -> bool:
        """Say whether labels are selected; an empty selector selects all."""
        return all(labels.get(k) == v for k, v in self.match_labels.items()) and all(
            _meets(labels, one) for one in self.match_expressions
        )


class PolicySpec(msgspec.Struct, rename="camel"):
    pod_selector: Selector = msgspec.field(default_factory=Selector)


class Policy(Kind):
    spec: PolicySpec = msgspec.field(default_factory=PolicySpec)

    def selects(self, pod: Pod) -> bool:
        """Say whether a pod is isolated by this policy."""
        same = pod.metadata.namespace == self.metadata.namespace
        return same and self.spec.pod_selector.matches(pod.metadata.labels)


def _meets(labels: dict[str, str], one: Requirement) -> bool:
    match one.operator:
        case "In":
            return labels.get(one.key) in one.values
        case "NotIn":
            return labels.get(one.key) not in one.values
        case "Exists":
            return one.key in labels
        case "DoesNotExist":
            return one.key not in labels
    return False
