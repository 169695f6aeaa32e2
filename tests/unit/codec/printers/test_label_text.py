# SPDX-License-Identifier: Apache-2.0
import pytest

from toono.codec.printers.label_text import (
    containers,
    labels_text,
    raw_selector_text,
    selector_text,
)


def test_labels_are_sorted_as_texts():
    labels = {"a": "1", "a-b": "2", "B": "3"}
    assert labels_text(labels) == "B=3,a-b=2,a=1"
    assert labels_text({}) == "<none>"


def shown(selector) -> str:
    return selector_text({"s": selector}, "s")


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        (None, "<none>"),
        ({}, "<none>"),
        ({"matchLabels": {"b": "2", "a": "1"}}, "a=1,b=2"),
        (
            {
                "matchLabels": {"m": "1"},
                "matchExpressions": [
                    {"key": "z", "operator": "In", "values": ["b", "a", "b"]},
                    {"key": "y", "operator": "NotIn", "values": ["c"]},
                    {"key": "x", "operator": "Exists"},
                    {"key": "a", "operator": "DoesNotExist"},
                ],
            },
            "!a,m=1,x,y notin (c),z in (a,b)",
        ),
    ],
)
def test_selectors_are_sorted_by_key(selector, text):
    assert shown(selector) == text


@pytest.mark.parametrize(
    "term",
    [
        {"key": "k", "operator": "In"},
        {"key": "k", "operator": "NotIn", "values": []},
        {"key": "k", "operator": "Exists", "values": ["a"]},
        {"key": "k", "operator": "DoesNotExist", "values": ["a"]},
        {"key": "k", "operator": "Gt", "values": ["1"]},
        {},
    ],
)
def test_what_is_no_selector_is_an_error(term):
    selector = {"matchExpressions": [term]}
    assert shown(selector) == "<error>"
    assert raw_selector_text({"s": selector}, "s") is None


def test_a_raw_selector_may_be_empty():
    assert raw_selector_text({}, "s") == ""


def test_containers_are_names_and_images():
    found = {"containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "j"}]}
    assert containers({"spec": found}, "spec") == ("a,b", "i,j")
    assert containers({}, "spec") == ("", "")
