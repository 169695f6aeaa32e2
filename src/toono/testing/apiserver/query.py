# SPDX-License-Identifier: Apache-2.0
"""What a request asks of the server: read on its own, not with the hub's parser, so
that a mistake shared by both cannot hide."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote

JSON = dict[str, Any]


class Refusal(Exception):  # noqa: N818 - an answer, not a fault
    """A request that gets a Status instead of an object."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: JSON | None = None,
        *,
        retry_after: int = 0,
        pretty: bool = False,
        metadata: JSON | None = None,
    ) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message
        self.details, self.retry_after = details, retry_after
        self.pretty, self.metadata = pretty, metadata or {}

    def status(self) -> JSON:
        """Return the Status body."""
        status: JSON = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": self.metadata,
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            status["reason"] = self.reason
        if self.details is not None:
            status["details"] = self.details
        return status | {"code": self.code}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path points."""

    group: str
    version: str
    plural: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    watched: bool = False
    """The path itself asks for a watch: /api/v1/watch/pods, as of old."""


def place_of(path: str) -> Place | None:
    """Return where a resource path points, None for any other path."""
    parts = [unquote(part) for part in path.split("/") if part]
    if parts[:1] == ["api"] and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    watched = rest[0] == "watch" and len(rest) > 1
    rest = rest[1:] if watched else rest
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] != "status":
        namespace, rest = rest[1], rest[2:]
    return Place(
        group,
        version,
        rest[0],
        namespace,
        rest[1] if len(rest) > 1 else "",
        "/".join(rest[2:]),
        watched,
    )


class Query:
    """The options of a request."""

    def __init__(self, raw: str) -> None:
        self._values = parse_qs(raw, keep_blank_values=True)

    def text(self, key: str) -> str:
        """Return the first value, "" where there is none."""
        return self._values.get(key, [""])[0]

    def true(self, key: str) -> bool:
        """Say whether a boolean is given and not false."""
        return key in self._values and self.text(key) not in ("0", "false")

    def given(self, key: str) -> bool:
        """Say whether an option is there at all."""
        return key in self._values

    def number(self, key: str) -> int:
        """Return a number, 0 where there is none; 400 where it is no number."""
        value = self.text(key)
        try:
            return max(0, int(value or "0"))
        except ValueError as exc:
            message = f"strconv.ParseInt: parsing {json.dumps(value)}: invalid syntax"
            raise Refusal(400, "BadRequest", message) from exc

    def version(self) -> int | None:
        """Return resourceVersion, None where it is absent."""
        value = self.text("resourceVersion")
        if value == "":
            return None
        if not (value.isdecimal() and value.isascii()):
            quoted = json.dumps(value)
            message = (
                f"resourceVersion: Invalid value: {quoted}: strconv.ParseUint: "
                f"parsing {quoted}: invalid syntax"
            )
            if self.true("watch"):  # as recorded: a watch takes it for its own fault
                raise Refusal(500, "", message)
            raise Refusal(400, "BadRequest", f"invalid resource version: {message}")
        return int(value)


Selects = Callable[[JSON], bool]
OPERATORS = ("==", "!=", "=", ">", "<", ")", "(")
"""What no requirement begins with, the longer before the shorter."""


def label_selector(text: str) -> Selects:
    """Return the predicate of a label selector over objects."""
    tests = [_label_test(part.strip()) for part in _split(text) if part.strip()]

    def selects(content: JSON) -> bool:
        labels = content["metadata"].get("labels") or {}
        return all(test(labels) for test in tests)

    return selects


def _split(text: str) -> list[str]:
    parts, depth, part = [], 0, ""
    for char in text:
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            parts.append(part)
            part = ""
        else:
            part += char
    return [*parts, part]


def _label_test(part: str) -> Callable[[Mapping[str, str]], bool]:
    start = next((each for each in OPERATORS if part.startswith(each)), "")
    if start:
        expected = "expected: !, identifier, or 'end of string'"
        raise Refusal(400, "BadRequest", f"found '{start}', {expected}")
    if ">" in part or "<" in part:
        return _compared(part)
    for operator in ("!=", "==", "="):
        if operator in part and "(" not in part:
            key, _, value = (word.strip() for word in part.partition(operator))
            if not key or "=" in value:
                break
            if operator == "!=":
                return lambda labels: labels.get(key) != value
            return lambda labels: labels.get(key) == value
    words = part.replace("(", " ( ").split()
    if len(words) > 2 and words[1] in ("in", "notin"):
        inside = part[part.index("(") + 1 : part.rindex(")")]
        values = {value.strip() for value in inside.split(",")}
        if words[1] == "in":
            return lambda labels: labels.get(words[0]) in values
        return lambda labels: labels.get(words[0]) not in values
    if part.startswith("!") and len(part[1:].split()) == 1 and "=" not in part:
        return lambda labels: part[1:].strip() not in labels
    if len(words) == 1 and "=" not in part:
        return lambda labels: part in labels
    raise Refusal(400, "BadRequest", f"unable to parse requirement: {part!r}")


def _compared(part: str) -> Callable[[Mapping[str, str]], bool]:
    """`key>5` and `key<5`, over labels that are whole numbers."""
    operator = ">" if ">" in part else "<"
    key, _, bound = (word.strip() for word in part.partition(operator))
    if not bound.lstrip("-").isdecimal():
        message = (
            f'unable to parse requirement: values[0]: Invalid value: "{bound}": '
            "for 'Gt', 'Lt' operators, the value must be an integer"
        )
        raise Refusal(400, "BadRequest", message)

    def holds(labels: Mapping[str, str]) -> bool:
        value = labels.get(key, "")
        if not value.lstrip("-").isdecimal():
            return False
        if operator == ">":
            return int(value) > int(bound)
        return int(value) < int(bound)

    return holds


def field_selector(text: str, known: frozenset[str]) -> Selects:
    """Return the predicate of a field selector; 400 for fields not in `known`."""
    tests: list[tuple[str, bool, str]] = []
    for part in filter(None, text.split(",")):
        if "=" not in part:
            message = f"invalid selector: '{text}'; can't understand '{part}'"
            raise Refusal(400, "BadRequest", message)
        equal = "!=" not in part
        key, _, value = part.replace("==", "=").partition("=" if equal else "!=")
        if key not in known and key not in ("metadata.name", "metadata.namespace"):
            raise Refusal(400, "BadRequest", _unknown_field(key, known))
        tests.append((key, equal, value))

    def selects(content: JSON) -> bool:
        return all((_at(content, key) == value) is equal for key, equal, value in tests)

    return selects


def _unknown_field(key: str, known: frozenset[str]) -> str:
    """Kinds that have fields of their own say it in their own words."""
    if known:
        return f"field label not supported: {key}"
    usual = '"metadata.name", "metadata.namespace"'
    return f'"{key}" is not a known field selector: only {usual}'


def _at(content: JSON, path: str) -> str:
    value: Any = content
    for step in path.split("."):
        value = value.get(step, "") if isinstance(value, dict) else ""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def selection(place: Place, query: Query, known: frozenset[str]) -> Selects:
    """Return the predicate of a question: its namespace and both its selectors."""
    labels = label_selector(query.text("labelSelector"))
    fields = field_selector(query.text("fieldSelector"), known)
    namespace, name = place.namespace, place.name

    def selects(content: JSON) -> bool:
        meta = content["metadata"]
        inside = not namespace or meta.get("namespace") == namespace
        named = not name or meta["name"] == name
        return inside and named and labels(content) and fields(content)

    return selects
