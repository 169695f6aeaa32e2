# SPDX-License-Identifier: Apache-2.0
"""Selectors read the fields that the API server lets them, and no other."""

import pytest

from toono.codec.selectable import (
    SELECTABLE,
    Selectable,
    custom_fields,
    selectable,
)
from toono.errors import CodecError
from toono.kube.kinds import resource_of


@pytest.mark.parametrize(
    ("path", "kind", "api_version", "found"),
    [
        ("metadata.name", "Pod", "v1", Selectable(("metadata.name",))),
        ("metadata.namespace", "Tab", "x.io/v1", Selectable(("metadata.namespace",))),
        ("spec.nodeName", "Pod", "v1", Selectable(("spec.nodeName",))),
        ("spec.host", "Pod", "v1", Selectable(("spec.nodeName",))),
        ("spec.hostNetwork", "Pod", "v1", Selectable(("spec.hostNetwork",), "false")),
        (
            "status.successful",
            "Job",
            "batch/v1",
            Selectable(("status.succeeded",), "0"),
        ),
        ("spec.color", "Tab", "x.io/v1", Selectable(("spec.color",))),
        ("a.b.c.d.e.f.g.h", "Tab", "x.io/v1", Selectable(("a.b.c.d.e.f.g.h",))),
    ],
)
def test_known_fields_are_found(
    path: str, kind: str, api_version: str, found: Selectable
) -> None:
    assert selectable(path, kind=kind, api_version=api_version) == found


@pytest.mark.parametrize(
    ("path", "kind", "api_version"),
    [
        ("spec.color", "Pod", "v1"),
        ("spec.nodeName", "Service", "v1"),
        ("spec.replicas", "Deployment", "apps/v1"),
        ("status.succeeded", "Job", "batch/v1"),
        ("", "Tab", "x.io/v1"),
        (".", "Tab", "x.io/v1"),
        ("spec..color", "Tab", "x.io/v1"),
        ("spec.color[0]", "Tab", "x.io/v1"),
        ("a.b.c.d.e.f.g.h.i", "Tab", "x.io/v1"),
        ("a" * 64, "Tab", "x.io/v1"),
        ("spec.color\n", "Tab", "x.io/v1"),
    ],
)
def test_other_fields_are_not_guessed(path: str, kind: str, api_version: str) -> None:
    with pytest.raises(CodecError, match="no known field selector"):
        selectable(path, kind=kind, api_version=api_version)


def test_only_built_in_kinds_are_in_the_table() -> None:
    for group, kind in SELECTABLE:
        assert resource_of(group, kind) is not None


def test_a_definition_declares_the_fields_of_each_version() -> None:
    told = (
        b'{"spec":{"versions":[{"name":"v1"},{"name":"v2","selectableFields":'
        b'[{"jsonPath":".spec.color"},{"jsonPath":".spec.size"}]}]}}'
    )
    assert custom_fields(told, "v2") == {"spec.color", "spec.size"}
    assert custom_fields(told, "v1") == frozenset()
    assert custom_fields(told, "v3") == frozenset()
    assert custom_fields(b'{"spec":{}}', "v1") == frozenset()
    with pytest.raises(CodecError, match="no definition"):
        custom_fields(b"[]", "v1")
