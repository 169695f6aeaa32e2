# SPDX-License-Identifier: Apache-2.0
"""What keeps misses from becoming a storm of requests."""

from toono.restmapper.limits import Backoff, NegativeCache, TokenBucket


def test_a_bucket_gives_its_burst_and_then_its_rate():
    bucket = TokenBucket(rate=5.0, burst=10)
    assert [bucket.take(100.0) for _ in range(11)] == [True] * 10 + [False]
    assert bucket.take(100.2)
    assert not bucket.take(100.2)
    assert [bucket.take(1000.0) for _ in range(11)] == [True] * 10 + [False]


def test_a_clock_that_went_back_costs_no_token():
    bucket = TokenBucket(rate=1.0, burst=1)
    assert bucket.take(100.0)
    assert not bucket.take(50.0)
    assert bucket.take(51.0)


def test_the_first_failure_is_asked_again_at_once_and_later_ones_double():
    backoff, waits = Backoff(first=1.0, most=60.0), []
    for _ in range(10):
        backoff.fail(100.0)
        waits.append(max(0.0, backoff.until - 100.0))
    assert waits == [0, 1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert backoff.holds(159.9)
    assert not backoff.holds(160.0)
    backoff.clear()
    assert not backoff.holds(100.0)
    backoff.fail(100.0, permanent=True)
    assert backoff.until == 160.0


def test_an_absence_holds_for_a_second_and_is_forgotten_with_a_signal():
    cache = NegativeCache(first=1.0, most=30.0, seed=1)
    cache.add("a", 100.0)
    assert cache.holds("a", 100.79)
    assert not cache.holds("a", 101.0)
    assert cache.was_asked("a")
    cache.clear()
    assert not cache.was_asked("a")


def test_it_doubles_only_while_a_signal_would_end_it():
    cache = NegativeCache(first=1.0, most=30.0, seed=1)
    for _ in range(5):
        cache.add("a", 100.0)
    assert not cache.holds("a", 101.0)
    cache.may_double = True
    for _ in range(7):
        cache.add("a", 100.0)
    assert cache.holds("a", 123.9)
    assert not cache.holds("a", 130.0)


def test_a_full_cache_drops_the_oldest():
    cache = NegativeCache(first=1.0, most=30.0, limit=3)
    for key in "abcad":
        cache.add(key, 100.0)
    assert [cache.was_asked(key) for key in "abcd"] == [True, False, True, True]
