# SPDX-License-Identifier: Apache-2.0
"""What changed in a scope becomes a parcel; what arrived is not sent again."""

import asyncio

from tests.unit.cache.kit import Cache, pod, pod_list
from toono.errors import DamagedRowError
from toono.pool.shipping import Shipping

PODS = "/api/v1/pods"


def names(parcel) -> list[str]:
    return [one.name for one in parcel.objects]


def play(story) -> None:
    async def scene() -> None:
        cache = Cache()
        await cache.take(PODS, pod_list(9, pod("a", 3), pod("b", 4)))
        (scope,) = cache.scopes.all()
        await story(cache, scope, Shipping())

    asyncio.run(scene())


def test_the_first_parcel_is_all_of_it() -> None:
    async def story(cache, scope, shipping) -> None:
        assert shipping.is_due(scope)
        parcel = await shipping.pack(cache.scopes, scope)
        assert parcel.whole
        assert sorted(names(parcel)) == ["a", "b"]
        assert parcel.version == 9
        assert (parcel.form.kind, parcel.form.api_version) == ("Pod", "v1")
        assert b'"name":"a"' in parcel.objects[0].data
        shipping.taken(scope, parcel)
        assert shipping.version == 9
        assert not shipping.is_due(scope)

    play(story)


def test_what_did_not_arrive_is_packed_again() -> None:
    async def story(cache, scope, shipping) -> None:
        await shipping.pack(cache.scopes, scope)
        assert shipping.is_due(scope)
        assert (await shipping.pack(cache.scopes, scope)).whole

    play(story)


def test_later_parcels_hold_what_changed() -> None:
    async def story(cache, scope, shipping) -> None:
        shipping.taken(scope, await shipping.pack(cache.scopes, scope))
        await cache.take(PODS, pod_list(12, pod("b", 11), pod("c", 12)))
        assert shipping.is_due(scope)
        parcel = await shipping.pack(cache.scopes, scope)
        assert not parcel.whole
        assert names(parcel) == ["b", "c"]
        assert parcel.gone == [("default", "a")]
        shipping.taken(scope, parcel)
        assert not shipping.is_due(scope)

    play(story)


def test_after_a_takeover_all_is_told_anew() -> None:
    async def story(cache, scope, shipping) -> None:
        shipping.taken(scope, await shipping.pack(cache.scopes, scope))
        shipping.anew()
        assert shipping.version == 0
        assert (await shipping.pack(cache.scopes, scope)).whole

    play(story)


def test_a_new_epoch_is_told_whole() -> None:
    async def story(cache, scope, shipping) -> None:
        shipping.taken(scope, await shipping.pack(cache.scopes, scope))
        scope.epoch += 1
        assert shipping.is_due(scope)
        parcel = await shipping.pack(cache.scopes, scope)
        assert sorted(names(parcel)) == ["a", "b"]

    play(story)


def test_a_row_whose_bytes_are_damaged_holds_the_parcel_back() -> None:
    async def story(cache, scope, shipping) -> None:
        async def damaged(*_):
            raise DamagedRowError(b"row")

        cache.scopes.contents = damaged
        assert await shipping.pack(cache.scopes, scope) is None

    play(story)
