# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toono.codec.page import Page
from toono.codec.table import join_table
from toono.codec.table_rows import (
    Row,
    metadata_of,
    object_of,
    ordered,
    split_table,
    without_object,
)
from toono.errors import CodecError

COLUMNS = b'[{"name":"Age"},{"name":"Name","format":"name"}]'
ROW = (
    b'{"cells":["1s","a"],"object":{"kind":"PartialObjectMetadata","apiVersion":'
    b'"meta.k8s.io/v1","metadata":{"name":"a","namespace":"n","uid":"u",'
    b'"resourceVersion":"5","labels":{"app":"web"}}}}'
)
PAGE = Page("7")
BARE = b'{"cells":["1s","a"],"object":null}'


def table(*rows, columns=COLUMNS, page=PAGE, no_rows="[]", version="v1") -> bytes:
    return b"".join(
        join_table(rows, page, columns=columns, version=version, no_rows=no_rows)
    )


def test_rows_keep_their_bytes_and_tell_their_metadata():
    found = split_table(table(ROW, page=Page("7", "abc", 3)))
    assert found.rows == [Row("n", "a", "u", "5", {"app": "web"}, ROW)]
    assert found.page == Page("7", "abc", 3)
    assert (found.version, found.columns, found.no_rows) == ("v1", COLUMNS, "[]")


def test_rows_without_metadata_have_the_name_of_their_cell():
    (found,) = split_table(table(BARE, version="v1beta1")).rows
    assert found == Row("", "a", "", "", None, BARE)


@pytest.mark.parametrize("columns", [b"[]", b"null", b'[{},{},{"format":"name"}]'])
def test_rows_without_a_name_column_have_no_name(columns):
    (found,) = split_table(table(BARE, columns=columns)).rows
    assert found.name == ""


def test_empty_tables_remember_how_they_were_written():
    assert split_table(table(no_rows="null")).no_rows == "null"
    assert split_table(table()).no_rows == "[]"


def test_labels_may_be_absent():
    row = ROW.replace(b',"labels":{"app":"web"}', b"")
    assert split_table(table(row)).rows[0].labels == {}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"\xff",
        table(ROW)[:-1],
        table(ROW) + b" ",
        table(ROW).replace(b'"Table"', b'"PodList"'),
        table(ROW).replace(b"meta.k8s.io/v1", b"meta.k8s.io/v2", 1),
        table(ROW).replace(b'"rows"', b'"more":1,"rows"'),
        table(ROW).replace(b'{"resource', b'{"shardInfo":{},"resource'),
        table(ROW).replace(b'"columnDefinitions":', b'"columnDefinitions": '),
        table(ROW).replace(b'"rows":[', b'"rows":[ '),
        table(b"3"),
        table(b'{"object":null}'),
        table(b'{"cells":[1,2],"object":null}'),
        table(b'{"cells":[],"object":{"metadata":{"name":3}}}'),
        table(b'{"cells":[],"object":{}}'),
        table(ROW, columns=b"3"),
        table(b'{"cells":[1e999],"object":{"metadata":{}}}'),
    ],
)
def test_what_is_no_table_of_an_api_server_is_refused(body):
    with pytest.raises(CodecError):
        split_table(body)


@pytest.mark.parametrize(
    ("old", "new"), [(b"Table", b"Pod"), (b"meta.k8s.io/v1", b"meta.k8s.io/v2")]
)
def test_what_is_no_table_is_told_what_it_is(old, new):
    with pytest.raises(CodecError, match="is no Table"):
        split_table(table(ROW).replace(old, new, 1))


def test_objects_can_be_left_out():
    assert without_object(ROW) == BARE
    assert without_object(BARE) == BARE
    row = b'{"cells":[],"conditions":[{"type":"Completed"}],"object":{"metadata":{}}}'
    assert without_object(row) == (
        b'{"cells":[],"conditions":[{"type":"Completed"}],"object":null}'
    )


@pytest.mark.parametrize("row", [b"", b"3", b"{}", b'{"cells":[],"more":1}'])
def test_objects_of_what_is_no_row_cannot(row):
    with pytest.raises(CodecError):
        without_object(row)


@given(st.binary(max_size=40), st.integers(0, 400), st.integers(0, 40))
def test_damaged_tables_are_read_or_refused(noise, at, cut):
    whole = table(ROW, BARE)
    damaged = whole[:at] + noise + whole[at + cut :]
    try:
        found = split_table(damaged)
    except CodecError:
        return
    rows = [row.data for row in found.rows]
    again = join_table(
        rows,
        found.page,
        columns=found.columns,
        version=found.version,
        no_rows=found.no_rows,
    )
    assert b"".join(again) == damaged


def test_a_row_gives_the_metadata_that_it_holds() -> None:
    assert metadata_of(ROW) == (
        b'{"metadata":{"name":"a","namespace":"n","uid":"u","resourceVersion":"5",'
        b'"labels":{"app":"web"}}}'
    )
    for other in (BARE, b'{"cells":[]}', ROW.replace(b"PartialObjectMetadata", b"Pod")):
        with pytest.raises(CodecError, match="without its object"):
            metadata_of(other)


def test_a_row_gives_the_whole_object_that_it_holds() -> None:
    whole = b'{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"},"spec":{}}'
    assert object_of(b'{"cells":["a"],"object":%b}' % whole) == whole
    for other in (ROW, b'{"cells":["a"],"object":null}', b'{"cells":["a"]}'):
        with pytest.raises(CodecError):
            object_of(other)


def rank(name: str, *cells: str) -> bytes:
    return b'{"cells":["%b"%b],"object":null}' % (
        name.encode(),
        "".join(f",{one}" for one in cells).encode(),
    )


def test_rows_are_ordered_by_the_numbers_of_a_column() -> None:
    columns = b'[{"name":"Name","format":"name"},{"name":"Rank"}]'
    rows = [rank("a", "10"), rank("b"), rank("c", '"x"'), rank("d", "9")]
    rows.append(rank("e", "9"))
    found = ordered(iter(rows), columns, by="Rank")
    assert found == [rows[3], rows[4], rows[0], rows[1], rows[2]]
    assert ordered(iter(rows), columns, by="Other") == rows
    assert ordered(iter(rows), b"null", by="Rank") == rows
