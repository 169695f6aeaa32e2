# SPDX-License-Identifier: Apache-2.0
"""What the agent reads of objects: selectors, addresses, and what it leaves out."""

import msgspec
import pytest
from cni_agent.kinds import Network, Node, Pod, Policy


def policy(**selector) -> Policy:
    content = {
        "metadata": {"name": "p", "namespace": "shop"},
        "spec": {"podSelector": selector, "policyTypes": ["Ingress"]},
    }
    return msgspec.convert(content, Policy)


def pod(namespace: str = "shop", **labels: str) -> Pod:
    meta = {"name": "web", "namespace": namespace, "labels": labels}
    return msgspec.convert({"metadata": meta, "spec": {"nodeName": "a"}}, Pod)


def needs(operator: str, *values: str) -> dict:
    one = {"key": "app", "operator": operator, "values": list(values)}
    return {"matchExpressions": [one]}


@pytest.mark.parametrize(
    ("selector", "web", "none"),
    [
        ({}, True, True),
        ({"matchLabels": {"app": "web"}}, True, False),
        ({"matchLabels": {"app": "api"}}, False, False),
        (needs("In", "web", "api"), True, False),
        (needs("NotIn", "web"), False, True),
        (needs("Exists"), True, False),
        (needs("DoesNotExist"), False, True),
        (needs("Unheard"), False, False),
        ({"matchLabels": {"app": "web"}, **needs("NotIn", "web")}, False, False),
    ],
)
def test_a_policy_selects_as_kubernetes_does(selector, web: bool, none: bool) -> None:
    assert policy(**selector).selects(pod(app="web")) is web
    assert policy(**selector).selects(pod()) is none


def test_a_policy_is_of_its_namespace() -> None:
    assert not policy().selects(pod("bank"))


def test_a_node_s_address_is_the_internal_one() -> None:
    addresses = [
        {"type": "Hostname", "address": "edge-1"},
        {"type": "InternalIP", "address": "192.0.2.1"},
    ]
    node = msgspec.convert({"status": {"addresses": addresses}}, Node)
    assert node.address == "192.0.2.1"
    assert Node().address == ""


def test_a_network_has_defaults_and_a_key_without_namespace() -> None:
    content = {"metadata": {"name": "blue", "managedFields": [{"a": 1}]}}
    network = msgspec.convert(content, Network)
    assert network.key == "blue"
    assert network.spec.mtu == 1450
    assert network.status.nodes == {}
