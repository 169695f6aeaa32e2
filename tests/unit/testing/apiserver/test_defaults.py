# SPDX-License-Identifier: Apache-2.0
"""What is filled in that a writer left out, and what Go leaves out again."""

from tests.unit.testing.apiserver.kit import CRONTABS, resource
from toono.testing.apiserver.defaults import created, written

META = {"name": "a"}


def test_fields_that_are_never_left_out_are_there() -> None:
    lease = written(resource("leases"), {"metadata": META})
    assert lease == {"metadata": META, "spec": {}}
    node = written(resource("nodes"), {"metadata": META, "status": {"nodeInfo": {}}})
    assert node["status"]["nodeInfo"]["machineID"] == ""
    assert node["status"]["daemonEndpoints"] == {"kubeletEndpoint": {"Port": 0}}
    kept = {"metadata": META, "status": {"nodeInfo": {"machineID": "x"}}}
    assert written(resource("nodes"), kept)["status"]["nodeInfo"]["machineID"] == "x"
    empty = {"metadata": META, "spec": {}}
    assert written(resource("pods"), empty)["spec"] == {}


def test_what_is_empty_is_left_out() -> None:
    meta = {"name": "a", "labels": {}, "finalizers": [], "annotations": None}
    content = {"metadata": meta, "data": {}, "binaryData": None}
    assert written(resource("configmaps"), content) == {"metadata": META}


def test_custom_objects_are_kept_as_they_were_sent() -> None:
    content = {"metadata": {"name": "a", "labels": {}}, "data": {}}
    assert written(CRONTABS, content) is content


def test_conditions_have_their_times_and_their_order() -> None:
    told = {"status": "True", "type": "Ready", "reason": "r"}
    content = {"metadata": META, "status": {"conditions": [told]}}
    (condition,) = written(resource("nodes"), content)["status"]["conditions"]
    assert list(condition.items()) == [
        ("type", "Ready"),
        ("status", "True"),
        ("lastHeartbeatTime", None),
        ("lastTransitionTime", None),
        ("reason", "r"),
    ]
    (condition,) = written(resource("pods"), content)["status"]["conditions"]
    assert list(condition)[2:4] == ["lastProbeTime", "lastTransitionTime"]


def test_a_new_definition_has_names_conversion_and_an_empty_status() -> None:
    version = {"subresources": {}, "storage": True, "served": True, "name": "v1"}
    spec = {
        "versions": [version, {"name": "v2"}],
        "names": {"kind": "CronTab", "plural": "crontabs"},
        "group": "x",
    }
    content = created(
        resource("customresourcedefinitions"), {"metadata": META, "spec": spec}
    )
    assert content["spec"]["names"] == {
        "plural": "crontabs",
        "singular": "crontab",
        "kind": "CronTab",
        "listKind": "CronTabList",
    }
    assert list(content["spec"]["versions"][0])[:3] == ["name", "served", "storage"]
    assert content["spec"]["conversion"] == {"strategy": "None"}
    assert content["status"]["storedVersions"] == ["v1"]
    assert content["status"]["conditions"] is None
    told = {"conditions": [], "storedVersions": ["v0"]}
    kept = created(
        resource("customresourcedefinitions"),
        {"metadata": META, "spec": spec, "status": told},
    )
    assert kept["status"] == told


def test_other_new_objects_are_written_as_ever() -> None:
    assert created(resource("leases"), {"metadata": META})["spec"] == {}
