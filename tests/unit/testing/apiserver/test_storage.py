# SPDX-License-Identifier: Apache-2.0
"""A versioned store: every version exact until compaction takes it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toono.testing.apiserver.storage import (
    ExpiredError,
    Storage,
    encode,
    path_of,
)

KEYS = [("ns", "a"), ("ns", "b"), ("other", "a")]
STEPS = st.lists(st.tuples(st.sampled_from(KEYS), st.booleans()), max_size=20)


def content(mark: int = 0) -> dict:
    return {"metadata": {"name": "a"}, "mark": mark}


def test_each_change_gets_the_next_version() -> None:
    storage = Storage(10)
    first = storage.put("pods", KEYS[0], content())
    gone = storage.delete("pods", KEYS[0])
    assert (first.version, first.object["metadata"]["resourceVersion"]) == (11, "11")
    assert (gone.version, gone.object["metadata"]["resourceVersion"]) == (12, "12")
    assert storage.collection("pods").now == {}


def test_what_is_stored_is_no_longer_the_writer_s() -> None:
    storage, mine = Storage(), content()
    stored = storage.put("pods", KEYS[0], mine)
    mine["mark"] = 9
    assert stored.object["mark"] == 0
    assert "resourceVersion" not in mine["metadata"]


def test_a_loaded_object_keeps_its_version_and_moves_the_counter() -> None:
    storage = Storage(5)
    loaded = {"metadata": {"name": "a", "resourceVersion": "9"}}
    assert storage.load("pods", KEYS[0], loaded).version == 9
    assert storage.version == 9
    with pytest.raises(ValueError, match="version 9 is not after 9"):
        storage.load("pods", KEYS[1], loaded)


@given(STEPS)
def test_every_version_can_be_seen_again(steps) -> None:
    storage, seen = Storage(0), {0: {}}
    for key, deletes in steps:
        here = storage.collection("pods").now
        if deletes and key in here:
            storage.delete("pods", key)
        else:
            storage.put("pods", key, content(storage.version))
        seen[storage.version] = dict(here)
    for version, state in seen.items():
        assert storage.collection("pods").at(version) == state


@given(STEPS, st.integers(0, 20))
def test_changes_since_a_version_lead_from_it_to_now(steps, start) -> None:
    storage = Storage(0)
    for key, deletes in steps:
        if deletes and key in storage.collection("pods").now:
            storage.delete("pods", key)
        else:
            storage.put("pods", key, content())
    collection = storage.collection("pods")
    state = collection.at(start)
    for change in collection.since(start):
        assert change.version > start
        if change.after is not None:
            state[change.after.key] = change.after
        else:
            assert change.before is not None
            del state[change.before.key]
    assert state == collection.now


def test_listeners_hear_of_changes_until_they_stop() -> None:
    storage, heard = Storage(0), []
    stop = storage.listen(lambda name, change: heard.append((name, change.version)))
    storage.put("pods", KEYS[0], content())
    stop()
    storage.put("pods", KEYS[0], content())
    assert heard == [("pods", 1)]


def test_compaction_takes_history_but_not_the_present() -> None:
    storage = Storage(0)
    storage.put("pods", KEYS[0], content())
    storage.check(0)
    storage.compact()
    with pytest.raises(ExpiredError, match=r"too old resource version: 0 \(1\)"):
        storage.check(0)
    with pytest.raises(ExpiredError):
        storage.check_watch(0)
    storage.check(1)
    assert list(storage.collection("pods").since(0)) == []
    assert list(storage.collection("pods").now) == [KEYS[0]]


def test_a_narrow_window_keeps_history_for_lists() -> None:
    storage = Storage(0)
    storage.put("pods", KEYS[0], content())
    storage.narrow()
    storage.check(0)
    storage.check_watch(1)
    with pytest.raises(ExpiredError):
        storage.check_watch(0)
    assert storage.collection("pods").at(0) == {}


def test_a_restored_backup_is_the_past_under_a_new_generation() -> None:
    storage = Storage(0)
    storage.put("pods", KEYS[0], content(1))
    storage.put("pods", KEYS[0], content(2))
    storage.put("pods", KEYS[1], content(3))
    storage.restore(1)
    now = storage.collection("pods").now
    assert (storage.version, storage.generation) == (1, 1)
    assert [one.object["mark"] for one in now.values()] == [1]
    assert storage.put("pods", KEYS[1], content()).version == 2


def test_objects_are_ordered_by_their_place_in_etcd() -> None:
    keys = [("a", "x"), ("a-b", "x"), ("a", "y"), ("", "node")]
    ordered = sorted(keys, key=path_of)
    assert ordered == [("a-b", "x"), ("a", "x"), ("a", "y"), ("", "node")]
    assert path_of(("", "node")) == "/node"


def test_text_is_escaped_as_go_does() -> None:
    text = "<b> & \u2028\u2029 ü"
    assert encode({"a": text}) == (
        '{"a":"\\u003cb\\u003e \\u0026 \\u2028\\u2029 ü"}'.encode()
    )
