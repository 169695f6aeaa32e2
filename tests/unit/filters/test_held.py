# SPDX-License-Identifier: Apache-2.0
"""What is held for filters: as it came, in one room, never more than there is."""

import asyncio

import pytest

from tests.unit.wire.kit import Pieces
from toono.errors import BodyCutError, RequestError
from toono.filters.base import Door
from toono.filters.held import SMALL_BYTES, HeldBody, Room, Seat, take
from toono.filters.serviceenvupdater import ServiceEnvUpdater
from toono.filters.sieve import Sieve
from toono.wire.messages import Response

SIEVE = Sieve((ServiceEnvUpdater(Door("169.254.2.1", 10268)),))
MARK = b"KUBERNETES_SERVICE_"


def taken(*pieces: bytes, seat: Seat | None = None):
    response = Response(status=200, body=Pieces(*pieces))
    return asyncio.run(take(response, SIEVE, seat or Room().seat()))


@pytest.mark.parametrize("cut", range(1, len(MARK)))
def test_a_mark_is_found_wherever_it_is_cut(cut) -> None:
    assert taken(b"x" * 50 + MARK[:cut], MARK[cut:] + b"y").marked
    assert taken(*[bytes([one]) for one in MARK]).marked
    assert not taken(b"x" * 50 + MARK[:cut], b" " + MARK[cut:]).marked


def test_what_has_no_mark_keeps_its_pieces() -> None:
    assert taken(b"one", b"two") == ([b"one", b"two"], False)
    response = Response(status=200, content=[b"one", MARK])
    found = asyncio.run(take(response, SIEVE, Room().seat()))
    assert found == ([b"one", MARK], True)


def test_the_room_is_one_for_all() -> None:
    room = Room(most=4 * SMALL_BYTES)
    first, second = room.seat(), room.seat()
    taken(b"x" * (3 * SMALL_BYTES), seat=first)
    with pytest.raises(RequestError) as raised:
        taken(b"x" * (2 * SMALL_BYTES), seat=second)
    assert raised.value.code == 429
    first.leave()
    second.leave()
    assert room.held == 0
    taken(b"x" * (2 * SMALL_BYTES), b"x" * SMALL_BYTES, seat=second)
    assert room.held == 3 * SMALL_BYTES
    with pytest.raises(RequestError) as raised:
        taken(b"x" * (4 * SMALL_BYTES + 1), seat=room.seat())
    assert raised.value.code == 503


def test_small_answers_pass_a_full_room() -> None:
    room = Room(most=SMALL_BYTES)
    room.held = room.most
    assert taken(b"x" * SMALL_BYTES, seat=room.seat()).pieces
    assert room.held == room.most


def test_a_body_that_breaks_off_is_none() -> None:
    class Cut(Pieces):
        async def read(self) -> bytes:
            raise BodyCutError("cut")

    body = Cut(b"one")
    with pytest.raises(BodyCutError):
        asyncio.run(take(Response(status=200, body=body), SIEVE, Room().seat()))


def test_a_held_body_tells_its_length_and_leaves_once_it_is_closed() -> None:
    left: list[int] = []
    body = HeldBody([b"one", b"two!"], lambda: left.append(1))
    assert body.length == 7
    assert asyncio.run(body.read()) == b"one"
    assert left == []
    body.close()
    assert asyncio.run(body.read()) == b""
    assert left == [1]
