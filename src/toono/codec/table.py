# SPDX-License-Identifier: Apache-2.0
"""Tables as `kubectl get` asks for them: rows computed from full objects.

A row is bytes: cells, then what `includeObject` wants of the object. Objects come as
stored JSON (protobuf is transcoded before); whatever they hold, a row comes out with
what can be shown, because one odd object must not hide all others. Which columns and
cells a kind has, `toono.codec.printers` knows; what the time is, the caller.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from toono.codec.base import Style
from toono.codec.json import END_ANNOTATION
from toono.codec.json_strict import read
from toono.codec.page import Page, page_json
from toono.codec.partial import (
    KIND,
    MetaVersion,
    api_version_of,
    json_metadata,
)
from toono.codec.printers.base import Cell, Column, NoRows, Printer, RowCondition
from toono.codec.printers.floats import json_number
from toono.codec.printers.reading import Json
from toono.errors import CodecError

IncludeObject = Literal["None", "Metadata", "Object"]
_END_NOTE = f',"annotations":{{"{END_ANNOTATION}":"true"}}'.encode()


class TableForm(NamedTuple):
    """Which Table a client asked for."""

    version: MetaVersion = "v1"
    include: IncludeObject = "Metadata"


class Kind(NamedTuple):
    """What the objects of the rows are."""

    kind: str
    api_version: str
    style: Style = "typed"


def write_columns(columns: Sequence[Column]) -> bytes:
    """Return columnDefinitions."""
    return _escaped(msgspec.json.encode(columns))


def write_row(
    data: bytes, printer: Printer, *, of: Kind, form: TableForm, now: float
) -> bytes:
    """Return the row of one stored object; what cannot be read is shown as unset."""
    obj, data = _decoded(data)
    cells = b",".join(map(_cell, printer.cells(obj, now)))
    condition = printer.condition(obj)
    return b'{"cells":[%b]%b,"object":%b}' % (
        cells,
        b"" if condition is None else _condition(condition),
        _included(data, of=of, form=form),
    )


def join_table(
    rows: Iterable[bytes],
    page: Page,
    *,
    columns: bytes,
    version: MetaVersion,
    no_rows: NoRows = "[]",
) -> list[bytes]:
    """Return pieces that join to the answer to a GET or LIST.

    `columns` comes from `write_columns` or from a Table seen online; a GET's page
    names the version of its object.
    """
    content = b"[%b]" % b",".join(rows)
    if content == b"[]":
        content = no_rows.encode()
    return [*_table(content, page, columns=columns, version=version), b"\n"]


def write_table_event(
    row: bytes,
    *,
    event_type: str,
    resource_version: str,
    columns: bytes | None,
    version: MetaVersion,
) -> bytes:
    """Return the frame of a watch event; only a stream's first carries columns."""
    table = _table(
        b"[%b]" % row,
        Page(resource_version),
        columns=b"null" if columns is None else columns,
        version=version,
    )
    return b'{"type":"%b","object":%b}\n' % (event_type.encode(), b"".join(table))


def write_table_bookmark(
    resource_version: str,
    printer: Printer,
    *,
    initial_events_end: bool,
    columns: bytes | None,
    of: Kind,
    form: TableForm,
    now: float,
) -> bytes:
    """Return the frame of a bookmark: a row of an object that has only a version.

    The annotation that ends a burst stands in the row's object, as it does in a
    bookmark of the resource's own kind.
    """
    text = msgspec.json.encode(resource_version)
    data = b'{"metadata":{"resourceVersion":%b%b}}' % (
        text,
        _END_NOTE if initial_events_end else b"",
    )
    row = write_row(data, printer, of=of._replace(style="typed"), form=form, now=now)
    return write_table_event(
        row,
        event_type="BOOKMARK",
        resource_version=resource_version,
        columns=columns,
        version=form.version,
    )


def _table(
    rows: bytes, page: Page, *, columns: bytes, version: MetaVersion
) -> list[bytes]:
    head = f'{{"kind":"Table","apiVersion":"{api_version_of(version)}","metadata":'
    return [
        head.encode(),
        page_json(page),
        b',"columnDefinitions":',
        columns,
        b',"rows":',
        rows,
        b"}",
    ]


_NOTHING = b'{"metadata":{}}'


def _decoded(data: bytes) -> tuple[Json, bytes]:
    """Return an object and its bytes; an empty one where they are not as stored."""
    if not data.startswith(b'{"'):
        return {}, _NOTHING
    try:
        return read(_decode, data), data
    except CodecError:
        return {}, _NOTHING


def _included(data: bytes, *, of: Kind, form: TableForm) -> bytes:
    if form.include == "None":
        return b"null"
    if form.include == "Object" and of.style == "unstructured":
        return data
    kind, api_version = of.kind, of.api_version
    if form.include == "Metadata":
        kind, api_version = KIND, api_version_of(form.version)
        data = b'{"metadata":%b}' % _metadata(data, style=of.style)
    return b'{"kind":"%b","apiVersion":"%b",%b' % (
        kind.encode(),
        api_version.encode(),
        data[1:],
    )


def _metadata(data: bytes, *, style: Style) -> bytes:
    try:
        return json_metadata(data, style=style)
    except CodecError:
        return b"{}"


def _condition(condition: RowCondition) -> bytes:
    text = f'"type":"{condition.type}","status":"True","reason":"{condition.reason}"'
    message = f'"message":"{condition.message}"'
    return f',"conditions":[{{{text},{message}}}]'.encode()


def _cell(cell: Cell) -> bytes:
    if isinstance(cell, str):
        return _escaped(msgspec.json.encode(cell))
    if isinstance(cell, float):
        return json_number(cell).encode()
    return msgspec.json.encode(cell)


_UNSAFE = (
    (b"&", b"\\u0026"),
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    ("\u2028".encode(), b"\\u2028"),
    ("\u2029".encode(), b"\\u2029"),
)


def _escaped(text: bytes) -> bytes:
    """Return JSON with what Go's encoder escapes so that HTML may hold it."""
    for character, escape in _UNSAFE:
        text = text.replace(character, escape)
    return text


_decode = msgspec.json.Decoder(dict[str, Any]).decode
