# SPDX-License-Identifier: Apache-2.0
import json
import math

import pytest

from toono.codec.json import JSONCodec
from toono.codec.json_frames import JSONFrames
from toono.codec.page import Page
from toono.codec.printers.base import Column, Printer, RowCondition
from toono.codec.table import (
    Kind,
    TableForm,
    join_table,
    write_columns,
    write_row,
    write_table_bookmark,
    write_table_event,
)

POD = b'{"metadata":{"name":"a","labels":{"x":"y"}},"spec":{}}'
CUSTOM = b'{"apiVersion":"x/v1","kind":"T","metadata":{"name":"a","labels":{"x":"y"}}}'
METADATA = TableForm()
TYPED, UNTYPED = Kind("Pod", "v1"), Kind("T", "x/v1", "unstructured")


def printer(*cells) -> Printer:
    columns = tuple(Column(str(index)) for index in range(len(cells)))
    return Printer(columns, lambda _obj, _now: list(cells))


def row(data=POD, *cells, of=TYPED, form=METADATA, show=None) -> bytes:
    return write_row(data, show or printer(*cells), of=of, form=form, now=0.0)


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("a", b'"a"'),
        ('<&>\u2028\u2029"\\', rb'"\u003c\u0026\u003e\u2028\u2029\"\\"'),
        ("\u00fc\t", '"\u00fc\\t"'.encode()),
        (3, b"3"),
        (3.0, b"3"),
        (0.5, b"0.5"),
        (math.inf, b"null"),
        (True, b"true"),
        (None, b"null"),
    ],
)
def test_cells_are_written_as_go_does(cell, text):
    none = TableForm(include="None")
    assert row(POD, cell, form=none) == b'{"cells":[%b],"object":null}' % text


def test_the_printer_gets_the_object_and_the_time():
    seen = []
    show = Printer((), lambda obj, now: seen.append((obj, now)) or [])
    write_row(POD, show, of=TYPED, form=TableForm(), now=7.5)
    assert seen == [(json.loads(POD), 7.5)]


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
@pytest.mark.parametrize(("data", "of"), [(POD, TYPED), (CUSTOM, UNTYPED)])
def test_metadata_is_included_in_the_version_asked_for(version, data, of):
    found = row(data, of=of, form=TableForm(version))
    assert found == (
        b'{"cells":[],"object":{"kind":"PartialObjectMetadata","apiVersion":'
        b'"meta.k8s.io/%b","metadata":{"name":"a","labels":{"x":"y"}}}}'
        % version.encode()
    )


def test_the_object_is_included_as_a_get_has_it():
    form = TableForm(include="Object")
    found = json.loads(row(POD, form=form))["object"]
    assert list(found) == ["kind", "apiVersion", "metadata", "spec"]
    assert found == {"kind": "Pod", "apiVersion": "v1", **json.loads(POD)}
    assert row(CUSTOM, of=UNTYPED, form=form) == b'{"cells":[],"object":%b}' % CUSTOM


def test_conditions_stand_between_cells_and_object():
    condition = RowCondition("Completed", "Succeeded", "m")
    show = Printer((), lambda _obj, _now: [], lambda _obj: condition)
    assert row(form=TableForm(include="None"), show=show) == (
        b'{"cells":[],"conditions":[{"type":"Completed","status":"True",'
        b'"reason":"Succeeded","message":"m"}],"object":null}'
    )


@pytest.mark.parametrize("style", ["typed", "unstructured"])
@pytest.mark.parametrize("include", ["Metadata", "Object"])
@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[1]", b"{", b' {"a":1}', b'{"a":"\xff"}', b'{"a":1}}']
)
def test_what_is_no_stored_object_is_an_empty_one(data, include, style):
    seen = []
    show = Printer((), lambda obj, _now: seen.append(obj) or [])
    of, form = Kind("T", "v1", style), TableForm(include=include)
    found = json.loads(write_row(data, show, of=of, form=form, now=0.0))
    assert found["object"]["metadata"] == {}
    assert seen == [{}]


@pytest.mark.parametrize("style", ["typed", "unstructured"])
def test_metadata_that_is_none_is_empty(style):
    found = row(b'{"metadata":3,"spec":{}}', of=Kind("T", "v1", style))
    assert json.loads(found)["object"]["metadata"] == {}


def test_columns():
    found = write_columns((Column("A", "string", "", "<d>", 1), Column("B")))
    assert found == (
        rb'[{"name":"A","type":"string","format":"","description":"\u003cd\u003e",'
        rb'"priority":1},{"name":"B","type":"string","format":"","description":"",'
        rb'"priority":0}]'
    )


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_lists_say_what_follows(version):
    page = Page("7", "abc", 3)
    pieces = join_table([b"1", b"2"], page, columns=b"[]", version=version)
    assert b"".join(pieces).decode() == (
        f'{{"kind":"Table","apiVersion":"meta.k8s.io/{version}","metadata":'
        '{"resourceVersion":"7","continue":"abc","remainingItemCount":3},'
        '"columnDefinitions":[],"rows":[1,2]}\n'
    )


def test_empty_tables_are_those_of_the_printer():
    def empty(**more) -> bytes:
        return b"".join(join_table([], Page("7"), columns=b"[]", version="v1", **more))

    assert empty().endswith(b'"rows":[]}\n')
    assert empty(no_rows="null").endswith(b'"rows":null}\n')


def test_events_after_the_first_carry_no_columns():
    def event(columns) -> bytes:
        return write_table_event(
            b"{}",
            event_type="ADDED",
            resource_version="7",
            columns=columns,
            version="v1",
        )

    head = (
        b'{"type":"ADDED","object":{"kind":"Table","apiVersion":"meta.k8s.io/v1",'
        b'"metadata":{"resourceVersion":"7"},"columnDefinitions":'
    )
    assert event(b"[1]") == head + b'[1],"rows":[{}]}}\n'
    assert event(None) == head + b'null,"rows":[{}]}}\n'
    assert JSONFrames().feed(event(None)) == [event(None)]


@pytest.mark.parametrize("of", [TYPED, UNTYPED])
@pytest.mark.parametrize("ends", [True, False])
def test_bookmarks_are_rows_of_an_object_with_a_version_alone(of, ends):
    seen = []
    show = Printer((), lambda obj, _now: seen.append(obj) or [])
    frame = write_table_bookmark(
        "7",
        show,
        initial_events_end=ends,
        columns=None,
        of=of,
        form=TableForm(),
        now=0.0,
    )
    event = json.loads(frame)
    assert event["type"] == "BOOKMARK"
    assert event["object"]["metadata"] == {"resourceVersion": "7"}
    meta = event["object"]["rows"][0]["object"]["metadata"]
    notes = {"k8s.io/initial-events-end": "true"}
    assert meta == {"resourceVersion": "7", **({"annotations": notes} if ends else {})}
    assert seen == [{"metadata": meta}]


def test_bookmarks_may_carry_the_whole_object_and_the_columns():
    frame = write_table_bookmark(
        "7",
        printer(),
        initial_events_end=False,
        columns=b"[]",
        of=TYPED,
        form=TableForm("v1beta1", "Object"),
        now=0.0,
    )
    table = json.loads(frame)["object"]
    assert table["apiVersion"] == "meta.k8s.io/v1beta1"
    assert table["columnDefinitions"] == []
    assert table["rows"][0]["object"] == {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"resourceVersion": "7"},
    }


def test_rows_go_with_what_the_codec_stores():
    body = b'{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a","resourceVersion":"5"}}'
    single = JSONCodec().read_single(body)
    of = Kind(single.kind, single.api_version, single.style)
    found = row(single.object.data, of=of, form=TableForm(include="Object"))
    assert found == b'{"cells":[],"object":%b}' % body
