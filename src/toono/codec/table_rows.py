# SPDX-License-Identifier: Apache-2.0
"""A Table that was seen online: taken apart into rows, and joined again.

Rows stay bytes. What is read of a row is the metadata that `includeObject` left in
it; rows without (`includeObject=None`) have a name at best, from the column of format
"name", and no label selector can be asked of them. A Table that would not come out
byte for byte as it came in is refused: CodecError, and the caller does not keep it.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec
from msgspec import Raw

from toono.codec.json_strict import check, read
from toono.codec.page import Page
from toono.codec.partial import KIND, MetaVersion
from toono.codec.printers.base import NoRows
from toono.codec.table import join_table
from toono.errors import CodecError

_VERSIONS: Mapping[str, MetaVersion] = {
    "meta.k8s.io/v1": "v1",
    "meta.k8s.io/v1beta1": "v1beta1",
}


class Row(NamedTuple):
    """One row: what the hub reads of it, and its bytes."""

    namespace: str
    name: str
    uid: str
    resource_version: str
    labels: Mapping[str, str] | None
    """None where the row has no metadata."""
    data: bytes


class SeenTable(NamedTuple):
    """A Table, taken apart; joined again by `join_table`."""

    version: MetaVersion
    columns: bytes
    """columnDefinitions as they came; `null` in all but a watch's first event."""
    page: Page
    rows: Sequence[Row]
    no_rows: NoRows = "[]"


def split_table(body: bytes) -> SeenTable:
    """Take the answer to a GET or LIST apart."""
    check(body)
    table = _seen(body)
    pieces = join_table(
        (row.data for row in table.rows),
        table.page,
        columns=table.columns,
        version=table.version,
        no_rows=table.no_rows,
    )
    if b"".join(pieces) != body:
        raise CodecError("a Table that is not written as API servers do")
    return table


def row_of(data: bytes) -> Row:
    """Read the metadata in a row's bytes; a row without has neither name nor labels."""
    return _row(data, None)


def ordered(rows: Iterable[bytes], columns: bytes, *, by: str) -> list[bytes]:
    """Return rows by the number in a column; those of one number stay as they are.

    What has no such column, or no number in it, is last.
    """
    rows = list(rows)
    definitions = read(_decode_columns, columns) or ()
    at = next((n for n, one in enumerate(definitions) if one.name == by), None)
    if at is None:
        return rows

    def number(row: bytes) -> float:
        cells = read(_decode_cells, row).cells
        try:
            return float(bytes(cells[at])) if at < len(cells) else math.inf
        except ValueError:
            return math.inf

    return sorted(rows, key=number)


def without_object(row: bytes) -> bytes:
    """Return a row as `includeObject=None` wants it."""
    found = read(_decode_row, row)
    found.object = _NULL
    return msgspec.json.encode(found)


def metadata_of(row: bytes) -> bytes:
    """Return the stored form of the metadata that a row holds (`codec.partial`)."""
    included = read(_decode_part, row).object
    if included is None or included.kind != KIND:
        raise CodecError("a row of a Table without its object's metadata")
    return b'{"metadata":%b}' % bytes(included.metadata)


def object_of(row: bytes) -> bytes:
    """Return the whole object that a row holds, as the answer to a GET would."""
    included = read(_decode_row, row).object
    part = read(_decode_kind, bytes(included))
    if part is None or part.kind == KIND:
        raise CodecError("a row of a Table without its whole object")
    return bytes(included)


def _seen(content: bytes) -> SeenTable:
    table = read(_decode_table, content)
    version = _VERSIONS.get(table.api_version)
    if table.kind != "Table" or version is None:
        raise CodecError(f"a {table.api_version} {table.kind} is no Table")
    columns = bytes(table.column_definitions)
    at = _name_column(columns)
    meta = table.metadata
    page = Page(meta.resource_version, meta.continue_, meta.remaining_item_count)
    rows = [_row(bytes(one), at) for one in table.rows or ()]
    no_rows: NoRows = "null" if table.rows is None else "[]"
    return SeenTable(version, columns, page, rows, no_rows)


def _name_column(columns: bytes) -> int | None:
    definitions = read(_decode_columns, columns) or ()
    for index, one in enumerate(definitions):
        if one.format == "name":
            return index
    return None


def _row(data: bytes, name_at: int | None) -> Row:
    meta = _meta(data)
    if meta is not None:
        return Row(
            meta.namespace,
            meta.name,
            meta.uid,
            meta.resource_version,
            meta.labels or {},
            data,
        )
    cells = read(_decode_cells, data).cells
    name = ""
    if name_at is not None and name_at < len(cells):
        name = read(_decode_text, bytes(cells[name_at]))
    return Row("", name, "", "", None, data)


def _meta(data: bytes) -> "_Meta | None":
    included = read(_decode_included, data).object
    return None if included is None else included.metadata


_NULL = Raw(b"null")


class _ListMeta(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Strict: what is new here may say that the Table is not whole."""

    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")
    remaining_item_count: int | None = None


class _Table(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    kind: str
    api_version: str
    metadata: _ListMeta
    column_definitions: Raw
    rows: list[Raw] | None


class _Definition(msgspec.Struct):
    name: str = ""
    format: str = ""


class _Meta(msgspec.Struct, rename="camel", gc=False):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    labels: dict[str, str] | None = None


class _Included(msgspec.Struct):
    metadata: _Meta


class _OfObject(msgspec.Struct):
    object: _Included | None = None


class _Part(msgspec.Struct):
    kind: str
    metadata: Raw


class _OfKind(msgspec.Struct):
    kind: str


class _OfPart(msgspec.Struct):
    object: _Part | None = None


class _Cells(msgspec.Struct):
    cells: list[Raw]


class _Row(msgspec.Struct, forbid_unknown_fields=True):
    cells: Raw
    conditions: Raw | msgspec.UnsetType = msgspec.UNSET
    object: Raw = _NULL


_decode_table = msgspec.json.Decoder(_Table).decode
_decode_columns = msgspec.json.Decoder(list[_Definition] | None).decode
_decode_included = msgspec.json.Decoder(_OfObject).decode
_decode_kind = msgspec.json.Decoder(_OfKind | None).decode
_decode_part = msgspec.json.Decoder(_OfPart).decode
_decode_cells = msgspec.json.Decoder(_Cells).decode
_decode_row = msgspec.json.Decoder(_Row).decode
_decode_text = msgspec.json.Decoder(str).decode
