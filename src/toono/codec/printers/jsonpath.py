# SPDX-License-Identifier: Apache-2.0
"""The JSONPath of additionalPrinterColumns: the first value that a path leads to.

Fields, indices, slices, `*`, `..`, unions and filters (`[?(@.type=="Ready")]`) as
k8s.io/client-go/util/jsonpath reads them, with missing keys allowed. As there, one
value that a step cannot be taken from (an index beyond the end, a number compared
with a text) spoils the whole path. Templates around a path (text, range, several
braces) no column can use. Keys of an object are walked in alphabetical order, where
Go takes them as they come.
"""

import operator
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from toono.errors import CodecError

Walk = Callable[[Any], Sequence[Any]]
"""From one value to those that a step leads to; CodecError where it cannot be taken."""

_FIELD = re.compile(r"(?:[^.\[\]()\s,\"'{}|?*@$\\]|\\.)+")
_INTEGER = re.compile(r"-?[0-9]{1,9}\Z")
_SLICE = re.compile(r"(-?[0-9]{1,9})?:(-?[0-9]{1,9})?(?::(-?[0-9]{1,9}))?\Z")
_QUOTED = re.compile(r"""'((?:[^'\\]|\\.)*)'\Z|"((?:[^"\\]|\\.)*)"\Z""")
_FILTER = re.compile(r"\?\((.*)\)\Z", re.DOTALL)
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?\Z")
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
MAX_STEPS = 64
MAX_VALUES = 10_000
"""A path through more is given up: `..` can be asked many times over."""


class JSONPath(NamedTuple):
    """A path that has been read."""

    steps: tuple[Walk, ...]

    def first(self, value: Any) -> tuple[bool, Any]:
        """Return whether the path leads anywhere in a value, and what is there."""
        try:
            found = _walk(value, self.steps)
        except (CodecError, RecursionError):
            return False, None
        return (True, found[0]) if found else (False, None)


def parse_path(text: str) -> JSONPath:
    """Return a column's path; CodecError where it is none."""
    return JSONPath(_parse(text.strip()))


def _walk(value: Any, steps: tuple[Walk, ...]) -> list[Any]:
    values = [value]
    for step in steps:
        values = [found for one in values for found in step(one)]
        if len(values) > MAX_VALUES:
            raise CodecError(f"a path through more than {MAX_VALUES} values")
    return values


# -- reading -------------------------------------------------------------------


def _parse(text: str) -> tuple[Walk, ...]:
    if text[:1] in ("@", "$"):
        text = text[1:]
    steps: list[Walk] = []
    while text:
        step, text = _step(text)
        steps.append(step)
        if len(steps) > MAX_STEPS:
            raise CodecError(f"a path of more than {MAX_STEPS} steps")
    if not steps:
        raise CodecError("a path without a step")
    return tuple(steps)


def _step(text: str) -> tuple[Walk, str]:
    """Return the first step and what follows it."""
    if text.startswith("["):
        end = _closing(text)
        return _bracket(text[1:end].strip()), text[end + 1 :]
    if text.startswith(".."):
        rest = text[2:]
        return _descend, rest if not rest or rest.startswith("[") else f".{rest}"
    text = text.removeprefix(".")
    if text.startswith("*"):
        return _children, text[1:]
    match = _FIELD.match(text)
    if match is None:
        raise CodecError(f"a path that cannot be read at {text[:32]!r}")
    name = re.sub(r"\\(.)", r"\1", match[0])
    return _field(name), text[match.end() :]


def _closing(text: str) -> int:
    """Return where the bracket that opens `text` is closed."""
    quote, depth, at = "", 0, 0
    while at < len(text):
        character = text[at]
        if character == "\\":
            at += 1
        elif quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "[]":
            depth += 1 if character == "[" else -1
            if depth == 0:
                return at
        at += 1
    raise CodecError("a path with an open bracket")


def _bracket(content: str) -> Walk:
    if match := _FILTER.match(content):
        return _filter(match[1])
    parts = _split(content)
    if len(parts) > 1:
        return _union(tuple(_bracket(part.strip()) for part in parts))
    if content == "*":
        # Of lists alone, other than `.*`: it is short for [::].
        return _slice(None, None, 1)
    if match := _QUOTED.match(content):
        name = match[1] if match[1] is not None else match[2]
        return _field(re.sub(r"\\(.)", r"\1", name))
    if _INTEGER.match(content):
        return _index(int(content))
    if match := _SLICE.match(content):
        start, end, step = (None if one is None else int(one) for one in match.groups())
        return _slice(start, end, 1 if step is None else step)
    raise CodecError(f"a path with [{content[:32]}]")


def _split(content: str) -> list[str]:
    """Split at commas outside quotes."""
    return [
        part[0] for part in re.finditer(r"""(?:'[^']*'|"[^"]*"|[^,'"])+""", content)
    ]


def _filter(condition: str) -> Walk:
    left, sign, right = _comparison(condition.strip())
    if not sign:
        steps = _parse(left)
        return lambda value: [one for one in _elements(value) if _exists(steps, one)]
    one, other = _side(left), _side(right)

    def walk(value: Any) -> Sequence[Any]:
        return [item for item in _elements(value) if _holds(one, sign, other, item)]

    return walk


def _comparison(condition: str) -> tuple[str, str, str]:
    for match in re.finditer(r"""'[^']*'|"[^"]*"|==|!=|<=|>=|<|>""", condition):
        if match[0] in _OPERATORS:
            return condition[: match.start()], match[0], condition[match.end() :]
    return condition, "", ""


_Side = tuple[Walk, ...] | str | int | float | bool


def _side(text: str) -> _Side:
    text = text.strip()
    if match := _QUOTED.match(text):
        return re.sub(r"\\(.)", r"\1", match[1] if match[1] is not None else match[2])
    if text in ("true", "false"):
        return text == "true"
    if _NUMBER.match(text):
        return float(text) if "." in text else int(text[:19])
    return _parse(text)


def _exists(steps: tuple[Walk, ...], item: Any) -> bool:
    try:
        return bool(_walk(item, steps))
    except CodecError:
        return False


def _holds(one: _Side, sign: str, other: _Side, item: Any) -> bool:
    operands = []
    for side in (one, other):
        found = _walk(item, side) if isinstance(side, tuple) else [side]
        if not found:
            return False
        if len(found) > 1:
            raise CodecError("a comparison of more than one value")
        operands.append(found[0])
    left, right = operands
    kind = _kind(left)
    if kind is not _kind(right) or (kind is bool and sign not in ("==", "!=")):
        raise CodecError("a comparison of what cannot be compared")
    return _OPERATORS[sign](left, right)


def _kind(value: Any) -> type:
    """Return what may be compared with each other; integers never with fractions."""
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind
    raise CodecError("a comparison of what has no order")


# -- walking -------------------------------------------------------------------


def _field(name: str) -> Walk:
    def walk(value: Any) -> Sequence[Any]:
        return [value[name]] if isinstance(value, dict) and name in value else ()

    return walk


def _index(number: int) -> Walk:
    def walk(value: Any) -> Sequence[Any]:
        if value is None:
            return ()
        items = _elements(value)
        if not -len(items) <= number < len(items):
            raise CodecError(f"no item {number} of {len(items)}")
        return [items[number]]

    return walk


def _slice(start: int | None, end: int | None, step: int) -> Walk:
    def walk(value: Any) -> Sequence[Any]:
        if value is None:
            return ()
        items = _elements(value)
        first, last = start or 0, len(items) if end is None else end
        first += len(items) if first < 0 else 0
        last += len(items) if last < 0 else 0
        if first == last:
            return ()
        if not 0 <= first < last <= len(items) or step <= 0:
            raise CodecError(f"no items {first} to {last} of {len(items)}")
        return items[first:last:step]

    return walk


def _union(walks: tuple[Walk, ...]) -> Walk:
    return lambda value: [found for one in walks for found in one(value)]


def _elements(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise CodecError("an index into what is no list")
    return value


def _children(value: Any) -> Sequence[Any]:
    if isinstance(value, list):
        return value
    return [value[key] for key in sorted(value)] if isinstance(value, dict) else ()


def _descend(value: Any) -> list[Any]:
    """Return a value and all below it that hold others, those above first."""
    if not isinstance(value, (dict, list)) or not value:
        return []
    return [value, *(found for one in _children(value) for found in _descend(one))]
