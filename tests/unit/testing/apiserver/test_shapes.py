# SPDX-License-Identifier: Apache-2.0
"""What of objects is told, and in which order of keys."""

import dataclasses

from tests.unit.testing.apiserver.kit import CRONTABS, resource
from toono.testing.apiserver.shapes import Metadata, Whole, untyped

POD = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a"}, "spec": {}}
CRON = {"apiVersion": "x.example.com/v1", "kind": "CronTab", "metadata": {"name": "a"}}


def test_items_of_built_in_lists_carry_no_type() -> None:
    listed = Whole(resource("pods")).listed([POD], {"resourceVersion": "1"})
    assert list(listed) == ["kind", "apiVersion", "metadata", "items"]
    assert (listed["kind"], listed["apiVersion"]) == ("PodList", "v1")
    assert listed["items"] == [{"metadata": {"name": "a"}, "spec": {}}]
    assert untyped(POD) == listed["items"][0]


def test_items_of_custom_lists_do_and_keys_are_sorted() -> None:
    listed = Whole(CRONTABS).listed([CRON], {"resourceVersion": "1"})
    assert list(listed) == ["apiVersion", "items", "kind", "metadata"]
    assert listed["items"] == [CRON]
    assert list(listed["metadata"].items()) == [
        ("continue", ""),
        ("resourceVersion", "1"),
    ]
    page = Whole(CRONTABS).listed([], {"resourceVersion": "1", "continue": "t"})
    assert page["metadata"]["continue"] == "t"


def test_a_custom_object_is_told_in_the_version_that_was_asked() -> None:
    newer = dataclasses.replace(CRONTABS, version="v2")
    assert Whole(newer).one(CRON)["apiVersion"] == "x.example.com/v2"
    assert Whole(newer).listed([CRON], {})["items"][0]["apiVersion"].endswith("v2")
    assert Whole(CRONTABS).one(CRON) is CRON


def test_a_bookmark_is_an_empty_object_of_its_kind() -> None:
    assert Whole(resource("pods")).bookmark({"resourceVersion": "1"}) == {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"resourceVersion": "1"},
        "spec": {"containers": None},
        "status": {},
    }
    marked = Whole(CRONTABS).bookmark({"resourceVersion": "1", "annotations": {}})
    assert list(marked) == ["apiVersion", "kind", "metadata"]
    assert list(marked["metadata"]) == ["annotations", "resourceVersion"]


def test_metadata_is_all_that_its_form_tells() -> None:
    shape = Metadata(resource("pods"), "v1")
    head = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
    assert shape.one(POD) == head | {"metadata": {"name": "a"}}
    assert shape.bookmark({"resourceVersion": "1"}) == head | {
        "metadata": {"resourceVersion": "1"}
    }
    listed = shape.listed([POD], {"resourceVersion": "1"})
    assert listed["kind"] == "PartialObjectMetadataList"
    assert listed["items"] == [shape.one(POD)]
    assert shape.listed([], {})["items"] is None


def test_metadata_of_custom_objects_is_in_the_order_of_built_in_kinds() -> None:
    meta = {"labels": {}, "name": "a", "uid": "u"}
    told = Metadata(CRONTABS, "v1beta1").one(CRON | {"metadata": meta})
    assert list(told["metadata"]) == ["name", "uid", "labels"]
    assert told["apiVersion"] == "meta.k8s.io/v1beta1"
