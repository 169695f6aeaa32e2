# SPDX-License-Identifier: Apache-2.0
"""Label and field selectors: parsed, put in one canonical text, matched, compared.

Syntax and error texts are those of k8s.io/apimachinery/pkg/labels and pkg/fields.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

from toono.errors import RequestError


class Requirement(NamedTuple):
    """One condition; a selector is all of them at once."""

    key: str
    operator: str
    """in, notin, exists, !"""
    values: frozenset[str]


_KEY = r"[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?"
_SET = re.compile(
    rf"\s*(?P<key>{_KEY})\s+(?P<op>in|notin)\s*\((?P<values>[^()]*)\)\s*\Z"
)
_EQUAL = re.compile(
    rf"\s*(?P<key>{_KEY})\s*(?P<op>==|=|!=)\s*(?P<value>[^=!,()\s]*)\s*\Z"
)
_EXISTS = re.compile(rf"\s*(?P<no>!?)\s*(?P<key>{_KEY})\s*\Z")
_COMMA = re.compile(r",(?![^()]*\))")


@lru_cache(maxsize=1024)
def parse_labels(text: str) -> tuple[Requirement, ...]:
    """Return the requirements of a label selector; RequestError 400 where it is bad."""
    if not text.strip():
        return ()
    return tuple(
        sorted((_label(part, text) for part in _COMMA.split(text)), key=_order)
    )


def _order(requirement: Requirement) -> tuple[str, str, list[str]]:
    return (requirement.key, requirement.operator, sorted(requirement.values))


def _label(part: str, text: str) -> Requirement:
    if match := _EQUAL.match(part):
        operator = "notin" if match["op"] == "!=" else "in"
        return Requirement(match["key"], operator, frozenset({match["value"]}))
    if match := _SET.match(part):
        values = frozenset(value.strip() for value in match["values"].split(","))
        return Requirement(match["key"], match["op"], values)
    if match := _EXISTS.match(part):
        return Requirement(match["key"], "!" if match["no"] else "exists", frozenset())
    raise RequestError(400, "BadRequest", f"unable to parse requirement: {text!r}")


@lru_cache(maxsize=1024)
def canonical_labels(text: str) -> str:
    """Return one text for all selectors that pick the same by the same conditions."""
    return ",".join(_label_text(requirement) for requirement in parse_labels(text))


def _label_text(requirement: Requirement) -> str:
    key, operator, values = requirement
    if operator == "exists":
        return key
    if operator == "!":
        return "!" + key
    if len(values) == 1:
        (value,) = values
        return f"{key}={value}" if operator == "in" else f"{key}!={value}"
    return f"{key} {operator} ({','.join(sorted(values))})"


@lru_cache(maxsize=1024)
def label_matcher(text: str) -> Callable[[Mapping[str, str]], bool]:
    """Return the predicate of a label selector over metadata.labels."""
    requirements = parse_labels(text)

    def matches(labels: Mapping[str, str]) -> bool:
        return all(_label_holds(one, labels) for one in requirements)

    return matches


def _label_holds(requirement: Requirement, labels: Mapping[str, str]) -> bool:
    key, operator, values = requirement
    if operator == "exists":
        return key in labels
    if operator == "!":
        return key not in labels
    if operator == "in":
        return labels.get(key) in values
    return labels.get(key) not in values


@lru_cache(maxsize=1024)
def parse_fields(text: str) -> tuple[Requirement, ...]:
    """Return the requirements of a field selector; RequestError 400 where it is bad.

    Values may escape comma, equal sign and backslash with a backslash.
    """
    if not text.strip():
        return ()
    return tuple(sorted((_field(part, text) for part in _split(text)), key=_order))


def _split(text: str) -> list[str]:
    parts, part, escaped = [], "", False
    for char in text:
        if char == "," and not escaped:
            parts.append(part)
            part = ""
            continue
        escaped = char == "\\" and not escaped
        part += char
    return [part for part in [*parts, part] if part]


def _field(part: str, text: str) -> Requirement:
    match = re.match(r"([^=!\\]+)(==|!=|=)(.*)\Z", part, re.DOTALL)
    if match is None:
        raise RequestError(
            400,
            "BadRequest",
            f"invalid selector: '{text}'; can't understand '{part}'",
        )
    operator = "notin" if match[2] == "!=" else "in"
    value = re.sub(r"\\([\\,=])", r"\1", match[3])
    return Requirement(match[1].strip(), operator, frozenset({value}))


@lru_cache(maxsize=1024)
def canonical_fields(text: str) -> str:
    """Return one text for all field selectors with the same conditions."""
    return ",".join(
        f"{key}{'=' if operator == 'in' else '!='}{_escaped(value)}"
        for key, operator, values in parse_fields(text)
        for value in values
    )


def _escaped(value: str) -> str:
    return re.sub(r"([\\,=])", r"\\\1", value)


@lru_cache(maxsize=1024)
def field_matcher(text: str) -> Callable[[Callable[[str], str]], bool]:
    """Return the predicate of a field selector over "path → value" of an object."""
    requirements = parse_fields(text)

    def matches(value_of: Callable[[str], str]) -> bool:
        return all(
            (value_of(key) in values) is (operator == "in")
            for key, operator, values in requirements
        )

    return matches


@lru_cache(maxsize=1024)
def pinned_name(field_selector: str) -> str:
    """Return the one name that a field selector picks (metadata.name=x), else ""."""
    for key, operator, values in parse_fields(field_selector):
        if key == "metadata.name" and operator == "in":
            (name,) = values
            return name
    return ""


def covers_name(field_selector: str, *, namespace: str, name: str) -> bool:
    """Say whether an object of this name is picked whatever else it holds.

    Only metadata.name and metadata.namespace never change while an object lives.
    """
    fixed = {"metadata.name": name, "metadata.namespace": namespace}
    return all(
        key in fixed and (fixed[key] in values) is (operator == "in")
        for key, operator, values in parse_fields(field_selector)
    )


def labels_contain(wider: str, narrower: str) -> bool:
    """Say whether all that `narrower` picks is picked by `wider` too."""
    return wider == narrower or _contains(parse_labels(wider), parse_labels(narrower))


def fields_contain(wider: str, narrower: str) -> bool:
    """Say whether all that `narrower` picks is picked by `wider` too."""
    return wider == narrower or _contains(parse_fields(wider), parse_fields(narrower))


def _contains(
    wider: tuple[Requirement, ...], narrower: tuple[Requirement, ...]
) -> bool:
    return all(any(_implies(n, w) for n in narrower) for w in wider)


def _implies(given: Requirement, wanted: Requirement) -> bool:
    """Say whether whoever meets `given` meets `wanted`."""
    if given == wanted:
        return True
    if given.key != wanted.key:
        return False
    if wanted.operator == "exists":
        return given.operator == "in"
    if wanted.operator == "in":
        return given.operator == "in" and given.values <= wanted.values
    if wanted.operator == "notin":
        return (
            given.operator == "!"
            or (given.operator == "in" and not given.values & wanted.values)
            or (given.operator == "notin" and given.values >= wanted.values)
        )
    return False
