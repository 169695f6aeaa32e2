# SPDX-License-Identifier: Apache-2.0
"""What a CRD says will be served."""

import json

import pytest

from tests.unit.restmapper.kit import X, crd, gvk
from toono.restmapper import GroupVersion, Scope
from toono.restmapper.crds import SCALE, TERMINATING_VERBS, VERBS, read_definition
from toono.restmapper.errors import BadDocumentError


def read(content):
    return read_definition(json.dumps(content).encode())


def test_each_served_version_is_a_resource():
    content = crd("Driver", versions=["v1", "v2"], shortNames=["dr"], categories=["c"])
    content["spec"]["versions"].append({"name": "v3", "served": False})
    told = read(content)
    assert told[:3] == (X, "drivers", True)
    versions = [gv for gv, _ in told.resources]
    assert versions == [GroupVersion(X, "v1"), GroupVersion(X, "v2")]
    resource = told.resources[0][1]
    assert resource.kind == gvk(X, "v1", "Driver")
    assert (resource.resource, resource.singular) == ("drivers", "driver")
    assert (resource.short_names, resource.categories) == (("dr",), ("c",))
    assert (resource.scope, resource.verbs) == (Scope.NAMESPACED, VERBS)
    assert [each.name for each in resource.subresources] == ["status"]


def test_accepted_names_count_and_the_wanted_ones_do_not():
    content = crd("Driver")
    content["spec"]["names"] = {"plural": "drivers", "kind": "Pilot"}
    assert read(content).resources[0][1].kind.kind == "Driver"


def test_a_missing_singular_is_guessed():
    content = crd("Driver")
    del content["status"]["acceptedNames"]["singular"]
    assert read(content).resources[0][1].singular == "driver"


def test_subresources():
    content = crd("Driver")
    content["spec"]["versions"][0]["subresources"] = {"status": {}, "scale": {"a": 1}}
    status, scale = read(content).resources[0][1].subresources
    assert (status.name, status.kind) == ("status", gvk(X, "v1", "Driver"))
    assert (scale.name, scale.kind) == ("scale", SCALE)
    content["spec"]["versions"][0]["subresources"] = None
    assert read(content).resources[0][1].subresources == ()


def test_cluster_scope_and_termination():
    content = crd("Driver", scope="Cluster", terminating=True)
    resource = read(content).resources[0][1]
    assert (resource.scope, resource.verbs) == (Scope.CLUSTER, TERMINATING_VERBS)


@pytest.mark.parametrize("facts", [{"established": False}, {"accepted": False}])
def test_nothing_is_served_before_its_time(facts):
    assert read(crd("Driver", **facts)) == (X, "drivers", False, ())


def test_a_crd_without_a_status_is_not_served():
    content = crd("Driver")
    del content["status"]
    assert not read(content).is_served
    content["status"] = {"conditions": None}
    assert not read(content).is_served


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'"\xff"', b"[]", b"{}", b'{"metadata":{"name":"drivers"}}'],
)
def test_what_is_no_crd_says_so(body):
    with pytest.raises(BadDocumentError):
        read_definition(body)
