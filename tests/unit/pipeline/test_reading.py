# SPDX-License-Identifier: Apache-2.0
"""Bodies read into memory are what came, and no more than was asked for."""

import asyncio

import pytest

from tests.unit.wire.kit import Pieces
from toono.cache.coding import MAX_BODY_BYTES
from toono.errors import UpstreamError
from toono.pipeline.reading import read_ahead, read_all


@pytest.mark.parametrize(
    ("pieces", "length"),
    [([b"abc"], 3), ([b"a", b"bc"], 3), ([b"a"], None), ([], 0)],
)
def test_what_came_is_joined_and_nothing_is_left(pieces, length) -> None:
    body = Pieces(*pieces, length=length)
    assert asyncio.run(read_all(body)) == b"".join(pieces)
    assert body.pieces == []


def test_what_no_cache_could_keep_is_refused_and_closed() -> None:
    body = Pieces(b"x" * MAX_BODY_BYTES, b"x")
    with pytest.raises(UpstreamError):
        asyncio.run(read_all(body))
    assert body.closed == 1


@pytest.mark.parametrize(
    ("least", "first", "over"),
    [(0, [b"aa"], False), (1, [b"aa"], False), (2, [b"aa", b"bb"], False)],
)
def test_so_much_is_read_ahead_and_no_more(least, first, over) -> None:
    pieces = Pieces(b"aa", b"bb", b"cc")
    assert asyncio.run(read_ahead(pieces, least)) == (first, over)


def test_an_answer_that_is_over_before_is_known_whole() -> None:
    assert asyncio.run(read_ahead(Pieces(b"aa", b"bb"), 4)) == ([b"aa", b"bb"], True)
