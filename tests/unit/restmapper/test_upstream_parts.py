# SPDX-License-Identifier: Apache-2.0
"""What client-go's own tests say of the parts of a mapper, case by case.

GR: partial results of discovery. AG: decoding the aggregated form. MC: the memory
cache. DC: the disk cache. SC: short names.
"""

import asyncio
import json
import os
import stat

import pytest

from tests.unit.restmapper.kit import (
    AGGREGATED,
    MODES,
    Cluster,
    Wire,
    X,
    gk,
    gvr,
    mapper_over,
    standard,
)
from tests.unit.restmapper.virtual import run
from toono.restmapper import (
    DiscoveryUnavailableError,
    GroupVersion,
    NoMatchError,
    Scope,
    State,
)
from toono.restmapper.discovery import AggregatedReader

both_modes = pytest.mark.parametrize("mode", MODES)
BROKEN = (500, "text/plain", b"broken")


# -- GR ------------------------------------------------------------------------------


def test_gr_1_nothing_came_and_nothing_is_known():
    async def main():
        wire = Wire(standard())
        wire.faults["*"] = BROKEN
        mapper = mapper_over(wire)
        with pytest.raises(DiscoveryUnavailableError) as raised:
            await mapper.rest_mapping(gk("apps", "Deployment"))
        assert raised.value.last_known == ()
        assert not mapper.snapshot.groups

    run(main())


@both_modes
def test_gr_2_everything_came(mode):
    async def main():
        mapper = mapper_over(Wire(standard(mode)))
        await mapper.refresh()
        assert list(mapper.snapshot.groups) == list(standard().groups)

    run(main())


@both_modes
def test_gr_3_the_list_of_groups_failed_and_another_list_came(mode):
    async def main():
        wire = Wire(standard(mode))
        wire.faults["/apis"] = BROKEN
        mapper = mapper_over(wire)
        assert (await mapper.rest_mapping(gk("", "Pod"))).resource.resource == "pods"
        with pytest.raises(DiscoveryUnavailableError, match="/apis: HTTP 500"):
            await mapper.rest_mapping(gk("apps", "Deployment"))

    run(main())


@both_modes
def test_gr_4_the_list_of_groups_failed_and_was_known_before(mode):
    async def main():
        wire = Wire(standard(mode))
        mapper = mapper_over(wire)
        await mapper.rest_mapping(gk("apps", "Deployment"))
        wire.faults["/apis"] = BROKEN
        mapper.invalidate()
        found = await mapper.rest_mapping(gk("apps", "Deployment"))
        assert found.resource.resource == "deployments"

    run(main())


@both_modes
def test_gr_5_one_version_failed_and_was_never_known(mode):
    async def main():
        cluster = standard(mode).add(X, "v1", "Driver").add(X, "v2", "Rider")
        cluster.down.add((X, "v2"))
        mapper = mapper_over(Wire(cluster))
        assert (await mapper.rest_mapping(gk(X, "Driver"))).kind.version == "v1"
        with pytest.raises(DiscoveryUnavailableError, match=f"{X}/v2"):
            await mapper.rest_mapping(gk(X, "Rider"))

    run(main())


@both_modes
def test_gr_6_one_version_failed_and_was_known_before(mode):
    async def main():
        cluster = standard(mode).add(X, "v1", "Driver").add(X, "v2", "Rider")
        mapper = mapper_over(Wire(cluster))
        await mapper.rest_mapping(gk(X, "Rider"))
        cluster.down.add((X, "v2"))
        mapper.invalidate(X)
        assert (await mapper.rest_mapping(gk(X, "Rider"))).stale

    run(main())


@both_modes
def test_gr_7_list_and_version_failed_and_both_were_known(mode):
    async def main():
        cluster = standard(mode).add(X, "v1", "Driver")
        wire = Wire(cluster)
        mapper = mapper_over(wire)
        await mapper.rest_mapping(gk(X, "Driver"))
        wire.faults["*"] = BROKEN
        mapper.invalidate()
        assert (await mapper.rest_mapping(gk(X, "Driver"))).kind.kind == "Driver"

    run(main())


# -- AG ------------------------------------------------------------------------------


def kind_of(name, group="", version=""):
    return {"group": group, "version": version, "kind": name}


def resource(name, kind, scope="Namespaced", **more):
    told = {"resource": name, "scope": scope, "singularResource": "", "verbs": ["get"]}
    if kind is not None:
        told["responseKind"] = kind_of(kind)
    return told | more


def version(name, *resources, freshness="Current"):
    told = {"version": name, "freshness": freshness}
    return told | ({"resources": list(resources)} if resources else {})


def decode(*groups):
    items = [
        {"metadata": {"name": name} if name else {}, "versions": versions}
        for name, *versions in groups
    ]
    content = {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "items": items,
    }
    return AggregatedReader().read(json.dumps(content).encode())


def test_ag_1_core_group_only():
    (group,) = decode(("", version("v1", resource("pods", "Pod"))))
    assert group.name == ""
    (pods,) = group.versions[0].resources
    assert pods.kind == ("", "v1", "Pod")
    assert pods.singular == "pod"


def test_ag_2_two_versions_keep_the_servers_order():
    (group,) = decode(("apps", version("v2"), version("v1")))
    assert [each.version for each in group.versions] == ["v2", "v1"]


def test_ag_3_several_resources():
    (group,) = decode(
        (
            "apps",
            version("v1", resource("a", "A"), resource("b", "B"), resource("c", "C")),
        )
    )
    assert [each.kind.kind for each in group.versions[0].resources] == ["A", "B", "C"]


def test_ag_4_cluster_scope():
    (group,) = decode(("", version("v1", resource("nodes", "Node", "Cluster"))))
    assert group.versions[0].resources[0].scope is Scope.CLUSTER


def sub(name, kind="Pod", **more):
    return {"subresource": name, "verbs": ["get"], "responseKind": kind_of(kind)} | more


def test_ag_5_subresource():
    told = resource("pods", "Pod", subresources=[sub("status")])
    (group,) = decode(("", version("v1", told)))
    (status,) = group.versions[0].resources[0].subresources
    assert (status.name, status.kind) == ("status", ("", "v1", "Pod"))


@pytest.mark.parametrize("kind", [None, ""], ids=["AG-6-no-kind", "AG-7-empty-kind"])
def test_ag_a_parent_without_a_kind_is_left_out_and_its_subresource_kept(kind):
    async def main():
        told = resource("pods", kind, subresources=[sub("log")])
        content = {
            "kind": "APIGroupDiscoveryList",
            "items": [{"metadata": {}, "versions": [version("v1", told)]}],
        }
        wire = Wire(standard())
        wire.faults["/api"] = (200, AGGREGATED, json.dumps(content).encode())
        mapper = mapper_over(wire)
        with pytest.raises(NoMatchError):
            await mapper.kind_for(gvr("", "v1", "pods"))
        (pods,) = mapper.snapshot.records[GroupVersion("", "v1")].resources
        assert [each.name for each in pods.subresources] == ["log"]

    run(main())


def test_ag_8_many_subresources():
    names = ["status", "log", "exec", "attach", "eviction"]
    told = resource("pods", "Pod", subresources=[sub(name) for name in names])
    (group,) = decode(("", version("v1", told)))
    (pods,) = group.versions[0].resources
    assert [each.name for each in pods.subresources] == names


@pytest.mark.parametrize("group", ["", X], ids=["AG-9-at-api", "AG-10-at-apis"])
def test_ag_a_stale_version_tells_no_resources(group):
    (told,) = decode((group, version("v1", freshness="Stale")))
    assert told.versions[0].resources is None
    assert "stale" in told.versions[0].problem


def test_ag_11_one_of_two_versions_is_stale():
    async def main():
        cluster = standard().add(X, "v1", "Driver").add(X, "v2", "Driver")
        cluster.down.add((X, "v2"))
        mapper = mapper_over(Wire(cluster))
        assert (await mapper.rest_mapping(gk(X, "Driver"))).kind.version == "v1"
        records = mapper.snapshot.records
        assert records[GroupVersion(X, "v1")].state is State.FRESH
        assert records[GroupVersion(X, "v2")].state is State.FAILED

    run(main())


# -- MC ------------------------------------------------------------------------------


@both_modes
def test_mc_1_fresh_after_a_load_and_not_after_an_invalidation(mode):
    async def main():
        wire = Wire(standard(mode))
        mapper = mapper_over(wire)
        assert mapper.age("apps") is None
        await mapper.rest_mapping(gk("apps", "Deployment"))
        assert mapper.age("apps") < 0.1
        await asyncio.sleep(7)
        assert mapper.age("apps") == pytest.approx(7, abs=0.1)
        mapper.invalidate()
        sent = wire.count
        await mapper.rest_mapping(gk("apps", "Deployment"))
        assert wire.count > sent
        assert mapper.age("apps") < 1

    run(main())


@both_modes
def test_mc_2_a_cancelled_refresh_does_not_poison_later_calls(mode):
    async def main():
        wire = Wire(standard(mode), latency=1)
        mapper = mapper_over(wire)
        asking = asyncio.ensure_future(mapper.refresh())
        await asyncio.sleep(0.5)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert (await mapper.rest_mapping(gk("", "Pod"))).resource.resource == "pods"

    run(main())


@both_modes
def test_mc_3_a_failing_list_of_groups_is_not_cached(mode):
    async def main():
        wire = Wire(standard(mode))
        wire.faults["/apis"] = BROKEN
        mapper = mapper_over(wire)
        with pytest.raises(DiscoveryUnavailableError):
            await mapper.rest_mapping(gk("apps", "Deployment"))
        wire.faults.clear()
        await mapper.rest_mapping(gk("apps", "Deployment"))

    run(main())


def test_mc_4_a_permanent_failure_is_kept_until_an_invalidation():
    async def main():
        wire = Wire(standard("legacy"))
        page = "/apis/apps/v1"
        wire.faults[page] = (403, "application/json", b"{}")
        mapper = mapper_over(wire)
        for _ in range(3):
            with pytest.raises(DiscoveryUnavailableError, match="HTTP 403"):
                await mapper.rest_mapping(gk("apps", "Deployment"), "v1")
            await asyncio.sleep(2)
        assert wire.paths().count(page) == 1
        wire.faults.clear()
        mapper.invalidate("apps")
        await mapper.rest_mapping(gk("apps", "Deployment"), "v1")

    run(main())


@pytest.mark.parametrize(
    "failure",
    [
        (500, "text/plain", b""),
        (503, "text/plain", b""),
        (429, "text/plain", b""),
        ConnectionRefusedError("refused"),
        ConnectionResetError("reset"),
        TimeoutError(),
    ],
    ids=repr,
)
def test_mc_5_a_transient_failure_is_retried_when_asked_next(failure):
    async def main():
        wire = Wire(standard("legacy"))
        wire.faults["/apis/apps/v1"] = failure
        mapper = mapper_over(wire)
        with pytest.raises(DiscoveryUnavailableError, match="apps/v1"):
            await mapper.rest_mapping(gk("apps", "Deployment"), "v1")
        wire.faults.clear()
        await mapper.rest_mapping(gk("apps", "Deployment"), "v1")

    run(main())


@both_modes
def test_a_refresh_of_a_group_that_is_not_there_leaves_nothing_untold(mode):
    async def main():
        cluster = standard(mode)
        mapper = mapper_over(Wire(cluster))
        await mapper.rest_mapping(gk("apps", "Deployment"))
        refreshing = mapper.refresh(X)
        cluster.add(X, "v1", "Driver")
        await refreshing
        for _ in range(2):
            with pytest.raises(NoMatchError):
                await mapper.rest_mapping(gk(X, "Rider"), "v1")
            await asyncio.sleep(2)

    run(main())


# -- DC ------------------------------------------------------------------------------


@both_modes
def test_dc_1_own_documents_are_fresh_and_those_of_another_process_are_not(
    mode, tmp_path
):
    async def main():
        cluster, file = standard(mode), tmp_path / "own" / "discovery"
        first, second = Wire(cluster), Wire(cluster)
        mapper = mapper_over(first, file=file)
        await mapper.rest_mapping(gk("apps", "Deployment"))
        await mapper.aclose()
        sent = first.count
        await mapper.rest_mapping(gk("apps", "Deployment"))
        assert first.count == sent
        other = mapper_over(second, file=file)
        found = await other.rest_mapping(gk("apps", "Deployment"))
        assert not found.stale
        assert second.count > 0

    run(main())


@both_modes
def test_dc_2_after_an_invalidation_what_is_on_disk_does_not_count(mode, tmp_path):
    async def main():
        cluster, file = standard(mode), tmp_path / "discovery"
        mapper = mapper_over(Wire(cluster), file=file)
        await mapper.rest_mapping(gk("apps", "Deployment"))
        await mapper.aclose()
        wire = Wire(cluster)
        other = mapper_over(wire, file=file)
        other.invalidate()
        cluster.remove("apps", "v1", "deployments")
        with pytest.raises(NoMatchError):
            await other.rest_mapping(gk("apps", "Deployment"), "v1")

    run(main())


def test_dc_3_the_file_is_private_and_a_stale_one_is_confirmed_whatever_its_age(
    tmp_path,
):
    async def main():
        cluster, file = standard(), tmp_path / "private" / "discovery"
        mapper = mapper_over(Wire(cluster), file=file)
        await mapper.rest_mapping(gk("apps", "Deployment"))
        await mapper.aclose()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        for seconds in (0, 10 * 365 * 86400):
            os.utime(file, (seconds, seconds))
            wire = Wire(cluster)
            await mapper_over(wire, file=file).rest_mapping(gk("apps", "Deployment"))
            assert wire.requests == [("/apis", 304)]

    run(main())


# -- SC ------------------------------------------------------------------------------


STORAGE = gvr("storage.k8s.io", "v1", "storageclasses")
SHORT = {
    "SC-1-short": (gvr("", "", "po"), gvr("", "v1", "pods")),
    "SC-2-plural": (gvr("", "", "pods"), gvr("", "v1", "pods")),
    "SC-3-singular": (gvr("", "", "pod"), gvr("", "v1", "pods")),
    "SC-4-of-a-group": (gvr("", "", "deploy"), gvr("apps", "v1", "deployments")),
    "SC-5-group-given": (gvr("storage.k8s.io", "", "sc"), STORAGE),
    "SC-6-upper-case": (gvr("", "", "SC"), STORAGE),
    "SC-7-version-given": (gvr("", "v1", "sc"), STORAGE),
}


@both_modes
@pytest.mark.parametrize(("asked", "expected"), SHORT.values(), ids=SHORT.keys())
def test_sc_a_name_expands_to_its_resource(mode, asked, expected):
    async def main():
        mapper = mapper_over(Wire(standard(mode)))
        found = await mapper.expand(asked)
        assert found.mapping.resource == expected
        assert found.warning == ""

    run(main())


@both_modes
def test_sc_8_an_exact_name_wins_over_a_short_name(mode):
    async def main():
        cluster = standard(mode)
        cluster.add(X, "v1", "Po", plural="po", singular="po")
        mapper = mapper_over(Wire(cluster))
        for name in ("po", "pO"):
            found = await mapper.expand(gvr("", "", name))
            assert found.mapping.resource == gvr(X, "v1", "po")
        assert found.warning == ""

    run(main())


@both_modes
def test_sc_9_the_first_group_wins_and_the_warning_names_the_loser(mode):
    async def main():
        cluster = standard(mode).add(X, "v1", "Deployer", short=["deploy"])
        mapper = mapper_over(Wire(cluster))
        found = await mapper.expand(gvr("", "", "deploy"))
        assert found.mapping.resource.group == "apps"
        assert found.warning == (
            f"short name stands for deployments.apps, could also be deployers.{X}"
        )

    run(main())


@both_modes
def test_sc_10_several_versions_of_one_resource_are_no_ambiguity(mode):
    async def main():
        cluster = standard(mode)
        cluster.add(X, "v1", "Driver", short=["dr"]).add(
            X, "v2", "Driver", short=["dr"]
        )
        mapper = mapper_over(Wire(cluster))
        found = await mapper.expand(gvr("", "", "dr"))
        assert found.mapping.resource == gvr(X, "v2", "drivers")
        assert found.warning == ""

    run(main())


@both_modes
def test_sc_11_the_group_may_be_a_prefix(mode):
    async def main():
        mapper = mapper_over(Wire(standard(mode)))
        found = await mapper.expand(gvr("storage", "", "sc"))
        assert found.mapping.resource.group == "storage.k8s.io"
        with pytest.raises(NoMatchError):
            await mapper.expand(gvr("apps", "", "sc"))

    run(main())


@both_modes
def test_sc_12_a_short_name_that_comes_later_resolves_without_an_invalidation(mode):
    async def main():
        cluster = standard(mode)
        mapper = mapper_over(Wire(cluster))
        with pytest.raises(NoMatchError):
            await mapper.expand(gvr("", "", "dr"))
        cluster.add(X, "v1", "Driver", short=["dr"])
        await asyncio.sleep(1)
        found = await mapper.expand(gvr("", "", "dr"))
        assert found.mapping.resource == gvr(X, "v1", "drivers")

    run(main())


@both_modes
def test_sc_13_unknown_names_are_no_match(mode):
    async def main():
        mapper = mapper_over(Wire(Cluster(mode).add(X, "v1", "Driver")))
        with pytest.raises(NoMatchError):
            await mapper.expand(gvr("", "", "unknown"))

    run(main())


@both_modes
def test_sc_14_a_short_name_that_comes_later_resolves_after_one_invalidation(mode):
    async def main():
        cluster = standard(mode)
        mapper = mapper_over(Wire(cluster))
        with pytest.raises(NoMatchError):
            await mapper.expand(gvr("", "", "dr"))
        cluster.add(X, "v1", "Driver", short=["dr"])
        mapper.invalidate()
        found = await mapper.expand(gvr("", "", "dr"))
        assert found.mapping.resource == gvr(X, "v1", "drivers")

    run(main())
