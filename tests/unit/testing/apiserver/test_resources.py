# SPDX-License-Identifier: Apache-2.0
"""Resources, and the order of keys in their objects."""

import pytest

from tests.unit.testing.apiserver.kit import CRONTABS, resource
from toono.testing.apiserver.resources import (
    built_in,
    in_version,
    ordered_metadata,
    shaped,
)


@pytest.mark.parametrize(
    ("plural", "api_version", "qualified", "namespaced"),
    [
        ("pods", "v1", "pods", True),
        ("nodes", "v1", "nodes", False),
        ("deployments", "apps/v1", "deployments.apps", True),
        ("leases", "coordination.k8s.io/v1", "leases.coordination.k8s.io", True),
    ],
)
def test_resources_are_known_by_their_names(
    plural: str, api_version: str, qualified: str, namespaced: bool
) -> None:
    one = resource(plural)
    assert (one.api_version, one.qualified) == (api_version, qualified)
    assert one.namespaced is namespaced
    assert one.list_kind == one.kind + "List"


def test_events_are_of_two_groups() -> None:
    found = built_in()
    assert found["", "v1", "events"].fields
    assert found["events.k8s.io", "v1", "events"].kind == "Event"


def test_a_place_in_etcd_has_the_group_of_custom_resources() -> None:
    assert resource("leases").stored_as == "leases"
    assert CRONTABS.stored_as == "x.example.com/crontabs"


def test_some_have_a_status_path_and_some_count_generations() -> None:
    assert resource("pods").has_status
    assert not resource("configmaps").has_status
    counted = {"pods", "deployments", "endpointslices", "customresourcedefinitions"}
    assert all(resource(plural).counts_generation for plural in counted)
    plain = {"services", "nodes", "configmaps", "leases"}
    assert not any(resource(plural).counts_generation for plural in plain)
    assert CRONTABS.counts_generation


def test_short_names_and_categories_are_known() -> None:
    assert resource("pods").short_names == ("po",)
    assert resource("customresourcedefinitions").short_names == ("crd", "crds")
    assert resource("pods").categories == ("all",)
    assert resource("nodes").categories == ()


def test_built_in_kinds_have_their_keys_in_a_fixed_order() -> None:
    meta = {"labels": {}, "uid": "u", "name": "a", "strange": 1}
    content = {"status": {}, "metadata": meta, "more": 1, "kind": "Pod", "spec": {}}
    told = shaped(resource("pods"), content)
    assert list(told) == ["kind", "metadata", "spec", "status", "more"]
    assert list(told["metadata"]) == ["name", "uid", "labels", "strange"]


def test_parts_that_several_write_have_an_order_too() -> None:
    status = {"nodeInfo": {}, "conditions": [], "capacity": {}}
    told = shaped(resource("nodes"), {"metadata": {}, "status": status})
    assert list(told["status"]) == ["capacity", "conditions", "nodeInfo"]
    told = shaped(resource("nodes"), {"metadata": {}, "status": None})
    assert told["status"] is None


def test_core_events_have_their_own_order() -> None:
    core = built_in()["", "v1", "events"]
    content = {"type": "Normal", "reason": "r", "metadata": {"name": "a"}}
    assert list(shaped(core, content)) == [
        "metadata", "involvedObject", "reason", "source", "firstTimestamp",
        "lastTimestamp", "type", "eventTime", "reportingComponent",
        "reportingInstance",
    ]  # fmt: skip


def test_custom_objects_are_sorted_all_the_way_down() -> None:
    content = {"spec": {"b": [{"d": 1, "c": 2}], "a": 1}, "metadata": {"name": "a"}}
    told = shaped(CRONTABS, content)
    assert list(told) == ["metadata", "spec"]
    assert list(told["spec"]) == ["a", "b"]
    assert list(told["spec"]["b"][0]) == ["c", "d"]


def test_metadata_that_was_sorted_is_put_into_order() -> None:
    fields = {"apiVersion": "v1", "manager": "m", "operation": "Update"}
    owner = {"apiVersion": "v1", "controller": True, "kind": "K", "name": "n"}
    meta = {"managedFields": [fields], "name": "a", "ownerReferences": [owner]}
    told = ordered_metadata(meta)
    assert list(told) == ["name", "ownerReferences", "managedFields"]
    assert list(told["managedFields"][0]) == ["manager", "operation", "apiVersion"]
    assert list(told["ownerReferences"][0])[-1] == "controller"


def test_built_in_objects_have_one_version() -> None:
    content = {"apiVersion": "v1"}
    assert in_version(resource("pods"), content) is content
