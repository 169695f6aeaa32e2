# SPDX-License-Identifier: Apache-2.0
"""Times as JSON and protobuf have them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toono.codec.transcode_times import (
    FIRST,
    LAST,
    read_micro_time,
    read_time,
    write_micro_time,
    write_time,
)
from toono.codec.wireformat import encode_bytes, encode_number
from toono.errors import CodecError


def stamp(seconds: int, nanos: int = 0) -> bytes:
    return encode_number(1, seconds) + encode_number(2, nanos)


def time_of(message: bytes) -> str | None:
    return read_time(message, 0, len(message), 0)


def micro_time_of(message: bytes) -> str | None:
    return read_micro_time(message, 0, len(message), 0)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (-1, "1969-12-31T23:59:59Z"),
        (1_795_222_766, "2026-11-21T00:59:26Z"),
        (FIRST + 1, "0001-01-01T00:00:01Z"),
        (LAST, "9999-12-31T23:59:59Z"),
    ],
)
def test_a_time_has_whole_seconds_in_utc(seconds: int, text: str) -> None:
    assert time_of(stamp(seconds)) == text
    assert write_time(text, 0) == stamp(seconds)
    micro = text.replace("Z", ".000012Z")
    assert micro_time_of(stamp(seconds, 12_000)) == micro
    assert write_micro_time(micro, 0) == stamp(seconds, 12_000)


@given(st.integers(FIRST + 1, LAST), st.integers(0, 999_999))
def test_every_second_survives(seconds: int, micros: int) -> None:
    text, micro = time_of(stamp(seconds)), micro_time_of(stamp(seconds, micros * 1000))
    assert text is not None
    assert micro is not None
    assert write_time(text, 0) == stamp(seconds)
    assert write_micro_time(micro, 0) == stamp(seconds, micros * 1000)


@pytest.mark.parametrize("zero", [b"", stamp(FIRST)])
def test_the_zero_time_is_null(zero: bytes) -> None:
    assert time_of(zero) is None
    assert micro_time_of(zero) is None


def test_the_first_microsecond_is_not_zero() -> None:
    assert micro_time_of(stamp(FIRST, 1000)) == "0001-01-01T00:00:00.000001Z"
    assert write_micro_time("0001-01-01T00:00:00.000001Z", 0) == stamp(FIRST, 1000)


def test_a_time_without_its_fields_is_the_epoch() -> None:
    assert time_of(encode_number(2, 0)) == "1970-01-01T00:00:00Z"
    assert time_of(encode_number(1, 7)) == "1970-01-01T00:00:07Z"


@pytest.mark.parametrize(
    "message",
    [
        stamp(FIRST - 1),
        stamp(LAST + 1),
        stamp(1) + encode_number(3, 1),
        encode_number(2, 1000) + encode_number(1, 1),
        encode_number(1, 1) + encode_number(1, 1),
        encode_bytes(1, b"x"),
        b"\x08",
    ],
)
def test_a_message_that_is_no_time_is_refused(message: bytes) -> None:
    for read in (time_of, micro_time_of):
        with pytest.raises(CodecError):
            read(message)


def test_what_json_would_drop_is_refused() -> None:
    with pytest.raises(CodecError, match="finer than seconds"):
        time_of(stamp(1, 1000))
    for nanos in (1, 999, 1_000_000_000, -1000):
        with pytest.raises(CodecError, match="finer than microseconds"):
            micro_time_of(stamp(1, nanos))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-11-21",
        "2026-11-21T00:46:06",
        "2026-11-21T00:46:06+08:00",
        "2026-11-21T00:46:06.5Z",
        "2026-11-21 00:46:06Z",
        "2026-11-21T00:46:06Z\n",
        "2026-02-30T00:00:00Z",
        "2026-11-21T24:00:00Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "٢٠٢٦-11-21T00:46:06Z",
    ],
)
def test_a_text_that_api_servers_do_not_write_is_refused(text: str) -> None:
    with pytest.raises(CodecError):
        write_time(text, 0)
    with pytest.raises(CodecError):
        write_micro_time(text.replace("Z", ".000000Z"), 0)
    with pytest.raises(CodecError):
        write_micro_time(text, 0)
