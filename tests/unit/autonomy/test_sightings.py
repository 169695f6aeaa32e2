# SPDX-License-Identifier: Apache-2.0
"""What is seen of a list in passing is there, however its bytes are cut."""

import gzip
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


def sightings(media_type: str = JSON, coding: bytes = b"") -> Sightings:
    return Sightings(UIDS, known=len(UIDS), media_type=media_type, coding=coding)


@given(
    there=st.lists(st.sampled_from(UIDS)),
    step=st.integers(1, 200),
    media_type=st.sampled_from([JSON, PROTOBUF]),
    coding=st.sampled_from([b"", b"identity", b"gzip"]),
)
def test_more_than_half_is_enough_and_no_fewer(there, step, media_type, coding) -> None:
    seen = sightings(media_type, coding)
    body = text(media_type, there)
    if coding == b"gzip":
        body = gzip.compress(body)
    for at in range(0, len(body), step):
        seen.feed(body[at : at + step])
    assert seen.enough == (len(set(there)) * 2 > len(UIDS))


def test_nothing_known_is_nothing_to_lose() -> None:
    assert Sightings([], known=0, media_type=JSON, coding=b"").enough


@pytest.mark.parametrize(
    ("media_type", "coding", "body"),
    [
        ("application/cbor", b"", text(JSON, UIDS)),
        (JSON, b"br", text(JSON, UIDS)),
        (JSON, b"gzip", text(JSON, UIDS)),
        (JSON, b"", text(JSON, UIDS).replace(b":", b": ")),
    ],
)
def test_what_cannot_be_looked_into_shows_nothing(media_type, coding, body) -> None:
    seen = sightings(media_type, coding)
    seen.feed(body)
    assert not seen.enough


def test_uids_of_another_making_are_not_looked_for() -> None:
    short = ["web", "", "db"]
    seen = Sightings(short, known=3, media_type=JSON, coding=b"")
    seen.feed(text(JSON, short))
    assert not seen.enough


def test_a_bomb_is_unpacked_no_further_than_it_is_looked_at() -> None:
    seen = sightings(JSON, b"gzip")
    seen.feed(gzip.compress(text(JSON, UIDS) + bytes(64 * 1024 * 1024)))
    assert seen.enough
