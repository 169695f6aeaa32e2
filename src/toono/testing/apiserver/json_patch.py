# SPDX-License-Identifier: Apache-2.0
"""JSON Patch (RFC 6902) over JSON Pointers (RFC 6901), and JSON Merge Patch (RFC 7386).

Values go in and come out; the patched document is never changed.
"""

import copy
from typing import Any

JSON = dict[str, Any]


class PatchError(Exception):
    """An operation that cannot be done."""


def json_patched(document: Any, operations: list[JSON]) -> Any:
    """Return the document after all operations; raises PatchError at the first that
    fails (RFC 6902 clause 5: then nothing is done)."""
    result = copy.deepcopy(document)
    for operation in operations:
        result = _apply(result, operation)
    return result


def merge_patched(target: Any, patch: Any) -> Any:
    """Return `target` with a merge patch applied (RFC 7386 clause 2)."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patched(result.get(key), value)
    return result


def _apply(document: Any, operation: JSON) -> Any:
    if not isinstance(operation, dict):
        raise PatchError("an operation is an object")
    name, path = operation.get("op"), _pointer(operation, "path")
    if name == "remove":
        _, document = _removed(document, path)
        return document
    if name == "add":
        return _added(document, path, _value(operation))
    if name == "replace":
        _, document = _removed(document, path)
        return _added(document, path, _value(operation))
    if name == "test":
        if not _same(_at(document, path), _value(operation)):
            raise PatchError(f"testing value {operation['path']} failed")
        return document
    if name == "copy":
        found = copy.deepcopy(_at(document, _pointer(operation, "from")))
        return _added(document, path, found)
    if name == "move":
        return _moved(document, _pointer(operation, "from"), path)
    raise PatchError(f"unexpected kind: {name}")


def _moved(document: Any, source: list[str], path: list[str]) -> Any:
    if path[: len(source)] == source and path != source:
        raise PatchError("a value cannot be moved into itself")
    found, document = _removed(document, source)
    return _added(document, path, found)


def _pointer(operation: JSON, member: str) -> list[str]:
    text = operation.get(member)
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise PatchError(f"{member}: {text!r} is no JSON pointer")
    return [step.replace("~1", "/").replace("~0", "~") for step in text.split("/")[1:]]


def _value(operation: JSON) -> Any:
    if "value" not in operation:
        raise PatchError("value is missing")
    return copy.deepcopy(operation["value"])


def _at(document: Any, path: list[str]) -> Any:
    for step in path:
        document = _child(document, step)
    return document


def _child(parent: Any, step: str) -> Any:
    if isinstance(parent, list):
        return parent[_index(parent, step, last=len(parent) - 1)]
    if isinstance(parent, dict) and step in parent:
        return parent[step]
    raise PatchError(f"doc is missing path: {step}")


def _index(parent: list[Any], step: str, *, last: int) -> int:
    is_number = step.isascii() and step.isdecimal()
    if not is_number or (step != "0" and step.startswith("0")) or int(step) > last:
        raise PatchError(f"index {step} is out of bounds")
    return int(step)


def _added(document: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    parent, step = _at(document, path[:-1]), path[-1]
    if isinstance(parent, list):
        last = len(parent)
        parent.insert(last if step == "-" else _index(parent, step, last=last), value)
    elif isinstance(parent, dict):
        parent[step] = value
    else:
        raise PatchError(f"doc is missing path: {step}")
    return document


def _removed(document: Any, path: list[str]) -> tuple[Any, Any]:
    """Return what was there, and the document without it."""
    if not path:
        return document, None
    parent, step = _at(document, path[:-1]), path[-1]
    found = _child(parent, step)
    if isinstance(parent, list):
        del parent[int(step)]
    else:
        del parent[step]
    return found, document


def _same(one: Any, other: Any) -> bool:
    """Equality of RFC 6902 clause 4.6: true is not 1, 1 is 1.0."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(
            _same(one[key], other[key]) for key in one
        )
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)
