# SPDX-License-Identifier: Apache-2.0
"""Strategic merge: lists that are maps, sets, and the directives."""

import copy

import pytest

from toono.testing.apiserver.strategic import strategically_merged

A, B = {"name": "a", "image": "1"}, {"name": "b", "image": "1"}


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"x": 1, "y": 2}, {"x": 3}, {"x": 3, "y": 2}),
        ({"x": 1}, {"x": None}, {}),
        ({"o": {"p": 1}}, {"o": {"q": 2}}, {"o": {"p": 1, "q": 2}}),
        ({}, {"o": {"p": None, "q": {"r": None}}}, {"o": {"q": {}}}),
        ({"tolerations": [{"key": "a"}]}, {"tolerations": [{"key": "b"}]}, {"tolerations": [{"key": "b"}]}),
        ({"command": ["a"]}, {"command": ["b"]}, {"command": ["b"]}),
        ({"containers": [A, B]}, {"containers": [{"name": "b", "image": "2"}]}, {"containers": [A, {"name": "b", "image": "2"}]}),
        ({"containers": [A]}, {"containers": [B]}, {"containers": [B, A]}),
        ({"containers": [A, B]}, {"containers": [{"name": "a", "$patch": "delete"}]}, {"containers": [B]}),
        ({"containers": [A, B]}, {"containers": [{"$patch": "replace"}, {"name": "c"}]}, {"containers": [{"name": "c"}]}),
        ({"containers": [A]}, {"containers": [{"image": "2"}]}, {"containers": [{"image": "2"}]}),
        ({"containers": None}, {"containers": [{"name": "a", "x": None}]}, {"containers": [{"name": "a"}]}),
        ({"ports": [{"port": 80}, {"port": 81}]}, {"ports": [{"port": 81, "name": "x"}]}, {"ports": [{"port": 80}, {"port": 81, "name": "x"}]}),
        ({"finalizers": ["a", "b"]}, {"finalizers": ["c", "b"]}, {"finalizers": ["c", "a", "b"]}),
        ({"finalizers": ["a", "b"]}, {"$deleteFromPrimitiveList/finalizers": ["a"]}, {"finalizers": ["b"]}),
        ({}, {"$deleteFromPrimitiveList/finalizers": ["a"]}, {"finalizers": []}),
        ({"l": {"a": 1, "b": 2}}, {"l": {"$patch": "replace", "c": 3}}, {"l": {"c": 3}}),
        ({"l": {"a": 1}}, {"l": {"$patch": "delete"}}, {"l": {}}),
        ({"l": {"a": 1, "b": 2}}, {"l": {"$retainKeys": ["b", "c"], "c": 3}}, {"l": {"b": 2, "c": 3}}),
        ({"x": 1}, {"x": {"y": 2}}, {"x": {"y": 2}}),
        ({}, {"x": [{"y": None, "z": [{"w": None}]}]}, {"x": [{"z": [{}]}]}),
        ({"x": "text"}, {"x": [1]}, {"x": [1]}),
        ({"l": {"a": 1}}, {"l": {"$patch": "replace", "b": {"c": None}}}, {"l": {"b": {}}}),
    ],
)  # fmt: skip
def test_patches_merge(target: dict, patch: dict, result: dict) -> None:
    before = copy.deepcopy(target)
    assert strategically_merged(target, patch) == result
    assert target == before


def conditions(*types: str) -> list[dict[str, str]]:
    return [{"type": each} for each in types]


@pytest.mark.parametrize(
    ("before", "order", "after"),
    [
        (("A", "B"), ("B", "A"), ("B", "A")),
        (("A", "B", "C"), ("C", "A"), ("B", "C", "A")),
        (("A", "B", "C"), ("A", "C"), ("A", "B", "C")),
        (("A", "B"), ("New", "B"), ("New", "A", "B")),
    ],
)
def test_an_order_is_taken_over(before: tuple, order: tuple, after: tuple) -> None:
    patch = {
        "$setElementOrder/conditions": conditions(*order),
        "conditions": conditions(*(each for each in order if each not in before)),
    }
    merged = strategically_merged({"conditions": conditions(*before)}, patch)
    assert merged == {"conditions": conditions(*after)}


def test_an_order_of_what_is_not_there_changes_nothing() -> None:
    patch = {"$setElementOrder/conditions": conditions("A")}
    assert strategically_merged({"x": 1}, patch) == {"x": 1}
