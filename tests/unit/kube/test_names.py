# SPDX-License-Identifier: Apache-2.0
"""Versions compare as numbers or not at all; names become files that never meet."""

import pytest

from toono.kube.names import (
    GroupResource,
    GroupVersionResource,
    is_path_segment,
    newer,
    parse_version,
    quoted,
)


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("1", 1), ("251", 251), ("9" * 19, 10**19 - 1), (str(2**63), 2**63)],
)
def test_a_plain_decimal_is_a_version(text: str, number: int) -> None:
    assert parse_version(text) == number


@pytest.mark.parametrize(
    "text",
    [
        *("", "-1", "+1", "01", "00", "1_0", " 1", "1 ", "1\n", "abc", "1.0", "1e3"),
        *("0x1", str(2**64), "1" * 20, "1" * 5000, "\u0661", "\uff11", "\u00b2"),
    ],
)
def test_anything_else_is_no_version(text: str) -> None:
    assert parse_version(text) is None


def test_newer_compares_numbers_and_nothing_else() -> None:
    assert newer("10", "9")
    assert not newer("9", "10")
    assert not newer("9", "9")
    assert not newer("abc", "9")
    assert not newer("9", "")


def test_resources_are_named_as_messages_name_them() -> None:
    assert str(GroupResource("", "pods")) == "pods"
    assert str(GroupResource("apps", "deployments")) == "deployments.apps"
    assert GroupVersionResource("", "v1", "pods").api_version == "v1"
    assert GroupVersionResource("apps", "v1", "deployments").api_version == "apps/v1"


@pytest.mark.parametrize(
    ("text", "go"),
    [
        ("web", '"web"'),
        ('a"b\\c', '"a\\"b\\\\c"'),
        ("\a\b\f\n\r\t\v", '"\\a\\b\\f\\n\\r\\t\\v"'),
        ("\0\x1f\x7f", '"\\x00\\x1f\\x7f"'),
        ("\u00e9\U0001f600", '"\u00e9\U0001f600"'),
        ("\u200b\U000e0001", '"\\u200b\\U000e0001"'),
    ],
)
def test_quoted_writes_as_go_does(text: str, go: str) -> None:
    assert quoted(text) == go


def test_a_path_segment_is_what_the_api_server_takes() -> None:
    assert is_path_segment("web-0")
    assert is_path_segment("system:node")
    for name in ("", ".", "..", "a/b", "a%2f"):
        assert not is_path_segment(name)
