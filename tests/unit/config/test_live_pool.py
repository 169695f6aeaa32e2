# SPDX-License-Identifier: Apache-2.0
"""What a ConfigMap adds to what a pool shares, and what it cannot do to it."""

import asyncio
import json

import pytest

from toono.config.live_pool import (
    KEY,
    MAX_RESOURCES,
    ROW_KEY,
    LiveResources,
    parse_resources,
)
from toono.errors import StoreFullError, StoreUnavailableError
from toono.store.base import Batch
from toono.store.memory import MemoryStore

ENDPOINTS = {"group": "", "version": "v1", "resource": "endpoints"}
DRIVERS = {"group": "x.example.com", "version": "v1", "resource": "drivers"}
E, D = ("", "v1", "endpoints"), ("x.example.com", "v1", "drivers")


def configmap(*resources: dict, text: str | None = None) -> bytes:
    value = json.dumps(resources) if text is None else text
    return json.dumps({"data": {KEY: value}}).encode()


class Told:
    def __init__(self, store=None) -> None:
        self.changes: list[list] = []
        self.store = store or MemoryStore()
        self.live = LiveResources(self.store, changed=self.changes.append)


def run(story) -> None:
    async def scene() -> None:
        await story(Told())

    asyncio.run(scene())


def test_an_array_of_resources_is_read() -> None:
    assert parse_resources(json.dumps([ENDPOINTS, DRIVERS])) == {E, D}
    assert parse_resources(" ") == frozenset()
    assert parse_resources("[]") == frozenset()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{}", "is no JSON array"),
        ('[{"group":"a"}]', "is no JSON array"),
        ("endpoints", "is no JSON array"),
        ('["\ud800"]', "is no JSON array"),
        (json.dumps([ENDPOINTS | {"resource": "Endpoints"}]), "is no resource"),
        (json.dumps([ENDPOINTS | {"resource": "a/b"}]), "is no resource"),
        (json.dumps([ENDPOINTS | {"version": ""}]), "is no resource"),
        (json.dumps([ENDPOINTS | {"group": ".."}]), "is no resource"),
        (json.dumps([ENDPOINTS] * (MAX_RESOURCES + 1)), "names more than"),
    ],
)
def test_what_is_none_says_why(text, why) -> None:
    found = parse_resources(text)
    assert isinstance(found, str)
    assert why in found


def test_sources_add_up_and_take_back_only_their_own() -> None:
    async def story(told) -> None:
        told.live.take("one", {"a": configmap(ENDPOINTS)})
        told.live.take("one", {"a": configmap(ENDPOINTS)})
        told.live.take("two", {"b": configmap(DRIVERS)})
        told.live.take("two", {})
        assert told.changes == [[E], [E, D], [E]]

    run(story)


def test_a_bad_value_changes_nothing_and_is_shown() -> None:
    async def story(told) -> None:
        told.live.take("one", {"a": configmap(ENDPOINTS)})
        told.live.take("one", {"a": configmap(text="[")})
        assert told.changes == [[E]]
        assert told.live.problem.startswith("ConfigMap a: pool_scope_resources is no")
        told.live.take("one", {"a": b"no ConfigMap"})
        assert told.live.problem == ""
        assert told.changes == [[E], []]

    run(story)


def test_what_was_last_good_survives_a_restart() -> None:
    async def story(told) -> None:
        told.live.take("one", {"a": configmap(ENDPOINTS)})
        again = Told(told.store)
        await again.live.open()
        assert again.changes == [[E]]
        again.live.take("one", {"a": configmap(ENDPOINTS)})
        assert again.changes == [[E]]

    run(story)


def test_a_row_that_cannot_be_read_is_nothing() -> None:
    async def story(told) -> None:
        await told.live.open()
        await told.store.apply(Batch(puts=[(ROW_KEY, b"\xff")]))
        await told.live.open()

        async def fail(_):
            raise StoreUnavailableError("gone")

        told.store.get = fail
        await told.live.open()
        assert told.changes == []

    run(story)


def test_a_slow_disk_does_not_keep_it_from_counting() -> None:
    async def story(told) -> None:
        def full(_):
            raise StoreFullError("full")

        told.store.apply = full
        told.live.take("one", {"a": configmap(ENDPOINTS)})
        assert told.changes == [[E]]

    run(story)
