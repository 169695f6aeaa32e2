# SPDX-License-Identifier: Apache-2.0
import msgspec

from toono.codec.printers.base import (
    AGE_COLUMN,
    NAME_COLUMN,
    Column,
    Printer,
    age_of,
    column,
    is_deleting,
    name_of,
)


def test_columns_have_the_order_of_the_wire():
    assert msgspec.json.encode(Column("A", "date", "f", "d", 1)) == (
        b'{"name":"A","type":"date","format":"f","description":"d","priority":1}'
    )


def test_wide_columns_have_a_priority():
    assert column("A", "d", of_type="integer", wide=True) == Column(
        "A", "integer", "", "d", 1
    )
    assert column("A") == Column("A", "string", "", "", 0)


def test_the_columns_of_all_kinds():
    assert (NAME_COLUMN.name, NAME_COLUMN.format) == ("Name", "name")
    assert (AGE_COLUMN.name, AGE_COLUMN.type) == ("Age", "string")


def test_metadata_is_read():
    meta = {"name": "a", "creationTimestamp": "1970-01-01T00:00:01Z"}
    obj = {"metadata": {**meta, "deletionTimestamp": "1970-01-01T00:00:01Z"}}
    assert name_of(obj) == "a"
    assert age_of(obj, 8.0) == "7s"
    assert is_deleting(obj)
    assert not is_deleting({"metadata": meta})
    assert age_of({}, 8.0) == "<unknown>"


def test_rows_have_no_condition_unless_a_kind_says_so():
    printer = Printer((), lambda _obj, _now: [])
    assert printer.condition({}) is None
    assert printer.no_rows == "[]"
