# SPDX-License-Identifier: Apache-2.0
"""What a follower takes: newer only, whole only, in the version of the API it knows."""

import asyncio
import json

import pytest

from tests.unit.cache.kit import Cache, call
from toono.cache.policy import Policy
from toono.codec.base import Object
from toono.codec.protobuf import ProtobufCodec
from toono.pool.adopt import Adopting
from toono.pool.cloud import Collection
from toono.pool.keys import StorageKeys
from toono.pool.shared import Snapshot
from toono.pool.values import Stored

SLICES = Collection("discovery.k8s.io", "v1", "endpointslices")
CUSTOM = Collection("x.example.com", "v1", "drivers")


def stored(name: str, version: int, *, api: str = SLICES.api_version) -> Stored:
    meta = {"name": name, "namespace": "shop", "resourceVersion": str(version)}
    data = json.dumps({"metadata": meta}).encode()
    item = Object("shop", name, "u", str(version), False, data)
    return Stored("application/json", "EndpointSlice", api, "typed", item)


class Reader:
    """The pool's newest collection, as `shared.Reader` gives it."""

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None

    async def newest(self, of, *, than: int) -> Snapshot | None:
        found = self.snapshot
        return found if found is not None and found.version > than else None


class Follower:
    def __init__(self) -> None:
        self.cache = Cache()
        self.cache.recorder.policy = Policy.of("leader-yurthub")
        self.told: list[tuple[str, str]] = []
        self.reader = Reader()
        self.adopting = Adopting(
            None,
            StorageKeys(),
            self.cache.scopes,
            newer=lambda group, resource: self.told.append((group, resource)),
        )
        self.adopting._reader = self.reader

    async def take(self, version: int, *objects: Stored, of: Collection = SLICES):
        self.reader.snapshot = Snapshot(version, objects, 1)
        await self.adopting.take(of)
        return await self.cache.list(of.path)


def play(story) -> None:
    async def scene() -> None:
        await story(Follower())

    asyncio.run(scene())


def test_a_newer_collection_answers_the_next_list() -> None:
    async def story(follower) -> None:
        assert await follower.take(7, stored("a", 3)) == (7, ["a"])
        assert await follower.take(9, stored("b", 8)) == (9, ["b"])
        assert follower.told == [("discovery.k8s.io", "endpointslices")] * 2
        assert follower.adopting.versions == {SLICES: 9}

    play(story)


def test_an_older_one_changes_nothing() -> None:
    async def story(follower) -> None:
        await follower.take(9, stored("b", 8))
        assert await follower.take(7, stored("a", 3)) == (9, ["b"])
        assert await follower.take(9, stored("a", 3)) == (9, ["b"])
        assert len(follower.told) == 1

    play(story)


def test_an_empty_one_is_empty_and_has_its_kind() -> None:
    async def story(follower) -> None:
        assert await follower.take(7) == (7, [])
        scope = SLICES.scope(follower.cache.scopes)
        assert scope.question.media_type == ProtobufCodec.media_type
        assert (scope.kind, scope.api_version) == (
            "EndpointSlice",
            "discovery.k8s.io/v1",
        )
        assert await follower.take(8, of=CUSTOM) == "Unknown", (
            "of no kind that is known"
        )

    play(story)


@pytest.mark.parametrize(
    "objects",
    [
        (stored("a", 3, api="discovery.k8s.io/v1beta1"),),
        (stored("a", 3), stored("b", 3, api="discovery.k8s.io/v2")),
    ],
)
def test_another_version_of_the_api_is_not_taken(objects) -> None:
    async def story(follower) -> None:
        assert await follower.take(7, *objects) == "Unknown"
        assert follower.adopting.versions == {}

    play(story)


def test_a_scope_that_was_not_read_since_the_start_is_read_first() -> None:
    async def story(follower) -> None:
        await follower.take(9, stored("b", 8))
        again = Cache(follower.cache.store)
        await again.scopes.open()
        follower.cache = again
        follower.adopting._scopes = again.scopes
        assert await follower.take(7, stored("a", 3)) == (9, ["b"])

    play(story)


def test_where_there_is_no_room_nothing_is_taken() -> None:
    async def story(follower) -> None:
        follower.cache.scopes.has_room = lambda _: False
        assert await follower.take(7, stored("a", 3)) == "Unknown"

    play(story)


def test_the_component_of_a_pool_is_nobody_s_agent() -> None:
    asked = call(SLICES.path, agent="leader-yurthub/1")
    assert asked.component == SLICES.question("application/json").component
