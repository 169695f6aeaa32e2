# SPDX-License-Identifier: Apache-2.0
"""The rules of a scope, each in isolation, and together against a model of the cloud."""

import os
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from toono.cache.scope import (
    Question,
    Scope,
    accept_absence,
    accept_event,
    accept_list,
    accept_object,
    forget,
    name_hash,
)
from toono.codec.base import Object

JSON = "application/json"
PODS = Question("kubelet", "", "v1", "pods", "", "", "", "", JSON)


def pod(name: str, version: int, *, uid: str = "u", deleting: bool = False) -> Object:
    data = f'{{"metadata":{{"name":"{name}","v":{version}}}}}'.encode()
    return Object("default", name, uid + name, str(version), deleting, data)


def scope_at(version: int, *pods: Object) -> Scope:
    scope = Scope(1, PODS, 1)
    accept_list(
        scope,
        scope.reading(consistent=True),
        version=version,
        items=pods,
        next_epoch=1,
    )
    return scope


def names(scope: Scope) -> list[str]:
    return sorted(name for _, name in scope.rows)


def take_list(scope, version, *pods, consistent=False, reading=None):
    return accept_list(
        scope,
        reading or scope.reading(consistent=consistent),
        version=version,
        items=pods,
        next_epoch=scope.epoch + 1,
    )


def take_event(scope, version, event_type, item, position=None):
    return accept_event(
        scope,
        position=scope.version if position is None else position,
        version=version,
        event_type=event_type,
        item=item,
    )


def take_object(scope, item, *, version=None, consistent=True, reading=None):
    return accept_object(
        scope,
        reading or scope.reading(consistent=consistent),
        item=item,
        version=version or int(item.resource_version),
        next_epoch=scope.epoch + 1,
    )


# -- lists -----------------------------------------------------------------------


def test_list_replaces_all_rows_at_its_version() -> None:
    scope = scope_at(10, pod("a", 5), pod("b", 6))
    change = take_list(scope, 20, pod("b", 6), pod("c", 15))
    assert change is not None
    assert names(scope) == ["b", "c"]
    assert (scope.version, scope.complete) == (20, True)
    assert [item.name for item in change.puts] == ["c"]
    assert change.deletes == [("default", "a")]
    assert change.removes


def test_unchanged_relist_writes_nothing() -> None:
    scope = scope_at(10, pod("a", 5))
    change = take_list(scope, 10, pod("a", 5))
    assert change == ((), (), False, False) or change == ([], [], False, False)


def test_older_list_from_a_lagging_server_changes_nothing() -> None:
    scope = scope_at(10, pod("a", 9))
    assert take_list(scope, 8, pod("b", 7)) is None
    assert names(scope) == ["a"]
    assert scope.version == 10


def test_consistent_list_overtaken_by_events_changes_nothing() -> None:
    scope = scope_at(10, pod("a", 9))
    asked = scope.reading(consistent=True)
    take_event(scope, 15, "ADDED", pod("b", 15))
    assert take_list(scope, 12, pod("a", 9), reading=asked) is None
    assert names(scope) == ["a", "b"]
    assert scope.epoch == 0


def test_consistent_list_older_than_when_it_was_asked_begins_an_epoch() -> None:
    scope = scope_at(100, pod("a", 90))
    change = take_list(scope, 50, pod("a", 40), consistent=True)
    assert change is not None
    assert (scope.epoch, scope.version) == (1, 50)
    assert [item.resource_version for item in change.puts] == ["40"]


def test_epoch_rewrites_rows_that_look_unchanged() -> None:
    scope = scope_at(100, pod("a", 40))
    change = take_list(scope, 50, pod("a", 40), consistent=True)
    assert change is not None
    assert [item.name for item in change.puts] == ["a"]


def test_list_asked_before_an_epoch_began_is_not_taken() -> None:
    scope = scope_at(100, pod("a", 90))
    early = scope.reading(consistent=False)
    take_list(scope, 50, pod("a", 40), consistent=True)
    assert take_list(scope, 101, pod("a", 90), reading=early) is None


def test_list_makes_an_incomplete_scope_complete_again() -> None:
    scope = scope_at(10, pod("a", 9))
    forget(scope)
    change = take_list(scope, 10, pod("a", 9))
    assert scope.complete
    assert change is not None
    assert change.scope


def test_list_that_shows_a_first_deletion_timestamp_is_held_back() -> None:
    scope = scope_at(10, pod("a", 9))
    change = take_list(scope, 20, pod("a", 15, deleting=True))
    assert change is not None
    assert change.removes


def test_imported_rows_are_replaced_by_any_list() -> None:
    scope = Scope(1, PODS, 1, imported=True)
    scope.rows = scope_at(99, pod("old", 99)).rows
    take_list(scope, 5, pod("new", 4))
    assert names(scope) == ["new"]
    assert not scope.imported


# -- events ----------------------------------------------------------------------


def test_event_applies_only_after_the_scope_s_version() -> None:
    scope = scope_at(10, pod("a", 9))
    assert take_event(scope, 10, "DELETED", pod("a", 10), position=5) is None
    assert names(scope) == ["a"]


def test_event_of_a_stream_that_began_ahead_of_the_scope_is_not_applied() -> None:
    scope = scope_at(10, pod("a", 9))
    assert take_event(scope, 25, "ADDED", pod("b", 25), position=20) is None
    assert (names(scope), scope.version) == (["a"], 10)


def test_deleted_removes_the_row_and_is_held_back() -> None:
    scope = scope_at(10, pod("a", 9))
    change = take_event(scope, 11, "DELETED", pod("a", 11))
    assert change is not None
    assert (names(scope), scope.version) == ([], 11)
    assert change.deletes == (("default", "a"),)
    assert change.removes
    assert change.scope


def test_deletion_of_an_unknown_name_still_moves_the_version() -> None:
    scope = scope_at(10)
    change = take_event(scope, 11, "DELETED", pod("a", 11))
    assert change is not None
    assert change.scope
    assert scope.version == 11


def test_modified_is_one_row_and_no_scope_row() -> None:
    scope = scope_at(10, pod("a", 9))
    change = take_event(scope, 11, "MODIFIED", pod("a", 11))
    assert change is not None
    assert not change.scope
    assert not change.removes
    assert [item.name for item in change.puts] == ["a"]


def test_added_writes_the_scope_row_because_its_names_change() -> None:
    scope = scope_at(10)
    change = take_event(scope, 11, "ADDED", pod("a", 11))
    assert change is not None
    assert change.scope


def test_modified_that_begins_a_deletion_is_held_back() -> None:
    scope = scope_at(10, pod("a", 9))
    change = take_event(scope, 11, "MODIFIED", pod("a", 11, deleting=True))
    assert change is not None
    assert change.removes


def test_bookmark_moves_the_version_alone() -> None:
    scope = scope_at(10, pod("a", 9))
    change = take_event(scope, 30, "BOOKMARK", None)
    assert change is not None
    assert (scope.version, names(scope)) == (30, ["a"])
    assert not change.removes


def test_no_event_applies_to_an_incomplete_scope() -> None:
    scope = scope_at(10, pod("a", 9))
    forget(scope)
    assert take_event(scope, 11, "DELETED", pod("a", 11)) is None
    assert names(scope) == ["a"]


# -- one object ------------------------------------------------------------------


def test_object_is_remembered_at_its_own_version_or_what_the_get_proved() -> None:
    scope = Scope(1, PODS, 1)
    take_object(scope, pod("a", 5), version=9)
    assert (scope.version, names(scope), scope.complete) == (9, ["a"], True)


def test_older_object_from_a_cached_get_changes_nothing() -> None:
    scope = Scope(1, PODS, 1)
    take_object(scope, pod("a", 9))
    assert take_object(scope, pod("a", 5), consistent=False) is None
    assert scope.rows["default", "a"].resource_version == "9"


def test_older_object_from_a_consistent_get_begins_an_epoch() -> None:
    scope = Scope(1, PODS, 1)
    take_object(scope, pod("a", 9))
    take_object(scope, pod("a", 5))
    assert (scope.epoch, scope.version) == (1, 5)


def test_answer_overtaken_by_a_newer_write_begins_no_epoch() -> None:
    scope = Scope(1, PODS, 1)
    take_object(scope, pod("a", 5))
    asked = scope.reading(consistent=True)
    take_object(scope, pod("a", 9))
    assert take_object(scope, pod("a", 6), reading=asked) is None
    assert scope.epoch == 0


def test_absence_forgets_the_object() -> None:
    scope = Scope(1, PODS, 1)
    take_object(scope, pod("a", 5))
    change = accept_absence(scope, scope.reading(consistent=True), version=7)
    assert change is not None
    assert change.removes
    assert (scope.complete, scope.rows) == (True, {})


def test_absence_older_than_what_is_known_changes_nothing() -> None:
    scope = Scope(1, PODS, 1)
    take_object(scope, pod("a", 5))
    assert accept_absence(scope, scope.reading(consistent=True), version=3) is None
    assert names(scope) == ["a"]


def test_any_later_answer_for_the_name_forgets_its_absence() -> None:
    scope = Scope(1, PODS, 1)
    accept_absence(scope, scope.reading(consistent=True), version=7)
    take_object(scope, pod("a", 9))
    assert names(scope) == ["a"]


def test_answer_that_left_before_a_deletion_makes_the_name_unknown() -> None:
    scope = Scope(1, PODS, 1)
    take_object(scope, pod("a", 5), version=10)
    asked = scope.reading(consistent=True)
    accept_absence(scope, scope.reading(consistent=True), version=10)
    take_object(scope, pod("a", 5), version=10, reading=asked)
    assert (scope.complete, scope.rows) == (False, {})


def test_a_write_newer_than_the_absence_is_believed() -> None:
    scope = Scope(1, PODS, 1)
    asked = scope.reading(consistent=True)
    accept_absence(scope, scope.reading(consistent=True), version=10)
    take_object(scope, pod("a", 11), reading=asked)
    assert names(scope) == ["a"]


def test_digest_tells_which_names_are_there() -> None:
    scope = scope_at(10, pod("a", 5), pod("b", 6))
    assert scope.digest == name_hash(("default", "a")) ^ name_hash(("default", "b"))
    take_event(scope, 11, "DELETED", pod("a", 11))
    assert scope.digest == name_hash(("default", "b"))


# -- all together: a cloud, overlapping streams, lags ---------------------------


class Cloud:
    """The truth: every version of a small set of objects, with labels."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.version = 1
        self.history: list[tuple[int, str, str | None]] = []

    def change(self) -> None:
        """Create, relabel or delete one object."""
        self.version += 1
        name = self.rng.choice("abcde")
        label = self.rng.choice(["red", "blue", None])
        self.history.append((self.version, name, label))

    def objects(self, version: int) -> dict[str, tuple[int, str]]:
        state: dict[str, tuple[int, str]] = {}
        for at, name, label in self.history:
            if at > version:
                break
            if label is None:
                state.pop(name, None)
            else:
                state[name] = (at, label)
        return state

    def selected(self, version: int, label: str | None) -> dict[str, int]:
        return {
            name: at
            for name, (at, has) in self.objects(version).items()
            if label in (None, has)
        }

    def events(self, after: int, label: str | None):
        """Yield (version, type, name) as a watch with this selector shows them."""
        for at, name, _ in self.history:
            if at <= after:
                continue
            before = self.selected(at - 1, label)
            now = self.selected(at, label)
            if name in now:
                yield at, "MODIFIED" if name in before else "ADDED", name
            elif name in before:
                yield at, "DELETED", name


def one_run(seed: int) -> None:
    """Lists of any age and streams from any version, in any order: never wrong."""
    rng = random.Random(seed)
    cloud = Cloud(rng)
    label = rng.choice([None, "red"])
    scope = Scope(1, PODS, 1)
    streams: list[list] = []
    for _ in range(rng.randrange(10, 40)):
        step = rng.randrange(6)
        if step <= 1:
            cloud.change()
        elif step == 2:
            at = rng.randint(max(1, cloud.version - 4), cloud.version)
            items = [pod(n, v) for n, v in cloud.selected(at, label).items()]
            take_list(scope, at, *items)
        elif step == 3:
            start = rng.randint(max(1, cloud.version - 6), cloud.version)
            streams.append([start, start])
        elif streams:
            stream = rng.choice(streams)
            for at, kind, name in list(cloud.events(stream[1], label))[:2]:
                take_event(scope, at, kind, pod(name, at), position=stream[1])
                stream[1] = at
        if scope.complete:
            expected = cloud.selected(scope.version, label)
            held = {n: int(r.resource_version) for (_, n), r in scope.rows.items()}
            assert held == expected, f"seed {seed} at {scope.version}"


@settings(max_examples=int(os.environ.get("TOONO_EXAMPLES", "300")), deadline=None)
@given(st.integers(min_value=0, max_value=2**32))
def test_a_complete_scope_equals_the_cloud_at_its_version(seed: int) -> None:
    one_run(seed)
