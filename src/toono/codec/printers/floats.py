# SPDX-License-Identifier: Apache-2.0
"""Numbers with a fraction as Go writes them, in JSON and in text."""

from decimal import Decimal
from math import isfinite


def json_number(value: float) -> str:
    """Return a number as Go's JSON encoder writes it: 3, 0.5, 1e+21, 1e-7."""
    if not isfinite(value):
        return "null"
    digits, point, sign = _shortest(value)
    if value == 0 or -6 < point <= 21:
        return sign + _plain(digits, point)
    exponent = point - 1
    return f"{sign}{_mantissa(digits)}e{'-' if exponent < 0 else '+'}{abs(exponent)}"


def text_number(value: float) -> str:
    """Return a number as Go's fmt prints it: 3, 0.5, 1e+06, 1e-07."""
    if not isfinite(value):
        return {"inf": "+Inf", "-inf": "-Inf"}.get(str(value), "NaN")
    digits, point, sign = _shortest(value)
    if value == 0 or -4 < point <= 6:
        return sign + _plain(digits, point)
    exponent = point - 1
    tail = f"{'-' if exponent < 0 else '+'}{abs(exponent):02}"
    return f"{sign}{_mantissa(digits)}e{tail}"


def _shortest(value: float) -> tuple[str, int, str]:
    """Return the shortest digits, where the point stands in them, and the sign."""
    sign, numbers, exponent = Decimal(repr(value)).as_tuple()
    digits = "".join(map(str, numbers)).rstrip("0") or "0"
    return digits, len(numbers) + int(exponent), "-" if sign else ""


def _plain(digits: str, point: int) -> str:
    if point <= 0:
        return "0" if digits == "0" else f"0.{'0' * -point}{digits}"
    if point >= len(digits):
        return digits + "0" * (point - len(digits)) if digits != "0" else "0"
    return f"{digits[:point]}.{digits[point:]}"


def _mantissa(digits: str) -> str:
    return f"{digits[0]}.{digits[1:]}" if len(digits) > 1 else digits
