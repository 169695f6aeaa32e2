# SPDX-License-Identifier: Apache-2.0
import pytest
from tests.unit.codec.printers.kinds import cells

TEMPLATE = {
    "template": {
        "spec": {
            "containers": [{"name": "c", "image": "i"}, {"name": "d", "image": "j"}],
            "nodeSelector": {"disk": "ssd"},
        }
    }
}
SELECTOR = {"selector": {"matchLabels": {"app": "web"}}}
WIDE = {"Containers": "c,d", "Images": "i,j"}


def test_deployments():
    obj = {
        "spec": {"replicas": 3, **SELECTOR, **TEMPLATE},
        "status": {"readyReplicas": 2, "updatedReplicas": 1, "availableReplicas": 4},
    }
    assert cells("Deployment", obj, group="apps") == {
        "Ready": "2/3",
        "Up-to-date": 1,
        "Available": 4,
        **WIDE,
        "Selector": "app=web",
    }


@pytest.mark.parametrize(
    ("selector", "shown"),
    [(None, ""), ({}, ""), ({"matchExpressions": [{"key": "a"}]}, "<invalid>")],
)
def test_selectors_of_deployments(selector, shown):
    found = cells("Deployment", {"spec": {"selector": selector}}, group="apps")
    assert found["Selector"] == shown
    assert found["Ready"] == "0/0"


def test_stateful_sets():
    obj = {"spec": {"replicas": 3, **TEMPLATE}, "status": {"readyReplicas": 2}}
    assert cells("StatefulSet", obj, group="apps") == {"Ready": "2/3", **WIDE}


def test_replica_sets():
    obj = {
        "spec": {"replicas": 3, **SELECTOR, **TEMPLATE},
        "status": {"replicas": 2, "readyReplicas": 1},
    }
    assert cells("ReplicaSet", obj, group="apps") == {
        "Desired": 3,
        "Current": 2,
        "Ready": 1,
        **WIDE,
        "Selector": "app=web",
    }


def test_replication_controllers_select_by_a_map():
    obj = {
        "spec": {"replicas": 3, "selector": {"app": "web"}, **TEMPLATE},
        "status": {"replicas": 2, "readyReplicas": 1},
    }
    assert cells("ReplicationController", obj) == {
        "Desired": 3,
        "Current": 2,
        "Ready": 1,
        **WIDE,
        "Selector": "app=web",
    }


def test_daemon_sets():
    status = {
        "desiredNumberScheduled": 5,
        "currentNumberScheduled": 4,
        "numberReady": 3,
        "updatedNumberScheduled": 2,
        "numberAvailable": 1,
    }
    obj = {"spec": {**SELECTOR, **TEMPLATE}, "status": status}
    assert cells("DaemonSet", obj, group="apps") == {
        "Desired": 5,
        "Current": 4,
        "Ready": 3,
        "Up-to-date": 2,
        "Available": 1,
        "Node Selector": "disk=ssd",
        **WIDE,
        "Selector": "app=web",
    }


@pytest.mark.parametrize(
    ("owner", "shown"),
    [
        ({"apiVersion": "apps/v1", "kind": "DaemonSet"}, "daemonset.apps/o"),
        ({"apiVersion": "v1", "kind": "Pod"}, "pod/o"),
        ({}, "o"),
    ],
)
def test_controller_revisions(owner, shown):
    other = {"apiVersion": "v1", "kind": "Node", "name": "n"}
    owners = [other, {**owner, "name": "o", "controller": True}]
    found = cells(
        "ControllerRevision", {"revision": 7}, group="apps", ownerReferences=owners
    )
    assert found == {"Controller": shown, "Revision": 7}
    found = cells("ControllerRevision", {}, group="apps", ownerReferences=[other])
    assert found == {"Controller": "<none>", "Revision": 0}


def test_pod_templates():
    template = {"metadata": {"labels": {"app": "web"}}, **TEMPLATE["template"]}
    found = cells("PodTemplate", {"template": template})
    assert found == {**WIDE, "Pod Labels": "app=web"}


def test_pod_disruption_budgets():
    obj = {"spec": {"minAvailable": "50%"}, "status": {"disruptionsAllowed": 2}}
    assert cells("PodDisruptionBudget", obj, group="policy") == {
        "Min Available": "50%",
        "Max Unavailable": "N/A",
        "Allowed Disruptions": 2,
    }
    found = cells(
        "PodDisruptionBudget", {"spec": {"maxUnavailable": 1}}, group="policy"
    )
    assert found["Max Unavailable"] == "1"
    assert found["Min Available"] == "N/A"
