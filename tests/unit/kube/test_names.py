# SPDX-License-Identifier: Apache-2.0
"""Versions compare as numbers or not at all; names become files that never meet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toono.kube.names import (
    MAX_FILE_NAME_BYTES,
    GroupResource,
    GroupVersionResource,
    file_name,
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


@pytest.mark.parametrize(
    "name",
    ["web-0", "a.b", "system:node:edge-1", "A", "a", "x" * 253, "v1.x.example.com"],
)
def test_names_that_yurthub_writes_stay_as_they_are(name: str) -> None:
    assert file_name(name) == name


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("", "%"),
        (".", "%2E"),
        ("..", "%2E."),
        (".new-1", "%2Enew-1"),
        ("_internal", "%5Finternal"),
        ("tmp_x", "%74mp_x"),
        ("a/b", "a%2Fb"),
        ("/etc/passwd", "%2Fetc%2Fpasswd"),
        ("a%2Fb", "a%252Fb"),
        ("a b\n\0*", "a%20b%0A%00%2A"),
        ("\u00e9", "%C3%A9"),
        ("e\u0301", "e%CC%81"),
        ("\ud800", "%ED%A0%80"),
        ("\U0001f600", "%F0%9F%98%80"),
    ],
)
def test_other_names_are_escaped(name: str, file: str) -> None:
    assert file_name(name) == file


def test_long_names_end_in_a_hash_and_fit() -> None:
    long, longer = "r" * 300, "r" * 301
    assert len(file_name(long)) == MAX_FILE_NAME_BYTES
    assert file_name(long) != file_name(longer)
    assert file_name("r" * 255) == "r" * 255
    assert len(file_name("\u00e9" * 200)) == MAX_FILE_NAME_BYTES


@given(st.text(max_size=12), st.text(max_size=12))
def test_two_names_never_meet_in_one_file(one: str, other: str) -> None:
    assert (file_name(one) == file_name(other)) == (one == other)


@given(st.one_of(st.text(max_size=40), st.text("./_tmp%", max_size=8)))
def test_a_file_name_is_always_safe(name: str) -> None:
    file = file_name(name)
    assert file.isascii()
    assert 0 < len(file) <= MAX_FILE_NAME_BYTES
    assert "/" not in file
    assert "\0" not in file
    assert not file.startswith((".", "_", "tmp_"))


def test_a_path_segment_is_what_the_api_server_takes() -> None:
    assert is_path_segment("web-0")
    assert is_path_segment("system:node")
    for name in ("", ".", "..", "a/b", "a%2f"):
        assert not is_path_segment(name)
