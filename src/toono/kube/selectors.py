# SPDX-License-Identifier: Apache-2.0
"""Label and field selectors: parsed, put in one canonical text, matched, compared.

Selectors that say the same have one canonical text, so that questions compare by it.
Where a comparison cannot be proved the answer is no: a question then counts as
another one, and is asked anew. Field syntax and messages are those of
k8s.io/apimachinery/pkg/fields.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from toono.errors import RequestError
from toono.kube import label_syntax
from toono.kube.requirements import Requirement as Requirement
from toono.kube.requirements import all_implied, compares, in_order

_CACHED_TEXTS = 512
_MAX_CACHED_CHARS = 512
"""What is longer is parsed each time: a hostile client must not fill the memory."""

Requirements = tuple[Requirement, ...]


def parse_labels(text: str) -> Requirements:
    """Return the requirements of a label selector; RequestError 400 where it is bad."""
    return _labels(text) if len(text) <= _MAX_CACHED_CHARS else _read_labels(text)


def parse_fields(text: str) -> Requirements:
    """Return the requirements of a field selector; RequestError 400 where it is bad."""
    return _fields(text) if len(text) <= _MAX_CACHED_CHARS else _read_fields(text)


def canonical_labels(text: str) -> str:
    """Return one text for all label selectors with the same conditions."""
    return ",".join(map(_label_text, parse_labels(text))) if text else ""


def canonical_fields(text: str) -> str:
    """Return one text for all field selectors with the same conditions."""
    return ",".join(map(_field_text, parse_fields(text))) if text else ""


def label_matcher(text: str) -> Callable[[Mapping[str, str]], bool]:
    """Return the predicate of a label selector over metadata.labels."""
    requirements = parse_labels(text)

    def matches(labels: Mapping[str, str]) -> bool:
        return all(_label_holds(one, labels) for one in requirements)

    return matches


def field_matcher(text: str) -> Callable[[Callable[[str], str]], bool]:
    """Return the predicate of a field selector over "path -> value" of an object."""
    requirements = parse_fields(text)

    def matches(value_of: Callable[[str], str]) -> bool:
        return all(
            (value_of(key) in values) is (operator == "in")
            for key, operator, values in requirements
        )

    return matches


def pinned_name(field_selector: str) -> str:
    """Return the one name that a field selector picks (metadata.name=x), else ""."""
    for key, operator, values in parse_fields(field_selector):
        if key == "metadata.name" and operator == "in":
            (name,) = values
            return name
    return ""


def picks_name(name: str) -> str:
    """Return the canonical field selector that picks one name."""
    return _field_text(Requirement("metadata.name", "in", frozenset({name})))


def is_identity_only(field_selector: str) -> bool:
    """Say whether a selector asks for nothing that can change while an object lives.

    Then no object ever leaves or enters it but by birth and death.
    """
    return all(one.key in _IDENTITY for one in parse_fields(field_selector))


def covers_name(field_selector: str, *, namespace: str, name: str) -> bool:
    """Say whether an object of this name is picked whatever else it holds."""
    fixed = {"metadata.name": name, "metadata.namespace": namespace}
    return all(
        key in fixed and (fixed[key] in values) is (operator == "in")
        for key, operator, values in parse_fields(field_selector)
    )


def labels_contain(wider: str, narrower: str) -> bool:
    """Say whether all that label selector `narrower` picks is picked by `wider`."""
    return wider == narrower or all_implied(parse_labels(wider), parse_labels(narrower))


def fields_contain(wider: str, narrower: str) -> bool:
    """Say whether all that field selector `narrower` picks is picked by `wider`."""
    return wider == narrower or all_implied(parse_fields(wider), parse_fields(narrower))


_IDENTITY = frozenset({"metadata.name", "metadata.namespace"})


# -- labels ------------------------------------------------------------------


def _read_labels(text: str) -> Requirements:
    return in_order(label_syntax.parse(text))


_labels = lru_cache(maxsize=_CACHED_TEXTS)(_read_labels)


def _label_text(requirement: Requirement) -> str:
    key, operator, values = requirement
    match operator:
        case "exists":
            return key
        case "!":
            return "!" + key
        case ">" | "<":
            return f"{key}{operator}{min(values)}"
        case _ if len(values) == 1:
            return f"{key}{'=' if operator == 'in' else '!='}{min(values)}"
        case _:
            return f"{key} {operator} ({','.join(sorted(values))})"


def _label_holds(requirement: Requirement, labels: Mapping[str, str]) -> bool:
    key, operator, values = requirement
    match operator:
        case "exists":
            return key in labels
        case "!":
            return key not in labels
        case "in":
            return key in labels and labels[key] in values
        case "notin":
            return key not in labels or labels[key] not in values
        case _:
            return key in labels and compares(labels[key], requirement)


# -- fields ------------------------------------------------------------------


def _read_fields(text: str) -> Requirements:
    """Read terms; one whose field and value are both empty picks everything."""
    terms = [_field(term, text) for term in _terms(text) if term]
    return in_order(term for term in terms if term.key or "" not in term.values)


_fields = lru_cache(maxsize=_CACHED_TEXTS)(_read_fields)

_TERM = re.compile(r"(?:[^,\\]|\\.?)*", re.DOTALL)
_OPERATOR = re.compile(r"!=|==|=")
_SPECIAL = re.compile(r"\\(.?)|[,=]", re.DOTALL)


def _terms(text: str) -> list[str]:
    """Cut at commas that no backslash protects."""
    terms, at = [], 0
    while at <= len(text):
        match = _TERM.match(text, at)
        assert match is not None  # it matches the empty text
        terms.append(match[0])
        at = match.end() + 1
    return terms


def _field(term: str, text: str) -> Requirement:
    operator = _OPERATOR.search(term)
    if operator is None:
        raise _bad(f"invalid selector: '{text}'; can't understand '{term}'")
    value = _SPECIAL.sub(_unescaped, term[operator.end() :])
    return Requirement(
        term[: operator.start()],
        "notin" if operator[0] == "!=" else "in",
        frozenset({value}),
    )


def _unescaped(special: re.Match[str]) -> str:
    escaped = special[1]
    if escaped is None:
        code = ord(special[0])
        raise _bad(f"invalid field selector: unescaped character in value: {code}")
    if escaped not in ("\\", ",", "="):
        raise _bad(f"invalid field selector: invalid escape sequence: \\{escaped}")
    return escaped


def _bad(message: str) -> RequestError:
    return RequestError(400, "BadRequest", message)


def _field_text(requirement: Requirement) -> str:
    key, operator, values = requirement
    (value,) = values
    escaped = re.sub(r"([\\,=])", r"\\\1", value)
    return f"{key}{'=' if operator == 'in' else '!='}{escaped}"
