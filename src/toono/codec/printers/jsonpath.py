# SPDX-License-Identifier: Apache-2.0
"""The JSONPath of additionalPrinterColumns: the first value that a path leads to.

Fields, indices, slices, `*`, `..`, unions and filters (`[?(@.type=="Ready")]`) as
k8s.io/client-go/util/jsonpath reads them, with missing keys allowed. Templates around
a path (text, range, several braces) no column can use. Keys of an object are walked
in alphabetical order, where Go takes them as they come.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from toono.errors import CodecError

Walk = Callable[[Any], Iterator[Any]]
"""From one value to those that a step leads to."""

_FIELD = re.compile(r"(?:[^.\[\]()\s,\"'{}|?*@$\\]|\\.)+")
_INTEGER = re.compile(r"-?[0-9]{1,9}\Z")
_SLICE = re.compile(r"(-?[0-9]{1,9})?:(-?[0-9]{1,9})?(?::(-?[0-9]{1,9}))?\Z")
_QUOTED = re.compile(r"""'((?:[^'\\]|\\.)*)'\Z|"((?:[^"\\]|\\.)*)"\Z""")
_FILTER = re.compile(r"\?\((.*)\)\Z", re.DOTALL)
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?\Z")
_OPERATORS = ("==", "!=", "<=", ">=", "<", ">")
MAX_STEPS = 64
_NOTHING = object()


class JSONPath(NamedTuple):
    """A path that has been read."""

    steps: tuple[Walk, ...]

    def first(self, value: Any) -> tuple[bool, Any]:
        """Return whether the path leads anywhere in a value, and what is there."""
        found = next(_walk(value, self.steps), _NOTHING)
        return (False, None) if found is _NOTHING else (True, found)


def parse_path(text: str) -> JSONPath:
    """Return a column's path; CodecError where it is none."""
    return JSONPath(_parse(text.strip()))


def _walk(value: Any, steps: tuple[Walk, ...]) -> Iterator[Any]:
    if steps:
        for one in steps[0](value):
            yield from _walk(one, steps[1:])
    else:
        yield value


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
        return _children
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
    left, operator, right = _comparison(condition.strip())
    if not operator:
        steps = _parse(left)
        return lambda value: (
            one for one in _elements(value) if _operand(steps, one) is not _NOTHING
        )
    one, other = _side(left), _side(right)
    return lambda value: (
        item
        for item in _elements(value)
        if _holds(_operand(one, item), operator, _operand(other, item))
    )


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


def _operand(side: _Side, item: Any) -> Any:
    return next(_walk(item, side), _NOTHING) if isinstance(side, tuple) else side


def _holds(left: Any, operator: str, right: Any) -> bool:
    if left is _NOTHING or right is _NOTHING:
        return False
    if isinstance(left, bool) is not isinstance(right, bool):
        return False
    if isinstance(left, (dict, list)) or isinstance(right, (dict, list)):
        return False
    if operator in ("==", "!="):
        return (left == right) is (operator == "==")
    numbers = isinstance(left, (int, float)) and isinstance(right, (int, float))
    if not numbers and not (isinstance(left, str) and isinstance(right, str)):
        return False
    match operator:
        case "<":
            return bool(left < right)
        case "<=":
            return bool(left <= right)
        case ">":
            return bool(left > right)
        case _:
            return bool(left >= right)


# -- walking -------------------------------------------------------------------


def _field(name: str) -> Walk:
    def walk(value: Any) -> Iterator[Any]:
        if isinstance(value, dict) and name in value:
            yield value[name]

    return walk


def _index(number: int) -> Walk:
    def walk(value: Any) -> Iterator[Any]:
        if isinstance(value, list) and -len(value) <= number < len(value):
            yield value[number]

    return walk


def _slice(start: int | None, end: int | None, step: int) -> Walk:
    def walk(value: Any) -> Iterator[Any]:
        if isinstance(value, list) and step > 0:
            yield from value[start:end:step]

    return walk


def _union(walks: tuple[Walk, ...]) -> Walk:
    def walk(value: Any) -> Iterator[Any]:
        for one in walks:
            yield from one(value)

    return walk


def _elements(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _children(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        yield from value
    elif isinstance(value, dict):
        yield from (value[key] for key in sorted(value))


def _descend(value: Any) -> Iterator[Any]:
    """Yield a value and all below it that hold others, those above first."""
    if isinstance(value, (dict, list)) and value:
        yield value
        for one in _children(value):
            yield from _descend(one)
