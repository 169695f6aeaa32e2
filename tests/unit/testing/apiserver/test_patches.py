# SPDX-License-Identifier: Apache-2.0
"""Which patch is which, by its Content-Type."""

import json

import pytest

from tests.unit.testing.apiserver.kit import CRONTABS, resource
from toono.testing.apiserver.patches import (
    APPLY,
    JSON_PATCH,
    MERGE,
    STRATEGIC,
    applied,
    check_kind,
    patched,
)
from toono.testing.apiserver.query import Refusal

PODS = resource("pods")
OLD = {"metadata": {"name": "a"}, "containers": [{"name": "c", "image": "1"}]}
NEW = {"containers": [{"name": "d"}]}


def result(kind: str, body: object, of=PODS) -> dict:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return patched(of, OLD, kind=kind, body=text)


def test_lists_are_replaced_by_a_merge_and_merged_by_a_strategic_patch() -> None:
    assert result(MERGE, NEW)["containers"] == [{"name": "d"}]
    assert len(result(STRATEGIC, NEW)["containers"]) == 2
    assert len(result(APPLY, NEW)["containers"]) == 2
    assert result(APPLY, NEW, CRONTABS)["containers"] == [{"name": "d"}]


def test_operations_are_done() -> None:
    operations = [{"op": "add", "path": "/x", "value": 1}]
    assert result(JSON_PATCH, operations) == OLD | {"x": 1}


def test_apply_reads_yaml() -> None:
    assert result(APPLY, b"x: 1\n")["x"] == 1
    made = applied(PODS, b"spec: {a: 1}\n", name="p")
    assert made == {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": "p"},
        "spec": {"a": 1},
    }


@pytest.mark.parametrize(
    ("kind", "body", "code"),
    [
        (MERGE, b"{x", 400),
        (MERGE, b"[]", 400),
        (STRATEGIC, b"1", 400),
        (APPLY, b"a: [", 400),
        (APPLY, b"text", 400),
        (JSON_PATCH, b"{}", 400),
        (JSON_PATCH, b'[{"op":"remove","path":"/none"}]', 422),
        (JSON_PATCH, b'[{"op":"remove","path":"/metadata"}]', 400),
        (JSON_PATCH, b'[{"op":"replace","path":"","value":1}]', 400),
        ("application/nope", b"{}", 415),
        ("", b"{}", 415),
    ],
)
def test_what_is_no_patch_is_refused(kind: str, body: bytes, code: int) -> None:
    with pytest.raises(Refusal) as refusal:
        result(kind, body)
    assert refusal.value.code == code


def test_custom_resources_have_no_strategic_patch() -> None:
    check_kind(PODS, STRATEGIC)
    with pytest.raises(Refusal, match="application/apply-patch") as refusal:
        check_kind(CRONTABS, STRATEGIC)
    assert refusal.value.code == 415
    with pytest.raises(Refusal, match="^415: Unsupported Media Type$"):
        check_kind(PODS, "application/nope")


def test_what_is_applied_first_must_be_an_object() -> None:
    with pytest.raises(Refusal, match="an object is applied"):
        applied(PODS, b"- 1\n", name="p")
