# SPDX-License-Identifier: Apache-2.0
"""Ages in a Table that was seen go on; nothing else of it changes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toono.codec.printers.descriptions import CREATED
from toono.codec.table_ages import age_cell, aged
from toono.errors import CodecError

CREATED_AT = "2026-11-21T12:00:00Z"
MOMENT = 1795262400.0
ROW = (
    b'{"cells":["web-0","1/1",3,"84s"],"object":{"kind":"PartialObjectMetadata",'
    b'"metadata":{"name":"web-0","creationTimestamp":"' + CREATED_AT.encode() + b'"}}}'
)


def columns(*told: tuple[str, str, str]) -> bytes:
    keys = ("name", "type", "description")
    return json.dumps([dict(zip(keys, one, strict=True)) for one in told]).encode()


def test_the_cell_is_found_by_what_kubernetes_says_of_it() -> None:
    name = ("Name", "string", "")
    assert age_cell(columns(name, ("Age", "string", CREATED))) == 1
    assert age_cell(columns(name, ("Age", "date", ""))) == 1
    assert age_cell(columns(name, ("Age", "string", "of the cheese"))) is None
    assert age_cell(columns(name, ("Last Seen", "string", CREATED))) is None
    assert age_cell(b"null") is None


def test_an_age_is_counted_to_now_and_all_else_stays() -> None:
    three_days = aged(ROW, 3, now=MOMENT + 3 * 86400)
    assert three_days == ROW.replace(b'"84s"', b'"3d"')
    row = ROW.replace(b'"object"', b'"conditions":[{"type":"Completed"}],"object"')
    assert aged(row, 3, now=MOMENT + 90) == row.replace(b'"84s"', b'"90s"')


@pytest.mark.parametrize(
    "row",
    [
        ROW.replace(CREATED_AT.encode(), b"yesterday"),
        ROW.replace(b'"' + CREATED_AT.encode() + b'"', b"null"),
        b'{"cells":["web-0","1/1",3,"84s"],"object":null}',
        b'{"cells":["web-0","1/1",3,"84s"]}',
        b'{"cells":["web-0"],"object":{"metadata":{"creationTimestamp":"%b"}}}'
        % CREATED_AT.encode(),
    ],
)
def test_a_row_that_does_not_tell_when_stays(row: bytes) -> None:
    assert aged(row, 3, now=MOMENT + 90) is row


def test_a_clock_behind_the_cluster_s_makes_nothing_younger() -> None:
    assert aged(ROW, 3, now=MOMENT - 1) is ROW
    assert aged(ROW, 3, now=0.0) is ROW


@pytest.mark.parametrize("row", [b"", b"{}", b"[]", b'{"cells":3}', b'{"cells":[1'])
def test_what_is_no_row_is_refused(row: bytes) -> None:
    with pytest.raises(CodecError):
        aged(row, 0, now=MOMENT)


@given(
    st.lists(st.one_of(st.text(), st.integers(), st.none(), st.booleans())),
    st.integers(0, 8),
    st.floats(0, 4e9),
)
def test_no_other_cell_is_touched(cells: list, at: int, now: float) -> None:
    held = {"metadata": {"creationTimestamp": CREATED_AT, "labels": {"é": "ü"}}}
    row = json.dumps({"cells": cells, "object": held}).encode()
    found = json.loads(aged(row, at, now=now))
    assert found["object"] == held
    assert len(found["cells"]) == len(cells)
    for index, cell in enumerate(cells):
        assert index == at or found["cells"][index] == cell
