# SPDX-License-Identifier: Apache-2.0
"""What is unpacked is what was packed, in any pieces; a lie or a bomb is an error."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toono.cache.coding import MAX_BODY_BYTES, STEP_BYTES, coding_of, unpacked
from toono.errors import CodecError

GZIP = {b"content-encoding": b"gzip"}


@given(members=st.lists(st.binary(max_size=99)), step=st.integers(1, 99))
def test_in_pieces_or_at_once_all_members_are_unpacked(members, step) -> None:
    body = b"".join(map(gzip.compress, members))
    coding = coding_of(GZIP)
    assert coding is not None
    found = []
    for at in range(0, len(body), step):
        found += coding.feed(body[at : at + step])
    assert coding.is_whole
    assert b"".join(found) == unpacked(body, GZIP) == b"".join(members)


def test_much_comes_in_steps_of_memory_that_is_used_again() -> None:
    coding = coding_of(GZIP)
    assert coding is not None
    pieces = coding.feed(gzip.compress(bytes(3 * STEP_BYTES + 1)))
    assert max(map(len, pieces)) == STEP_BYTES
    assert sum(map(len, pieces)) == 3 * STEP_BYTES + 1


@pytest.mark.parametrize(
    "body", [b"plain", gzip.compress(b"x" * 100)[:-4]], ids=["plain", "cut"]
)
def test_a_gzip_lie_is_an_error(body: bytes) -> None:
    with pytest.raises(CodecError):
        unpacked(body, {b"content-encoding": b"gzip"})


def test_a_gzip_bomb_is_an_error() -> None:
    fields = {b"content-encoding": b"gzip"}
    assert unpacked(gzip.compress(b"0" * 1000), fields, limit=1000) == b"0" * 1000
    for size, limit in ((1001, {"limit": 1000}), (MAX_BODY_BYTES + 1, {})):
        with pytest.raises(CodecError):
            unpacked(gzip.compress(b"0" * size, 1), fields, **limit)


def test_a_double_coding_is_an_error() -> None:
    with pytest.raises(CodecError):
        unpacked(b"", {b"content-encoding": b"gzip, gzip"})
