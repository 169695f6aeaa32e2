# SPDX-License-Identifier: Apache-2.0
"""Single values of a JSON object, all else skipped."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec

from toono.codec.json_strict import read


def text_at(data: bytes, path: str) -> str:
    """Return the value at a path as a selector compares it, "" where it is unset.

    CodecError where the path leads through or to what is no plain value.
    """
    value: Any = read(_path_decoder(path), data)
    while isinstance(value, msgspec.Struct):
        value = value.next  # type: ignore[attr-defined]
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


@lru_cache(maxsize=256)
def _path_decoder(path: str) -> Callable[[bytes], Any]:
    """Return a decoder of nested structs, one a step; clients choose few paths."""
    kind: Any = str | int | bool | None
    for step in reversed(path.split(".")):
        value = msgspec.field(name=step, default=None)
        kind = msgspec.defstruct("Step", [("next", kind | None, value)])
    return msgspec.json.Decoder(kind).decode


class _Waits(msgspec.Struct, rename="camel"):
    """What keeps an object that is being deleted."""

    deletion_grace_period_seconds: int | None = None
    finalizers: list[str] | None = None


class _Going(msgspec.Struct):
    metadata: _Waits


_decode_going = msgspec.json.Decoder(_Going).decode


def is_ended(data: bytes) -> bool:
    """Say whether an object that is being deleted waits for nothing more."""
    waits = read(_decode_going, data).metadata
    return waits.deletion_grace_period_seconds == 0 and not waits.finalizers
