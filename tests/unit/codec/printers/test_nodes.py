# SPDX-License-Identifier: Apache-2.0
import pytest
from tests.unit.codec.printers.kinds import cells


def test_nodes():
    obj = {
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "addresses": [
                {"type": "Hostname", "address": "h"},
                {"type": "InternalIP", "address": "i"},
                {"type": "InternalIP", "address": "j"},
                {"type": "ExternalIP", "address": "e"},
            ],
            "nodeInfo": {
                "kubeletVersion": "v1.34.0",
                "osImage": "o",
                "kernelVersion": "k",
                "containerRuntimeVersion": "c",
            },
        }
    }
    labels = {
        "node-role.kubernetes.io/worker": "",
        "node-role.kubernetes.io/": "",
        "kubernetes.io/role": "edge",
        "app": "x",
    }
    assert cells("Node", obj, labels=labels) == {
        "Status": "Ready",
        "Roles": "edge,worker",
        "Version": "v1.34.0",
        "Internal-IP": "i",
        "External-IP": "e",
        "OS-Image": "o",
        "Kernel-Version": "k",
        "Container-Runtime": "c",
    }


def test_nodes_that_say_nothing():
    assert cells("Node", {}) == {
        "Status": "Unknown",
        "Roles": "<none>",
        "Version": "",
        "Internal-IP": "<none>",
        "External-IP": "<none>",
        "OS-Image": "<unknown>",
        "Kernel-Version": "<unknown>",
        "Container-Runtime": "<unknown>",
    }


@pytest.mark.parametrize(
    ("ready", "shown"),
    [("False", "NotReady"), ("Unknown", "NotReady"), ("True", "Ready")],
)
def test_status(ready, shown):
    conditions = [
        {"type": "Other", "status": "True"},
        {"type": "Ready", "status": ready},
    ]
    obj = {"spec": {"unschedulable": True}, "status": {"conditions": conditions}}
    assert cells("Node", obj)["Status"] == f"{shown},SchedulingDisabled"


def test_leases():
    obj = {"spec": {"holderIdentity": "h"}}
    assert cells("Lease", obj, group="coordination.k8s.io") == {"Holder": "h"}


def test_runtime_classes():
    found = cells("RuntimeClass", {"handler": "runc"}, group="node.k8s.io")
    assert found == {"Handler": "runc"}


def test_csi_nodes():
    found = cells("CSINode", {"spec": {"drivers": [{}, {}]}}, group="storage.k8s.io")
    assert found == {"Drivers": 2}


def test_priority_classes():
    obj = {"value": -5, "globalDefault": True, "preemptionPolicy": "Never"}
    assert cells("PriorityClass", obj, group="scheduling.k8s.io") == {
        "Value": -5,
        "Global-Default": True,
        "PreemptionPolicy": "Never",
    }
