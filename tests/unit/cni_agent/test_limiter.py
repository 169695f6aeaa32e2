# SPDX-License-Identifier: Apache-2.0
"""The token bucket of the CNI-like agent's kit, on a clock that a test moves."""

import pytest
from cni_agent.kit.limiter import TokenBucket
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.cni_agent.virtual import VirtualClock


def bucket(rate: float = 5, burst: int = 3) -> tuple[TokenBucket, VirtualClock]:
    clock = VirtualClock()
    return TokenBucket(rate=rate, burst=burst, clock=clock), clock


def test_a_burst_goes_at_once_and_the_rest_at_the_rate() -> None:
    tokens, _ = bucket()
    waits = [tokens.reserve() for _ in range(6)]
    assert waits == pytest.approx([0, 0, 0, 0.2, 0.4, 0.6])


def test_who_waits_sleeps_as_long_as_the_token_is_away() -> None:
    tokens, clock = bucket()
    for _ in range(5):
        tokens.wait()
    assert clock.slept == pytest.approx([0.2, 0.2])


def test_rest_fills_it_up_to_the_burst_and_no_further() -> None:
    tokens, clock = bucket()
    for _ in range(3):
        tokens.reserve()
    clock.now += 1000
    assert [tokens.reserve() for _ in range(4)] == pytest.approx([0, 0, 0, 0.2])


@given(st.lists(st.floats(0, 2), max_size=80))
def test_no_span_of_time_sees_more_than_its_share(pauses) -> None:
    tokens, clock = bucket(rate=4, burst=3)
    sent = []
    for pause in pauses:
        clock.now += pause
        tokens.wait()
        sent.append(clock.now)
    for first, begin in enumerate(sent):
        for last in range(first, len(sent)):
            allowed = 3 + 4 * (sent[last] - begin)
            assert last - first + 1 <= allowed + 1e-6


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (-1, 1), (1, 0)])
def test_a_bucket_that_would_never_fill_is_refused(rate, burst) -> None:
    with pytest.raises(ValueError, match="a bucket of"):
        bucket(rate, burst)
