# SPDX-License-Identifier: Apache-2.0
"""What a change asks of etcd, as a table of what etcd was seen to hold."""

import pytest

from toono.store.component_keys import Step
from toono.store.etcd_limits import DEFAULTS, pack
from toono.store.etcd_messages import delete, put, unchanged
from toono.store.etcd_plan import VERSION_UNKNOWN, Facts, Seen, make_plan, steps_of


def version(key, value):
    return int(value) if value.isdigit() else None


def facts(owned=(), seen=None, shared=()):
    return Facts(frozenset(owned), lambda key: key in shared, seen or {}, version)


@pytest.mark.parametrize(
    ("seen", "compared", "written"),
    [
        (None, 0, True),
        (Seen(0, 0), 0, True),
        (Seen(9, 4), 9, True),
        (Seen(9, 5), 9, False),
        (Seen(9, 6), 9, False),
        (Seen(9, VERSION_UNKNOWN), 9, True),
    ],
)
def test_a_row_is_put_only_over_what_is_older(seen, compared, written):
    plan = make_plan(facts((), {b"a": seen} if seen else {}), {b"a": b"5"}, None, 5)
    (unit,) = plan.units
    assert unit.compare == unchanged(b"a", compared)
    assert unit.op == (put(b"a", b"5") if written else None)
    assert (plan.outcome.written, plan.outcome.older) == (written, not written)
    assert plan.adds == {b"a"}


@pytest.mark.parametrize(
    ("seen", "at", "shared", "deleted"),
    [
        (Seen(9, 4), 5, False, True),
        (Seen(9, 5), 5, False, True),
        (Seen(9, 6), 5, False, False),
        (Seen(9, 6), None, False, True),
        (Seen(9, VERSION_UNKNOWN), 5, False, True),
        (Seen(9, 4), 5, True, False),
        (Seen(0, 0), 5, False, False),
        (None, 5, False, True),
    ],
)
def test_what_left_the_list_is_deleted_only_where_nobody_has_newer(
    seen, at, shared, deleted
):
    known = {b"a": seen} if seen else {}
    plan = make_plan(facts([b"a"], known, [b"a"] if shared else []), {}, None, at)
    assert [unit.op for unit in plan.units] == ([delete(b"a")] if deleted else [])
    assert plan.drops == (set() if deleted else {b"a"})
    assert plan.outcome.deleted == deleted
    if deleted:
        assert plan.units[0].compare == unchanged(b"a", seen.revision if seen else 0)


def test_puts_come_before_deletes_and_events_touch_only_their_keys():
    seen = {b"a": Seen(1, 1), b"b": Seen(2, 2)}
    plan = make_plan(facts([b"a", b"b"], seen), {b"c": b"3"}, {b"a", b"z"}, 3)
    assert [unit.key for unit in plan.units] == [b"c", b"a"]
    whole = make_plan(facts([b"a", b"b"], seen), {b"c": b"3"}, None, 3)
    assert [unit.key for unit in whole.units] == [b"c", b"a", b"b"]
    kept = make_plan(facts([b"a"], seen), {b"a": b"3"}, {b"a"}, 3)
    assert [unit.op for unit in kept.units] == [put(b"a", b"3")]
    assert kept.adds == set()


def test_a_row_without_a_version_is_refused():
    plan = make_plan(facts(), {b"a": b"what"}, None, 1)
    assert (plan.units, plan.adds) == ([], set())
    assert plan.outcome.refused == [b"a"]
    assert plan.outcome.written == 0


def test_each_transaction_knows_what_it_changes_in_the_entry():
    seen = {b"a": Seen(1, 1), b"b": Seen(2, 9)}
    plan = make_plan(facts([b"a", b"b"], seen), {b"c": b"3", b"d": b"3"}, None, 3)
    chunks = pack(plan.units, DEFAULTS, reserved=126).chunks
    assert steps_of(chunks, plan) == [
        Step((b"c", b"d"), ()),
        Step((), (b"a", b"b")),
    ]
