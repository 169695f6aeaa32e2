# SPDX-License-Identifier: Apache-2.0
"""Values of a decoded JSON object by their path, whatever the object really holds.

A row shows what can be shown: what is not there or of another type than the API's
reads as Go's zero value, and nothing here raises.
"""

from collections.abc import Mapping
from typing import Any

Json = Mapping[str, Any]
_EMPTY: Json = {}
_INT64 = 1 << 63


def at(value: Any, *path: str) -> Any:
    """Return what stands at a path of keys, None where it leads nowhere."""
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def text(value: Any, *path: str) -> str:
    """Return the string at a path, else ""."""
    found = at(value, *path)
    return found if isinstance(found, str) else ""


def text_or(default: str, value: Any, *path: str) -> str:
    """Return the string at a path, `default` where it is unset (a nil pointer)."""
    found = at(value, *path)
    return found if isinstance(found, str) else default


def number(value: Any, *path: str) -> int:
    """Return the integer at a path, else 0."""
    found = at(value, *path)
    if isinstance(found, bool) or not isinstance(found, int):
        return 0
    return found if -_INT64 <= found < _INT64 else 0


def has_number(value: Any, *path: str) -> bool:
    """Say whether an integer stands at a path."""
    found = at(value, *path)
    return isinstance(found, int) and not isinstance(found, bool)


def flag(value: Any, *path: str) -> bool:
    """Return the boolean at a path, else False."""
    return at(value, *path) is True


def mapping(value: Any, *path: str) -> Json:
    """Return the object at a path, else an empty one."""
    found = at(value, *path)
    return found if isinstance(found, dict) else _EMPTY


def entries(value: Any, *path: str) -> list[Json]:
    """Return the objects of the list at a path; what is no object is an empty one."""
    found = at(value, *path)
    if not isinstance(found, list):
        return []
    return [one if isinstance(one, dict) else _EMPTY for one in found]


def texts(value: Any, *path: str) -> list[str]:
    """Return the strings of the list at a path."""
    found = at(value, *path)
    if not isinstance(found, list):
        return []
    return [one for one in found if isinstance(one, str)]


def size(value: Any, *path: str) -> int:
    """Return how many entries the list or object at a path has."""
    found = at(value, *path)
    return len(found) if isinstance(found, (dict, list)) else 0


def string_map(value: Any, *path: str) -> dict[str, str]:
    """Return the map of strings at a path, without what is no string."""
    found = mapping(value, *path)
    return {key: one for key, one in found.items() if isinstance(one, str)}


def quantity(value: Any, *path: str) -> str:
    """Return the quantity at a path; the API server writes them as canonical text."""
    found = at(value, *path)
    if isinstance(found, int) and not isinstance(found, bool):
        return str(number(found))
    return found if isinstance(found, str) and found else "0"
