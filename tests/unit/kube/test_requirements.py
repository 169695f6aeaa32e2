# SPDX-License-Identifier: Apache-2.0
"""One set of conditions is said to imply another only where it does."""

import itertools

import pytest

from toono.kube.requirements import (
    Requirement,
    all_implied,
    compares,
    in_order,
    parse_int,
)


def need(key: str, operator: str, *values: str) -> Requirement:
    return Requirement(key, operator, frozenset(values))


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (need("a", "in", "x"), need("a", "in", "x", "y")),
        (need("a", "in", "x"), need("a", "exists")),
        (need("a", ">", "1"), need("a", "exists")),
        (need("a", "<", "1"), need("a", "exists")),
        (need("a", "in", "x"), need("a", "notin", "y")),
        (need("a", "!"), need("a", "notin", "y")),
        (need("a", "notin", "x", "y"), need("a", "notin", "y")),
        (need("a", "in", "6", "7"), need("a", ">", "5")),
        (need("a", "in", "4"), need("a", "<", "5")),
    ],
)
def test_what_implies_and_not_the_other_way(
    given: Requirement, wanted: Requirement
) -> None:
    assert all_implied([wanted], [given])
    assert not all_implied([given], [wanted])
    assert all_implied([given], [given])


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (need("a", "in", "x"), need("b", "in", "x")),
        (need("a", "in", "x", "y"), need("a", "notin", "y")),
        (need("a", "notin", "x"), need("a", "exists")),
        (need("a", "exists"), need("a", "notin", "x")),
        (need("a", "in", "x"), need("a", "!")),
        (need("a", "in", "6", "text"), need("a", ">", "5")),
        (need("a", "exists"), need("a", ">", "5")),
        (need("a", ">", "9"), need("a", "notin", "5")),
    ],
)
def test_what_is_not_proved_is_denied(given: Requirement, wanted: Requirement) -> None:
    assert not all_implied([wanted], [given])


def test_every_wanted_condition_needs_its_proof() -> None:
    given = [need("a", "in", "x"), need("b", "exists")]
    assert all_implied([need("a", "exists"), need("b", "exists")], given)
    assert not all_implied([need("a", "exists"), need("c", "exists")], given)
    assert all_implied([], given)
    assert not all_implied(given, [])


def test_any_of_several_conditions_on_a_key_may_prove() -> None:
    given = [need("a", "exists"), need("a", "in", "x")]
    assert all_implied([need("a", "in", "x", "y")], given)


def test_order_and_doubles_do_not_matter() -> None:
    one, two = need("a", "in", "x"), need("a", "notin", "y", "z")
    for some in itertools.permutations([one, two, one]):
        assert in_order(some) == (one, two)


def test_numbers_compare_and_text_does_not() -> None:
    assert compares("6", need("a", ">", "5"))
    assert not compares("5", need("a", ">", "5"))
    assert compares("-1", need("a", "<", "0"))
    assert not compares("x", need("a", ">", "0"))
    assert not compares("1", need("a", ">", "x"))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("-0", 0),
        ("+5", 5),
        ("-5", -5),
        ("007", 7),
        (str(2**63 - 1), 2**63 - 1),
        (str(-(2**63)), -(2**63)),
        ("0" * 5000 + "1", 1),
        (str(2**63), None),
        (str(-(2**63) - 1), None),
        ("9" * 5000, None),
        ("", None),
        ("-", None),
        ("+-1", None),
        ("1_0", None),
        (" 1", None),
        ("\u0661", None),
        ("\u00b2", None),
        ("1.0", None),
    ],
)
def test_integers_are_those_of_go(text: str, number: int | None) -> None:
    assert parse_int(text) == number
