# SPDX-License-Identifier: Apache-2.0
"""Transactions cut to size, in order, and the units that fit nowhere."""

from hypothesis import given
from hypothesis import strategies as st

from toono.store.etcd_limits import DEFAULTS, PER_UNIT_BYTES, Limits, Unit, pack
from toono.store.etcd_messages import delete, get, put, unchanged


def unit(number, size=0):
    key = b"%06d" % number
    return Unit(key, unchanged(key, 0), put(key, bytes(size)))


def test_what_fits_is_one_transaction():
    units = [unit(number, 4096) for number in range(10_000)]
    packed = pack(units, Limits(), reserved=2)
    assert [len(chunk) for chunk in packed.chunks] == [10_000]
    assert packed.too_large == []


def test_a_default_etcd_gets_as_many_operations_as_it_takes():
    packed = pack(map(unit, range(300)), DEFAULTS, reserved=2)
    assert [len(chunk) for chunk in packed.chunks] == [126, 126, 48]


def test_one_value_too_large_is_told_and_the_rest_goes():
    packed = pack([unit(1), unit(2, 2 << 20), unit(3)], DEFAULTS, reserved=1)
    assert [[one.key for one in chunk] for chunk in packed.chunks] == [
        [b"000001", b"000003"]
    ]
    assert [one.key for one in packed.too_large] == [b"000002"]


def test_nothing_is_no_transaction():
    assert pack([], DEFAULTS, reserved=1).chunks == []


def test_a_unit_is_as_large_as_its_key_thrice_and_its_value():
    assert unit(1, 100).size == 18 + 100 + PER_UNIT_BYTES
    assert Unit(b"a", None, None).size == 3 + PER_UNIT_BYTES
    assert Unit(b"a", None, delete(b"a")).size == 3 + PER_UNIT_BYTES
    assert Unit(b"a", None, None).reading == get(b"a")


@given(st.lists(st.integers(0, 3000), max_size=40), st.integers(2, 9))
def test_no_transaction_is_over_the_limits_and_order_is_kept(sizes, ops):
    units = [unit(number, size) for number, size in enumerate(sizes)]
    limits = Limits(ops=ops, bytes=3000)
    packed = pack(units, limits, reserved=1)
    assert all(0 < len(chunk) < ops for chunk in packed.chunks)
    assert all(sum(one.size for one in chunk) <= 2850 for chunk in packed.chunks)
    flat = [one for chunk in packed.chunks for one in chunk]
    assert flat == [one for one in units if one.size <= 2850]
    assert list(packed.too_large) == [one for one in units if one.size > 2850]
