# SPDX-License-Identifier: Apache-2.0
"""YAML out: a JSON answer as the API server writes application/yaml (kubectl too).

Keys in natural order (a2 before a10), strings bare unless YAML 1.1 would take them
for something else, text of several lines as a block. Emitted with libyaml, whose
rules of quoting and folding the API server's library shares. Nothing reads YAML here.
"""

import re
from collections.abc import Iterable
from decimal import Decimal
from functools import cmp_to_key
from typing import Any

import msgspec
import yaml as pyyaml
from yaml import events

from toono.codec.json_strict import check, read
from toono.errors import CodecError

MAX_DEPTH = 200


def to_yaml(body: bytes) -> bytes:
    """Return a JSON document as YAML; CodecError where it is none."""
    check(body)
    out = [events.StreamStartEvent(), events.DocumentStartEvent(explicit=False)]
    _put(out, read(_decode, body), 0)
    out += (events.DocumentEndEvent(explicit=False), events.StreamEndEvent())
    text: str = pyyaml.emit(out, Dumper=_DUMPER, allow_unicode=True, width=80)
    if text.endswith("\n...\n"):  # libyaml ends what ends in empty lines; Go does not
        text = text.removesuffix("...\n")
    return text.encode()


_decode = msgspec.json.Decoder().decode
_DUMPER = getattr(pyyaml, "CSafeDumper", pyyaml.SafeDumper)


def _put(out: list[events.Event], value: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise CodecError(f"more than {MAX_DEPTH} values within each other")
    if isinstance(value, dict):
        out.append(events.MappingStartEvent(None, None, True, flow_style=False))
        for key in _sorted(value):
            out.append(_string(key))
            _put(out, value[key], depth + 1)
        out.append(events.MappingEndEvent())
    elif isinstance(value, list):
        out.append(events.SequenceStartEvent(None, None, True, flow_style=False))
        for item in value:
            _put(out, item, depth + 1)
        out.append(events.SequenceEndEvent())
    elif isinstance(value, str):
        out.append(_string(value))
    else:
        out.append(_scalar(_bare(value)))


def _scalar(text: str, style: str | None = None) -> events.Event:
    return events.ScalarEvent(None, None, (True, True), text, style=style)


# -- scalars -------------------------------------------------------------------


def _bare(value: bool | float | None) -> str:
    """Return what is no string."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and -(1 << 63) <= value < 1 << 64:
        return str(value)
    return _float(float(value))


def _float(number: float) -> str:
    """Return a float as Go's %g: the fewest digits, exponents from 1e+06 on."""
    digits = Decimal(repr(number)).normalize()
    if not digits or -4 <= digits.adjusted() < 6:
        return format(digits, "f")
    mantissa, _, exponent = format(digits, "e").partition("e")
    return f"{mantissa}e{int(exponent):+03}"


def _string(text: str) -> events.Event:
    if _BREAKS.search(text):  # line breaks to libyaml, none to YAML 1.2
        return _scalar(text, '"')
    if "\n" in text:
        return _scalar(text, "|")
    return _scalar(text, None if _stays_string(text) else '"')


_BREAKS = re.compile("[\x85\u2028\u2029]")


def _stays_string(text: str) -> bool:
    """Say whether a reader of YAML 1.1 takes bare text for a string."""
    if text[:1] not in _FIRST:
        return True
    return not _OTHERS.fullmatch(text.replace("_", ""))


_FIRST = frozenset("0123456789+-.yYnNtTfFoO~") | {""}
"""What anything but a string begins with."""
_OTHERS = re.compile(
    r"""
      [yYnN~]? | yes | Yes | YES | no | No | NO | on | On | ON | off | Off | OFF
    | true | True | TRUE | false | False | FALSE | null | Null | NULL
    | \.nan | \.NaN | \.NAN | [-+]? (?: \.inf | \.Inf | \.INF )
    | [-+]? (?: 0[xX][0-9a-fA-F]+ | 0[bB][01]+ | 0[oO][0-7]+ )
    | [-+]? (?: \.[0-9]+ | [0-9]+ (?: \.[0-9]* )? ) (?: [eE][-+]?[0-9]+ )?
    | [-+]? [0-9]+ (?: :[0-5]?[0-9] )+ (?: \.[0-9]* )?
    | [0-9]{4} - (?: 0?[1-9] | 1[0-2] ) - (?: 0?[1-9] | [12][0-9] | 3[01] )
      (?: (?: [Tt] | \ ) [0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2} (?: \.[0-9]+ )?
          (?: Z | [-+][0-9]{2}:[0-9]{2} )? )?
    """,
    re.VERBOSE,
)
"""Words, numbers (of base 60 too) and times."""


# -- keys ----------------------------------------------------------------------


def _sorted(keys: Iterable[str]) -> list[str]:
    """Return keys with letters after all else and digits by their value."""
    names = sorted(keys)
    if all(map(str.isalpha, names)):
        return names
    return sorted(names, key=cmp_to_key(_compare))


def _compare(one: str, other: str) -> int:
    at = next(
        (at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), None
    )
    if at is None:
        return len(one) - len(other)
    left, right = one[at], other[at]
    if left.isalpha() and right.isalpha():
        return ord(left) - ord(right)
    if left.isalpha() or right.isalpha():
        return 1 if left.isalpha() else -1
    return _by_number(one, other, at) or ord(left) - ord(right)


def _by_number(one: str, other: str, at: int) -> int:
    """Compare the digits from `at` on by value, then by their count."""
    # With a zero here the digits may go on from before: 100 and 10.
    goes_on = "0" in (one[at], other[at]) and _GOES_ON.search(one[:at])
    runs = [_DIGITS.findall(text[at:])[0] for text in (one, other)]
    left, right = (f"1{run}" if goes_on else run.lstrip("0") for run in runs)
    if (len(left), left) != (len(right), right):
        return -1 if (len(left), left) < (len(right), right) else 1
    return len(runs[0]) - len(runs[1])


_DIGITS = re.compile(r"^[0-9]*")
_GOES_ON = re.compile(r"[1-9][0-9]*\Z")
