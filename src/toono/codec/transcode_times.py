# SPDX-License-Identifier: Apache-2.0
"""Points in time as JSON and protobuf have them: RFC 3339 text, seconds and nanos.

Only what an API server writes is taken: UTC, whole seconds (Time) or six decimals
(MicroTime). Go drops finer parts in silence; here they are refused.
"""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from toono.codec.wireformat import VARINT, encode_number, signed, tag_of, walk
from toono.errors import CodecError

_SECONDS, _NANOS = tag_of(1, VARINT), tag_of(2, VARINT)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_MICRO_TIME = re.compile(_TIME.pattern[:-1] + r"\.([0-9]{6})Z")
FIRST, LAST = -62_135_596_800, 253_402_300_799
"""Year 1, where Go's zero time is, and the end of year 9999."""


def read_time(buffer: bytes, start: int, end: int, depth: int) -> str | None:
    """Return the text of a Time, None for Go's zero time."""
    if start == end:
        return None
    seconds, nanos = _timestamp(buffer, start, end)
    if nanos:
        raise CodecError("a Time finer than seconds")
    return None if seconds == FIRST else _text(seconds) + "Z"


def read_micro_time(buffer: bytes, start: int, end: int, depth: int) -> str | None:
    """Return the text of a MicroTime, None for Go's zero time."""
    if start == end:
        return None
    seconds, nanos = _timestamp(buffer, start, end)
    micros, rest = divmod(nanos, 1000)
    if rest or not 0 <= micros < 1_000_000:
        raise CodecError("a MicroTime finer than microseconds")
    if (seconds, micros) == (FIRST, 0):
        return None
    return f"{_text(seconds)}.{micros:06}Z"


def write_time(text: str, depth: int) -> bytes:
    """Return the message of a Time."""
    if not _TIME.fullmatch(text):
        raise CodecError(f"{text!r} is no Time as API servers write it")
    return _message(text, 0)


def write_micro_time(text: str, depth: int) -> bytes:
    """Return the message of a MicroTime."""
    found = _MICRO_TIME.fullmatch(text)
    if not found:
        raise CodecError(f"{text!r} is no MicroTime as API servers write it")
    return _message(text, int(found[1]) * 1000)


def _timestamp(buffer: bytes, start: int, end: int) -> tuple[int, int]:
    found = {_SECONDS: 0, _NANOS: 0}
    last = 0
    for tag, value, _ in walk(buffer, start, end):
        if tag not in found or tag <= last:
            raise CodecError("a time with more than seconds and nanos")
        found[tag], last = signed(value), tag
    seconds, nanos = found[_SECONDS], found[_NANOS]
    if not FIRST <= seconds <= LAST:
        raise CodecError(f"second {seconds} is in no year that RFC 3339 has")
    return seconds, nanos


@lru_cache(maxsize=256)
def _text(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()[:19]


def _message(text: str, nanos: int) -> bytes:
    try:
        seconds = (datetime.fromisoformat(text) - _EPOCH) // _SECOND
    except ValueError as exc:
        raise CodecError(f"{text!r} is no time") from exc
    if seconds == FIRST and not nanos:
        raise CodecError("the zero time is null in JSON, never a text")
    return encode_number(1, seconds) + encode_number(2, nanos)
