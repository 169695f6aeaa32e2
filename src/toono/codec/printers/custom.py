# SPDX-License-Identifier: Apache-2.0
"""Custom resources: the columns that their definition names, else their age.

The definition is that of apiextensions.k8s.io/v1, as JSON. A column that cannot be
read ends the list of columns, as in the API server; it is validated on creation, so
this happens to damaged definitions alone.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from toono.codec.printers.ages import age, parse_time
from toono.codec.printers.base import (
    NAME_COLUMN,
    Cell,
    Column,
    Printer,
    name_of,
)
from toono.codec.printers.descriptions import CREATED
from toono.codec.printers.floats import json_number, text_number
from toono.codec.printers.jsonpath import JSONPath, parse_path
from toono.codec.printers.reading import Json, entries, number, text
from toono.errors import CodecError

_DEFAULT: Json = {
    "name": "Age",
    "type": "date",
    "description": CREATED,
    "jsonPath": ".metadata.creationTimestamp",
}
_INT64 = 1 << 63


def custom_printer(definition: Json, version: str) -> Printer:
    """Return the printer of one served version of a CustomResourceDefinition."""
    named: list[Json] = []
    for one in entries(definition, "spec", "versions"):
        if text(one, "name") == version:
            named = entries(one, "additionalPrinterColumns")
    columns: list[Column] = []
    paths: list[JSONPath] = []
    for one in named or [_DEFAULT]:
        try:
            paths.append(parse_path(text(one, "jsonPath")))
        except CodecError:
            break
        columns.append(_column(one))
    pairs = tuple(zip(columns, paths, strict=True))

    def cells(obj: Json, now: float) -> list[Cell]:
        return [name_of(obj), *(_cell(obj, *pair, now) for pair in pairs)]

    return Printer((NAME_COLUMN, *columns), cells)


def _column(one: Json) -> Column:
    path = text(one, "jsonPath")
    words = f"Custom resource definition column (in JSONPath format): {path}"
    return Column(
        text(one, "name"),
        text(one, "type"),
        text(one, "format"),
        text(one, "description") or words,
        number(one, "priority"),
    )


def _cell(obj: Json, column: Column, path: JSONPath, now: float) -> Cell:
    try:
        found, value = path.first(obj)
        if column.type == "string":
            return _text(value) if found else None
    except RecursionError:
        return None
    match column.type:
        case "integer":
            return _integer(value)
        case "number":
            return float(value) if _is_number(value) else None
        case "boolean":
            return value if isinstance(value, bool) else None
        case "date":
            return _date(value, now)
        case _:
            return None


def _text(value: Any) -> str:
    """Return a value as Go prints it; objects and lists as JSON with sorted keys."""
    match value:
        case str():
            return value
        case None:
            return "<no value>"
        case float():
            return text_number(value)
        case int() if abs(value) >= _INT64:
            return text_number(float(value)) if _is_number(value) else ""
        case _:
            return _json(value).translate(_HTML)


def _json(value: Any) -> str:
    """Return a value as Go's encoder writes it, keys sorted."""
    match value:
        case dict():
            pairs = (f"{_json(key)}:{_json(value[key])}" for key in sorted(value))
            return f"{{{','.join(pairs)}}}"
        case list():
            return f"[{','.join(map(_json, value))}]"
        case float():
            return json_number(value)
        case _:
            return msgspec.json.encode(value).decode()


_HTML: Mapping[int, str] = {ord(one): f"\\u{ord(one):04x}" for one in "<>&\u2028\u2029"}


def _integer(value: Any) -> int | None:
    if not _is_number(value):
        return None
    whole = int(value)
    return whole if -_INT64 <= whole < _INT64 else None


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return isinstance(value, float) or abs(value) < _MAX_DOUBLE


_MAX_DOUBLE = 1 << 1023


def _date(value: Any, now: float) -> str | None:
    if not isinstance(value, str):
        return None
    if value in ("", "null"):
        return age("", now)
    return "<invalid>" if parse_time(value) is None else age(value, now)
