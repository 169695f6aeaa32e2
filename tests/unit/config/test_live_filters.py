# SPDX-License-Identifier: Apache-2.0
"""Components of filters as ConfigMaps name them, and what survives a restart."""

import asyncio
import json
import logging

import pytest

from toono.config.live import BadAgents
from toono.config.live_filters import ROW_KEY, LiveFilters, parse_filters
from toono.filters.approval import OF_THE_DOOR, Approval
from toono.filters.base import Door
from toono.store.base import Batch
from toono.store.memory import MemoryStore

DOOR = Door("169.254.2.1", 10268)


def config(**data: object) -> bytes:
    return json.dumps({"data": data}).encode()


def opened(store: MemoryStore, **how: object) -> LiveFilters:
    settings = {"off": frozenset(), "door": DOOR} | how
    live = LiveFilters(store, **settings)  # type: ignore[arg-type]
    asyncio.run(live.open())
    return live


def take(live: LiveFilters, source: str, objects: dict[str, bytes]) -> None:
    async def taking() -> None:
        live.take(source, objects)

    asyncio.run(taking())


def put(store: MemoryStore, content: bytes) -> None:
    async def putting() -> None:
        store.apply(Batch(puts=[(ROW_KEY, content)]))

    asyncio.run(putting())


def test_a_key_with_a_filter_s_name_adds_components() -> None:
    text = config(masterservice=" Agent/1 ,b,", servicetopology="", other="x y")
    assert parse_filters(text) == {"masterservice": frozenset({"agent", "b"})}
    assert parse_filters(b'{"data":null}') == {}


@pytest.mark.parametrize(
    "content",
    [
        b"nonsense",
        b'{"data":{"masterservice":5}}',
        config(masterservice="a b"),
        config(servicetopology="*"),
    ],
)
def test_a_value_that_cannot_be_used_is_bad_as_a_whole(content: bytes) -> None:
    assert isinstance(parse_filters(content), BadAgents)


def test_sources_are_read_as_one_and_changes_are_told() -> None:
    live, told = opened(MemoryStore()), []
    live.changed = told.append
    take(
        live, "a", {"one": config(masterservice="x"), "two": config(masterservice="y")}
    )
    take(live, "b", {"three": config(masterservice="z", serviceenvupdater="x")})
    added = {
        "masterservice": frozenset("xyz"),
        "serviceenvupdater": frozenset("x"),
    }
    assert told[-1] == live.approval == Approval(added=added)
    take(live, "b", {"three": config(masterservice="z", serviceenvupdater="x")})
    assert len(told) == 2
    take(live, "b", {})
    assert live.approval.added == {"masterservice": frozenset("xy")}


def test_a_bad_value_leaves_the_last_good_one_and_is_shown() -> None:
    live = opened(MemoryStore())
    take(live, "a", {"cm": config(masterservice="x")})
    for _ in range(2):
        take(live, "a", {"cm": config(masterservice="no good")})
    assert live.approval.added == {"masterservice": frozenset("x")}
    assert live.problem.startswith("ConfigMap cm: masterservice: 'no good'")
    take(live, "a", {"cm": config(masterservice="y")})
    assert (live.problem, live.approval.added) == (
        "",
        {"masterservice": frozenset("y")},
    )


def test_what_was_last_good_survives_a_restart() -> None:
    store = MemoryStore()
    live = opened(store, off=frozenset({"inclusterconfig"}))
    assert live.anew
    take(live, "a", {"cm": config(masterservice="x")})
    again = opened(store, off=frozenset({"inclusterconfig"}))
    assert again.approval == live.approval
    assert again.approval.off == {"inclusterconfig"}
    assert not again.anew
    assert opened(store).anew
    assert not opened(store).anew


def test_a_row_that_cannot_be_read_is_as_none(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    put(store, b"nonsense")
    live = opened(store)
    assert (live.anew, live.approval) == (True, Approval())
    assert "are lost" in caplog.text


@pytest.mark.parametrize(
    ("now", "told"),
    [
        ({}, False),
        ({"door": Door("169.254.2.2", 10268)}, True),
        ({"door": Door("169.254.2.1", 10270)}, True),
        ({"door": None}, True),
        ({"off": frozenset({"serviceenvupdater"})}, True),
        ({"off": frozenset({"masterservice"})}, False),
    ],
)
def test_another_address_for_pods_is_announced(
    now: dict[str, object], told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    store = MemoryStore()
    opened(store)
    assert "has changed" not in caplog.text
    with caplog.at_level(logging.WARNING):
        live = opened(store, **now)
    assert ("has changed" in caplog.text) is told
    assert live.anew is bool(now)


def test_door_that_opens_sends_pods_here_and_one_that_shuts_no_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store, told = MemoryStore(), []
    live = opened(store, shut=True, off=frozenset({"nodeportisolation"}))
    assert live.approval.off == {"nodeportisolation"} | OF_THE_DOOR
    live.changed = told.append

    async def story() -> None:
        live.door_opened(True)
        live.door_opened(True)
        assert told == [live.approval]
        assert live.approval.off == {"nodeportisolation"}
        live.door_opened(False)
        live.door_opened(True)

    with caplog.at_level(logging.WARNING):
        asyncio.run(story())
    assert caplog.text.count("has changed") == 3
    assert not opened(store, off=frozenset({"nodeportisolation"})).anew


@pytest.mark.parametrize("last", [False, True])
def test_door_that_is_not_known_yet_is_as_it_was_last(last: bool) -> None:
    store = MemoryStore()
    opened(store, shut=last)
    live = opened(store, shut=None)
    assert not live.anew
    assert live.approval.off == (OF_THE_DOOR if last else frozenset())


def test_door_that_was_never_known_is_shut() -> None:
    assert opened(MemoryStore(), shut=None).approval.off == OF_THE_DOOR
