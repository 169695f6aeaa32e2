# SPDX-License-Identifier: Apache-2.0
"""The forms that rows are kept in: whole objects, their metadata alone, rows of Tables.

A form is part of a scope's question: metadata never overwrites whole objects, nor is
one list made of both. It is written as a media type, with what the object was turned
into behind it: `application/json;as=PartialObjectMetadata`.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, TypeVar

from toono.codec.base import Codec, ListParts, Object, Single
from toono.codec.partial import KIND
from toono.codec.printers.base import NoRows
from toono.codec.registry import for_media_type
from toono.codec.table_rows import Row, SeenTable, object_of, row_of, split_table
from toono.errors import CodecError

JSON = "application/json"
PROTOBUF = "application/vnd.kubernetes.protobuf"
PARTIAL = KIND
TABLE = "Table"
_AS = ";as="
T = TypeVar("T")
_TABLE_HEAD = b'{"kind":"Table",'


class Reader(Protocol):
    """Reads of a row what selectors ask for."""

    def labels(self, data: bytes) -> Mapping[str, str]: ...

    def field(self, data: bytes, path: str, *, kind: str, api_version: str) -> str: ...


class Columns(NamedTuple):
    """What a Table tells beside its rows."""

    definitions: bytes
    no_rows: NoRows


def form_of(media_type: str, kind: str) -> str:
    """Return the form of an answer by its media type and its kind (or its list's)."""
    kind = kind.removesuffix("List")
    return media_type + _AS + kind if kind in (PARTIAL, TABLE) else media_type


def split_form(form: str) -> tuple[str, str]:
    """Return (media type, PartialObjectMetadata or Table or empty)."""
    media_type, _, as_kind = form.partition(_AS)
    return media_type, as_kind


def reader_of(form: str) -> Reader:
    """Return who reads labels and fields of rows in `form`."""
    media_type, as_kind = split_form(form)
    if as_kind == TABLE:
        return _TABLE_ROWS
    codec = for_media_type(media_type)
    assert codec is not None
    return codec


def is_table(body: bytes) -> bool:
    """Say whether an answer is a Table as API servers write one."""
    return body.startswith(_TABLE_HEAD)


def read_list(
    codec: Codec, body: bytes, *, objects: bool
) -> tuple[ListParts, Columns | None]:
    """Take the answer to a list apart, whichever form it came in.

    `objects` says that rows of a Table were asked for with their whole objects: then
    those are what is kept, and a Table is computed of them like of any other.
    """
    if not is_table(body):
        return codec.split_list(body), None
    return (_objects_of(codec, body), None) if objects else read_table(body)


def read_one(
    codec: Codec, body: bytes, *, objects: bool
) -> tuple[Single, Columns | None]:
    """Take the answer apart that holds one object: itself, or a Table of one row."""
    if not is_table(body):
        return codec.read_single(body), None
    if not objects:
        return read_table_of_one(body)
    row = _only(split_table(body).rows)
    return codec.read_single(object_of(row.data)), None


def read_table(body: bytes) -> tuple[ListParts, Columns]:
    """Take a Table apart as a list whose items are rows; CodecError where it is none.

    A row that does not say which object it shows, at which version, cannot be kept.
    """
    table = split_table(body)
    parts = ListParts(
        TABLE,
        f"meta.k8s.io/{table.version}",
        "typed",
        table.page.resource_version,
        table.page.continue_token,
        [_object(row) for row in table.rows],
    )
    return parts, Columns(table.columns, table.no_rows)


def read_table_of_one(body: bytes) -> tuple[Single, Columns]:
    """Take the Table apart that answers a GET by name."""
    parts, columns = read_table(body)
    return Single(TABLE, parts.api_version, "typed", _only(parts.items)), columns


def _only(rows: Sequence[T]) -> T:
    if len(rows) != 1:
        raise CodecError(f"a Table of {len(rows)} rows for one object")
    return rows[0]


def _objects_of(codec: Codec, body: bytes) -> ListParts:
    """Return the list whose objects a Table's rows hold; of no rows, one of no kind."""
    table: SeenTable = split_table(body)
    found = [codec.read_single(object_of(row.data)) for row in table.rows]
    kinds = {(one.kind, one.api_version, one.style) for one in found}
    if len(kinds) > 1:
        raise CodecError("a Table of objects of several kinds")
    kind, api_version, style = kinds.pop() if kinds else ("", "", "typed")
    return ListParts(
        kind and f"{kind}List",
        api_version,
        style,
        table.page.resource_version,
        table.page.continue_token,
        [one.object for one in found],
    )


def _object(row: Row) -> Object:
    if row.labels is None or not row.name or not row.resource_version:
        raise CodecError("a row of a Table that names no object")
    return Object(
        row.namespace, row.name, row.uid, row.resource_version, False, row.data
    )


class _TableRows:
    """Reads rows of a Table: the metadata that is in them."""

    def labels(self, data: bytes) -> Mapping[str, str]:
        labels = row_of(data).labels
        if labels is None:
            raise CodecError("a row of a Table without metadata has no labels to ask")
        return labels

    def field(self, data: bytes, path: str, *, kind: str, api_version: str) -> str:
        row = row_of(data)
        known = {"metadata.name": row.name, "metadata.namespace": row.namespace}
        if path not in known:
            raise CodecError(f"a row of a Table does not tell {path}")
        return known[path]


_TABLE_ROWS = _TableRows()
