# SPDX-License-Identifier: Apache-2.0
"""Schemas of a document: names, references, and definitions as they are."""

import json
from dataclasses import replace

from tests.unit.testing.apiserver.kit import CRONTABS
from toono.testing.apiserver.openapi_paths import META, SCHEMAS
from toono.testing.apiserver.openapi_schemas import OF_METADATA, Schemas, name_of
from toono.testing.apiserver.resources import built_in

BUILT_IN = built_in()
PODS = BUILT_IN["", "v1", "pods"]
CRDS = BUILT_IN["apiextensions.k8s.io", "v1", "customresourcedefinitions"]


def test_names_are_those_of_kubernetes() -> None:
    assert name_of(PODS) == "io.k8s.api.core.v1.Pod"
    package = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1."
    assert name_of(CRDS) == package + "CustomResourceDefinition"
    assert name_of(CRONTABS) == "com.example.x.v1.CronTab"


def test_every_schema_that_is_named_is_there() -> None:
    schemas = Schemas()
    for resource in BUILT_IN.values():
        schemas.add(resource)
    told = schemas.document()
    assert list(told) == sorted(told)
    named = {piece.partition('"')[0] for piece in json.dumps(told).split(SCHEMAS)[1:]}
    assert named <= told.keys()
    assert {META + name for name in OF_METADATA} <= told.keys()


def test_a_list_needs_its_items() -> None:
    schemas = Schemas()
    assert schemas.add(PODS) == "io.k8s.api.core.v1.Pod"
    listed = schemas.document()["io.k8s.api.core.v1.PodList"]
    assert listed["required"] == ["items"]
    reference = {"$ref": SCHEMAS + "io.k8s.api.core.v1.Pod"}
    assert listed["properties"]["items"]["items"] == reference
    assert listed["x-kubernetes-group-version-kind"][0]["kind"] == "PodList"


def test_a_definition_keeps_all_that_it_says_in_the_order_of_documents() -> None:
    schema = {
        "x-kubernetes-z": 1,
        "properties": {
            "spec": {"items": {"type": "string", "format": "f"}, "type": "array"},
            "map": {"additionalProperties": {"pattern": "a", "type": "string"}},
            "metadata": {"type": "object"},
        },
        "description": "d",
        "type": "object",
    }
    versions = [{"name": "v2"}, {"name": "v1", "schema": {"openAPIV3Schema": schema}}]
    definition = json.dumps({"spec": {"versions": versions}}).encode()
    schemas = Schemas()
    name = schemas.add(replace(CRONTABS, definition=definition))
    told = schemas.document()[name]
    assert list(told) == [
        "description",
        "type",
        "properties",
        "x-kubernetes-z",
        "x-kubernetes-group-version-kind",
    ]
    assert list(told["properties"]) == ["apiVersion", "kind", "map", "metadata", "spec"]
    assert list(told["properties"]["spec"]) == ["type", "items"]
    assert told["properties"]["metadata"] == {
        "allOf": [{"$ref": f"{SCHEMAS}{META}ObjectMeta"}]
    }
    extra = told["properties"]["map"]["additionalProperties"]
    assert list(extra) == ["type", "pattern"]


def test_options_of_a_deletion_are_known_in_every_group() -> None:
    schemas = Schemas()
    schemas.add(PODS)
    marks = schemas.document()[META + "DeleteOptions"][
        "x-kubernetes-group-version-kind"
    ]
    groups = {mark["group"] for mark in marks}
    assert {"", "apps", "policy", "rbac.authorization.k8s.io"} <= groups
    assert {mark["kind"] for mark in marks} == {"DeleteOptions"}
