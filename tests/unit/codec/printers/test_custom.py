# SPDX-License-Identifier: Apache-2.0
import pytest

from toono.codec.printers.base import Column
from toono.codec.printers.custom import custom_printer
from toono.codec.printers.descriptions import CREATED

ANY = ".spec.value"


def definition(*columns, version="v1"):
    named = {"name": version, "additionalPrinterColumns": list(columns)}
    return {"spec": {"versions": [{"name": "v0"}, named]}}


def cell(kind, value, *, path=ANY):
    one = {"name": "C", "type": kind, "jsonPath": path}
    obj = {"metadata": {"name": "a"}, "spec": {"value": value}}
    name, shown = custom_printer(definition(one), "v1").cells(obj, 8.0)
    assert name == "a"
    return shown


def test_columns_are_those_of_the_version():
    columns = [
        {"name": "A", "type": "string", "jsonPath": ".a"},
        {
            "name": "B",
            "type": "integer",
            "format": "int32",
            "description": "d",
            "priority": 1,
            "jsonPath": ".b",
        },
    ]
    shown = custom_printer(definition(*columns), "v1").columns[1:]
    words = "Custom resource definition column (in JSONPath format): .a"
    assert shown == (
        Column("A", "string", "", words),
        Column("B", "integer", "int32", "d", 1),
    )


@pytest.mark.parametrize("found", [{}, definition(), definition(version="v2")])
def test_without_columns_the_age_is_shown(found):
    printer = custom_printer(found, "v1")
    assert printer.columns[1:] == (Column("Age", "date", "", CREATED),)
    meta = {"name": "a", "creationTimestamp": "1970-01-01T00:00:01Z"}
    assert printer.cells({"metadata": meta}, 8.0) == ["a", "7s"]
    assert printer.cells({}, 8.0) == ["", None]


def test_a_column_that_cannot_be_read_ends_the_list():
    columns = [
        {"name": one, "type": "string", "jsonPath": path}
        for one, path in (("A", ".a"), ("B", "{"), ("C", ".c"))
    ]
    printer = custom_printer(definition(*columns), "v1")
    assert [one.name for one in printer.columns] == ["Name", "A"]
    assert printer.cells({"a": "x"}, 0.0) == ["", "x"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("x<y", "x<y"),
        ("", ""),
        (True, "true"),
        (False, "false"),
        (None, "<no value>"),
        (3, "3"),
        (1 << 63, "9.223372036854776e+18"),
        (1 << 2000, ""),
        (1e6, "1e+06"),
        (["a", 1, 1.0], '["a",1,1]'),
        ({"b": "<", "a": None}, '{"a":null,"b":"\\u003c"}'),
    ],
)
def test_strings_show_anything(value, shown):
    assert cell("string", value) == shown


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        ("integer", 3, 3),
        ("integer", 3.9, 3),
        ("integer", -3.9, -3),
        ("integer", 1e300, None),
        ("integer", 1 << 2000, None),
        ("integer", True, None),
        ("integer", "3", None),
        ("number", 3, 3.0),
        ("number", 0.5, 0.5),
        ("number", 1 << 2000, None),
        ("number", True, None),
        ("number", "1", None),
        ("boolean", False, False),
        ("boolean", "true", None),
        ("boolean", None, None),
        ("date", "1970-01-01T00:00:01Z", "7s"),
        ("date", "", "<unknown>"),
        ("date", "null", "<unknown>"),
        ("date", "yesterday", "<invalid>"),
        ("date", 3, None),
        ("date", None, None),
        ("object", {}, None),
    ],
)
def test_other_types_show_their_own(kind, value, shown):
    found = cell(kind, value)
    assert found == shown
    assert type(found) is type(shown)


@pytest.mark.parametrize("kind", ["string", "integer", "date"])
def test_what_is_not_there_is_null(kind):
    assert cell(kind, 1, path=".spec.other") is None


def test_what_is_too_deep_is_null():
    deep: object = "x"
    for _ in range(5000):
        deep = [deep]
    assert cell("string", deep) is None
    assert cell("string", deep, path="..x") is None
