# SPDX-License-Identifier: Apache-2.0
"""CBOR says what JSON says, and reads what API servers wrote."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.rig import recordings

from toono.codec import cbor
from toono.errors import CodecError

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5)
    ),
    max_leaves=20,
)


@given(VALUES)
def test_what_is_written_is_read_again(value) -> None:
    found = cbor.decode(cbor.TAG + cbor.encode(value))
    assert found == value
    assert json.dumps(found) == json.dumps(value)


@pytest.mark.parametrize(
    ("value", "raw"),
    [
        (0, "00"),
        (23, "17"),
        (24, "1818"),
        (256, "190100"),
        (2**32, "1b0000000100000000"),
        (-1, "20"),
        (-500, "3901f3"),
        (True, "f5"),
        (False, "f4"),
        (None, "f6"),
        (1.5, "fb3ff8000000000000"),
        ("a", "4161"),
        ([1, "a"], "82014161"),
        ({"a": []}, "a1416180"),
    ],
)
def test_bytes_are_those_of_the_rfc(value, raw: str) -> None:
    assert cbor.encode(value).hex() == raw
    assert cbor.decode(bytes.fromhex(raw)) == value


@pytest.mark.parametrize(
    ("raw", "value"), [("6161", "a"), ("f93e00", 1.5), ("fa3fc00000", 1.5)]
)
def test_texts_and_short_floats_are_read_too(raw: str, value) -> None:
    assert cbor.decode(bytes.fromhex(raw)) == value


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ("", "ends within"),
        ("18", "ends within"),
        ("4261", "ends within"),
        ("0000", "behind the end"),
        ("9f", "indefinite"),
        ("41ff", "UTF-8"),
        ("a10101", "no text"),
        ("9affffffff", "fewer items"),
        ("f7", "simple value 23"),
        ("f97c00", "cannot hold"),
        ("81" * 200 + "00", "nested"),
    ],
)
def test_what_is_no_document_is_refused(raw: str, why: str) -> None:
    with pytest.raises(CodecError, match=why):
        cbor.decode(bytes.fromhex(raw))


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        cbor.decode(raw)
    except CodecError:
        return


def recorded(accept: str, target: str) -> bytes:
    (body,) = (
        one.body
        for one in recordings("exchanges")
        if one.accept == accept and one.target == target and one.status == 200
    )
    return body


def test_a_recorded_object_is_the_one_in_json() -> None:
    target = "/api/v1/namespaces/default/pods/web-0"
    whole = json.loads(recorded("application/json", target))
    assert cbor.decode(recorded(cbor.MEDIA_TYPE, target)) == whole
    again = cbor.from_json(recorded("application/json", target))
    assert again.startswith(cbor.TAG)
    assert cbor.decode(again) == whole


def test_a_recorded_watch_is_a_sequence_of_events() -> None:
    (body,) = (
        one.body
        for one in recordings("exchanges")
        if one.accept == cbor.MEDIA_TYPE and "sendInitialEvents" in one.target
    )
    at, events = 0, []
    while at < len(body):
        assert body.startswith(cbor.TAG, at)
        event, at = cbor.decode_item(body, at)
        events.append(event["type"])
    assert events[:3] == ["ADDED"] * 3
    assert "BOOKMARK" in events


def test_a_frame_has_the_tag_in_front_of_its_object_too() -> None:
    frame = cbor.frame_from_json(b'{"type":"ADDED","object":{"kind":"Pod"}}\n')
    assert frame.count(cbor.TAG) == 2
    assert cbor.decode(frame) == {"type": "ADDED", "object": {"kind": "Pod"}}
    for other in (b"[]", b'{"type":"ADDED"}', b"no"):
        with pytest.raises(CodecError):
            cbor.frame_from_json(other)


def test_what_json_cannot_hold_is_refused() -> None:
    with pytest.raises(CodecError, match="no place"):
        cbor.encode(b"bytes")
    assert cbor.decode(cbor.encode(2**70)) == 2.0**70
