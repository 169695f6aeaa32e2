# SPDX-License-Identifier: Apache-2.0
import pytest

from toono.codec.printers.ages import age, human_duration, parse_time

MINUTE, HOUR, DAY = 60, 3600, 86400
YEAR = 365 * DAY


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-1e300, "<invalid>"),
        (-2, "<invalid>"),
        (-1.9, "0s"),
        (-0.5, "0s"),
        (0, "0s"),
        (119.9, "119s"),
        (2 * MINUTE, "2m"),
        (2 * MINUTE + 14, "2m14s"),
        (10 * MINUTE - 1, "9m59s"),
        (10 * MINUTE + 59, "10m"),
        (3 * HOUR - 1, "179m"),
        (3 * HOUR, "3h"),
        (3 * HOUR + 61, "3h1m"),
        (8 * HOUR - 1, "7h59m"),
        (8 * HOUR, "8h"),
        (2 * DAY - 1, "47h"),
        (2 * DAY, "2d"),
        (2 * DAY + HOUR, "2d1h"),
        (8 * DAY - 1, "7d23h"),
        (8 * DAY, "8d"),
        (2 * YEAR - 1, "729d"),
        (2 * YEAR, "2y"),
        (2 * YEAR + DAY, "2y1d"),
        (8 * YEAR - 1, "7y364d"),
        (8 * YEAR, "8y"),
        (1e300, "292y"),
    ],
)
def test_spans_are_shown_in_two_units_at_most(seconds, shown):
    assert human_duration(seconds) == shown


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:01Z", 1.0),
        ("1970-01-01T00:00:01.500000Z", 1.5),
        ("1970-01-01T01:00:01+01:00", 1.0),
        ("1969-12-31T23:00:01-01:00", 1.0),
    ],
)
def test_times_are_rfc_3339(text, seconds):
    assert parse_time(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "1970-01-01",
        "1970-01-01 00:00:01Z",
        "19700101T000001Z",
        "1970-13-01T00:00:01Z",
        "1970-01-01T00:00:61Z",
        "1970-01-01T00:00:01",
        "1970-01-01T00:00:01+99:00",
        "1970-01-01T00:00:01Z\n",
    ],
)
def test_other_texts_are_no_times(text):
    assert parse_time(text) is None
    assert age(text, 0.0) == "<unknown>"


def test_age_counts_from_now():
    assert age("1970-01-01T00:00:01Z", 8.0) == "7s"


def test_the_zero_time_was_never_set():
    assert age("0001-01-01T00:00:00Z", 8.0) == "<unknown>"
