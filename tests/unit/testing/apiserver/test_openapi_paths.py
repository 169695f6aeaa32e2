# SPDX-License-Identifier: Apache-2.0
"""Paths and verbs of a resource, as OpenAPI tells them."""

from dataclasses import replace

from tests.unit.testing.apiserver.kit import CRONTABS
from toono.testing.apiserver.openapi_paths import gvk, paths_of
from toono.testing.apiserver.resources import built_in

NODES = built_in()["", "v1", "nodes"]
REVIEWS = built_in()["authorization.k8s.io", "v1", "subjectaccessreviews"]


def test_a_namespaced_resource_is_listed_everywhere_and_changed_in_a_namespace() -> (
    None
):
    one = "/apis/x.example.com/v1/namespaces/{namespace}/crontabs/{name}"
    found = dict(paths_of(replace(CRONTABS, subresources=("status",)), "CronTab"))
    assert list(found) == [
        "/apis/x.example.com/v1/crontabs",
        one.removesuffix("/{name}"),
        one,
        one + "/status",
    ]
    assert list(found[one]) == ["get", "put", "delete", "patch", "parameters"]
    names = [each["name"] for each in found[one]["parameters"]]
    assert names == ["name", "namespace", "pretty"]
    identity = found[one]["get"]["operationId"]
    assert identity == "readXExampleComV1NamespacedCronTab"
    kind = {"group": "x.example.com", "version": "v1", "kind": "CronTab"}
    assert gvk(CRONTABS) == kind == found[one]["get"]["x-kubernetes-group-version-kind"]


def test_a_resource_of_the_cluster_has_no_namespace() -> None:
    found = dict(paths_of(NODES, "Node"))
    assert list(found) == [
        "/api/v1/nodes",
        "/api/v1/nodes/{name}",
        "/api/v1/nodes/{name}/status",
    ]
    assert found["/api/v1/nodes"]["get"]["operationId"] == "listCoreV1Node"
    assert found["/api/v1/nodes"]["get"]["tags"] == ["core_v1"]


def test_verbs_that_a_resource_lacks_are_not_told() -> None:
    found = dict(paths_of(REVIEWS, "SubjectAccessReview"))
    root = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    assert list(found[root]) == ["post", "parameters"]
    assert found[root]["post"]["tags"] == ["authorization_v1"]


def test_options_have_their_types_and_bodies_their_schema() -> None:
    found = dict(paths_of(NODES, "Node"))["/api/v1/nodes/{name}"]
    types = {
        each["name"]: each["schema"]["type"] for each in found["delete"]["parameters"]
    }
    assert types["gracePeriodSeconds"] == "integer"
    assert types["orphanDependents"] == "boolean"
    assert types["dryRun"] == "string"
    body = found["put"]["requestBody"]
    assert body["required"]
    reference = {"schema": {"$ref": "#/components/schemas/Node"}}
    assert body["content"]["application/json"] == reference
    assert found["put"]["responses"].keys() == {"200", "201", "401"}
