# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toono.certs.rotation import Life, State, spread_of

LIFE = Life(begins=1000.0, ends=2000.0)


@given(st.floats(-5, 5))
def test_rotation_is_due_within_seventy_to_ninety_percent_of_life(spread):
    assert 1700 <= LIFE.due_at(spread) <= 1900


@pytest.mark.parametrize(
    ("now", "state"),
    [
        (0, State.EARLY),
        (999, State.EARLY),
        (1000, State.GOOD),
        (1799, State.GOOD),
        (1800, State.DUE),
        (1999, State.DUE),
        (2000, State.EXPIRED),
        (1e12, State.EXPIRED),
    ],
)
def test_state_follows_the_wall_clock_wherever_it_jumps(now, state):
    assert LIFE.state(now, spread=0.5) is state


@given(st.integers(0, 2**160))
def test_a_certificate_keeps_its_share(serial):
    assert 0 <= spread_of(serial) <= 1
    assert spread_of(serial) == spread_of(serial)


def test_certificates_in_a_row_are_spread():
    shares = [spread_of(serial) for serial in range(1, 101)]
    assert min(shares) < 0.1
    assert max(shares) > 0.9
    assert all(sum(n / 10 <= s < (n + 1) / 10 for s in shares) >= 5 for n in range(10))
