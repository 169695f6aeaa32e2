# SPDX-License-Identifier: Apache-2.0
"""What is expected next goes on behind what was there."""

from hypothesis import given
from hypothesis import strategies as st

from toono.codec.base import Object
from toono.codec.expected import Expected


def named(name: str) -> Object:
    return Object("shop", name, "u", "7", False, name.encode())


def missed(known: str, there: str) -> int:
    """Return how many of those that are there were not the next that was expected."""
    expected, count = Expected([named(one) for one in known]), 0
    for one in there:
        if expected.next == named(one):
            expected.step()
        else:
            count += 1
            expected.passed_by(named(one))
    return count


def test_each_difference_costs_one_look() -> None:
    assert missed("", "abc") == 3
    assert missed("abc", "abc") == 0
    assert missed("abcdef", "abdef") == 1
    assert missed("abcdef", "abxcdef") == 1
    assert missed("abcdef", "xabcdefy") == 2
    assert missed("abcdef", "") == 0


def test_what_is_there_again_is_counted_by_its_uid() -> None:
    expected = Expected([named(one) for one in "abcd"])
    expected.step()
    expected.passed_by(named("b")._replace(resource_version="8"))
    expected.passed_by(named("c")._replace(uid="another"))
    expected.passed_by(named("x"))
    assert (expected.seen, expected.next) == (2, named("d"))


@given(known=st.text("abcdef", max_size=6), there=st.text("abcdefg", max_size=9))
def test_any_order_is_gone_through(known: str, there: str) -> None:
    assert missed(known, there) <= len(there)
