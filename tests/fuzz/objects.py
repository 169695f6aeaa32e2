# SPDX-License-Identifier: Apache-2.0
"""Objects of any message of the schema, made at random, as values of their JSON."""

import base64
from collections.abc import Callable
from random import Random
from typing import Any

from toono.codec.schema import Field, fields_of

TEXTS = (
    "",
    "x",
    "0",
    "null",
    "<a href='&'>",
    'q"\\/\b\f\n\r\t\x00\x1f\x7f',
    "\u2028\u2029é",
    "漢字🙂",
    "k" * 127,
    "k" * 128,
    "k" * 300,
)
RAW = (
    {},
    [],
    {"f:metadata": {".": {}, "k:{}": [1, 2.5, None, True, "x<y"]}},
    "text",
    7,
)
MANY = 3
DEEP = 4


def an_object(random: Random, message: str, depth: int = 0) -> dict[str, Any]:
    """Return a random object of a message, with fewer fields the deeper it is."""
    found: dict[str, Any] = {}
    for field in fields_of(message):
        if field.inline:
            found.update(an_object(random, field.type, depth))
        elif random.random() < (0.6, 0.5, 0.4, 0.25, 0.1)[min(depth, DEEP)]:
            found[field.name] = _value(random, field, depth + 1)
    return found


def _value(random: Random, field: Field, depth: int) -> Any:
    def one() -> Any:
        leaf = LEAVES.get(field.type)
        if leaf is not None:
            return leaf(random)
        special = SCHEMAS.get(field.type)
        if special is not None:
            return special(random, depth)
        return an_object(random, field.type, depth)

    if random.random() < 0.1:
        return None
    if field.map:
        return {random.choice(TEXTS): one() for _ in range(random.randrange(MANY))}
    if field.repeated:
        return [one() for _ in range(random.randrange(MANY))]
    return one()


def _text(random: Random) -> str:
    return random.choice(TEXTS)


def _bytes(random: Random) -> str:
    return base64.b64encode(random.randbytes(random.randrange(5))).decode()


def _bool(random: Random) -> bool:
    return random.random() < 0.5


def _int32(random: Random) -> int:
    return random.choice((0, 1, -1, 127, 128, -(1 << 31), (1 << 31) - 1))


def _int64(random: Random) -> int:
    return random.choice((0, 1, -1, 1 << 53, (1 << 53) + 1, -(1 << 63), (1 << 63) - 1))


def _float(random: Random) -> float:
    return random.choice(
        # Not -0.0: of JSON's `-0` the sign is lost, and no limit of a schema changes.
        (0.0, 1.0, 0.1, 1e-6, 1e-7, 1e20, 1e21, -2.5e300, 5e-324)
    )


def _time(random: Random) -> str:
    return random.choice(
        ("1970-01-01T00:00:00Z", "0999-12-31T23:59:59Z", "2026-11-21T00:46:06Z")
    )


def _micro_time(random: Random) -> str:
    micros = random.choice(("000000", "000001", "120000", "999999"))
    return f"{_time(random)[:-1]}.{micros}Z"


def _quantity(random: Random) -> str:
    return random.choice(("0", "1", "100m", "64Mi", "-1500n", "12e6", "3584Mi"))


def _int_or_string(random: Random) -> int | str:
    return random.choice((_int32(random), _text(random)))


def _strings(random: Random) -> list[str]:
    return [_text(random) for _ in range(random.randrange(MANY))]


def _raw(random: Random) -> Any:
    return random.choice(RAW)


def _schema(random: Random, depth: int) -> dict[str, Any]:
    return an_object(random, "apiextensions.v1.JSONSchemaProps", depth + 1)


def _schema_or_bool(random: Random, depth: int) -> Any:
    return random.choice((True, False, _schema(random, depth)))


def _schema_or_schemas(random: Random, depth: int) -> Any:
    schema = _schema(random, depth)
    return random.choice((schema, [schema], [schema, {}]))


def _schema_or_strings(random: Random, depth: int) -> Any:
    return random.choice((_schema(random, depth), ["a", "b"]))


LEAVES: dict[str, Callable[[Random], Any]] = {
    "string": _text,
    "bytes": _bytes,
    "bool": _bool,
    "int32": _int32,
    "int64": _int64,
    "float64": _float,
    "list:string": _strings,
    "meta.v1.Time": _time,
    "meta.v1.MicroTime": _micro_time,
    "api.resource.Quantity": _quantity,
    "util.intstr.IntOrString": _int_or_string,
    "pkg.runtime.RawExtension": _raw,
    "meta.v1.FieldsV1": _raw,
    "apiextensions.v1.JSON": _raw,
}
SCHEMAS: dict[str, Callable[[Random, int], Any]] = {
    "apiextensions.v1.JSONSchemaPropsOrBool": _schema_or_bool,
    "apiextensions.v1.JSONSchemaPropsOrArray": _schema_or_schemas,
    "apiextensions.v1.JSONSchemaPropsOrStringArray": _schema_or_strings,
}


def leaves(value: Any, path: str = "") -> dict[str, Any]:
    """Return what an object says, by path, without what is empty, zero or null."""
    if isinstance(value, dict):
        pairs = [(f"{path}/{key}", one) for key, one in value.items()]
    elif isinstance(value, list):
        pairs = [(f"{path}/{at}", one) for at, one in enumerate(value)]
    else:
        return {path: value} if value and value != "0" else {}
    return {
        place: leaf for key, one in pairs for place, leaf in leaves(one, key).items()
    }
