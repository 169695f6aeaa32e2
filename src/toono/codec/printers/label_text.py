# SPDX-License-Identifier: Apache-2.0
"""Labels, selectors and containers of a template, as one cell each."""

from collections.abc import Callable

from toono.codec.printers.reading import Json, at, entries, string_map, text, texts

_NONE = "<none>"
_WORDS: dict[str, Callable[[str, str], str]] = {
    "In": lambda key, values: f"{key} in ({values})",
    "NotIn": lambda key, values: f"{key} notin ({values})",
    "Exists": lambda key, _: key,
    "DoesNotExist": lambda key, _: f"!{key}",
}
_WITH_VALUES = frozenset({"In", "NotIn"})


def labels_text(labels: dict[str, str]) -> str:
    """Return a map of labels: app=web,tier=front; <none> where it is empty."""
    return ",".join(sorted(f"{key}={one}" for key, one in labels.items())) or _NONE


def selector_text(value: Json, *path: str) -> str:
    """Return the LabelSelector at a path; <none> where it is empty or unset."""
    found = raw_selector_text(value, *path)
    return "<error>" if found is None else found or _NONE


def raw_selector_text(value: Json, *path: str) -> str | None:
    """Return the LabelSelector at a path; None where it cannot be one."""
    selector = at(value, *path)
    pairs = string_map(selector, "matchLabels")
    terms = [(key, f"{key}={one}") for key, one in pairs.items()]
    for one in entries(selector, "matchExpressions"):
        key, operator = text(one, "key"), text(one, "operator")
        values = texts(one, "values")
        if operator not in _WORDS or bool(values) is not (operator in _WITH_VALUES):
            return None
        terms.append((key, _WORDS[operator](key, ",".join(sorted(set(values))))))
    return ",".join(term for _, term in sorted(terms, key=lambda pair: pair[0]))


def containers(value: Json, *path: str) -> tuple[str, str]:
    """Return the names and the images of the containers of the pod spec at a path."""
    found = entries(value, *path, "containers")
    names = ",".join(text(one, "name") for one in found)
    return names, ",".join(text(one, "image") for one in found)
