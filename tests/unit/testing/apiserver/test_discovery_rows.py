# SPDX-License-Identifier: Apache-2.0
"""Rows of discovery, as a kube-apiserver writes them."""

import json

import pytest

from tests.rig import recordings
from toono.testing.apiserver.discovery_rows import (
    in_protobuf,
    rows_of,
    storage_hash,
    told,
)
from toono.testing.apiserver.resources import Resource, built_in

BUILT_IN = built_in()
PROTOBUF = "application/vnd.kubernetes.protobuf"


def core(accept: str) -> bytes:
    (body,) = (
        one.body
        for one in recordings("exchanges")
        if one.target == "/api/v1" and one.accept.startswith(accept)
    )
    return body


def test_the_legacy_rows_of_the_core_group_are_the_recorded_ones() -> None:
    document = json.loads(core("application/json"))
    mine = [one for key, one in BUILT_IN.items() if key[0] == ""]
    rows = [row for one in mine for row in rows_of(one)]
    assert json.dumps(rows) == json.dumps(document["resources"])
    assert in_protobuf(document) == core(PROTOBUF)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (("", "v1", "configmaps"), "qFsyl6wFWjQ="),
        (("events.k8s.io", "v1", "events"), "r2yiGXH7wu8="),
        (("apiextensions.k8s.io", "v1", "customresourcedefinitions"), "jfWCUB31mvA="),
    ],
)
def test_the_hash_is_of_what_etcd_holds(key, expected) -> None:
    assert storage_hash(BUILT_IN[key]) == expected


def test_what_is_never_stored_has_no_hash_and_custom_ones_tell_their_group() -> None:
    (row,) = rows_of(BUILT_IN["", "v1", "componentstatuses"])
    assert "storageVersionHash" not in row
    widget = Resource(
        group="x.io",
        version="v1",
        plural="widgets",
        kind="Widget",
        custom=True,
        subresources=("status", "scale"),
    )
    kind = {"group": "x.io", "version": "v1", "kind": "Widget"}
    row = told(widget)
    assert row["responseKind"] == kind
    status, scale = row["subresources"]
    assert status["responseKind"] == kind
    assert scale["responseKind"] == {
        "group": "autoscaling",
        "version": "v1",
        "kind": "Scale",
    }
