# SPDX-License-Identifier: Apache-2.0
"""The conditions that a selector is made of, and when one set implies another.

Label and field selectors share them: a selector is a conjunction of requirements.
"""

from collections.abc import Iterable
from typing import NamedTuple


class Requirement(NamedTuple):
    """One condition on the value of one key; a selector is all of them at once."""

    key: str
    operator: str
    """in, notin, exists, ! (does not exist), > or <."""
    values: frozenset[str]


def in_order(requirements: Iterable[Requirement]) -> tuple[Requirement, ...]:
    """Return each requirement once, in one order for all that say the same."""
    return tuple(sorted(set(requirements), key=_order))


def _order(requirement: Requirement) -> tuple[str, str, list[str]]:
    return (requirement.key, requirement.operator, sorted(requirement.values))


def all_implied(wanted: Iterable[Requirement], given: Iterable[Requirement]) -> bool:
    """Say whether whoever meets all of `given` meets all of `wanted`.

    Sound, not complete: True is proof, False may mean that no single given
    requirement is proof. Linear in both, for both may come from a hostile client.
    """
    by_key: dict[str, list[Requirement]] = {}
    for requirement in given:
        by_key.setdefault(requirement.key, []).append(requirement)
    return all(
        any(_implies(one, requirement) for one in by_key.get(requirement.key, ()))
        for requirement in wanted
    )


def _implies(given: Requirement, wanted: Requirement) -> bool:
    """Say whether `given` implies `wanted`, both of one key."""
    if given == wanted:
        return True
    match wanted.operator:
        case "exists":
            return given.operator in ("in", ">", "<")
        case "in":
            return given.operator == "in" and given.values <= wanted.values
        case "notin":
            return _excludes(given, wanted.values)
        case ">" | "<":
            return given.operator == "in" and all(
                compares(value, wanted) for value in given.values
            )
        case _:
            return False


def _excludes(given: Requirement, values: frozenset[str]) -> bool:
    match given.operator:
        case "!":
            return True
        case "in":
            return not given.values & values
        case "notin":
            return given.values >= values
        case _:
            return False


def compares(value: str, requirement: Requirement) -> bool:
    """Say whether a label's value meets a > or < requirement; text never does."""
    (bound,) = requirement.values
    left, right = parse_int(value), parse_int(bound)
    if left is None or right is None:
        return False
    return left > right if requirement.operator == ">" else left < right


def parse_int(text: str) -> int | None:
    """Return what Go's strconv.ParseInt(text, 10, 64) takes, else None.

    int() alone would take "1_0", " 1" and Arabic digits, and raise for 5,000 digits.
    """
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not digits.isascii() or not digits.isdigit():
        return None
    significant = digits.lstrip("0") or "0"
    if len(significant) > 19:
        return None
    number = -int(significant) if text[0] == "-" else int(significant)
    return number if -(2**63) <= number < 2**63 else None
