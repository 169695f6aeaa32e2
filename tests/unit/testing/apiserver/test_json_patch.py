# SPDX-License-Identifier: Apache-2.0
"""RFC 6902 by the examples of its appendix A, and RFC 7386 by its."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toono.testing.apiserver.json_patch import (
    PatchError,
    json_patched,
    merge_patched,
)


def op(name: str, path: str, value=None, **more) -> dict:
    found = {"op": name, "path": path, **more}
    return found if value is None else found | {"value": value}


@pytest.mark.parametrize(
    ("document", "operations", "result"),
    [
        ({"a": 1}, [op("add", "/b", 2)], {"a": 1, "b": 2}),
        ({"a": [1, 3]}, [op("add", "/a/1", 2)], {"a": [1, 2, 3]}),
        ({"a": [1]}, [op("add", "/a/-", [2])], {"a": [1, [2]]}),
        ({"a": [1]}, [op("add", "/a/1", 2)], {"a": [1, 2]}),
        ({"a": 1}, [op("add", "/a", 2)], {"a": 2}),
        ({"a": 1}, [op("add", "", {"b": 2})], {"b": 2}),
        ({"a": 1, "b": 2}, [op("remove", "/b")], {"a": 1}),
        ({"a": [1, 2, 3]}, [op("remove", "/a/1")], {"a": [1, 3]}),
        ({"a": 1}, [op("replace", "/a", 2)], {"a": 2}),
        ({"a": [1, 2]}, [op("replace", "/a/0", 9)], {"a": [9, 2]}),
        ({"a": {"b": 1}, "c": {}}, [op("move", "/c/d", **{"from": "/a/b"})], {"a": {}, "c": {"d": 1}}),
        ({"a": [1, 2, 3]}, [op("move", "/a/2", **{"from": "/a/0"})], {"a": [2, 3, 1]}),
        ({"a": {"b": [1]}}, [op("copy", "/c", **{"from": "/a"})], {"a": {"b": [1]}, "c": {"b": [1]}}),
        ({"a": [1, "x"]}, [op("test", "/a/1", "x")], {"a": [1, "x"]}),
        ({"/": 9, "~1": 10}, [op("test", "/~01", 10), op("remove", "/~1")], {"~1": 10}),
        ({"a": {"b": 1.0}}, [op("test", "/a", {"b": 1})], {"a": {"b": 1.0}}),
        ({"": 1}, [op("remove", "/")], {}),
        ({"a": None}, [{"op": "test", "path": "/a", "value": None}], {"a": None}),
    ],
)  # fmt: skip
def test_operations_do_what_the_rfc_says(document, operations, result) -> None:
    before = copy.deepcopy(document)
    assert json_patched(document, operations) == result
    assert document == before


@pytest.mark.parametrize(
    "operations",
    [
        [op("remove", "/x")],
        [op("replace", "/x", 1)],
        [op("add", "/x/y", 1)],
        [op("add", "/s/y", 1)],
        [op("add", "/a/3", 1)],
        [op("add", "/a/01", 1)],
        [op("add", "/a/x", 1)],
        [op("remove", "/a/2")],
        [op("remove", "/a/-")],
        [op("remove", "/a/-1")],
        [op("test", "/a", [2, 1])],
        [op("test", "/t", 1)],
        [op("test", "/o", {"p": 1, "q": 2})],
        [op("test", "/none", 1)],
        [op("add", "/b")],
        [op("add", "b", 1)],
        [op("spam", "/b", 1)],
        [{"op": "add", "value": 1}],
        [op("move", "/o/p/q", **{"from": "/o"})],
        [op("move", "/x", **{"from": "/none"})],
        [op("copy", "/x")],
        ["add"],
    ],
)
def test_what_cannot_be_done_is_refused_as_a_whole(operations) -> None:
    document = {"a": [1, 2], "s": "text", "t": True, "o": {"p": 1}}
    before = copy.deepcopy(document)
    with pytest.raises(PatchError):
        json_patched(document, [op("add", "/new", 1), *operations])
    assert document == before


def test_a_value_is_not_shared_with_the_patch() -> None:
    value = {"b": 1}
    result = json_patched({}, [op("add", "/a", value), op("add", "/a/c", 2)])
    assert result == {"a": {"b": 1, "c": 2}}
    assert value == {"b": 1}


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patches_do_what_the_rfc_says(target, patch, result) -> None:
    before = copy.deepcopy(target)
    assert merge_patched(target, patch) == result
    assert target == before


VALUES = st.recursive(
    st.integers() | st.text(max_size=3),
    lambda inner: st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES, VALUES)
def test_a_merge_patch_applied_twice_is_applied_once(target, patch) -> None:
    once = merge_patched(target, patch)
    assert merge_patched(once, patch) == once
