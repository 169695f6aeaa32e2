# SPDX-License-Identifier: Apache-2.0
"""What a JSON document may hold that msgspec does not see where it skips values.

Skipping checks syntax, escapes and depth, but neither that strings are UTF-8 nor that
numbers fit a double (1e400, 5,000 digits). A client that decodes them would fail; so
such documents are not kept. Both checks cost far less than decoding: whole-body
searches first, a closer look (14 ns a byte, the interpreter held) only where they
find something. Lists take that look item by item: one odd pod must not slow the rest.
"""

import re
from collections.abc import Callable
from math import isinf
from typing import TypeVar

import msgspec

from toono.errors import CodecError

_MANY_DIGITS = b"0" * 300
_LONG_EXPONENT = b"0e000"
_CLASSES = bytes.maketrans(b"123456789E+", b"000000000e0")
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_NUMBER = re.compile(rb"[0-9][0-9.eE+-]*")
_BEFORE_NUMBER = b":,[ \t\r\n"
_OF_NUMBER = b"0123456789."
_Decoded = TypeVar("_Decoded")


def read(decode: Callable[[bytes], _Decoded], body: bytes) -> _Decoded:
    """Decode `body`; CodecError where it is not what the decoder expects."""
    try:
        return decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise CodecError(f"not what application/json promises: {exc}") from exc


def check(body: bytes) -> None:
    """Raise CodecError where `body` holds what no client could decode."""
    check_text(body)
    check_numbers(body)


def check_text(body: bytes) -> None:
    """Raise CodecError where `body` is not UTF-8."""
    if body.isascii():
        return
    try:
        body.decode()
    except UnicodeDecodeError as exc:
        raise CodecError(f"not UTF-8: {exc.reason} at {exc.start}") from exc


def check_numbers(body: bytes) -> None:
    """Raise CodecError where `body` holds a number that no double holds."""
    if not may_hold_wild_number(body):
        return
    for match in _NUMBER.finditer(_STRING.sub(b"", body)):
        try:
            number = float(match[0])
        except ValueError as exc:
            raise CodecError("a number that is none") from exc
        if isinf(number):
            raise CodecError("a number that no double holds")


def may_hold_wild_number(body: bytes) -> bool:
    """Say whether anything looks like a number of over 300 digits or exponent 100.

    Uids hold such runs all the time, but no number begins where they do.
    """
    classes = body.translate(_CLASSES)
    if _MANY_DIGITS in classes:
        return True
    at = classes.find(_LONG_EXPONENT)
    while at >= 0:
        start = at
        while start and body[start - 1] in _OF_NUMBER:
            start -= 1
        if start and body[start - 1] == ord("-"):
            start -= 1
        if not start or body[start - 1] in _BEFORE_NUMBER:
            return True
        at = classes.find(_LONG_EXPONENT, at + 1)
    return False
