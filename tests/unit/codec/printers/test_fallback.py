# SPDX-License-Identifier: Apache-2.0
from toono.codec.printers.fallback import FALLBACK


def test_the_time_of_creation_stands_as_it_is():
    meta = {"name": "a", "creationTimestamp": "1970-01-01T00:00:01Z"}
    assert FALLBACK.cells({"metadata": meta}, 9.0) == ["a", "1970-01-01T00:00:01Z"]
    assert [(one.name, one.type) for one in FALLBACK.columns] == [
        ("Name", "string"),
        ("Created At", "date"),
    ]


def test_a_time_never_set_is_go_zero():
    assert FALLBACK.cells({}, 9.0) == ["", "0001-01-01T00:00:00Z"]


def test_an_empty_table_has_null_rows():
    assert FALLBACK.no_rows == "null"
