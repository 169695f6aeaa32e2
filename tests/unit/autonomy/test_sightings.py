# SPDX-License-Identifier: Apache-2.0
"""What is seen of a list in passing is there, however its bytes are cut."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toono.autonomy.sightings import BEFORE_UID, Sightings

JSON, PROTOBUF = BEFORE_UID
UIDS = [str(UUID(int=number)) for number in range(10)]


def text(media_type: str, uids: list[str]) -> bytes:
    if media_type == JSON:
        pods = b",".join(b'{"metadata":{"uid":"%b"}}' % one.encode() for one in uids)
        return b'{"items":[%b]}\n' % pods
    return b"k8s\0" + b"".join(b"\x12\x26*$" + one.encode() for one in uids)


def as_it_is(piece: bytes) -> bytes:
    return piece


def sightings(media_type: str = JSON, unpack=as_it_is) -> Sightings:
    return Sightings(UIDS, known=len(UIDS), media_type=media_type, unpack=unpack)


@given(
    there=st.lists(st.sampled_from(UIDS)),
    step=st.integers(1, 200),
    media_type=st.sampled_from([JSON, PROTOBUF]),
)
def test_more_than_half_is_enough_and_no_fewer(there, step, media_type) -> None:
    seen = sightings(media_type)
    body = text(media_type, there)
    for at in range(0, len(body), step):
        seen.feed(body[at : at + step])
    assert seen.enough == (len(set(there)) * 2 > len(UIDS))


def test_nothing_known_is_nothing_to_lose() -> None:
    assert Sightings([], known=0, media_type=JSON, unpack=as_it_is).enough


@pytest.mark.parametrize(
    ("media_type", "unpack", "body"),
    [
        ("application/cbor", as_it_is, text(JSON, UIDS)),
        (JSON, lambda _: b"", text(JSON, UIDS)),
        (JSON, as_it_is, text(JSON, UIDS).replace(b":", b": ")),
    ],
)
def test_what_cannot_be_looked_into_shows_nothing(media_type, unpack, body) -> None:
    seen = sightings(media_type, unpack)
    seen.feed(body)
    assert not seen.enough


def test_what_is_seen_enough_is_not_unpacked_any_more() -> None:
    asked: list[bytes] = []
    seen = sightings(unpack=lambda piece: asked.append(piece) or piece)
    for piece in (b"a", text(JSON, UIDS), b"b"):
        seen.feed(piece)
    assert asked == [b"a", text(JSON, UIDS)]


def test_uids_of_another_making_are_not_looked_for() -> None:
    short = ["web", "", "db"]
    seen = Sightings(short, known=3, media_type=JSON, unpack=as_it_is)
    seen.feed(text(JSON, short))
    assert not seen.enough
