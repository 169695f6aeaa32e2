# SPDX-License-Identifier: Apache-2.0
"""Names, guesses and the order of versions."""

import pytest

from toono.restmapper import GroupVersion
from toono.restmapper.values import guess_plural, root_of, version_rank

GUESSES = {
    "Pod": ("pods", "pod"),
    "Policy": ("policies", "policy"),
    "Ingress": ("ingresses", "ingress"),
    "Endpoints": ("endpoints", "endpoints"),
    "Gateway": ("gatewaies", "gateway"),
    "": ("", ""),
}


@pytest.mark.parametrize(("kind", "expected"), GUESSES.items())
def test_plurals_are_guessed_as_apimachinery_does(kind, expected):
    assert guess_plural(kind) == expected


def test_versions_in_the_order_of_kubernetes():
    order = [
        "v10", "v2", "v1", "v11beta2", "v10beta3", "v3beta1", "v12alpha1",
        "v11alpha2", "foo1", "foo10",
    ]  # fmt: skip
    assert sorted(sorted(order), key=version_rank) == order


@pytest.mark.parametrize("name", ["v0", "v01", "V1", "v1beta", "v1gamma1", "v1 ", "v"])
def test_what_is_no_such_version_comes_last(name):
    assert version_rank(name) > version_rank("v1alpha1")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("v1", ("", "v1")), ("apps/v1", ("apps", "v1")), ("", ("", ""))],
)
def test_an_api_version_is_read_and_spelled(text, expected):
    parsed = GroupVersion.parse(text)
    assert parsed == expected
    assert str(parsed) == text


def test_the_root_that_lists_a_group():
    assert [root_of(group) for group in ("", "apps")] == ["/api", "/apis"]
