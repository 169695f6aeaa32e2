# SPDX-License-Identifier: Apache-2.0
from toono.wire.pace import Pace


def looks(pace: Pace, *facts: tuple[float, int]) -> list[bool]:
    return [
        pace.is_slow(total, now=now, least=600, seconds=60.0) for now, total in facts
    ]


def test_who_brings_enough_in_time_is_never_slow() -> None:
    facts = [(now, now * 10) for now in range(0, 600, 7)]
    assert not any(looks(Pace(), *facts))


def test_who_brings_too_little_is_slow_when_the_time_is_over() -> None:
    assert looks(Pace(), (5, 0), (64.9, 599), (65, 599)) == [False, False, True]


def test_one_burst_buys_one_more_term() -> None:
    pace = Pace()
    assert looks(pace, (0, 0), (59, 6000), (118, 6001)) == [False, False, False]
    assert looks(pace, (119, 6001)) == [True]


def test_a_rest_begins_a_new_term() -> None:
    pace = Pace()
    looks(pace, (0, 0))
    pace.rest()
    assert looks(pace, (70, 0), (129, 0), (130, 0)) == [False, False, True]
