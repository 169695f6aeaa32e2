# SPDX-License-Identifier: Apache-2.0
"""Times as kubectl shows them: how long ago, in two units at most.

The thresholds are those of k8s.io/apimachinery/pkg/util/duration.HumanDuration. The
clock is the caller's: all take `now` in seconds since 1970.
"""

import re
from datetime import UTC, datetime

UNKNOWN = "<unknown>"

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_YEAR_DAYS = 365
_MAX_SECONDS = (1 << 63) / 1e9
"""The longest time.Duration: what is longer ago is this long ago."""
_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}"
    r"(?:\.[0-9]+)?(?:Z|[+-][0-9]{2}:[0-9]{2})\Z"
)
_ZERO = datetime(1, 1, 1, tzinfo=UTC).timestamp()
"""Go's zero time: a field that was never set."""


def human_duration(seconds: float) -> str:
    """Return a time span as kubectl shows ages."""
    whole = int(min(max(seconds, -_MAX_SECONDS), _MAX_SECONDS))
    if whole < 0:
        return "0s" if whole == -1 else "<invalid>"
    if whole < 2 * _MINUTE:
        return f"{whole}s"
    if whole < 10 * _MINUTE:
        return _pair(whole, _MINUTE, "m", 1, "s")
    if whole < 3 * _HOUR:
        return f"{whole // _MINUTE}m"
    if whole < 8 * _HOUR:
        return _pair(whole, _HOUR, "h", _MINUTE, "m")
    if whole < 2 * _DAY:
        return f"{whole // _HOUR}h"
    if whole < 8 * _DAY:
        return _pair(whole, _DAY, "d", _HOUR, "h")
    days = whole // _DAY
    if days < 2 * _YEAR_DAYS:
        return f"{days}d"
    if days < 8 * _YEAR_DAYS:
        return _pair(days, _YEAR_DAYS, "y", 1, "d")
    return f"{days // _YEAR_DAYS}y"


def _pair(value: int, large: int, large_unit: str, small: int, small_unit: str) -> str:
    rest = value % large // small
    head = f"{value // large}{large_unit}"
    return f"{head}{rest}{small_unit}" if rest else head


def parse_time(text: str) -> float | None:
    """Return an RFC 3339 time as seconds since 1970, None where it is none."""
    if not _RFC3339.match(text):
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def age(text: str, now: float) -> str:
    """Return how long ago a time was, <unknown> where it was never set."""
    moment = parse_time(text)
    if moment is None or moment == _ZERO:
        return UNKNOWN
    return human_duration(now - moment)
