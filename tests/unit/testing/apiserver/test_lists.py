# SPDX-License-Identifier: Apache-2.0
"""Lists: at which version, which page, and the token that goes on."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.testing.apiserver.kit import MAPS, PODS, World, config_map, names, run


def fill(world: World, *which: str, namespace: str = "default") -> None:
    for name in which:
        world.server.create("configmaps", config_map(name), namespace=namespace)


def opened(token: str) -> dict:
    return json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))


def closed(**content: object) -> str:
    text = json.dumps(content).encode()
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def test_a_list_is_ordered_and_tells_its_version() -> None:
    async def scenario(world: World) -> None:
        fill(world, "b", "a")
        fill(world, "z", namespace="default-2")
        told = await world.ask("GET", "/api/v1/configmaps")
        assert names(told) == ["z", "a", "b"]
        assert told.body["metadata"] == {"resourceVersion": "103"}
        assert names(await world.ask("GET", MAPS)) == ["a", "b"]

    run(scenario)


def test_pages_lead_on_at_one_version() -> None:
    async def scenario(world: World) -> None:
        fill(world, "a", "b", "c")
        first = (await world.ask("GET", MAPS + "?limit=2")).body
        assert first["metadata"]["remainingItemCount"] == 1
        token = first["metadata"]["continue"]
        assert opened(token) == {
            "v": "meta.k8s.io/v1",
            "rv": 103,
            "start": "/b\0",
        }
        fill(world, "bb")
        second = await world.ask("GET", f"{MAPS}?limit=2&continue={token}")
        assert names(second) == ["c"]
        assert second.body["metadata"] == {"resourceVersion": "103"}

    run(scenario)


@given(st.integers(1, 6), st.integers(0, 6))
def test_pages_make_up_the_whole(limit: int, count: int) -> None:
    async def scenario(world: World) -> None:
        fill(world, *(f"m-{number}" for number in range(count)))
        found, token = [], ""
        while True:
            told = await world.ask("GET", f"{MAPS}?limit={limit}&continue={token}")
            found += names(told)
            token = told.body["metadata"].get("continue", "")
            if not token:
                break
            assert told.body["metadata"]["remainingItemCount"] == count - len(found)
        assert found == [f"m-{number}" for number in range(count)]

    run(scenario)


def test_nobody_counts_what_a_selector_leaves() -> None:
    async def scenario(world: World) -> None:
        fill(world, "a", "b")
        told = await world.ask("GET", MAPS + "?limit=1&labelSelector=!x")
        assert names(told) == ["a"]
        assert sorted(told.body["metadata"]) == ["continue", "resourceVersion"]

    run(scenario)


def test_version_0_is_answered_whole() -> None:
    async def scenario(world: World) -> None:
        fill(world, "a", "b")
        assert names(await world.ask("GET", MAPS + "?limit=1&resourceVersion=0")) == [
            "a",
            "b",
        ]

    run(scenario)


def test_an_exact_version_shows_the_past() -> None:
    async def scenario(world: World) -> None:
        fill(world, "a")
        world.server.delete("configmaps", "a", namespace="default")
        exact = MAPS + "?resourceVersionMatch=Exact&resourceVersion="
        past = await world.ask("GET", exact + "101")
        assert (names(past), past.body["metadata"]["resourceVersion"]) == (["a"], "101")
        assert names(await world.ask("GET", exact + "102")) == []
        newer = MAPS + "?resourceVersionMatch=NotOlderThan&resourceVersion=101"
        assert names(await world.ask("GET", newer)) == []
        world.storage.compact()
        expired = await world.ask("GET", exact + "101")
        assert (expired.status, expired.body["reason"]) == (410, "Expired")

    run(scenario)


def test_a_stale_token_is_answered_with_one_that_goes_on_inconsistently() -> None:
    async def scenario(world: World) -> None:
        fill(world, "a", "b")
        first = await world.ask("GET", MAPS + "?limit=1")
        world.server.delete("configmaps", "b", namespace="default")
        fill(world, "c")
        world.storage.compact()
        token = first.body["metadata"]["continue"]
        stale = await world.ask("GET", f"{MAPS}?limit=1&continue={token}")
        assert (stale.status, stale.body["reason"]) == (410, "Expired")
        fresh = stale.body["metadata"]["continue"]
        assert (opened(fresh)["rv"], opened(fresh)["start"]) == (-1, "/a\0")
        rest = await world.ask("GET", f"{MAPS}?limit=1&continue={fresh}")
        assert names(rest) == ["c"]
        assert rest.body["metadata"]["resourceVersion"] == "104"

    run(scenario)


@pytest.mark.parametrize(
    ("token", "why"),
    [
        ("garbage", "invalid character '\\u0081' looking for beginning of value"),
        (closed(v="meta.k8s.io/v1"), "'rv'"),
        (closed(rv=[], start="/"), ""),
        ("a", ""),
    ],
)
def test_a_malformed_token_is_a_bad_request(token: str, why: str) -> None:
    async def scenario(world: World) -> None:
        told = await world.ask("GET", f"{PODS}?limit=1&continue={token}")
        assert told.status == 400
        prefix = "invalid continue token: continue key is not valid: "
        assert told.body["message"].startswith(prefix + why)

    run(scenario)


def test_a_page_has_no_version_of_its_own() -> None:
    async def scenario(world: World) -> None:
        fill(world, "a", "b")
        first = await world.ask("GET", MAPS + "?limit=1")
        token = first.body["metadata"]["continue"]
        told = await world.ask("GET", f"{MAPS}?continue={token}&resourceVersion=5")
        assert told.status == 400
        assert told.body["message"].startswith("specifying resource version")
        zero = await world.ask("GET", f"{MAPS}?continue={token}&resourceVersion=0")
        assert names(zero) == ["b"]

    run(scenario)
