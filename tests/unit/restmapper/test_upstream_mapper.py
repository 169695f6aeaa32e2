# SPDX-License-Identifier: Apache-2.0
"""What controller-runtime's and client-go's own tests say of a mapper, case by case.

CR: controller-runtime's lazy mapper, in both forms of discovery; its request counts
are upper bounds. WB: its caches. NS: scopes. OLD: its mapper before 0.15. DM:
client-go's deferred mapper. RM: apimachinery's static mapper.
"""

import asyncio

import pytest

from tests.unit.restmapper.kit import (
    MODES,
    Cluster,
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
    AmbiguousResourceError,
    DiscoveryUnavailableError,
    NoKindMatchError,
    NoMatchError,
    NoResourceMatchError,
    Scope,
)

both_modes = pytest.mark.parametrize("mode", MODES)


def bound(mode, legacy, aggregated):
    return legacy if mode == "legacy" else aggregated


class Counted:
    """Runs a call and holds the requests it cost to an upper bound."""

    def __init__(self, wire):
        self.wire = wire

    async def __call__(self, call, at_most):
        before = self.wire.count
        try:
            return await call
        finally:
            cost = self.wire.count - before
            assert cost <= at_most, self.wire.paths()[before:]


def six_methods(mapper, group, version, kind, resource):
    versions = [version] if version else []
    return [
        mapper.rest_mapping(gk(group, kind), *versions),
        mapper.rest_mappings(gk(group, kind), *versions),
        mapper.kind_for(gvr(group, version, resource)),
        mapper.kinds_for(gvr(group, version, resource)),
        mapper.resource_for(gvr(group, version, resource)),
        mapper.resources_for(gvr(group, version, resource)),
    ]


async def all_absent(counted, calls, *, first, later):
    for place, call in enumerate(calls):
        with pytest.raises(NoMatchError) as raised:
            await counted(call, first if place == 0 else later)
        wanted = NoKindMatchError if place < 2 else NoResourceMatchError
        assert isinstance(raised.value, wanted)


def two_versions(mode):
    cluster = standard(mode)
    cluster.add(X, "v1", "Driver")
    cluster.add(X, "v2", "Driver")
    return cluster


# -- CR ----------------------------------------------------------------------------


@both_modes
def test_cr_1_each_group_is_asked_for_when_it_is_first_wanted(mode):
    async def main():
        wire = Wire(standard(mode))
        mapper, counted = mapper_over(wire), Counted(wire)
        assert wire.count == 0
        more = bound(mode, 1, 0)

        call = mapper.rest_mapping(gk("apps", "deployment"), "v1")
        mapping = await counted(call, bound(mode, 3, 2))
        assert mapping.kind == gvk("apps", "v1", "deployment")
        mappings = await counted(mapper.rest_mappings(gk("", "pod"), "v1"), more)
        assert [each.kind for each in mappings] == [gvk("", "v1", "pod")]
        ingresses = gvr("networking.k8s.io", "v1", "ingresses")
        kind = await counted(mapper.kind_for(ingresses), more)
        assert kind.kind == "Ingress"
        reviews = gvr("authentication.k8s.io", "v1", "tokenreviews")
        kinds = await counted(mapper.kinds_for(reviews), more)
        assert [each.kind for each in kinds] == ["TokenReview"]
        classes = gvr("scheduling.k8s.io", "v1", "priorityclasses")
        resource = await counted(mapper.resource_for(classes), more)
        assert resource.resource == "priorityclasses"
        budgets = gvr("policy", "v1", "poddisruptionbudgets")
        resources = await counted(mapper.resources_for(budgets), more)
        assert [each.resource for each in resources] == ["poddisruptionbudgets"]

    run(main())


@both_modes
def test_cr_2_what_is_known_costs_no_request(mode):
    async def main():
        wire = Wire(standard(mode))
        mapper, counted = mapper_over(wire), Counted(wire)
        await mapper.rest_mapping(gk("apps", "Deployment"), "v1")
        await counted(mapper.rest_mapping(gk("apps", "Deployment"), "v1"), 0)
        singular = gvr("apps", "v1", "deployment")
        kind = await counted(mapper.kind_for(singular), 0)
        resource = await counted(mapper.resource_for(singular), 0)
        assert (kind.kind, resource.resource) == ("Deployment", "deployments")

    run(main())


@both_modes
def test_cr_3_no_version_loads_every_version_of_the_group(mode):
    async def main():
        wire = Wire(two_versions(mode))
        mapper, counted = mapper_over(wire), Counted(wire)
        call = mapper.rest_mapping(gk(X, "Driver"))
        assert (await counted(call, bound(mode, 4, 2))).kind.version == "v2"
        await counted(mapper.rest_mapping(gk(X, "Driver")), 0)

    run(main())


@both_modes
def test_cr_4_versions_together_then_one_by_one(mode):
    async def main():
        wire = Wire(two_versions(mode))
        mapper, counted = mapper_over(wire), Counted(wire)
        call = mapper.rest_mappings(gk(X, "Driver"), "v1", "v2")
        assert len(await counted(call, bound(mode, 4, 2))) == 2
        one = await counted(mapper.rest_mapping(gk(X, "Driver"), "v1"), 0)
        none = await counted(mapper.rest_mapping(gk(X, "Driver")), 0)
        assert (one.kind.version, none.kind.version) == ("v1", "v2")

    run(main())


@both_modes
def test_cr_5_a_second_version_costs_one_request_more(mode):
    async def main():
        wire = Wire(two_versions(mode))
        mapper, counted = mapper_over(wire), Counted(wire)
        kind = gk(X, "Driver")
        await counted(mapper.rest_mapping(kind, "v1"), bound(mode, 3, 2))
        await counted(mapper.rest_mapping(kind, "v2"), bound(mode, 1, 0))
        await counted(mapper.rest_mapping(kind, "v1"), 0)
        first = await counted(mapper.rest_mapping(kind, "v1", "v2"), 0)
        assert first.kind.version == "v1"

    run(main())


@both_modes
def test_cr_6_an_unknown_group_is_no_match(mode):
    async def main():
        wire = Wire(standard(mode))
        mapper, counted = mapper_over(wire), Counted(wire)
        calls = six_methods(mapper, "INVALID1", "v1", "Kind", "kinds")
        await all_absent(counted, calls, first=bound(mode, 3, 2), later=1)
        calls = six_methods(mapper, "INVALID2", "", "Kind", "kinds")
        await all_absent(counted, calls, first=2, later=2)

    run(main())


@both_modes
def test_cr_7_an_unknown_kind_of_a_known_group_version_is_no_match(mode):
    async def main():
        wire = Wire(standard(mode))
        mapper, counted = mapper_over(wire), Counted(wire)
        calls = six_methods(mapper, "apps", "v1", "INVALID", "invalids")
        await all_absent(counted, calls, first=bound(mode, 3, 2), later=1)

    run(main())


@both_modes
def test_cr_8_an_unknown_version_of_a_known_group_is_no_match(mode):
    async def main():
        wire = Wire(standard(mode))
        mapper, counted = mapper_over(wire), Counted(wire)
        calls = six_methods(mapper, "apps", "INVALID", "Deployment", "deployments")
        await all_absent(counted, calls, first=bound(mode, 3, 2), later=1)

    run(main())


@both_modes
@pytest.mark.parametrize("name", ["deployment", "deployments"])
def test_cr_9_names_without_a_version_find_one(mode, name):
    async def main():
        mapper = mapper_over(Wire(standard(mode)))
        asked = gvr("apps", "", name)
        assert (await mapper.kind_for(asked)).version == "v1"
        assert (await mapper.kinds_for(asked))[0].version == "v1"
        assert (await mapper.resource_for(asked)).version == "v1"
        assert (await mapper.resources_for(asked))[0].version == "v1"

    run(main())


@both_modes
def test_cr_10_a_kind_that_comes_later_is_found_without_a_restart(mode):
    async def main():
        cluster = two_versions(mode)
        mapper = mapper_over(Wire(cluster))
        await mapper.rest_mapping(gk(X, "Driver"))
        cluster.add(X, "v1", "Rider").add(X, "v2", "Rider")
        assert (await mapper.rest_mapping(gk(X, "Rider"))).kind.version == "v2"

    run(main())


@both_modes
def test_cr_11_a_version_that_went_is_gone_after_any_signal(mode):
    async def main():
        cluster = standard(mode)
        cluster.add(X, "v1alpha1", "Driver").add(X, "v1", "Driver")
        wire = Wire(cluster)
        mapper, counted = mapper_over(wire), Counted(wire)
        kind = gk(X, "Driver")
        call = mapper.rest_mapping(kind)
        assert (await counted(call, bound(mode, 4, 2))).kind.version == "v1"
        await counted(mapper.rest_mapping(kind, "v1alpha1"), 0)

        cluster.remove(X, "v1alpha1")
        with pytest.raises(NoKindMatchError):
            await counted(mapper.rest_mapping(gk(X, "DoesNotExist")), 2)
        with pytest.raises(NoKindMatchError):
            await counted(mapper.rest_mapping(kind, "v1alpha1"), 1)
        assert (await counted(mapper.rest_mapping(kind), 1)).kind.version == "v1"

    run(main())


@both_modes
def test_cr_11_each_signal_removes_it(mode):
    async def main():
        signals = [
            lambda mapper: mapper.invalidate(),
            lambda mapper: mapper.invalidate(X),
            lambda mapper: mapper.observe.not_served(f"/apis/{X}/v1alpha1/drivers"),
            lambda mapper: mapper.observe.reconnect(),
            lambda mapper: mapper.observe.write(
                "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/drivers." + X
            ),
        ]
        for signal in signals:
            cluster = standard(mode)
            cluster.add(X, "v1alpha1", "Driver").add(X, "v1", "Driver")
            mapper = mapper_over(Wire(cluster))
            await mapper.rest_mapping(gk(X, "Driver"))
            await mapper.rest_mapping(gk(X, "Driver"), "v1alpha1")
            cluster.remove(X, "v1alpha1")
            signal(mapper)
            with pytest.raises(NoKindMatchError):
                await mapper.rest_mapping(gk(X, "Driver"), "v1alpha1")

    run(main())


@both_modes
def test_cr_12_fresh_mappers_agree_with_the_servers_preference(mode):
    async def main():
        wire = Wire(two_versions(mode))

        async def fresh():
            return await mapper_over(wire).rest_mapping(gk(X, "Driver"))

        found = await asyncio.gather(*(fresh() for _ in range(50)))
        assert {each.kind.version for each in found} == {"v2"}

    run(main())


# -- WB ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("listed", "read"),
    [(True, True), (True, False), (False, True), (False, False)],
    ids=["WB-1-in-both", "WB-2-only-listed", "WB-3-only-read", "WB-4-in-neither"],
)
def test_wb_a_version_that_answers_404_is_forgotten_wherever_it_was(listed, read):
    async def main():
        cluster = standard("legacy")
        cluster.add(X, "v1", "Driver").add(X, "v2", "Driver")
        wire = Wire(cluster)
        mapper = mapper_over(wire)
        if listed or read:
            await mapper.rest_mapping(gk("apps", "Deployment"))
        if read:
            await mapper.rest_mappings(gk(X, "Driver"))
        if read and not listed:
            mapper.invalidate(X)
        cluster.remove(X)
        with pytest.raises(NoKindMatchError):
            await mapper.rest_mappings(gk(X, "Other"), "v1", "v2")
        with pytest.raises(NoKindMatchError):
            await mapper.rest_mapping(gk(X, "Driver"))
        assert X not in mapper.snapshot.groups
        assert not [gv for gv in mapper.snapshot.records if gv.group == X]

    run(main())


# -- NS ------------------------------------------------------------------------------


@both_modes
def test_ns_0_the_scope_of_what_is_there_at_the_start(mode):
    async def main():
        mapper = mapper_over(Wire(standard(mode)))
        assert (await mapper.rest_mapping(gk("", "Node"))).scope is Scope.CLUSTER
        assert (await mapper.rest_mapping(gk("", "Pod"))).scope is Scope.NAMESPACED

    run(main())


@both_modes
@pytest.mark.parametrize(
    ("group", "version"),
    [(X, "v2"), (X, "v1"), ("new.example.com", "v1")],
    ids=["NS-1-new-version", "NS-2-known-version", "NS-3-new-group"],
)
@pytest.mark.parametrize("namespaced", [True, False])
@pytest.mark.parametrize("versioned", [True, False])
def test_ns_the_scope_of_a_kind_that_comes_later(
    mode, group, version, namespaced, versioned
):
    async def main():
        cluster = standard(mode).add(X, "v1", "Driver")
        mapper = mapper_over(Wire(cluster))
        await mapper.rest_mapping(gk(X, "Driver"))
        cluster.add(group, version, "Rider", namespaced=namespaced)
        versions = [version] if versioned else []
        found = await mapper.rest_mapping(gk(group, "Rider"), *versions)
        assert found.scope is (Scope.NAMESPACED if namespaced else Scope.CLUSTER)

    run(main())


# -- OLD -----------------------------------------------------------------------------


SEVEN = {
    "KindFor": lambda mapper, name: mapper.kind_for(gvr(X, "v1", name + "s")),
    "KindsFor": lambda mapper, name: mapper.kinds_for(gvr(X, "v1", name + "s")),
    "ResourceFor": lambda mapper, name: mapper.resource_for(gvr(X, "v1", name)),
    "ResourcesFor": lambda mapper, name: mapper.resources_for(gvr(X, "v1", name)),
    "RESTMapping": lambda mapper, name: mapper.rest_mapping(gk(X, name), "v1"),
    "RESTMappings": lambda mapper, name: mapper.rest_mappings(gk(X, name), "v1"),
    "ResourceSingularizer": lambda mapper, name: mapper.resource_singularizer(
        name + "s"
    ),
}
seven = pytest.mark.parametrize("method", SEVEN.values(), ids=SEVEN.keys())


@both_modes
@seven
def test_old_1_a_cached_answer_never_asks_again(mode, method):
    async def main():
        wire = Wire(standard(mode).add(X, "v1", "Driver"))
        mapper, counted = mapper_over(wire), Counted(wire)
        await method(mapper, "driver")
        await asyncio.sleep(3600)
        await counted(method(mapper, "driver"), 0)

    run(main())


@both_modes
@seven
def test_old_2_a_miss_reloads_once_and_then_old_and_new_resolve(mode, method):
    async def main():
        cluster = standard(mode).add(X, "v1", "Driver")
        wire = Wire(cluster)
        mapper, counted = mapper_over(wire), Counted(wire)
        await method(mapper, "driver")
        cluster.add(X, "v1", "Rider")
        everything = 2 + len(cluster.groups)
        await counted(method(mapper, "rider"), everything)
        await counted(method(mapper, "rider"), 0)
        await counted(method(mapper, "driver"), 0)

    run(main())


@both_modes
@seven
def test_old_3_over_the_limit_absent_stays_absent_until_a_token_is_back(mode, method):
    async def main():
        cluster = standard(mode).add(X, "v1", "Driver")
        wire = Wire(cluster, latency=0)
        mapper = mapper_over(wire)
        with pytest.raises(NoMatchError):
            await method(mapper, "rider")
        await asyncio.sleep(2)
        for place in range(20):
            with pytest.raises((NoMatchError, DiscoveryUnavailableError)):
                await mapper.rest_mapping(gk(X, f"Absent{place}"))
        sent = wire.count
        with pytest.raises(NoMatchError):
            await method(mapper, "rider")
        assert wire.count == sent
        cluster.add(X, "v1", "Rider")
        await asyncio.sleep(1)
        await method(mapper, "rider")

    run(main())


@both_modes
@seven
def test_old_3_over_the_limit_never_asked_is_unavailable(mode, method):
    async def main():
        wire = Wire(standard(mode), latency=0)
        mapper = mapper_over(wire)
        wire.cut = True
        for _ in range(20):
            with pytest.raises(DiscoveryUnavailableError):
                await mapper.rest_mapping(gk(X, "Driver"))
        assert wire.count <= 10
        wire.cut = False
        with pytest.raises(DiscoveryUnavailableError):
            await method(mapper, "driver")

    run(main())


@both_modes
@seven
def test_old_4_two_misses_at_once_reload_once(mode, method):
    async def main():
        cluster = standard(mode).add(X, "v1", "Driver")
        wire = Wire(cluster)
        mapper = mapper_over(wire)
        await method(mapper, "driver")
        cluster.add(X, "v1", "Rider")
        alone = mapper_over(Wire(cluster))
        await method(alone, "driver")
        before = wire.count
        await asyncio.gather(method(mapper, "rider"), method(mapper, "rider"))
        sent = wire.paths()[before:]
        assert len(sent) == len(set(sent))

    run(main())


@both_modes
@seven
def test_old_5_a_failing_first_load_is_told_and_the_next_call_retries(mode, method):
    async def main():
        wire = Wire(standard(mode).add(X, "v1", "Driver"))
        mapper = mapper_over(wire)
        wire.faults["*"] = (500, "application/json", b"{}")
        with pytest.raises(DiscoveryUnavailableError, match="HTTP 500"):
            await method(mapper, "driver")
        wire.faults.clear()
        await method(mapper, "driver")

    run(main())


# -- DM ------------------------------------------------------------------------------


@both_modes
def test_dm_1_not_fresh_and_missing_asks_once_and_being_questioned_rearms_it(mode):
    async def main():
        cluster = standard(mode).add(X, "v1", "Driver")
        wire = Wire(cluster)
        mapper, counted = mapper_over(wire), Counted(wire)
        await mapper.rest_mapping(gk(X, "Driver"))
        with pytest.raises(NoKindMatchError):
            await mapper.rest_mapping(gk(X, "Rider"))
        with pytest.raises(NoKindMatchError):
            await counted(mapper.rest_mapping(gk(X, "Rider")), 0)
        cluster.add(X, "v1", "Rider")
        mapper.invalidate(X)
        found = await counted(mapper.rest_mapping(gk(X, "Rider")), bound(mode, 2, 1))
        assert found.resource.resource == "riders"

    run(main())


# -- RM ------------------------------------------------------------------------------


def static():
    """The resources of client-go's restmapper/discovery_test.go, in its order."""
    cluster = Cluster("aggregated")
    cluster.add("", "v1", "Pod").add("", "v2", "Pod")
    cluster.preferred[""] = "v1"
    cluster.add("extensions", "v1beta1", "Job").add("extensions", "v1beta1", "Pod")
    return cluster


RM_RESOURCES = {
    "RM-1-plural": (gvr("", "", "pods"), gvk("", "v1", "Pod")),
    "RM-2-version": (gvr("", "v1", "pods"), gvk("", "v1", "Pod")),
    "RM-3-other-version": (gvr("", "v2", "pods"), gvk("", "v2", "Pod")),
    "RM-4-singular": (gvr("", "", "pod"), gvk("", "v1", "Pod")),
    "RM-5-other-group": (gvr("", "", "jobs"), gvk("extensions", "v1beta1", "Job")),
    "RM-6-group": (
        gvr("extensions", "", "pods"),
        gvk("extensions", "v1beta1", "Pod"),
    ),
}


@pytest.mark.parametrize(
    ("asked", "expected"), RM_RESOURCES.values(), ids=RM_RESOURCES.keys()
)
def test_rm_partial_resources_find_their_kind(asked, expected):
    async def main():
        mapper = mapper_over(Wire(static()))
        assert await mapper.kind_for(asked) == expected

    run(main())


JOB = gk("extensions", "Job")
RM_KINDS = {
    "RM-7-preferred": (gk("", "Pod"), (), gvk("", "v1", "Pod")),
    "RM-8-asked": (gk("", "Pod"), ("v2",), gvk("", "v2", "Pod")),
    "RM-9-only": (JOB, (), gvk("extensions", "v1beta1", "Job")),
    "RM-10-only-asked": (JOB, ("v1beta1",), gvk("extensions", "v1beta1", "Job")),
}


@pytest.mark.parametrize(
    ("kind", "versions", "expected"), RM_KINDS.values(), ids=RM_KINDS.keys()
)
def test_rm_kinds_find_the_version_asked_for_or_preferred(kind, versions, expected):
    async def main():
        mapper = mapper_over(Wire(static()))
        assert (await mapper.rest_mapping(kind, *versions)).kind == expected

    run(main())


@both_modes
def test_rm_11_a_kind_outside_the_preferred_version_is_in_the_first_listed(mode):
    async def main():
        cluster = standard(mode)
        cluster.add(X, "v1", "Driver")
        cluster.add(X, "v2beta1", "Rider").add(X, "v2alpha1", "Rider")
        mapper = mapper_over(Wire(cluster))
        found = await mapper.rest_mapping(gk(X, "Rider"))
        assert found.kind.version == "v2beta1"

    run(main())


# -- what apimachinery registers besides, and how it spells ---------------------------


@both_modes
def test_lists_have_mappings_under_guessed_plurals(mode):
    async def main():
        mapper = mapper_over(Wire(standard(mode)))
        pods = await mapper.rest_mapping(gk("", "PodList"), "v1")
        assert pods.resource.resource == "podlists"
        assert pods.scope is Scope.NAMESPACED
        anything = await mapper.rest_mapping(gk("", "List"), "v1")
        assert anything.resource.resource == "lists"
        assert anything.scope is Scope.CLUSTER
        assert (await mapper.kind_for(gvr("", "v1", "podlists"))).kind == "PodList"
        assert (await mapper.kind_for(gvr("", "v1", "lists"))).kind == "List"

    run(main())


@both_modes
def test_group_prefix_matches_only_where_the_group_itself_does_not(mode):
    async def main():
        cluster = standard(mode).add("storage", "v1", "Shelf")
        mapper = mapper_over(Wire(cluster))
        found = await mapper.resource_for(gvr("storage", "", "storageclass"))
        assert found == gvr("storage.k8s.io", "v1", "storageclasses")
        cluster.add("storage", "v1", "StorageClass")
        mapper.invalidate()
        found = await mapper.resource_for(gvr("storage", "", "storageclass"))
        assert found == gvr("storage", "v1", "storageclasses")

    run(main())


@both_modes
def test_an_exact_group_version_matches_no_prefix(mode):
    async def main():
        mapper = mapper_over(Wire(standard(mode)))
        with pytest.raises(NoResourceMatchError):
            await mapper.resource_for(gvr("storage", "v1", "storageclasses"))

    run(main())


def test_internal_version_means_none_and_case_does_not_matter():
    async def main():
        mapper = mapper_over(Wire(standard()))
        asked = gvr("apps", "__internal", "Deployments")
        assert await mapper.resource_for(asked) == gvr("apps", "v1", "deployments")
        found = await mapper.rest_mapping(gk("apps", "Deployment"), "__internal")
        assert found.kind.version == "v1"
        with pytest.raises(ValueError, match="named"):
            await mapper.kind_for(gvr("apps", "v1", ""))

    run(main())


def test_two_resources_of_one_version_under_one_name_are_ambiguous():
    async def main():
        cluster = standard()
        cluster.add(X, "v1", "Fish", plural="fishes", singular="fish")
        cluster.add(X, "v1", "Fisherman", plural="fishermen", singular="fish")
        mapper = mapper_over(Wire(cluster))
        with pytest.raises(AmbiguousResourceError, match=r"fishes\.v1"):
            await mapper.kind_for(gvr(X, "v1", "fish"))
        assert len(await mapper.kinds_for(gvr(X, "v1", "fish"))) == 2

    run(main())
