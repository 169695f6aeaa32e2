# SPDX-License-Identifier: Apache-2.0
"""Field numbers, JSON names and types of all built-in kinds, read when first asked for.

The table is `schema.txt` beside this module, made by scripts/generate_schema.py: facts
of the wire format of Kubernetes 1.34. A hub that never transcodes never opens it. What
the types mean in bytes is not known here (`transcode`).
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple


class Field(NamedTuple):
    """One field of a message."""

    number: int
    name: str
    """In JSON; "" where an inlined message has none, "-" of raw JSON."""
    type: str
    """A scalar (string bytes bool int32 int64 float64), list:string or a message."""
    repeated: bool
    inline: bool
    """The fields of the message stand in the parent's JSON object."""
    omit_empty: bool
    """Left out of JSON when empty; a message that is no pointer stays all the same."""
    pointer: bool
    """On the wire means set, whatever its value."""
    map: bool
    """A map from strings to `type`."""


def message_of(kind: str, api_version: str) -> str | None:
    """Return the message of a built-in kind, None where it has none."""
    return _table().kinds.get((api_version, kind))


def kinds() -> Mapping[tuple[str, str], str]:
    """Return the message of every (apiVersion, kind)."""
    return _table().kinds


def messages() -> frozenset[str]:
    """Return the names of all messages."""
    return frozenset(_table().lines)


@cache
def fields_of(message: str) -> tuple[Field, ...]:
    """Return a message's fields in the order of its JSON; KeyError where none is."""
    package = message.rpartition(".")[0]
    return tuple(_field(text, package) for text in _table().lines[message])


class _Table(NamedTuple):
    kinds: dict[tuple[str, str], str]
    lines: dict[str, list[str]]


@cache
def _table() -> _Table:
    found = _Table({}, {})
    text = Path(__file__).with_name("schema.txt").read_text("ascii")
    for line in text.splitlines():
        if line.startswith("= "):
            _, api_version, package, *names = line.split(" ")
            found.kinds.update(
                {(api_version, kind): f"{package}.{kind}" for kind in names}
            )
        elif not line.startswith("#"):
            message, *fields = line.split("|")
            found.lines[message] = fields
    return found


def _field(text: str, package: str) -> Field:
    number, name, kind, flags, *key = text.split(" ")
    return Field(
        number=int(number),
        name=name,
        type=package + kind if kind.startswith(".") else kind,
        repeated="r" in flags,
        inline="i" in flags,
        omit_empty="o" in flags,
        pointer="p" in flags,
        map=bool(key),
    )
