# SPDX-License-Identifier: Apache-2.0
"""Recorded Tables taken apart and joined again are the same bytes."""

import json

import msgspec
import pytest
from tests.contract.recordings import Recording, connections, recording, recordings

from toono.codec.json_frames import JSONFrames
from toono.codec.table import join_table, write_table_event
from toono.codec.table_rows import (
    SeenTable,
    split_table,
    without_object,
)

TABLES = [
    one
    for one in (*recordings(), *connections())
    if one.status == 200 and one.body.startswith(b'{"kind":"Table"')
]


def joined(table: SeenTable) -> bytes:
    pieces = join_table(
        [row.data for row in table.rows],
        table.page,
        columns=table.columns,
        version=table.version,
        no_rows=table.no_rows,
    )
    return b"".join(pieces)


def test_there_are_tables():
    assert len(TABLES) >= 16


@pytest.mark.parametrize("one", TABLES, ids=lambda one: one.name)
def test_table_comes_out_as_it_came_in(one: Recording):
    table = split_table(one.body)
    assert joined(table) == one.body
    for row, shown in zip(table.rows, json.loads(one.body)["rows"] or [], strict=True):
        assert row.name == shown["cells"][0]
        meta = (shown["object"] or {}).get("metadata")
        if meta is None:
            assert row[:5] == ("", row.name, "", "", None)
            continue
        assert row.namespace == meta.get("namespace", "")
        assert row.uid == meta["uid"]
        assert row.resource_version == meta["resourceVersion"]
        assert row.labels == meta.get("labels", {})


def test_chunks_keep_what_follows_them():
    first = next(one for one in TABLES if one.name.endswith("kubectl-chunk-001-0"))
    page = split_table(first.body).page
    assert page.continue_token
    assert page.remaining is not None


def test_rows_without_their_object_equal_the_recorded_ones():
    table = split_table(recording("list-pods-table").body)
    bare = split_table(recording("list-pods-table-none").body)
    rows = [
        without_object(one.data) for one in table.rows if one.namespace == "default"
    ]
    assert rows == [one.data for one in bare.rows]


class Frame(msgspec.Struct):
    type: str
    object: "Table"


class Table(msgspec.Struct, rename="camel"):
    metadata: dict[str, str]
    column_definitions: msgspec.Raw
    rows: list[msgspec.Raw]


def test_watch_comes_out_as_it_came_in():
    types = []
    for frame in JSONFrames().feed(recording("watch-pods-table").body):
        event = msgspec.json.decode(frame, type=Frame)
        types.append(event.type)
        written = write_table_event(
            bytes(event.object.rows[0]),
            event_type=event.type,
            resource_version=event.object.metadata["resourceVersion"],
            columns=bytes(event.object.column_definitions),
            version="v1",
        )
        assert written == frame
    assert types[:4] == ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]
    assert "BOOKMARK" in types
