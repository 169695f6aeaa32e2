# SPDX-License-Identifier: Apache-2.0
"""One state for all readers: lists replace, events apply once, history has an end."""

import pytest

from toono.multiplex import state as module
from toono.multiplex.state import Change

from .kit import CODEC, PROTOBUF, bookmark, filled, frame_of, list_body, service, take


def test_a_list_is_the_state_and_its_version_where_history_begins() -> None:
    state = filled(9, service("web", 5), service("api", 7))
    assert (state.version, state.oldest) == (9, 9)
    assert set(state.entries) == {("a", "web"), ("a", "api")}
    assert state.kind == ("Service", "v1", "typed", "ServiceList", PROTOBUF)
    assert state.entries["a", "web"].labels(CODEC) == {}


def test_events_apply_in_order_and_once() -> None:
    state, told = filled(9, service("web", 5)), list[Change]()
    state.told.append(told.append)
    take(state, frame_of("MODIFIED", service("web", 8)))
    assert told == []
    take(state, frame_of("MODIFIED", service("web", 10, x="1")))
    take(state, frame_of("ADDED", service("api", 11)))
    take(state, frame_of("ADDED", service("api", 11)))
    take(state, bookmark(20))
    take(state, frame_of("DELETED", service("web", 21)))
    seen = [(one.type, one.version, one.before and one.before.version) for one in told]
    assert seen == [("MODIFIED", 10, "5"), ("ADDED", 11, None), ("DELETED", 21, "10")]
    assert (state.version, set(state.entries)) == (21, {("a", "api")})
    assert [one.version for one in state.since(10)] == [11, 21]


def test_a_new_list_forgets_what_was_before() -> None:
    state = filled(9, service("web", 5))
    take(state, frame_of("ADDED", service("api", 11)))
    state.replace(CODEC, CODEC.split_list(list_body(30)))
    assert (state.version, state.oldest, state.entries) == (30, 30, {})
    assert list(state.since(0)) == []


@pytest.mark.parametrize(("name", "most"), [("MAX_CHANGES", 2), ("MAX_BYTES", 130)])
def test_history_is_bounded_and_says_from_where_it_is_whole(
    name: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, name, most)
    state = filled(9)
    for version in (10, 11, 12, 13):
        take(state, frame_of("ADDED", service("web", version)))
    kept = [one.version for one in state.since(0)]
    assert kept == [12, 13]
    assert state.oldest == 11
