# SPDX-License-Identifier: Apache-2.0
"""Distributions are told by their marks, and nothing else is taken for one."""

import pytest

from toono.autonomy.distribution import of_agent, of_node


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("k3s/v1.34.1+k3s1 (linux/amd64) kubernetes/24fc436", "K3s"),
        ("K3s", "K3s"),
        ("rke2/v1.34.1+rke2r1", "RKE2"),
        ("kubelet/v1.34.1+rke2r1 (linux/arm64) kubernetes/1", "RKE2"),
        ("kubelet/v1.34.1+k0s (linux/amd64)", "k0s"),
        ("kubelet/v1.34.1+k0s.0 (linux/amd64)", "k0s"),
    ],
)
def test_programs_say_whose_they_are(agent, name) -> None:
    told = of_agent(agent)
    assert told is not None
    assert told.name == name
    assert agent.partition(" ")[0] in told.evidence


@pytest.mark.parametrize(
    "agent",
    ["", "kubelet/v1.34.1 (linux/amd64)", "k3s-probe/1", "x/1 +k3s1", "x/v1+k3sish"],
)
def test_other_programs_are_nobodys(agent) -> None:
    assert of_agent(agent) is None


def test_a_node_says_whose_it_is() -> None:
    version = of_node({}, {}, "v1.34.1+k3s1")
    assert version == ("K3s", "the kubelet's version is v1.34.1+k3s1")
    label = of_node({"node.kubernetes.io/instance-type": "rke2"}, {}, "v1.34.1")
    assert label is not None
    assert label.name == "RKE2"
    note = of_node({}, {"k3s.io/node-args": "[]"}, "v1.34.1")
    assert note == ("K3s", "the node bears k3s.io/node-args")
    role = of_node({"node.k0sproject.io/role": "worker"}, {}, "")
    assert role is not None
    assert role.name == "k0s"
    plain = {"node.kubernetes.io/instance-type": "m5.large", "a/k3s.io": "x"}
    assert of_node(plain, {}, "v1.34.1") is None
