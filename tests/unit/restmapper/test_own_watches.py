# SPDX-License-Identifier: Apache-2.0
"""X-27 to X-33, X-37, X-38: CRDs as they are watched, and servers that differ."""

import asyncio
import logging

import pytest

from tests.unit.restmapper.kit import (
    API_SERVICE_PATH,
    CRD_PATH,
    MODES,
    Wire,
    X,
    crd,
    gk,
    gvk,
    gvr,
    mapper_over,
    standard,
)
from tests.unit.restmapper.virtual import run
from toono.restmapper import (
    Change,
    GroupVersion,
    NoMatchError,
    Scope,
    Source,
)

both_modes = pytest.mark.parametrize("mode", MODES)
TICK = 0.02
"""A little time: less than the first look after a signal waits."""


def watching(cluster):
    wire = Wire(cluster)
    wire.watch_status = 200
    return wire


async def collected(mapper, seen):
    async for event in mapper.events():
        seen.append((event.change, event.kind))


async def is_absent(mapper, kind, *versions):
    try:
        await mapper.rest_mapping(kind, *versions)
    except NoMatchError:
        return True
    return False


@both_modes
@pytest.mark.parametrize("told", ["watch", "traffic"])
@pytest.mark.parametrize("change", ["kind", "scope", "plural"])
def test_x_27_a_crd_made_anew_with_another_kind_scope_or_plural(mode, told, change):
    async def main():
        cluster = standard(mode).add(X, "v1", "Driver")
        wire = watching(cluster)
        if told == "traffic":
            wire.watch_status = 403
        async with mapper_over(wire) as mapper:
            await mapper.rest_mapping(gk(X, "Driver"))
            await asyncio.sleep(30)
            cluster.remove(X)
            kind = "Pilot" if change == "kind" else "Driver"
            plural = "driverz" if change == "plural" else "drivers"
            namespaced = change != "scope"
            cluster.add(X, "v1", kind, plural=plural, namespaced=namespaced)
            if told == "watch":
                wire.tell("DELETED", crd("Driver"))
                scope = "Namespaced" if namespaced else "Cluster"
                wire.tell("ADDED", crd(kind, plural=plural, scope=scope))
            else:
                mapper.observe.write(f"{CRD_PATH}/drivers.{X}")
                mapper.observe.write(CRD_PATH)
            await asyncio.sleep(TICK)
            found = await mapper.kind_for(gvr(X, "v1", plural))
            assert found == gvk(X, "v1", kind)
            mapping = await mapper.rest_mapping(gk(X, kind))
            assert mapping.resource.resource == plural
            assert mapping.scope is (Scope.NAMESPACED if namespaced else Scope.CLUSTER)
            if change == "kind":
                assert await is_absent(mapper, gk(X, "Driver"))

    run(main())


def test_x_27_bodies_that_pass_show_another_kind():
    async def main():
        cluster = standard().add(X, "v1", "Driver")
        wire = Wire(cluster)
        async with mapper_over(wire) as mapper:
            await mapper.rest_mapping(gk(X, "Driver"))
            cluster.remove(X)
            cluster.add(X, "v1", "Pilot", plural="drivers")
            mapper.observe.body(f"/apis/{X}/v1/drivers", f"{X}/v1", "PilotList")
            await asyncio.sleep(TICK)
            assert mapper.lookup(gvk(X, "v1", "Pilot"))
            assert mapper.lookup(gvk(X, "v1", "Driver")) is None

    run(main())


@both_modes
def test_x_28_names_that_were_not_accepted_are_never_mapped(mode):
    async def main():
        cluster = standard(mode)
        wire = watching(cluster)
        async with mapper_over(wire) as mapper:
            await asyncio.sleep(10)
            wire.tell("ADDED", crd("Driver", accepted=False))
            await asyncio.sleep(30)
            assert mapper.lookup(gvk(X, "v1", "Driver")) is None
            assert await is_absent(mapper, gk(X, "Driver"), "v1")

    run(main())


@both_modes
def test_x_29_established_turns_true(mode):
    async def main():
        cluster = standard(mode)
        wire = watching(cluster)
        async with mapper_over(wire) as mapper:
            await asyncio.sleep(10)
            wire.tell("ADDED", crd("Driver", established=False))
            await asyncio.sleep(3)
            assert mapper.lookup(gvk(X, "v1", "Driver")) is None
            wire.tell("MODIFIED", crd("Driver", resource_version="12"))
            await asyncio.sleep(TICK)
            assert mapper.lookup(gvk(X, "v1", "Driver"))

    run(main())


@both_modes
def test_x_30_a_terminating_crd_keeps_fewer_verbs_and_a_deleted_one_goes(mode):
    async def main():
        cluster = standard(mode).add(X, "v1", "Driver")
        wire = watching(cluster)
        async with mapper_over(wire) as mapper:
            await mapper.rest_mapping(gk(X, "Driver"))
            await asyncio.sleep(10)
            wire.tell("MODIFIED", crd("Driver", terminating=True))
            await asyncio.sleep(TICK)
            verbs = mapper.lookup(gvk(X, "v1", "Driver")).api.verbs
            assert set(verbs) == {"get", "list", "watch", "delete", "deletecollection"}
            wire.tell("DELETED", crd("Driver", terminating=True))
            await asyncio.sleep(TICK)
            assert mapper.lookup(gvk(X, "v1", "Driver")) is None
            assert GroupVersion(X, "v1") not in mapper.snapshot.records
            cluster.remove(X)
            await asyncio.sleep(60)
            assert await is_absent(mapper, gk(X, "Driver"))

    run(main())


@both_modes
def test_a_version_that_a_crd_drops_goes_and_the_others_stay(mode):
    async def main():
        cluster = standard(mode)
        for version in ("v1", "v2"):
            cluster.add(X, version, "Driver")
        wire = watching(cluster)
        async with mapper_over(wire) as mapper:
            await mapper.rest_mappings(gk(X, "Driver"))
            await asyncio.sleep(10)
            wire.tell("MODIFIED", crd("Driver", versions=("v2",)))
            await asyncio.sleep(TICK)
            assert mapper.lookup(gvk(X, "v1", "Driver")) is None
            assert mapper.lookup(gvk(X, "v2", "Driver"))

    run(main())


@both_modes
def test_x_31_short_names_and_categories(mode):
    async def main():
        cluster = standard(mode)
        cluster.add(X, "v1", "Driver", short=["po"], categories=["all", "fleet"])
        mapper = mapper_over(Wire(cluster))
        await mapper.rest_mappings(gk("", "Pod"))
        found = await mapper.expand(gvr("", "", "po"))
        await mapper.resources_for(gvr("", "", "drivers"))
        assert found.mapping.resource == gvr("", "v1", "pods")
        again = await mapper.expand(gvr("", "", "po"))
        assert f"drivers.{X}" in again.warning
        assert mapper.category("fleet") == (gvr(X, "v1", "drivers"),)
        assert gvr("apps", "v1", "deployments") in mapper.category("all")
        assert mapper.category("unknown") == ()

    run(main())


@both_modes
@pytest.mark.parametrize("delay", [0.0, 0.02, 0.5, 2.0, 5.0])
def test_x_32_established_before_discovery_shows_it(mode, delay):
    async def main():
        cluster = standard(mode).add(X, "v1", "Driver")
        wire = watching(cluster)
        async with mapper_over(wire) as mapper:
            await mapper.rest_mapping(gk(X, "Driver"))
            await asyncio.sleep(10)
            wire.tell("ADDED", crd("Rider", versions=("v1", "v2")))
            for _ in range(int(delay / 0.1)):
                await asyncio.sleep(0.1)
                found = await mapper.rest_mapping(gk(X, "Rider"), "v2")
                assert found.resource.resource == "riders"
            cluster.add(X, "v1", "Rider").add(X, "v2", "Rider")
            await asyncio.sleep(12)
            assert mapper.lookup(gvk(X, "v2", "Rider"))
            await asyncio.sleep(100)
            record = mapper.snapshot.records[GroupVersion(X, "v2")]
            assert record.source in (Source.AGGREGATED, Source.LEGACY)
            assert (await mapper.rest_mapping(gk(X, "Rider"))).kind.version == "v2"

    run(main())


@both_modes
def test_x_32_deleted_before_discovery_shows_it(mode):
    async def main():
        cluster = standard(mode).add(X, "v1", "Driver").add(X, "v1", "Rider")
        wire = watching(cluster)
        async with mapper_over(wire) as mapper:
            await mapper.rest_mapping(gk(X, "Driver"))
            await asyncio.sleep(10)
            wire.tell("DELETED", crd("Driver"))
            for _ in range(20):
                await asyncio.sleep(0.1)
                assert mapper.lookup(gvk(X, "v1", "Driver")) is None
            cluster.remove(X, "v1", "drivers")
            await asyncio.sleep(60)
            assert mapper.lookup(gvk(X, "v1", "Driver")) is None
            assert mapper.lookup(gvk(X, "v1", "Rider"))

    run(main())


@pytest.mark.parametrize("known", [True, False], ids=["known-group", "new-group"])
def test_x_32_a_list_that_lags_behind_its_documents_makes_no_events(known):
    """Each legacy page may come from another server, or from another moment."""

    async def main():
        cluster = standard("legacy")
        if known:
            cluster.add(X, "v1", "Driver")
        before = cluster.copy()
        wire, events = watching(cluster), []
        async with mapper_over(wire) as mapper:
            await asyncio.sleep(10)
            await is_absent(mapper, gk(X, "Rider"))
            listening = asyncio.ensure_future(collected(mapper, events))
            for path in ("/apis", f"/apis/{X}"):
                wire.faults[path] = before.answer(path, "")[:3]
            cluster.add(X, "v2", "Rider", subresources={"status": "Rider"})
            wire.tell("ADDED", crd("Rider", versions=["v2"]))
            await asyncio.sleep(2)
            assert mapper.lookup(gvk(X, "v2", "Rider"))
            wire.faults.clear()
            await asyncio.sleep(30)
            assert mapper.lookup(gvk(X, "v2", "Rider"))
            assert events == [(Change.ADDED, gvk(X, "v2", "Rider"))]
            listening.cancel()

    run(main())


@both_modes
def test_a_group_that_only_a_crd_told_of_is_listed_anew_at_a_miss(mode):
    async def main():
        cluster = standard(mode)
        wire = watching(cluster)
        async with mapper_over(wire) as mapper:
            await asyncio.sleep(10)
            wire.tell("ADDED", crd("Driver"))
            await asyncio.sleep(TICK)
            assert mapper.lookup(gvk(X, "v1", "Driver"))
            cluster.add(X, "v1", "Driver").add(X, "v2", "Rider")
            assert (await mapper.rest_mapping(gk(X, "Rider"))).kind.version == "v2"

    run(main())


@both_modes
def test_a_crd_that_no_server_ever_serves_does_not_stay(mode):
    async def main():
        wire = watching(standard(mode))
        async with mapper_over(wire) as mapper:
            await asyncio.sleep(10)
            wire.tell("ADDED", crd("Driver"))
            await asyncio.sleep(TICK)
            assert mapper.lookup(gvk(X, "v1", "Driver"))
            await asyncio.sleep(30)
            assert mapper.lookup(gvk(X, "v1", "Driver")) is None

    run(main())


@both_modes
@pytest.mark.parametrize("lagging", ["without", "with"])
def test_x_33_two_servers_that_differ_do_not_make_it_flap(mode, lagging):
    async def main():
        new = standard(mode).add(X, "v1", "Driver").add(X, "v2", "Driver")
        old = standard(mode).add(X, "v1", "Driver")
        if lagging == "with":
            old.add(X, "v1beta1", "Driver")
        wire = Wire(new)
        async with mapper_over(wire, watch=False) as mapper:
            await mapper.rest_mappings(gk(X, "Driver"))
            seen = []
            listening = asyncio.ensure_future(collected(mapper, seen))
            await asyncio.sleep(1)
            wire.clusters = [new, old]
            for place in range(40):
                await asyncio.sleep(17)
                assert mapper.lookup(gvk(X, "v2", "Driver"))
                assert (await mapper.rest_mapping(gk(X, "Driver"))).kind.version == "v2"
                if place > 10:
                    await is_absent(mapper, gk(X, f"Absent{place % 3}"))
            kinds = [kind.version for _, kind in seen]
            assert len(kinds) == len(set(kinds))
            assert Change.REMOVED not in [change for change, _ in seen]
            wire.clusters = [new]
            await asyncio.sleep(200)
            assert not await is_absent(mapper, gk(X, "Driver"), "v2")
            assert await is_absent(mapper, gk(X, "Driver"), "v1beta1")
            listening.cancel()

    run(main())


@both_modes
@pytest.mark.parametrize("status", [401, 403, 404])
def test_x_37_without_the_right_to_watch_it_polls_and_says_so_once(
    mode, status, caplog
):
    async def main():
        cluster = standard(mode)
        wire = Wire(cluster)
        wire.watch_status = status
        async with mapper_over(wire) as mapper:
            await asyncio.sleep(3600)
            assert not mapper.statistics().watching
            cluster.add(X, "v1", "Driver")
            await asyncio.sleep(75)
            assert await mapper.rest_mapping(gk(X, "Driver"))
        tries = [path for path, _ in wire.requests if path.startswith(CRD_PATH)]
        assert 6 <= len(tries) <= 8

    with caplog.at_level(logging.WARNING):
        run(main())
    told = [each for each in caplog.records if "not allowed to watch" in each.message]
    assert {each.path for each in told} == {CRD_PATH, API_SERVICE_PATH}
    assert len(told) == 2


def test_x_37_a_right_given_later_is_used():
    async def main():
        wire = Wire(standard())
        async with mapper_over(wire) as mapper:
            await asyncio.sleep(30)
            wire.watch_status = 200
            await asyncio.sleep(600)
            assert mapper.statistics().watching
            wire.tell("ADDED", crd("Driver"))
            await asyncio.sleep(TICK)
            assert mapper.lookup(gvk(X, "v1", "Driver"))

    run(main())


@both_modes
def test_x_38_after_a_410_it_lists_again_and_tells_each_difference_once(mode):
    async def main():
        cluster = standard(mode).add(X, "v1", "Driver").add(X, "v1", "Keeper")
        wire = watching(cluster)
        wire.listed[CRD_PATH] = {f"drivers.{X}": "5", f"keepers.{X}": "6"}
        async with mapper_over(wire) as mapper:
            await mapper.rest_mapping(gk(X, "Driver"))
            await asyncio.sleep(30)
            seen = []
            listening = asyncio.ensure_future(collected(mapper, seen))
            await asyncio.sleep(1)
            cluster.remove(X, "v1", "drivers")
            cluster.add(X, "v1", "Rider")
            wire.listed[CRD_PATH] = {f"riders.{X}": "9", f"keepers.{X}": "6"}
            wire.tell("ERROR", {"kind": "Status", "code": 410, "reason": "Expired"})
            await asyncio.sleep(1)
            assert sorted(seen, key=str) == [
                (Change.ADDED, gvk(X, "v1", "Rider")),
                (Change.REMOVED, gvk(X, "v1", "Driver")),
            ]
            wire.tell("ERROR", {"kind": "Status", "code": 410, "reason": "Expired"})
            await asyncio.sleep(30)
            assert len(seen) == 2
            listening.cancel()

    run(main())


def test_an_api_service_that_recovers_is_seen_without_a_poll():
    async def main():
        cluster = standard().add(X, "v1", "Driver")
        cluster.down.add((X, "v1"))
        wire = watching(cluster)
        async with mapper_over(wire, poll_seconds=3600) as mapper:
            await asyncio.sleep(600)
            service = {"metadata": {"name": f"v1.{X}", "resourceVersion": "12"}}
            wire.tell("MODIFIED", service, API_SERVICE_PATH)
            await asyncio.sleep(0.2)
            cluster.down.clear()
            await asyncio.sleep(1)
            assert mapper.lookup(gvk(X, "v1", "Driver"))

    run(main())


@both_modes
def test_negative_answers_last_longer_only_while_a_watch_would_end_them(mode):
    async def main():
        cluster = standard(mode).add(X, "v1", "Driver")
        wire = watching(cluster)
        async with mapper_over(wire) as mapper:
            await mapper.rest_mapping(gk(X, "Driver"))
            await asyncio.sleep(20)
            sent = wire.count
            for _ in range(400):
                assert await is_absent(mapper, gk(X, "Rider"), "v1")
                await asyncio.sleep(0.1)
            assert wire.count - sent < 12
            wire.tell("ADDED", crd("Rider"))
            await asyncio.sleep(TICK)
            assert await mapper.rest_mapping(gk(X, "Rider"), "v1")
            assert await is_absent(mapper, gk(X, "Other"), "v1")
            cluster.add(X, "v1", "Rider")
            wire.watch_status = 500
            wire.end_watch()
            wire.end_watch(API_SERVICE_PATH)
            await asyncio.sleep(5)
            cluster.add(X, "v1", "Other")
            await asyncio.sleep(1)
            assert await mapper.rest_mapping(gk(X, "Other"), "v1")

    run(main())
