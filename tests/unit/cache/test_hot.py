# SPDX-License-Identifier: Apache-2.0
from toono.cache.hot import Hot
from toono.cache.scope import Row


def row(size: int) -> Row:
    return Row("uid", "1", b"x" * size, size)


def spot(name: str) -> tuple[int, tuple[str, str]]:
    return (1, ("default", name))


def test_the_least_recently_used_row_loses_its_bytes_first() -> None:
    hot = Hot(limit=10)
    a, b, c = row(4), row(4), row(4)
    hot.keep(spot("a"), a, protected=False)
    hot.keep(spot("b"), b, protected=False)
    hot.touch(spot("a"))
    hot.keep(spot("c"), c, protected=False)
    assert (a.data, b.data, c.data) == (b"xxxx", None, b"xxxx")
    assert hot.size == 8


def test_protected_rows_lose_their_bytes_last() -> None:
    hot = Hot(limit=10)
    kubelets, other = row(6), row(6)
    hot.keep(spot("k"), kubelets, protected=True)
    hot.keep(spot("o"), other, protected=False)
    assert kubelets.data is not None
    assert other.data is None
    hot.keep(spot("k2"), row(6), protected=True)
    assert kubelets.data is None


def test_a_row_replaced_is_counted_once() -> None:
    hot = Hot(limit=100)
    hot.keep(spot("a"), row(4), protected=False)
    hot.keep(spot("a"), row(6), protected=False)
    assert hot.size == 6


def test_a_dropped_row_frees_its_room() -> None:
    hot = Hot(limit=100)
    hot.keep(spot("a"), row(4), protected=True)
    hot.drop(spot("a"))
    hot.drop(spot("a"))
    assert hot.size == 0


def test_touching_a_row_that_is_gone_does_nothing() -> None:
    Hot().touch(spot("never"))
