# SPDX-License-Identifier: Apache-2.0
"""OpenAPI v3: an index with hashes, and documents that name every field."""

import json
from dataclasses import replace

import pytest

from tests.unit.testing.apiserver.kit import CRONTABS
from toono.testing.apiserver.openapi import ROOT, answer
from toono.testing.apiserver.resources import built_in

BUILT_IN = list(built_in().values())
SCHEMA = {
    "type": "object",
    "description": "Runs now and then.",
    "properties": {"spec": {"type": "object", "properties": {"cron": {}}}},
}
DEFINED = replace(
    CRONTABS,
    definition=json.dumps(
        {"spec": {"versions": [{"name": "v1", "schema": {"openAPIV3Schema": SCHEMA}}]}}
    ).encode(),
)


def document(path: str, resources=BUILT_IN) -> dict:
    response = answer(ROOT + path, resources, {})
    assert response is not None
    assert response.status == 200
    return json.loads(response.content)


def schema_of(told: dict, kind: str) -> dict:
    """Find a kind's schema as clients do: by its mark."""
    (found,) = (
        one
        for one in told["components"]["schemas"].values()
        for mark in one.get("x-kubernetes-group-version-kind", ())
        if mark["kind"] == kind
    )
    return found


def test_the_index_names_each_group_version_by_its_hash() -> None:
    paths = document("", [*BUILT_IN, DEFINED])["paths"]
    assert {"api/v1", "apis/apps/v1", "apis/x.example.com/v1"} <= paths.keys()
    url = paths["api/v1"]["serverRelativeURL"]
    response = answer(ROOT + "/api/v1", BUILT_IN, {})
    etag = dict(response.headers)[b"Etag"].decode().strip('"')
    assert url == f"{ROOT}/api/v1?hash={etag}"
    again = answer(
        ROOT + "/api/v1", BUILT_IN, {b"if-none-match": b'"%b"' % etag.encode()}
    )
    assert (again.status, again.content) == (304, b"")
    assert {"apis", "apis/apps", "version"} <= paths.keys()
    assert "apis/x.example.com" not in paths


def headers(target: str, accept: bytes = b"*/*") -> tuple[int, dict[bytes, bytes]]:
    response = answer(ROOT + target, BUILT_IN, {b"accept": accept})
    return response.status, dict(response.headers)


def test_a_hash_is_for_ever_and_an_old_one_leads_to_the_new() -> None:
    url = document("")["paths"]["apis/apps/v1"]["serverRelativeURL"]
    code, told = headers(url.removeprefix(ROOT))
    assert (code, told[b"Cache-Control"]) == (200, b"public, immutable")
    code, told = headers("/apis/apps/v1?hash=AB")
    assert (code, told[b"Location"]) == (301, url.encode())
    assert headers("/apis/apps/v1")[1][b"Cache-Control"] == b"no-cache, private"


def test_only_json_is_there() -> None:
    protobuf = b"application/com.github.proto-openapi.spec.v3@v1.0+protobuf"
    assert headers("/version", accept=protobuf)[0] == 406
    assert headers("/version", accept=protobuf + b",application/json")[0] == 200
    told = document("/version")
    assert list(told["paths"]) == ["/version/"]


def test_another_definition_has_another_hash() -> None:
    one, other = (
        document("", [each])["paths"]["apis/x.example.com/v1"]["serverRelativeURL"]
        for each in (DEFINED, CRONTABS)
    )
    assert one != other


def test_every_reference_leads_somewhere() -> None:
    for path in ("/api/v1", "/apis/apps/v1", "/apis/apiextensions.k8s.io/v1"):
        told = document(path)
        known = told["components"]["schemas"]
        text = json.dumps(told)
        references = {
            piece.partition('"')[0] for piece in text.split("#/components/schemas/")[1:]
        }
        assert references
        assert references <= known.keys()


def test_fields_of_a_built_in_kind_have_their_types() -> None:
    told = document("/api/v1")
    pod = schema_of(told, "Pod")
    assert list(pod["properties"])[:3] == ["apiVersion", "kind", "metadata"]
    schemas = told["components"]["schemas"]
    spec = schemas["io.k8s.api.core.v1.PodSpec"]["properties"]
    assert spec["containers"]["type"] == "array"
    assert spec["hostNetwork"] == {"type": "boolean"}
    assert spec["nodeSelector"]["additionalProperties"] == {"type": "string"}
    path = told["paths"]["/api/v1/namespaces/{namespace}/pods"]["get"]
    assert path["x-kubernetes-group-version-kind"]["kind"] == "Pod"
    patch = told["paths"]["/api/v1/namespaces/{namespace}/pods/{name}"]["patch"]
    names = [one["name"] for one in patch["parameters"]]
    assert names == ["dryRun", "fieldManager", "fieldValidation", "force"]
    assert "post" not in told["paths"].get("/api/v1/componentstatuses", {})


def test_a_custom_kind_is_told_as_it_is_defined() -> None:
    told = document("/apis/x.example.com/v1", [DEFINED])
    crontab = schema_of(told, "CronTab")
    assert crontab["description"] == "Runs now and then."
    assert list(crontab["properties"]) == ["apiVersion", "kind", "metadata", "spec"]
    bare = document("/apis/x.example.com/v1", [CRONTABS])
    assert list(schema_of(bare, "CronTab")["properties"]) == [
        "apiVersion",
        "kind",
        "metadata",
    ]


def test_a_document_that_is_not_there_is_not_found() -> None:
    response = answer(ROOT + "/apis/x/v1", BUILT_IN, {})
    assert (response.status, response.content) == (404, b"")


@pytest.mark.parametrize("path", ["/openapi/v2", "/openapi/v3x"])
def test_what_is_not_served_is_for_others_to_answer(path: str) -> None:
    assert answer(path, BUILT_IN, {}) is None
