# SPDX-License-Identifier: Apache-2.0
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.cache.kit import call
from toono.cache.overlap import belies
from toono.cache.received import JSON, question_of
from toono.cache.scope import Row, Scope

PODS = "/api/v1/pods"
POD_A = "/api/v1/namespaces/default/pods/a"
NAMED_A = "/api/v1/namespaces/default/pods?fieldSelector=metadata.name%3Da"


def scope_of(target: str, version: int, epoch: int = 0, **rows: int) -> Scope:
    scope = Scope(1, question_of(call(target), JSON), 1, version=version, epoch=epoch)
    for name, at in rows.items():
        scope.rows["default", name] = Row("u", str(at), b"", 0)
    return scope


def test_an_object_that_came_and_went_since_belies() -> None:
    assert belies(scope_of(PODS, 15, a=12), scope_of(POD_A, 20), 10)
    assert belies(scope_of(PODS, 15, a=12), scope_of(NAMED_A, 20), 10)
    assert belies(scope_of(POD_A, 15, a=12), scope_of(PODS, 20), 10)


def test_what_is_no_newer_than_what_is_stored_does_not() -> None:
    assert not belies(scope_of(PODS, 10, a=10), scope_of(POD_A, 20), 10)
    assert not belies(scope_of(PODS, 10, a=10), scope_of(POD_A, 20, epoch=1), 5)
    assert belies(scope_of(PODS, 5, epoch=1, a=11), scope_of(POD_A, 20), 10)


def test_an_object_older_than_what_is_stored_does_not() -> None:
    """It was there at that version, too, and the question did not pick it."""
    assert not belies(scope_of(PODS, 15, a=9), scope_of(POD_A, 20), 10)


def test_what_both_hold_does_not() -> None:
    assert not belies(scope_of(PODS, 15, a=12), scope_of(PODS, 20, a=12), 10)


def test_other_names_do_not() -> None:
    assert not belies(scope_of(PODS, 15, b=12), scope_of(POD_A, 20), 10)
    assert not belies(scope_of(PODS, 15, b=12), scope_of(NAMED_A, 20), 10)


def test_what_is_not_in_memory_is_not_trusted() -> None:
    other = scope_of(PODS, 15)
    other.loaded = False
    assert belies(other, scope_of(POD_A, 20), 10)


@given(st.integers(0, 9), st.integers(1, 9), st.integers(0, 9), st.integers(0, 9))
def test_a_row_belies_only_between_the_stored_version_and_its_scope_s(
    since: int, born: int, seen: int, now: int
) -> None:
    other = scope_of(PODS, max(born, seen), a=born)
    said = belies(other, scope_of(POD_A, max(now, since)), since)
    assert said == (born > since)
