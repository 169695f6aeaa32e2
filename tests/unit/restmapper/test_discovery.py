# SPDX-License-Identifier: Apache-2.0
"""Discovery documents of both forms, read."""

import json

import pytest

from tests.unit.restmapper.kit import X, gvk
from toono.restmapper import GroupVersion, Scope
from toono.restmapper.discovery import (
    ACCEPT_AGGREGATED,
    AGGREGATED_KIND,
    AggregatedReader,
    Form,
    fingerprint,
    form_of,
    read_legacy_group,
    read_legacy_groups,
    read_legacy_resources,
)
from toono.restmapper.errors import BadDocumentError

GV = GroupVersion(X, "v1")
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
FORMS = {
    AGGREGATED: Form.AGGREGATED,
    AGGREGATED.replace("v2", "v2beta1"): Form.AGGREGATED,
    AGGREGATED.replace(";", "; "): Form.AGGREGATED,
    "application/json": Form.LEGACY,
    "Application/JSON; charset=utf-8": Form.LEGACY,
    AGGREGATED.replace("v2", "v3"): None,
    AGGREGATED.replace("apidiscovery.k8s.io", "meta.k8s.io"): None,
    "application/json;as=Table;g=meta.k8s.io;v=v1": None,
    "text/html": None,
    "": None,
}


@pytest.mark.parametrize(("content_type", "expected"), FORMS.items())
def test_the_content_type_names_the_form(content_type, expected):
    if expected is None:
        with pytest.raises(BadDocumentError, match="content type"):
            form_of(content_type)
    else:
        assert form_of(content_type) is expected


def test_the_aggregated_form_is_asked_for_before_plain_json():
    assert ACCEPT_AGGREGATED.startswith(AGGREGATED)
    assert ACCEPT_AGGREGATED.endswith("application/json")


def test_documents_are_told_apart_by_etag_or_bytes():
    assert fingerprint('"a"', b"x") == fingerprint('"a"', b"y") == '"a"'
    assert fingerprint("", b"x") != fingerprint("", b"y")


def item(name, *versions):
    return {"metadata": {"name": name}, "versions": list(versions)}


def read(*items, kind=AGGREGATED_KIND, reader=None):
    body = json.dumps({"kind": kind, "items": items}).encode()
    return (reader or AggregatedReader()).read(body)


def test_a_group_whose_bytes_are_as_before_is_the_very_same():
    reader = AggregatedReader()
    one, two = item("a.io", {"version": "v1"}), item("b.io", {"version": "v1"})
    first = read(one, two, reader=reader)
    second = read(item("a.io", {"version": "v2"}), two, reader=reader)
    assert second[1] is first[1]
    assert second[0] != first[0]


@pytest.mark.parametrize(
    ("kind", "items"),
    [
        ("APIGroupList", [item(X, {"version": "v1"})]),
        ("", [item(X, {"version": "v1"})]),
        (AGGREGATED_KIND, []),
        (AGGREGATED_KIND, [7, "x", {"versions": "no"}]),
    ],
)
def test_what_is_no_list_of_groups_says_so(kind, items):
    with pytest.raises(BadDocumentError):
        read(*items, kind=kind)


@pytest.mark.parametrize("body", [b"", b"{", b'{"kind":"\xff"}', b"null", b"[]"])
@pytest.mark.parametrize(
    "reading",
    [
        AggregatedReader().read,
        read_legacy_groups,
        read_legacy_group,
        lambda body: read_legacy_resources(GV, body),
    ],
    ids=["aggregated", "groups", "group", "resources"],
)
def test_noise_is_no_document(reading, body):
    with pytest.raises(BadDocumentError):
        reading(body)


def test_a_resource_that_cannot_be_read_costs_its_version_only():
    good = {"resource": "drivers", "responseKind": {"kind": "Driver"}}
    (group,) = read(
        item(
            X,
            {"version": "v1", "resources": [good]},
            {"version": "v2", "resources": [good, {"resource": 7}]},
        )
    )
    first, second = group.versions
    assert [each.resource for each in first.resources] == ["drivers"]
    assert second.resources is None
    assert second.problem


def legacy(*rows, **facts):
    content = {"kind": "APIResourceList", "groupVersion": str(GV), "resources": rows}
    return read_legacy_resources(GV, json.dumps(content | facts).encode())


def test_legacy_rows_with_a_slash_are_subresources():
    scale = {"group": "autoscaling", "version": "v1", "kind": "Scale"}
    (found,) = legacy(
        {"name": "drivers/scale", **scale, "verbs": ["get"]},
        {"name": "drivers", "kind": "Driver", "namespaced": True, "verbs": None},
        {"name": "drivers/status", "kind": "Driver", "verbs": None},
    )
    assert (found.resource, found.singular, found.verbs) == ("drivers", "driver", ())
    assert found.scope is Scope.NAMESPACED
    kinds = [(each.name, each.kind) for each in found.subresources]
    assert kinds == [
        ("scale", gvk("autoscaling", "v1", "Scale")),
        ("status", gvk(X, "v1", "Driver")),
    ]


def test_legacy_rows_that_cannot_be_read_are_left_out():
    (found,) = legacy({"name": 7}, "x", {"name": "drivers", "kind": "Driver"})
    assert found.resource == "drivers"
    assert legacy(resources=None) == ()


@pytest.mark.parametrize(
    "facts", [{"groupVersion": "v1"}, {"kind": "APIGroup"}, {"kind": ""}]
)
def test_the_resources_of_another_group_version_are_refused(facts):
    with pytest.raises(BadDocumentError):
        legacy(**facts)


def group(**facts):
    told = {"name": X, "versions": [{"version": "v1"}, {"version": "v2"}]} | facts
    return json.dumps(told).encode()


def test_the_preferred_version_comes_first():
    read_group = read_legacy_group(group(preferredVersion={"version": "v2"}))
    assert [each.version for each in read_group.versions] == ["v2", "v1"]
    unpreferred = read_legacy_group(group())
    assert [each.version for each in unpreferred.versions] == ["v1", "v2"]


@pytest.mark.parametrize(
    "facts",
    [{"name": ""}, {"versions": []}, {"versions": None}, {"kind": "APIVersions"}],
)
def test_a_group_without_name_or_versions_is_none(facts):
    with pytest.raises(BadDocumentError):
        read_legacy_group(group(**facts))


def test_a_group_that_cannot_be_read_costs_itself_only():
    body = b'{"kind":"APIGroupList","groups":[{"name":7},' + group() + b"]}"
    assert [each.name for each in read_legacy_groups(body)] == [X]
    with pytest.raises(BadDocumentError, match="no group that can be read"):
        read_legacy_groups(b'{"kind":"APIGroupList","groups":[{"name":7}]}')


def test_the_core_groups_versions():
    (core,) = read_legacy_groups(b'{"kind":"APIVersions","versions":["v1",""]}')
    assert (core.name, [each.version for each in core.versions]) == ("", ["v1"])
