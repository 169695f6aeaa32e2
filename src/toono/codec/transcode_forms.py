# SPDX-License-Identifier: Apache-2.0
"""What an object is between its two wire formats: a msgspec Struct made per message.

A Struct has the fields of a message in the order in which Go declares them, hence in
that of an API server's JSON; fields of inlined messages stand among them. What is
left out of JSON is UNSET, what is null there is None. msgspec then reads and writes
JSON, refuses unknown fields and wrong types, and keeps raw JSON as it is.
"""

import re
from collections.abc import Iterator
from functools import cache
from types import GenericAlias
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from toono.codec.schema import Field, fields_of
from toono.codec.wireformat import BYTES, FIXED64, VARINT

MAX_DEPTH = 64
"""Of messages in messages. Only schemas in a CustomResourceDefinition nest at will;
an object property costs one level there, and Python a few stack frames a level."""

TIME, MICRO_TIME = "meta.v1.Time", "meta.v1.MicroTime"
QUANTITY, INT_OR_STRING = "api.resource.Quantity", "util.intstr.IntOrString"
RAW_JSON = frozenset(
    {"pkg.runtime.RawExtension", "meta.v1.FieldsV1", "apiextensions.v1.JSON"}
)
JSON_SCHEMA = "apiextensions.v1.JSONSchemaProps"
OR_ARRAY, OR_BOOL, OR_STRINGS = (
    JSON_SCHEMA + name for name in ("OrArray", "OrBool", "OrStringArray")
)
_NULL_IN_MAPS = frozenset({"bytes", "list:string", TIME})
"""A nil slice or zero time is null."""
KEPT_RAW = RAW_JSON | {JSON_SCHEMA, OR_ARRAY, OR_BOOL, OR_STRINGS}
"""Not decoded with the message around them. A schema's turn comes when it is written:
it may hold itself, and depth is counted then."""

_Int32 = Annotated[int, Meta(ge=-(1 << 31), le=(1 << 31) - 1)]
_Int64 = Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
_LEAVES: dict[str, Any] = {
    "string": str,
    "bytes": bytes,
    "bool": bool,
    "int32": _Int32,
    "int64": _Int64,
    "float64": float,
    "list:string": list[str],
    TIME: str,
    MICRO_TIME: str,
    QUANTITY: str,
    INT_OR_STRING: _Int32 | str,
    **dict.fromkeys(KEPT_RAW, Raw),
}
WIRE_TYPES = {
    "string": BYTES,
    "bytes": BYTES,
    "bool": VARINT,
    "int32": VARINT,
    "int64": VARINT,
    "float64": FIXED64,
}
"""Of scalars; everything else is a message."""
_OMIT_ZERO = frozenset({("creationTimestamp", TIME)})
"""`omitzero` in Go since 1.34: left out though it is no pointer."""


def is_message(field: Field) -> bool:
    """Say whether a field is a message of the schema, with fields of its own."""
    return field.type not in _LEAVES


def stays(field: Field) -> bool:
    """Say whether a field is in JSON even when it is not on the wire.

    Go's omitempty leaves no struct out, only `omitzero` does.
    """
    if field.pointer or field.repeated or field.map or field.type in WIRE_TYPES:
        return False
    return (field.name, field.type) not in _OMIT_ZERO


@cache
def form_of(message: str) -> type[msgspec.Struct]:
    """Return the Struct of a message."""
    return msgspec.defstruct(
        re.sub(r"\W", "_", message),
        [_member(field) for field in _flat(message)],
        kw_only=True,
        gc=False,
        forbid_unknown_fields=True,
    )


@cache
def decoder_of(message: str) -> msgspec.json.Decoder[Any]:
    """Return the decoder of a message's JSON."""
    return msgspec.json.Decoder(form_of(message))


def attribute(field: Field) -> str:
    """Return the attribute that holds a field: `$ref` -> `_ref_`."""
    return re.sub(r"\W", "_", field.name) + "_"


def _flat(message: str) -> Iterator[Field]:
    """Yield the fields of a message's JSON object."""
    for field in fields_of(message):
        if field.inline:
            yield from _flat(field.type)
        else:
            yield field


def _member(field: Field) -> tuple[str, Any, Any]:
    kind: Any = form_of(field.type) if is_message(field) else _LEAVES[field.type]
    if field.repeated:
        kind = GenericAlias(list, kind)
    elif field.map:
        value = kind | None if field.type in _NULL_IN_MAPS else kind
        kind = GenericAlias(dict, (str, value))
    optional = kind | UnsetType if kind is Raw else kind | UnsetType | None
    return attribute(field), optional, msgspec.field(name=field.name, default=UNSET)
