# SPDX-License-Identifier: Apache-2.0
"""X-1 to X-14: what changes on the server, and how soon the mapper shows it."""

import asyncio
import json

import pytest

from tests.unit.restmapper.kit import (
    AGGREGATED,
    BAD,
    MODES,
    Wire,
    X,
    gk,
    gvk,
    gvr,
    mapper_over,
    standard,
)
from tests.unit.restmapper.virtual import run
from toono.restmapper import (
    DiscoveryUnavailableError,
    GroupVersion,
    NoKindMatchError,
    NoMatchError,
    State,
)

both_modes = pytest.mark.parametrize("mode", MODES)
POLL_BAR = 75.0
"""Without the right to watch, nothing is wrong for longer."""


def with_driver(mode, *versions):
    cluster = standard(mode)
    for version in versions or ("v1",):
        cluster.add(X, version, "Driver")
    return cluster


async def is_absent(mapper, kind, *versions):
    try:
        await mapper.rest_mapping(kind, *versions)
    except NoMatchError:
        return True
    return False


@both_modes
@pytest.mark.parametrize("versioned", [True, False])
def test_x_1_a_new_kind_in_a_new_version_is_found_at_the_first_ask(mode, versioned):
    async def main():
        cluster = with_driver(mode)
        wire = Wire(cluster)
        mapper = mapper_over(wire)
        await mapper.rest_mapping(gk(X, "Driver"))
        cluster.add(X, "v2", "Rider")
        sent = wire.count
        versions = ["v2"] if versioned else []
        found = await mapper.rest_mapping(gk(X, "Rider"), *versions)
        assert found.kind.version == "v2"
        assert wire.count - sent <= 2
        sent = wire.count
        await mapper.rest_mapping(gk(X, "Rider"))
        await mapper.rest_mapping(gk(X, "Rider"), "v2")
        assert wire.count == sent

    run(main())


@both_modes
@pytest.mark.parametrize("told", [True, False], ids=["told", "untold"])
def test_x_2_after_a_reconnect_it_is_found_within_a_second(mode, told):
    async def main():
        cluster = with_driver(mode)
        wire = Wire(cluster)
        mapper = mapper_over(wire)
        await mapper.rest_mapping(gk(X, "Driver"))
        wire.cut = True
        cluster.add(X, "v2", "Rider")
        for _ in range(100):
            with pytest.raises(DiscoveryUnavailableError, match="the link is down"):
                await mapper.rest_mapping(gk(X, "Rider"))
            await asyncio.sleep(0.3)
        wire.cut = False
        if told:
            mapper.observe.reconnect()
            await mapper.rest_mapping(gk(X, "Rider"))
            return
        found = await mapper.wait_for(in_group("Rider", "v2"), timeout=1)
        assert found.kind.version == "v2"

    run(main())


def in_group(kind, version):
    return gvk(X, version, kind)


@both_modes
def test_x_3_a_deleted_kind_is_no_match_after_a_signal(mode):
    async def main():
        cluster = with_driver(mode).add(X, "v1", "Rider")
        wire = Wire(cluster)
        mapper = mapper_over(wire)
        await mapper.rest_mapping(gk(X, "Driver"))
        cluster.remove(X, "v1", "drivers")
        mapper.observe.not_served(f"/apis/{X}/v1/namespaces/a/drivers")
        sent = wire.count
        with pytest.raises(NoKindMatchError):
            await mapper.rest_mapping(gk(X, "Driver"))
        assert wire.count - sent <= 2
        assert await mapper.rest_mapping(gk(X, "Rider"))

    run(main())


@both_modes
def test_x_3_a_deleted_kind_is_no_match_after_a_poll(mode):
    async def main():
        cluster = with_driver(mode).add(X, "v1", "Rider")
        async with mapper_over(Wire(cluster), watch=False) as mapper:
            await mapper.rest_mapping(gk(X, "Driver"))
            cluster.remove(X, "v1", "drivers")
            await asyncio.sleep(POLL_BAR)
            assert mapper.lookup(in_group("Driver", "v1")) is None
            with pytest.raises(NoKindMatchError):
                await mapper.rest_mapping(gk(X, "Driver"))

    run(main())


@pytest.mark.parametrize("second_agrees", [True, False])
def test_x_3_an_unasked_document_removes_only_with_a_second_fetched_at_once(
    second_agrees,
):
    async def main():
        cluster = with_driver("aggregated").add(X, "v1", "Rider")
        lagging = cluster.copy()
        lagging.remove(X, "v1", "drivers")
        wire = Wire(cluster)
        async with mapper_over(wire, watch=False) as mapper:
            await asyncio.sleep(10)
            before, sent = mapper.snapshot, wire.count
            wire.clusters = [lagging, lagging if second_agrees else cluster]
            wire.turns.clear()
            await asyncio.sleep(POLL_BAR)
            assert wire.paths()[sent:] == ["/api", "/apis", "/apis"]
            if second_agrees:
                assert await is_absent(mapper, gk(X, "Driver"))
            else:
                assert mapper.snapshot is before

    run(main())


@both_modes
def test_x_4_a_deleted_group_is_no_match(mode):
    async def main():
        cluster = with_driver(mode)
        mapper = mapper_over(Wire(cluster))
        await mapper.rest_mapping(gk(X, "Driver"))
        cluster.remove(X)
        mapper.observe.not_served(f"/apis/{X}/v1/drivers")
        assert await is_absent(mapper, gk(X, "Driver"))
        assert X not in mapper.snapshot.groups

    run(main())


@both_modes
def test_x_5_a_version_no_longer_served_leaves_the_others(mode):
    async def main():
        cluster = with_driver(mode, "v1", "v2", "v3")
        mapper = mapper_over(Wire(cluster))
        assert len(await mapper.rest_mappings(gk(X, "Driver"))) == 3
        cluster.remove(X, "v2")
        mapper.observe.not_served(f"/apis/{X}/v2/drivers")
        assert await is_absent(mapper, gk(X, "Driver"), "v2")
        left = await mapper.rest_mappings(gk(X, "Driver"))
        assert [each.kind.version for each in left] == ["v3", "v1"]

    run(main())


@both_modes
def test_x_6_a_flip_of_the_preferred_version_is_followed(mode):
    async def main():
        cluster = with_driver(mode, "v1", "v2")
        async with mapper_over(Wire(cluster), watch=False) as mapper:
            assert (await mapper.rest_mapping(gk(X, "Driver"))).kind.version == "v2"
            cluster.preferred[X] = "v1"
            await asyncio.sleep(POLL_BAR)
            assert (await mapper.rest_mapping(gk(X, "Driver"))).kind.version == "v1"

    run(main())


@both_modes
def test_x_7_an_unrelated_kind_may_flip_it_and_the_old_kind_still_resolves(mode):
    async def main():
        cluster = with_driver(mode)
        mapper = mapper_over(Wire(cluster))
        await mapper.rest_mapping(gk(X, "Driver"))
        cluster.add(X, "v2", "Rider")
        assert (await mapper.rest_mapping(gk(X, "Rider"))).kind.version == "v2"
        assert (await mapper.rest_mapping(gk(X, "Driver"))).kind.version == "v1"
        mapper.invalidate(X)
        assert (await mapper.rest_mapping(gk(X, "Driver"))).kind.version == "v1"

    run(main())


@both_modes
def test_x_8_answers_do_not_depend_on_what_was_asked_before(mode):
    async def main():
        cluster = with_driver(mode, "v1", "v2")
        cluster.add("first.example.com", "v1", "Driver")
        cluster.groups[X] = cluster.groups.pop(X)
        mapper = mapper_over(Wire(cluster))
        assert (await mapper.rest_mapping(gk(X, "Driver"), "v1")).kind.version == "v1"
        assert (await mapper.rest_mapping(gk(X, "Driver"))).kind.version == "v2"
        found = await mapper.resource_for(gvr("", "", "drivers"))
        assert found.group == "first.example.com"
        every = await mapper.resources_for(gvr("", "", "drivers"))
        assert len(every) == 3

    run(main())


@both_modes
def test_x_9_a_stale_version_never_seen_is_unavailable_and_the_others_are_fine(mode):
    async def main():
        cluster = with_driver(mode).add("metrics.k8s.io", "v1beta1", "NodeMetrics")
        cluster.down.add(("metrics.k8s.io", "v1beta1"))
        mapper = mapper_over(Wire(cluster))
        for asked in (
            mapper.rest_mapping(gk("metrics.k8s.io", "NodeMetrics")),
            mapper.kind_for(gvr("metrics.k8s.io", "", "nodemetrics")),
            mapper.kind_for(gvr("", "", "nothing")),
        ):
            with pytest.raises(DiscoveryUnavailableError) as raised:
                await asked
            assert "metrics.k8s.io/v1beta1" in raised.value.groups
            assert raised.value.since is not None
        assert await mapper.rest_mapping(gk(X, "Driver"))
        assert await is_absent(mapper, gk(X, "Other"))

    run(main())


@both_modes
def test_x_10_a_stale_version_seen_before_answers_its_last_good_and_says_so(mode):
    async def main():
        cluster = with_driver(mode)
        async with mapper_over(Wire(cluster), watch=False) as mapper:
            assert not (await mapper.rest_mapping(gk(X, "Driver"))).stale
            cluster.down.add((X, "v1"))
            await asyncio.sleep(POLL_BAR)
            assert (await mapper.rest_mapping(gk(X, "Driver"))).stale
            record = mapper.snapshot.records[GroupVersion(X, "v1")]
            assert record.state is State.STALE
            assert record.since is not None
            with pytest.raises(DiscoveryUnavailableError):
                await mapper.rest_mapping(gk(X, "Other"))

    run(main())


@both_modes
@pytest.mark.parametrize("running", [True, False])
def test_x_11_recovery_is_noticed_within_the_back_off(mode, running):
    async def main():
        cluster = with_driver(mode)
        cluster.down.add((X, "v1"))
        mapper = mapper_over(Wire(cluster), watch=False)
        if running:
            await mapper.__aenter__()
        for _ in range(20):
            with pytest.raises(DiscoveryUnavailableError):
                await mapper.rest_mapping(gk(X, "Driver"))
            await asyncio.sleep(1)
        cluster.down.clear()
        await asyncio.sleep(1 if mode == "aggregated" else 61)
        assert not (await mapper.rest_mapping(gk(X, "Driver"))).stale
        if running:
            await mapper.__aexit__(None, None, None)

    run(main())


bad = pytest.mark.parametrize("fault", BAD.values(), ids=BAD.keys())


@bad
def test_x_12_one_bad_group_version_leaves_the_rest(fault):
    async def main():
        wire = Wire(with_driver("legacy", "v1", "v2"))
        wire.faults[f"/apis/{X}/v2"] = fault
        mapper = mapper_over(wire)
        assert (await mapper.rest_mapping(gk(X, "Driver"))).kind.version == "v1"
        assert await mapper.rest_mapping(gk("apps", "Deployment"))
        with pytest.raises(DiscoveryUnavailableError, match=f"{X}/v2") as raised:
            await mapper.rest_mapping(gk(X, "Driver"), "v2")
        assert raised.value.since is not None
        wire.faults.clear()
        mapper.invalidate(X)
        assert (await mapper.rest_mapping(gk(X, "Driver"))).kind.version == "v2"

    run(main())


@bad
@both_modes
@pytest.mark.parametrize("root", ["/api", "/apis"])
def test_x_12_one_bad_root_keeps_the_snapshot_and_is_named(fault, mode, root):
    async def main():
        wire = Wire(with_driver(mode))
        mapper = mapper_over(wire)
        await mapper.rest_mapping(gk(X, "Driver"))
        await mapper.rest_mapping(gk("", "Pod"))
        before = mapper.snapshot
        wire.faults[root] = fault
        group = X if root == "/apis" else ""
        with pytest.raises(DiscoveryUnavailableError) as raised:
            await mapper.refresh()
        assert root in raised.value.groups
        assert raised.value.since is not None
        assert mapper.snapshot is before
        assert await mapper.rest_mapping(gk(group, "Driver" if group else "Pod"))

    run(main())


def test_x_12_one_bad_resource_or_group_costs_that_one():
    async def main():
        cluster = with_driver("aggregated")
        status, kind, body, _ = cluster.answer("/apis", AGGREGATED)
        content = json.loads(body)
        content["items"][0]["versions"] = "nonsense"
        driver = next(
            each for each in content["items"] if each["metadata"]["name"] == X
        )
        driver["versions"].append({"version": "v3", "resources": [{"resource": 7}]})
        wire = Wire(cluster)
        wire.faults["/apis"] = (status, kind, json.dumps(content).encode())
        mapper = mapper_over(wire)
        assert (await mapper.rest_mapping(gk(X, "Driver"))).kind.version == "v1"
        with pytest.raises(DiscoveryUnavailableError, match=f"{X}/v3"):
            await mapper.rest_mapping(gk(X, "Rider"))
        assert await mapper.rest_mapping(gk("policy", "PodDisruptionBudget"))

    run(main())


@both_modes
def test_x_13_a_thousand_lookups_of_an_absent_kind_in_a_second(mode):
    async def main():
        wire = Wire(with_driver(mode))
        mapper = mapper_over(wire)
        await mapper.rest_mapping(gk(X, "Driver"))
        sent = wire.count
        for _ in range(1000):
            assert await is_absent(mapper, gk(X, "Absent"))
            await asyncio.sleep(0.001)
        assert wire.count - sent <= 10

    run(main())


def test_x_13_an_absent_group_in_legacy_discovery_as_well():
    async def main():
        wire = Wire(with_driver("legacy"))
        mapper = mapper_over(wire)
        for _ in range(1000):
            assert await is_absent(mapper, gk("absent.example.com", "Absent"))
            await asyncio.sleep(0.001)
        assert wire.count <= 10

    run(main())


@both_modes
def test_x_14_fifty_misses_at_once_make_one_request(mode):
    async def main():
        cluster = with_driver(mode)
        wire = Wire(cluster)
        mapper = mapper_over(wire)
        await mapper.rest_mapping(gk(X, "Driver"))
        cluster.add(X, "v1", "Rider")
        sent = wire.count
        asked = [mapper.rest_mapping(gk(X, "Rider"), "v1") for _ in range(50)]
        await asyncio.gather(*asked)
        assert wire.count - sent == 1

        sent = wire.count
        asked = [is_absent(mapper, gk(X, "Absent"), "v1") for _ in range(50)]
        assert all(await asyncio.gather(*asked))
        assert wire.count - sent == 1

    run(main())


def test_who_asks_after_a_request_was_sent_shares_the_next():
    async def main():
        cluster = with_driver("aggregated")
        wire = Wire(cluster, latency=1)
        mapper = mapper_over(wire)
        await mapper.rest_mapping(gk(X, "Driver"))
        early = asyncio.ensure_future(is_absent(mapper, gk(X, "Rider")))
        stale = cluster.copy()
        await asyncio.sleep(0.5)
        wire.clusters = [stale, cluster]
        wire.turns.clear()
        cluster.add(X, "v1", "Rider")
        found = await mapper.rest_mapping(gk(X, "Rider"))
        assert found.kind.version == "v1"
        assert await early

    run(main())


@both_modes
def test_a_load_reads_all_that_is_served_and_says_what_it_could_not(mode):
    async def main():
        cluster = with_driver(mode)
        wire = Wire(cluster)
        mapper = mapper_over(wire)
        snapshot = await mapper.load()
        assert {str(gv) for gv in snapshot.records} >= {"v1", "apps/v1", f"{X}/v1"}
        sent = wire.count
        for known in snapshot.all_mappings():
            assert await mapper.kinds_for(known.resource) == (known.kind,)
        assert wire.count == sent
        cluster.add(X, "v2", "Rider")
        cluster.down.add((X, "v2"))
        await asyncio.sleep(2)
        with pytest.raises(DiscoveryUnavailableError, match=f"{X}/v2"):
            await mapper.load()
        assert mapper.lookup(gvk(X, "v1", "Driver"))

    run(main())


@both_modes
def test_the_kind_of_a_list_that_nobody_has_an_object_of(mode):
    async def main():
        cluster = with_driver(mode).add(X, "v2", "Pilot", plural="drivers")
        mapper = mapper_over(Wire(cluster))
        snapshot = await mapper.load()
        assert snapshot.served(gvr(X, "v1", "drivers")).kind.kind == "Driver"
        assert snapshot.served(gvr(X, "v2", "drivers")).kind.kind == "Pilot"
        for unknown in (
            gvr(X, "v3", "drivers"),
            gvr(X, "v1", "driver"),
            gvr("", "v1", "drivers"),
        ):
            assert snapshot.served(unknown) is None

    run(main())
