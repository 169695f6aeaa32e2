# SPDX-License-Identifier: Apache-2.0
"""What passes is read as it comes, or compared with what came last, in any coding."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.cache.kit import JSON_FIELDS, pod, pod_list, table
from toono.cache import passing
from toono.cache.echo import mark_of
from toono.cache.passing import BEGIN_BYTES, Gzip, Passing
from toono.codec.json import JSONCodec
from toono.errors import CodecError

CODEC = JSONCodec()
PACKED = JSON_FIELDS | {b"content-encoding": b"gzip"}
LISTED = pod_list(30, *[pod(f"pod-{n}", 5, note="x" * 99) for n in range(20)])
CUSTOM = (
    LISTED.replace(b'"kind":"PodList","apiVersion":"v1","metadata"', b'"m"')
    .replace(b'{"m":{"resourceVersion":"30"}', b'{"apiVersion":"e.io/v1"')
    .replace(b'{"metadata"', b'{"apiVersion":"e.io/v1","kind":"Pod","metadata"')
    .replace(b"]}\n", b'],"kind":"PodList","metadata":{"resourceVersion":"30"}}\n')
)


def news(version: int) -> bool:
    return False


def known(version: int) -> bool:
    return True


def passed(
    body: bytes, fields=JSON_FIELDS, *, step: int = 500, is_known=news
) -> Passing:
    found = Passing(fields, is_known)
    for at in range(0, len(body), step):
        found.feed(body[at : at + step])
    return found


@given(step=st.integers(1, 3000), packed=st.booleans(), members=st.booleans())
def test_a_list_is_read_as_it_comes(step: int, packed: bool, members: bool) -> None:
    body, fields = LISTED, JSON_FIELDS
    if packed:
        half = len(body) // 2
        body = gzip.compress(body[:half]) + gzip.compress(body[half:])
        body, fields = body if members else gzip.compress(LISTED), PACKED
    found = passed(body, fields, step=step)
    assert found.is_read
    assert found.parts() == CODEC.split_list(LISTED)
    assert (found.mark, found.pieces) == (b"", [])


def test_of_what_tells_its_version_at_its_end_the_bytes_are_told_too() -> None:
    assert len(CODEC.split_list(CUSTOM).items) == 20
    found = passed(CUSTOM)
    assert found.parts() == CODEC.split_list(CUSTOM)
    assert (found.mark, found.pieces) == (mark_of(CUSTOM[:1], CUSTOM[1:]), [])


@pytest.mark.parametrize("coding", [b"", b"identity", b"gzip"])
@pytest.mark.parametrize("body", [LISTED, CUSTOM])
def test_what_may_be_the_last_one_again_is_compared(body: bytes, coding: bytes) -> None:
    asked: list[int] = []

    def note(version: int) -> bool:
        asked.append(version)
        return True

    sent = gzip.compress(body) if coding == b"gzip" else body
    fields = JSON_FIELDS | {b"content-encoding": coding}
    found = passed(sent, fields, step=7, is_known=note)
    assert not found.is_read
    assert asked == [30 if body is LISTED else 0]
    assert b"".join(found.pieces) == sent
    assert found.mark == mark_of(sent[:1], sent[1:])
    assert found.left == 0


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (table(30, *map(str, range(20))), JSON_FIELDS),
        (LISTED.replace(b"{", b"{\n", 1), JSON_FIELDS),
        (LISTED, {b"content-type": b"application/cbor"}),
        (LISTED, JSON_FIELDS | {b"content-encoding": b"br"}),
        (LISTED, None),
        (LISTED[: BEGIN_BYTES - 1], JSON_FIELDS),
    ],
)
def test_all_else_is_gathered(body: bytes, fields) -> None:
    for step in (1, 700, len(body)):
        found = passed(body, fields, step=step)
        assert not found.is_read
        assert b"".join(found.pieces) == body
        assert found.mark in (b"", mark_of(body[:1], body[1:]))


@pytest.mark.parametrize("damage", ["cut", "short", "bomb", "no list"])
def test_what_cannot_be_read_is_told_at_the_end(damage: str, monkeypatch) -> None:
    body = gzip.compress(LISTED)
    if damage == "short":
        body = body[:-8]
    elif damage == "cut":
        body = body[:-40] + b"\xff" * 40
    elif damage == "bomb":
        body = gzip.compress(LISTED + b" " * 50_000)
        monkeypatch.setattr(passing, "Gzip", lambda: Gzip(limit=len(LISTED)))
    else:
        body = gzip.compress(LISTED + b"x")
    found = passed(body, PACKED, step=50)
    assert found.is_read
    with pytest.raises(CodecError):
        found.parts()


@given(step=st.integers(1, 900), early=st.integers(0, 5), end=st.integers(0, 60))
@pytest.mark.parametrize("is_known", [news, known])
def test_who_looks_ahead_sees_each_piece_and_it_is_unpacked_once(
    step: int, early: int, end: int, is_known
) -> None:
    body = gzip.compress(LISTED)
    pieces = [body[at : at + step] for at in range(0, len(body), step)]
    found, seen, looked = Passing(PACKED, is_known), b"", 0
    for number, piece in enumerate(pieces):
        while looked < min(number + early, end, len(pieces)):
            seen += found.ahead(pieces[looked])
            looked += 1
        if looked <= number < end:
            seen += found.ahead(piece)
            looked += 1
        found.feed(piece)
    assert LISTED.startswith(seen)
    if found.is_read:
        assert found.parts() == CODEC.split_list(LISTED)
    else:
        assert b"".join(found.pieces) == body
    assert not found._ahead


def test_what_is_damaged_shows_nothing_ahead() -> None:
    found = Passing(PACKED, news)
    assert found.ahead(b"nonsense") == b""
    assert found.ahead(gzip.compress(LISTED)) == b""
    for _ in range(2):
        found.feed(b"nonsense" * BEGIN_BYTES)
    assert not found.is_read
    assert len(found.pieces) == 2
    assert Passing(None, news).ahead(b"x") == b""
    assert Passing(JSON_FIELDS | {b"content-encoding": b"br"}, news).ahead(b"x") == b""
