# SPDX-License-Identifier: Apache-2.0
import pytest
from tests.unit.codec.printers.kinds import cells

UTILIZATION = {
    "type": "Resource",
    "resource": {"name": "cpu", "target": {"averageUtilization": 80}},
}


def scaler(spec=None, **status):
    obj = {"spec": spec or {}, "status": status}
    return cells("HorizontalPodAutoscaler", obj, group="autoscaling")


def targets(*wanted, measured=()) -> str:
    return scaler({"metrics": list(wanted)}, currentMetrics=list(measured))["Targets"]


def test_autoscalers():
    spec = {
        "scaleTargetRef": {"kind": "Deployment", "name": "web"},
        "minReplicas": 2,
        "maxReplicas": 5,
        "metrics": [UTILIZATION],
    }
    assert scaler(spec, currentReplicas=3) == {
        "Reference": "Deployment/web",
        "Targets": "cpu: <unknown>/80%",
        "MinPods": "2",
        "MaxPods": 5,
        "Replicas": 3,
    }
    assert scaler()["MinPods"] == "<unset>"


@pytest.mark.parametrize(
    ("spec", "status", "shown"),
    [
        ({}, {}, "<none>"),
        ({"targetCPUUtilizationPercentage": 80}, {}, "cpu: <unknown>/80%"),
        (
            {"targetCPUUtilizationPercentage": 80},
            {"currentCPUUtilizationPercentage": 7},
            "cpu: 7%/80%",
        ),
    ],
)
def test_the_first_version_knows_the_processor_alone(spec, status, shown):
    assert scaler(spec, **status)["Targets"] == shown


@pytest.mark.parametrize(
    ("kind", "source"),
    [("Resource", "resource"), ("ContainerResource", "containerResource")],
)
def test_resources(kind, source):
    def wanted(**target):
        return {"type": kind, source: {"name": "cpu", "target": target}}

    def measured(**current):
        return [{"type": kind, source: {"name": "cpu", "current": current}}]

    aim = wanted(averageUtilization=80)
    assert targets(aim, measured=measured(averageUtilization=7)) == "cpu: 7%/80%"
    assert targets(wanted()) == "cpu: <unknown>/<auto>"
    aim = wanted(averageValue="500m")
    assert targets(aim, measured=measured(averageValue="7m")) == "cpu: 7m/500m"
    assert targets(aim) == "cpu: <unknown>/500m"


@pytest.mark.parametrize(
    ("kind", "source"), [("External", "external"), ("Object", "object")]
)
def test_values_from_elsewhere(kind, source):
    one = {"type": kind, source: {"target": {"value": "10"}}}
    now = {source: {"current": {"value": "7", "averageValue": "3"}}}
    assert targets(one) == "<unknown>/10"
    assert targets(one, measured=[{source: {}}]) == "<nil>/10"
    assert targets({"type": kind}) == "<unknown>/<nil>"
    assert targets(one, measured=[now]) == "7/10"
    one = {"type": kind, source: {"target": {"averageValue": "5"}}}
    assert targets(one, measured=[now]) == "3/5 (avg)"
    assert targets(one, measured=[{source: {}}]) == "<unknown>/5 (avg)"


def test_values_of_pods():
    one = {"type": "Pods", "pods": {"target": {"averageValue": "5"}}}
    now = {"pods": {"current": {"averageValue": "3"}}}
    assert targets(one, measured=[now]) == "3/5"


def test_more_than_two_are_counted():
    assert targets({"type": "?"}, {}, UTILIZATION, {}) == (
        "<unknown type>, <unknown type> + 2 more..."
    )
    assert targets({"type": "?"}, UTILIZATION) == "<unknown type>, cpu: <unknown>/80%"
