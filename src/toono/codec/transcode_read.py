# SPDX-License-Identifier: Apache-2.0
"""Protobuf -> the Struct of a message: what Go's generated Unmarshal would hold.

Fields must come as Go writes them: by rising numbers, each once unless repeated, none
unknown. Nothing is dropped in silence: what has no place in JSON is CodecError.
"""

from collections.abc import Callable
from decimal import Decimal
from functools import cache
from math import isfinite
from struct import unpack
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from toono.codec import transcode_forms as forms
from toono.codec.json_strict import check
from toono.codec.json_strict import read as strictly
from toono.codec.schema import Field, fields_of
from toono.codec.transcode_times import read_micro_time, read_time
from toono.codec.wireformat import BYTES, VARINT, signed, tag_of, text, walk
from toono.errors import CodecError

Value = Callable[[bytes, int, int, int], Any]
"""Turns a field's content [a, b) at a depth into what its Struct holds."""

_ONE, _MANY, _MAP = range(3)


class _Step(NamedTuple):
    """What to do with one field of a message."""

    attribute: str
    mode: int
    omit_empty: bool
    value: Value


class _Plan(NamedTuple):
    """How to read a message."""

    form: type[msgspec.Struct]
    steps: dict[int, _Step]
    """By tag, as the rest."""
    inlined: dict[int, "_Plan"]
    zero: dict[str, Any]
    """What the Struct holds where a field is not on the wire."""


def read(message: str, buffer: bytes, start: int, end: int, depth: int) -> Any:
    """Return the Struct of the message in [start, end); CodecError where it is none."""
    plan = _plan(message)
    values = plan.zero.copy()
    _fill(values, plan, buffer, start, end, depth)
    return plan.form(**values)


def _fill(
    values: dict[str, Any], plan: _Plan, buffer: bytes, start: int, end: int, depth: int
) -> None:
    if depth > forms.MAX_DEPTH:
        raise CodecError(f"more than {forms.MAX_DEPTH} messages within each other")
    last = 0
    steps = plan.steps
    for tag, a, b in walk(buffer, start, end):
        step = steps.get(tag)
        if tag <= last and (tag < last or step is None or step.mode == _ONE):
            raise CodecError(f"field {tag >> 3} is not where API servers write it")
        last = tag
        if step is None:
            _fill(values, _inlined(plan, tag), buffer, a, b, depth + 1)
            continue
        attribute, mode, omit_empty, value = step
        found = value(buffer, a, b, depth)
        if mode == _ONE:
            if found or not omit_empty:
                values[attribute] = found
        elif mode == _MAP:
            _insert(values, attribute, *found)
        elif items := values.get(attribute):
            items.append(found)
        else:
            values[attribute] = [found]


def _inlined(plan: _Plan, tag: int) -> _Plan:
    found = plan.inlined.get(tag)
    if found is None:
        name = plan.form.__name__
        raise CodecError(f"{name} has a field {tag >> 3} that is unknown here")
    return found


def _insert(values: dict[str, Any], attribute: str, key: str, value: Any) -> None:
    entries = values.get(attribute) or {}
    if key in entries:
        raise CodecError(f"a map has {key!r} twice")
    entries[key] = value
    values[attribute] = entries


# -- plans ---------------------------------------------------------------------


@cache
def _plan(message: str) -> _Plan:
    plan = _Plan(forms.form_of(message), {}, {}, {})
    for field in fields_of(message):
        if field.inline:
            inner = plan.inlined[tag_of(field.number)] = _plan(field.type)
            plan.zero.update(inner.zero)
            continue
        attribute = forms.attribute(field)
        step = _Step(attribute, _mode(field), _is_omitted(field), _value(field))
        plan.steps[tag_of(field.number, _wire_type(field))] = step
        if not field.omit_empty or forms.stays(field):
            plan.zero[attribute] = _zero(field)
    return plan


def _mode(field: Field) -> int:
    return _MAP if field.map else _MANY if field.repeated else _ONE


def _wire_type(field: Field) -> int:
    return BYTES if field.map else forms.WIRE_TYPES.get(field.type, BYTES)


def _is_omitted(field: Field) -> bool:
    """Say whether an empty value is left out, though it is on the wire."""
    return field.omit_empty and not field.pointer and not forms.stays(field)


def _zero(field: Field) -> Any:
    """Return what JSON has for a field that is not on the wire."""
    if field.repeated or field.map or field.pointer or field.type == "bytes":
        return None
    if forms.WIRE_TYPES.get(field.type) == VARINT:
        return field.type != "bool" and 0
    return _value(field)(b"", 0, 0, 0)


def _value(field: Field) -> Value:
    value = _LEAVES.get(field.type) or _message(field.type)
    return _entry(value) if field.map else value


def _message(message: str) -> Value:
    def read_message(buffer: bytes, start: int, end: int, depth: int) -> Any:
        return read(message, buffer, start, end, depth + 1)

    return read_message


def _entry(value: Value) -> Value:
    def read_entry(buffer: bytes, start: int, end: int, depth: int) -> tuple[str, Any]:
        places = _places(buffer, start, end, tag_of(2))
        key = text(buffer, *places.get(tag_of(1), _NOWHERE))
        return key, value(buffer, *places.get(tag_of(2), _NOWHERE), depth)

    return read_entry


# -- leaves --------------------------------------------------------------------


_NOWHERE = (0, 0)


def _places(
    buffer: bytes, start: int, end: int, last: int
) -> dict[int, tuple[int, int]]:
    """Return where the fields of a small message are; each once, none after `last`."""
    found: dict[int, tuple[int, int]] = {}
    before = 0
    for tag, a, b in walk(buffer, start, end):
        if not before < tag <= last:
            raise CodecError(f"field {tag >> 3} is not where API servers write it")
        found[tag] = (a, b)
        before = tag
    return found


def _read_text(buffer: bytes, start: int, end: int, depth: int) -> str:
    return text(buffer, start, end)


def _read_bytes(buffer: bytes, start: int, end: int, depth: int) -> bytes:
    return buffer[start:end]


def _read_bool(buffer: bytes, value: int, end: int, depth: int) -> bool:
    if value > 1:
        raise CodecError(f"{value} is no bool")
    return value == 1


def _read_int32(buffer: bytes, value: int, end: int, depth: int) -> int:
    number = signed(value)
    if not -(1 << 31) <= number < 1 << 31:
        raise CodecError(f"{number} is no int32")
    return number


def _read_int64(buffer: bytes, value: int, end: int, depth: int) -> int:
    return signed(value)


def _read_float(buffer: bytes, start: int, end: int, depth: int) -> Raw:
    (number,) = unpack("<d", buffer[start:end])
    if not isfinite(number):
        raise CodecError(f"JSON has no {number}")
    return Raw(go_float(number).encode())


def go_float(number: float) -> str:
    """Return a float64 as Go's encoding/json writes it."""
    shortest = repr(number)
    if number and not 1e-6 <= abs(number) < 1e21:
        return shortest.replace("e-0", "e-")
    return format(Decimal(shortest), "f").removesuffix(".0")


def _read_strings(buffer: bytes, start: int, end: int, depth: int) -> list[str]:
    found = []
    for tag, a, b in walk(buffer, start, end):
        if tag != tag_of(1):
            raise CodecError("a list of strings with more than strings")
        found.append(text(buffer, a, b))
    return found


def _read_quantity(buffer: bytes, start: int, end: int, depth: int) -> str:
    place = _places(buffer, start, end, tag_of(1)).get(tag_of(1))
    return text(buffer, *place) if place else "0"


def _read_int_or_string(buffer: bytes, start: int, end: int, depth: int) -> int | str:
    found = _places(buffer, start, end, tag_of(3))
    kind = found.pop(tag_of(1, VARINT), _NOWHERE)[0]
    number = _read_int32(buffer, *found.pop(tag_of(2, VARINT), _NOWHERE), depth)
    string = text(buffer, *found.pop(tag_of(3), _NOWHERE))
    if found or kind > 1 or (number if kind else string):
        raise CodecError("an IntOrString that is neither or both")
    return string if kind else number


def _read_raw(buffer: bytes, start: int, end: int, depth: int) -> Raw | None:
    """Return raw JSON without white space, as Go embeds it."""
    place = _places(buffer, start, end, tag_of(1)).get(tag_of(1))
    if place is None:
        return None
    raw = buffer[slice(*place)]
    check(raw)
    return Raw(strictly(_compact, raw))


def _compact(raw: bytes) -> bytes:
    return msgspec.json.format(raw, indent=-1)


# -- schemas in a CustomResourceDefinition -------------------------------------


def _read_or_bool(buffer: bytes, start: int, end: int, depth: int) -> Any:
    found = _places(buffer, start, end, tag_of(2))
    allows = _read_bool(buffer, *found.pop(tag_of(1, VARINT), _NOWHERE), depth)
    place = found.pop(tag_of(2), None)
    if found:
        raise CodecError("a schema or bool with more than both")
    return (
        allows if place is None else read(forms.JSON_SCHEMA, buffer, *place, depth + 1)
    )


def _read_or_array(buffer: bytes, start: int, end: int, depth: int) -> Any:
    return _schema_or(_message(forms.JSON_SCHEMA), buffer, start, end, depth)


def _read_or_strings(buffer: bytes, start: int, end: int, depth: int) -> Any:
    return _schema_or(_read_text, buffer, start, end, depth)


def _schema_or(item: Value, buffer: bytes, start: int, end: int, depth: int) -> Any:
    """Return the schema of field 1 or the items of field 2, None for neither."""
    schema: Any = None
    items: list[Any] = []
    for tag, a, b in walk(buffer, start, end):
        if tag == tag_of(1) and schema is None and not items:
            schema = read(forms.JSON_SCHEMA, buffer, a, b, depth + 1)
        elif tag == tag_of(2) and schema is None:
            items.append(item(buffer, a, b, depth))
        else:
            raise CodecError("a schema or list that is both")
    return items or schema


_LEAVES: dict[str, Value] = {
    "string": _read_text,
    "bytes": _read_bytes,
    "bool": _read_bool,
    "int32": _read_int32,
    "int64": _read_int64,
    "float64": _read_float,
    "list:string": _read_strings,
    forms.TIME: read_time,
    forms.MICRO_TIME: read_micro_time,
    forms.QUANTITY: _read_quantity,
    forms.INT_OR_STRING: _read_int_or_string,
    **dict.fromkeys(forms.RAW_JSON, _read_raw),
    forms.OR_BOOL: _read_or_bool,
    forms.OR_ARRAY: _read_or_array,
    forms.OR_STRINGS: _read_or_strings,
}
