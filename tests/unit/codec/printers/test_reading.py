# SPDX-License-Identifier: Apache-2.0
import pytest

from toono.codec.printers import reading

ODD = [None, True, 7, 1.5, "x", [], {}, [1], {"a": 1}]


@pytest.mark.parametrize("value", ODD)
def test_what_is_of_another_type_reads_as_unset(value):
    obj = {"a": value}
    assert reading.text(obj, "a") == (value if value == "x" else "")
    assert reading.text_or("d", obj, "a") == (value if value == "x" else "d")
    assert reading.number(obj, "a") == (7 if value == 7 else 0)
    assert reading.has_number(obj, "a") is (value == 7)
    assert reading.flag(obj, "a") is (value is True)
    assert reading.mapping(obj, "a") == (value if isinstance(value, dict) else {})
    assert reading.string_map(obj, "a") == {}
    assert reading.texts(obj, "a") == []
    assert reading.entries(obj, "a") == ([{}] if value == [1] else [])
    assert reading.size(obj, "a") == (1 if value in ([1], {"a": 1}) else 0)
    assert reading.at(obj, "a", "b") is None


@pytest.mark.parametrize("value", ODD)
def test_paths_through_anything_lead_nowhere(value):
    assert reading.at(value, "x", "y") is None
    assert reading.text(value, "x") == ""


def test_values_are_found_by_their_path():
    obj = {"a": {"b": "x", "l": ["p", 1, {"q": "r"}], "m": {"k": "v", "n": 1}}}
    assert reading.text(obj, "a", "b") == "x"
    assert reading.texts(obj, "a", "l") == ["p"]
    assert reading.entries(obj, "a", "l") == [{}, {}, {"q": "r"}]
    assert reading.string_map(obj, "a", "m") == {"k": "v"}


def test_what_no_int64_holds_is_zero():
    assert reading.number(1 << 63) == 0
    assert reading.number((1 << 63) - 1) == (1 << 63) - 1
    assert reading.number(-(1 << 63)) == -(1 << 63)
    assert reading.number(-(1 << 63) - 1) == 0


@pytest.mark.parametrize(
    ("value", "shown"),
    [("10Gi", "10Gi"), (3, "3"), ("", "0"), (None, "0"), (True, "0"), ({}, "0")],
)
def test_quantities_are_text_or_whole_numbers(value, shown):
    assert reading.quantity({"a": value}, "a") == shown
