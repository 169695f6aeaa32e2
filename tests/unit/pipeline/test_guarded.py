# SPDX-License-Identifier: Apache-2.0
"""A guarded list: all of it passes once enough was seen, its end only then."""

import asyncio
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.wire.kit import Pieces
from toono.errors import BodyCutError, RequestError
from toono.pipeline.guarded import GuardedBody

UIDS = [str(UUID(int=number)) for number in range(4)]


class Judge:
    def __init__(self, passes: bool) -> None:
        self.passes = passes
        self.read: list[bytes] = []

    async def __call__(self, content: bytes) -> None:
        self.read.append(content)
        if not self.passes:
            raise RequestError(503, "ServiceUnavailable", "held back")


def body(first: list[bytes], rest: list[bytes], judge: Judge, enough) -> GuardedBody:
    return GuardedBody(Pieces(*rest), first, enough, judge)


async def drain(one: GuardedBody, pieces: list[bytes]) -> None:
    try:
        while piece := await one.read():
            pieces.append(piece)
        assert await one.read() == b"", "an end is an end for ever"
    except BodyCutError:
        pieces.append(b"CUT")
    one.close()


@given(
    there=st.integers(0, 4),
    step=st.integers(1, 80),
    ahead=st.integers(0, 5),
    passes=st.booleans(),
)
def test_what_passes_is_what_came_or_never_ends(there, step, ahead, passes) -> None:
    text = b"".join(b'{"uid":"%b"}' % one.encode() for one in UIDS[:there]) + b"]}"
    pieces = [text[at : at + step] for at in range(0, len(text), step)]
    judge, found = Judge(passes), []

    def enough() -> bool:
        return is_more_than_half(b"".join(found))

    asyncio.run(drain(body(pieces[:ahead], pieces[ahead:], judge, enough), found))
    if is_more_than_half(b"".join(pieces[:-1])):
        assert judge.read == []
        assert found == pieces
    else:
        assert judge.read == [text]
        assert found == (pieces if passes else [*pieces[:-1], b"CUT"])


def is_more_than_half(text: bytes) -> bool:
    return sum(one.encode() in text for one in UIDS) * 2 > len(UIDS)


def test_once_closed_nothing_is_held_or_read() -> None:
    async def scenario() -> None:
        inner = Pieces(b"a", b"b", b"c")
        one = GuardedBody(inner, [], lambda: False, Judge(passes=True))
        assert await one.read() == b"a"
        one.close()
        assert inner.closed == 1

    asyncio.run(scenario())
