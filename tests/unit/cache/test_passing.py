# SPDX-License-Identifier: Apache-2.0
"""What passes is read as it comes, in any coding."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.cache.kit import JSON_FIELDS, pod, pod_list, table
from toono.cache import passing
from toono.cache.coding import Gzip
from toono.cache.passing import BEGIN_BYTES, Passing
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


def passed(body: bytes, fields=JSON_FIELDS, *, step: int = 500) -> Passing:
    found = Passing(fields)
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
    assert found.pieces == []


@pytest.mark.parametrize("body", [LISTED, CUSTOM])
def test_what_is_expected_is_recognised_as_it_comes(body: bytes) -> None:
    items = CODEC.split_list(body).items
    assert len(items) == 20
    other = [one._replace(uid="another", data=one.data + b" ") for one in items[:5]]
    found = Passing(JSON_FIELDS, [*other, *items[5:10]])
    half = body.index(b'"pod-8"')
    found.feed(body[:half])
    assert found.recognised == 3, "pods 5 to 7; of another uid none"
    found.feed(body[half:])
    assert found.recognised == 5
    assert found.parts() == CODEC.split_list(body)
    assert passed(table(30, *map(str, range(20)))).recognised == 0


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


@pytest.mark.parametrize("damage", ["cut", "short", "bomb", "no list"])
def test_what_cannot_be_read_is_told_at_the_end(damage: str, monkeypatch) -> None:
    body = gzip.compress(LISTED)
    if damage == "short":
        body = body[:-8]
    elif damage == "cut":
        body = body[:-40] + b"\xff" * 40
    elif damage == "bomb":
        body = gzip.compress(LISTED + b" " * 50_000)
        monkeypatch.setattr(passing, "coding_of", lambda _: Gzip(limit=len(LISTED)))
    else:
        body = gzip.compress(LISTED + b"x")
    found = passed(body, PACKED, step=50)
    assert found.is_read
    with pytest.raises(CodecError):
        found.parts()
