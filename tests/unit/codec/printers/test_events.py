# SPDX-License-Identifier: Apache-2.0
import pytest
from tests.unit.codec.printers.kinds import cells

EARLIER, LATER = "2026-11-21T00:30:00Z", "2026-11-21T00:50:00Z"
CORE = {
    "involvedObject": {"kind": "Pod", "name": "p", "fieldPath": "spec.containers{c}"},
    "source": {"component": "kubelet", "host": "edge-1"},
    "message": " Started\n",
    "firstTimestamp": EARLIER,
    "lastTimestamp": LATER,
    "count": 4,
}
GROUP = {
    "regarding": CORE["involvedObject"],
    "deprecatedSource": CORE["source"],
    "note": CORE["message"],
    "deprecatedFirstTimestamp": EARLIER,
    "deprecatedLastTimestamp": LATER,
    "deprecatedCount": 4,
}


@pytest.mark.parametrize(("group", "obj"), [("", CORE), ("events.k8s.io", GROUP)])
def test_events_of_both_groups(group, obj):
    obj = {**obj, "type": "Normal", "reason": "Started"}
    assert cells("Event", obj, group=group) == {
        "Last Seen": "10m",
        "Type": "Normal",
        "Reason": "Started",
        "Object": "pod/p",
        "Subobject": "spec.containers{c}",
        "Source": "kubelet, edge-1",
        "Message": "Started",
        "First Seen": "30m",
        "Count": 4,
    }


@pytest.mark.parametrize(
    ("group", "controller"),
    [("", "reportingComponent"), ("events.k8s.io", "reportingController")],
)
def test_events_of_new_clients(group, controller):
    obj = {
        "eventTime": "2026-11-21T00:30:00.500000Z",
        controller: "scheduler",
        "reportingInstance": "s-1",
        "series": {"count": 7, "lastObservedTime": "2026-11-21T00:50:00.000000Z"},
    }
    found = cells("Event", obj, group=group)
    assert found["Source"] == "scheduler, s-1"
    assert (found["First Seen"], found["Last Seen"]) == ("29m", "10m")
    assert found["Count"] == 7


def test_events_that_happened_once():
    found = cells("Event", {"eventTime": LATER, "source": {"component": "c"}})
    assert (found["First Seen"], found["Last Seen"]) == ("10m", "10m")
    assert found["Count"] == 1
    assert found["Source"] == "c"


def test_events_that_say_nothing():
    found = cells("Event", {"series": {}, "involvedObject": {"kind": "Node"}})
    assert (found["First Seen"], found["Last Seen"]) == ("<unknown>", "<unknown>")
    assert found["Count"] == 0
    assert found["Object"] == "node"
