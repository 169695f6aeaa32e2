# SPDX-License-Identifier: Apache-2.0
"""Selectors over a shared state, as an API server's watch cache applies them."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toono.multiplex.state import Change, State
from toono.multiplex.view import View

from .kit import (
    CODEC,
    JSON,
    PROTOBUF,
    codec_of,
    filled,
    frame_of,
    list_body,
    service,
    take,
    told,
)


def view(state: State, media_type: str = PROTOBUF, **asked: str) -> View:
    question = {"namespace": "", "label_selector": "", "field_selector": ""}
    return View(state, media_type=media_type, **question | asked)


def frames(state: State, one: View) -> list[bytes | None]:
    found: list[bytes | None] = []
    state.told.append(lambda change: found.append(one.frame(change)))
    return found


def test_a_list_in_the_feed_s_form_is_the_cloud_s_byte_for_byte() -> None:
    items = [service("api", 7), service("web", 5), service("api", 6, "b")]
    state = filled(9, *reversed(items))
    assert b"".join(view(state).listed()) == list_body(9, *items)


def test_another_form_is_made_once_and_tells_the_same() -> None:
    state = filled(9, service("web", 5, x="1"))
    one = view(state, JSON)
    listed = json.loads(b"".join(one.listed()))
    assert listed["metadata"] == {"resourceVersion": "9"}
    assert listed["items"][0]["metadata"]["labels"] == {"x": "1"}
    made = state.entries["a", "web"].forms[JSON]
    assert json.loads(one.added()[0])["object"]["metadata"]["name"] == "web"
    assert state.entries["a", "web"].forms[JSON] is made


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({}, ["api", "web"]),
        ({"namespace": "b"}, ["web"]),
        ({"label_selector": "x=1"}, ["api"]),
        ({"label_selector": "!x"}, ["web"]),
        ({"field_selector": "spec.clusterIP!=None"}, ["api"]),
        ({"field_selector": "metadata.namespace=b"}, ["web"]),
    ],
)
def test_only_what_was_asked_for_is_shown(
    asked: dict[str, str], names: list[str]
) -> None:
    state = filled(9, service("api", 7, x="1"), service("web", 5, "b", ip="None"))
    shown = view(state, **asked).listed()
    items = CODEC.split_list(b"".join(shown)).items
    assert [one.name for one in items] == names


@pytest.mark.parametrize("media_type", [JSON, PROTOBUF])
def test_what_begins_and_ceases_to_match_is_added_and_deleted(media_type: str) -> None:
    state = filled(9, service("web", 5))
    seen = frames(state, view(state, media_type, label_selector="x=1"))
    take(state, frame_of("MODIFIED", service("web", 10)))
    take(state, frame_of("MODIFIED", service("web", 11, x="1")))
    take(state, frame_of("MODIFIED", service("web", 12, x="1", y="2")))
    take(state, frame_of("MODIFIED", service("web", 13)))
    take(state, frame_of("DELETED", service("web", 14)))
    assert [told(media_type, one) for one in seen] == [
        None,
        ("ADDED", "web", "11"),
        ("MODIFIED", "web", "12"),
        ("DELETED", "web", "13"),
        None,
    ]
    gone = codec_of(media_type).read_event(seen[3] or b"").object
    assert gone is not None  # as it was, at the version of the change
    assert codec_of(media_type).labels(gone.data) == {"x": "1", "y": "2"}


def test_a_frame_goes_on_as_it_came_and_is_shared() -> None:
    state = filled(9, service("web", 5))
    first, second = frames(state, view(state)), frames(state, view(state))
    frame = frame_of("DELETED", service("web", 14))
    take(state, frame)
    assert first[0] is second[0] is frame


def test_a_bookmark_is_at_the_version_of_now() -> None:
    state = filled(9)
    event = CODEC.read_event(view(state).bookmark(end=True))
    assert event.object is not None
    assert (event.type, event.object.resource_version) == ("BOOKMARK", "9")
    assert event.initial_events_end


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["set", "clear", "delete"]), st.sampled_from(["web", "api"])
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(STEPS, st.integers(0, 12))
def test_a_list_and_the_events_after_it_are_the_list_of_later(
    steps: list[tuple[str, str]], split: int
) -> None:
    """What an informer does; a reader with a selector ends with what it would list."""
    state = filled(9)
    one = view(state, label_selector="x=1")
    known: dict[str, bytes] = {}
    changes: list[Change] = []
    state.told.append(changes.append)
    for number, (step, name) in enumerate(steps):
        if number == split:
            known = _items(one)
            changes.clear()
        version = 10 + number
        there = ("a", name) in state.entries
        if step == "delete":
            if there:
                take(state, frame_of("DELETED", service(name, version)))
            continue
        labels = {"x": "1"} if step == "set" else {}
        event_type = "MODIFIED" if there else "ADDED"
        take(state, frame_of(event_type, service(name, version, **labels)))
    for change in changes:
        frame = one.frame(change)
        event = CODEC.read_event(frame) if frame else None
        if event is None or event.object is None:
            continue
        name = event.object.name
        assert (name in known) == (event.type != "ADDED")
        known.pop(name, None)
        if event.type != "DELETED":
            known[name] = event.object.data
    assert known == _items(one)


def _items(one: View) -> dict[str, bytes]:
    items = CODEC.split_list(b"".join(one.listed())).items
    return {item.name: item.data for item in items}
