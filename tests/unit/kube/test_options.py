# SPDX-License-Identifier: Apache-2.0
"""List options are decoded and refused as the API server does."""

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toono.errors import RequestError
from toono.kube.options import ListOptions, is_true, read_options, read_query


def options(query: str, *, watches: bool = False) -> ListOptions:
    return read_options(read_query(query.encode()), watches=watches)


def refusal(query: str, *, watches: bool = False) -> RequestError:
    with pytest.raises(RequestError) as caught:
        options(query, watches=watches)
    return caught.value


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (b"", {}),
        (b"a=1&b=2", {"a": "1", "b": "2"}),
        (b"a=1&a=2", {"a": "1"}),
        (b"a", {"a": ""}),
        (b"a=", {"a": ""}),
        (b"a=b=c", {"a": "b=c"}),
        (b"&&a=1&", {"a": "1"}),
        (b"a=x+y%2B%20z", {"a": "x y+ z"}),
        (b"%61=1", {"a": "1"}),
        (b"a=%zz&b=1", {"b": "1"}),
        (b"a=%2&b=1", {"b": "1"}),
        (b"a=1;b=2&c=3", {"c": "3"}),
        (b"a=%C3%A9", {"a": "\u00e9"}),
    ],
)
def test_queries_are_read_as_go_reads_them(raw: bytes, found: dict[str, str]) -> None:
    assert read_query(raw) == found


def test_bytes_that_are_no_utf8_stay_apart() -> None:
    assert read_query(b"a=%ff") != read_query(b"a=%fe")
    assert read_query(b"a=\xff") == read_query(b"a=%ff")


@given(st.text("abc=+& %2", max_size=20))
def test_plain_queries_agree_with_the_standard_library(text: str) -> None:
    raw = text.replace("%", "%25")
    found = read_query(raw.encode())
    expected: dict[str, str] = {}
    for key, value in parse_qsl(raw, keep_blank_values=True):
        expected.setdefault(key, value)
    assert {key: found[key] for key in expected} == expected


def test_only_false_and_0_are_false() -> None:
    for value in ("true", "1", "", "yes", "True", "no"):
        assert is_true(value)
    for value in ("false", "False", "0"):
        assert not is_true(value)
    assert not is_true(None)


def test_every_option_is_read() -> None:
    found = options(
        "allowWatchBookmarks=true&continue=abc&fieldSelector=metadata.name%3Dx"
        "&labelSelector=b%2Ca&limit=500&resourceVersion=7&timeoutSeconds=302"
        "&timeout=10s&watch=0"
    )
    assert found == ListOptions(
        label_selector="a,b",
        field_selector="metadata.name=x",
        resource_version="7",
        limit=500,
        continue_token="abc",
        allow_watch_bookmarks=True,
        timeout_seconds=302.0,
    )


def test_no_option_is_nothing_asked() -> None:
    assert options("") == ListOptions()
    assert options("resourceVersion=").resource_version == ""


def test_what_we_do_not_know_is_named() -> None:
    found = options("shardSelector=x&limit=1&pretty=true")
    assert found.unknown_options == ("shardSelector",)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", None), ("1", 1.0), ("-1", 0.0), ("1000000000000", 366 * 86400.0)],
)
def test_odd_timeouts_have_bounds(text: str, seconds: float | None) -> None:
    assert options(f"timeoutSeconds={text}").timeout_seconds == seconds


def test_a_negative_limit_is_passed_on() -> None:
    assert options("limit=-1").limit == -1


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("limit=abc", 'strconv.ParseInt: parsing "abc": invalid syntax'),
        ("limit=", 'strconv.ParseInt: parsing "": invalid syntax'),
        ("limit=1_0", 'strconv.ParseInt: parsing "1_0": invalid syntax'),
        (
            f"timeoutSeconds={2**63}",
            f'strconv.ParseInt: parsing "{2**63}": value out of range',
        ),
        ("labelSelector=%3D%3D%3D", "found '==', expected: !, identifier, or 'end of string'"),
        ("fieldSelector=x", "invalid selector: 'x'; can't understand 'x'"),
        (
            "resourceVersion=abc",
            'invalid resource version: resourceVersion: Invalid value: "abc": '
            'strconv.ParseUint: parsing "abc": invalid syntax',
        ),
        (
            "resourceVersion=-1",
            'invalid resource version: resourceVersion: Invalid value: "-1": '
            'strconv.ParseUint: parsing "-1": invalid syntax',
        ),
        (
            f"resourceVersion={2**64}",
            f'invalid resource version: resourceVersion: Invalid value: "{2**64}": '
            f'strconv.ParseUint: parsing "{2**64}": value out of range',
        ),
    ],
)  # fmt: skip
def test_bad_values_are_400_in_the_api_servers_words(query: str, message: str) -> None:
    found = refusal(query)
    assert (found.code, found.reason, found.message) == (400, "BadRequest", message)


def test_versions_that_go_takes_pass() -> None:
    for text in ("0", "007", str(2**64 - 1), "0" * 30 + "1"):
        assert options(f"resourceVersion={text}").resource_version == text


def test_a_watch_refuses_a_bad_version_with_500() -> None:
    found = refusal("watch=1&resourceVersion=abc", watches=True)
    assert (found.code, found.reason) == (500, "")
    assert found.message.startswith('resourceVersion: Invalid value: "abc"')


MATCH = "resourceVersionMatch"


@pytest.mark.parametrize(
    ("query", "causes"),
    [
        (
            "resourceVersionMatch=Exact",
            [(MATCH, "Forbidden", "forbidden unless resourceVersion is provided")],
        ),
        (
            "resourceVersionMatch=Exact&resourceVersion=1&continue=x",
            [(MATCH, "Forbidden", "forbidden when continue is provided")],
        ),
        (
            "resourceVersionMatch=Best&resourceVersion=1",
            [(MATCH, "NotSupported", 'supported values: "Exact", "NotOlderThan", ""')],
        ),
        (
            "resourceVersionMatch=Exact&resourceVersion=0",
            [(MATCH, "Forbidden", '"exact" is forbidden for resourceVersion "0"')],
        ),
        (
            "sendInitialEvents=false",
            [("sendInitialEvents", "Forbidden", "forbidden for list")],
        ),
        (
            "watch=1&continue=x",
            [(MATCH, "Forbidden", "forbidden when continue is provided")],
        ),
        (
            "watch=1&sendInitialEvents=true",
            [(MATCH, "Forbidden", "requires setting resourceVersionMatch")],
        ),
        (
            "watch=1&resourceVersionMatch=NotOlderThan",
            [(MATCH, "Forbidden", "unless sendInitialEvents is provided")],
        ),
        (
            "watch=1&sendInitialEvents=false&resourceVersionMatch=Exact",
            [
                (MATCH, "Forbidden", "requires setting resourceVersionMatch"),
                (MATCH, "NotSupported", 'supported values: "NotOlderThan"'),
            ],
        ),
        (
            "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&continue=x",
            [(MATCH, "Forbidden", "forbidden when continue is provided")],
        ),
    ],
)
def test_options_that_contradict_are_422(
    query: str, causes: list[tuple[str, str, str]]
) -> None:
    found = refusal(query)
    assert (found.code, found.reason) == (422, "Invalid")
    assert found.details is not None
    told = found.details["causes"]
    assert isinstance(told, list)
    assert len(told) == len(causes)
    for cause, (field, kind, text) in zip(told, causes, strict=True):
        assert cause["field"] == field
        assert cause["reason"] == f"FieldValue{kind}"
        assert text in cause["message"]
    assert ("is invalid: [" in found.message) == (len(causes) > 1)


def test_a_watch_list_is_as_reflectors_ask_it() -> None:
    found = options(
        "allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan"
        "&sendInitialEvents=true&timeoutSeconds=3&watch=true",
        watches=True,
    )
    assert found.send_initial_events
    assert found.resource_version is None
    assert found.resource_version_match == "NotOlderThan"


def test_initial_events_can_be_declined() -> None:
    query = {"watch": "1", "resourceVersionMatch": "NotOlderThan"}
    for value, declined in (("false", True), ("0", True), ("true", False), ("", False)):
        told = read_options(query | {"sendInitialEvents": value}, watches=True)
        assert told.no_initial_events is declined
        assert told.send_initial_events is not declined
    assert not read_options({}, watches=False).no_initial_events
