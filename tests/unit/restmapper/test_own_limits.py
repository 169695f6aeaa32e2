# SPDX-License-Identifier: Apache-2.0
"""X-15 to X-26: slow, odd and foreign servers, and names out of the ordinary."""

import asyncio
import json
import time

import pytest

from tests.unit.restmapper.kit import (
    AGGREGATED,
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
    AmbiguousKindError,
    DiscoveryUnavailableError,
    NoMatchError,
    State,
)

both_modes = pytest.mark.parametrize("mode", MODES)


@both_modes
def test_x_15_a_hit_does_not_wait_for_a_refresh_that_hangs(mode):
    async def main():
        wire = Wire(standard(mode), latency=0)
        mapper = mapper_over(wire, request_timeout=30)
        await mapper.rest_mapping(gk("apps", "Deployment"))
        wire.hang.add("*")
        hanging = asyncio.ensure_future(mapper.refresh(timeout=30))
        await asyncio.sleep(1)
        loop = asyncio.get_running_loop()
        before, began = loop.time(), time.perf_counter()
        for _ in range(1000):
            await mapper.rest_mapping(gk("apps", "Deployment"))
            await mapper.rest_mapping(gk("apps", "Deployment"), "v1")
            mapper.lookup(gvk("apps", "v1", "Deployment"))
        assert loop.time() == before
        assert time.perf_counter() - began < 0.5
        assert not hanging.done()
        with pytest.raises(DiscoveryUnavailableError):
            await hanging
        assert loop.time() == pytest.approx(30, abs=0.1)

    run(main())


@both_modes
def test_x_16_a_cancelled_waiter_leaves_the_request_to_the_others(mode):
    async def main():
        wire = Wire(standard(mode), latency=1)
        mapper = mapper_over(wire)
        ask = gk("", "Pod")
        first = asyncio.ensure_future(mapper.rest_mapping(ask))
        second = asyncio.ensure_future(mapper.rest_mapping(ask))
        await asyncio.sleep(0.5)
        sent = wire.count
        first.cancel()
        assert (await second).resource.resource == "pods"
        assert len(wire.paths()) == len(set(wire.paths()))
        assert first.cancelled()
        assert sent == 2

    run(main())


@both_modes
@pytest.mark.parametrize("seconds", [0.2, 3])
def test_x_17_the_deadline_is_honoured(mode, seconds):
    async def main():
        wire = Wire(standard(mode))
        wire.hang.add("*")
        mapper = mapper_over(wire)
        loop = asyncio.get_running_loop()
        for call in (
            mapper.rest_mapping(gk("", "Pod"), timeout=seconds),
            mapper.kinds_for(gvr("", "", "pods"), timeout=seconds),
            mapper.refresh(timeout=seconds),
            mapper.wait_for(gvk("", "v1", "Pod"), timeout=seconds),
        ):
            began = loop.time()
            with pytest.raises(DiscoveryUnavailableError, match="no answer within"):
                await call
            assert loop.time() - began == pytest.approx(seconds, abs=0.01)

    run(main())


def test_x_17_a_known_answer_in_question_waits_a_second_at_most_and_only_once():
    async def main():
        wire = Wire(standard())
        mapper = mapper_over(wire)
        await mapper.rest_mapping(gk("", "Pod"))
        mapper.invalidate()
        wire.hang.add("*")
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert (await mapper.rest_mapping(gk("", "Pod"))).stale
        assert loop.time() - began == pytest.approx(1)
        for _ in range(10):
            await mapper.rest_mapping(gk("", "Pod"))
        assert loop.time() - began == pytest.approx(1)

    run(main())


@both_modes
def test_x_18_an_unchanged_server_keeps_the_snapshot(mode):
    async def main():
        wire = Wire(standard(mode))
        mapper = mapper_over(wire)
        await mapper.rest_mapping(gk("", "Pod"))
        before = mapper.snapshot
        await asyncio.sleep(100)
        await mapper.refresh()
        assert mapper.snapshot is before
        if mode == "aggregated":
            assert [status for _, status in wire.requests] == [200, 200, 304, 304]

    run(main())


def test_x_18_a_304_keeps_it_while_a_version_is_stale():
    async def main():
        cluster = standard().add(X, "v1", "Driver")
        cluster.down.add((X, "v1"))
        mapper = mapper_over(Wire(cluster))
        await mapper.rest_mapping(gk("", "Pod"))
        before = mapper.snapshot
        await asyncio.sleep(100)
        await mapper.refresh()
        assert mapper.snapshot is before

    run(main())


@pytest.mark.parametrize("aggregated", ["/api", "/apis"])
def test_x_19_one_root_aggregated_and_the_other_not(aggregated):
    async def main():
        modes = {"/api": "legacy", "/apis": "legacy"} | {aggregated: "aggregated"}
        wire = Wire(standard(modes).add(X, "v1", "Driver"))
        mapper = mapper_over(wire)
        assert await mapper.rest_mapping(gk("", "Pod"))
        assert await mapper.rest_mapping(gk("apps", "Deployment"))
        assert (await mapper.kind_for(gvr("", "", "drivers"))).kind == "Driver"
        wire.cluster.add(X, "v2", "Rider")
        assert (await mapper.rest_mapping(gk(X, "Rider"))).kind.version == "v2"
        with pytest.raises(NoMatchError):
            await mapper.rest_mapping(gk("", "Absent"))

    run(main())


def test_x_20_a_refused_form_is_remembered_until_the_server_is_another():
    async def main():
        wire = Wire(standard("refuse"))
        mapper = mapper_over(wire)
        mapper.observe.version(b'{"gitVersion":"v1.25.0"}')
        await mapper.rest_mapping(gk("apps", "Deployment"))
        assert [status for _, status in wire.requests].count(406) >= 1
        sent = len(wire.requests)
        await mapper.refresh()
        assert 406 not in [status for _, status in wire.requests[sent:]]
        mapper.observe.version(b'{"gitVersion":"v1.25.0"}')
        await mapper.refresh()
        assert 406 not in [status for _, status in wire.requests[sent:]]
        wire.cluster.mode = "aggregated"
        mapper.observe.version(b'{"gitVersion":"v1.34.0"}')
        sent = len(wire.requests)
        await mapper.rest_mapping(gk("apps", "Deployment"))
        assert wire.requests[sent:] == [("/apis", 200)]

    run(main())


@pytest.mark.parametrize("form", [AGGREGATED, "application/json"])
@pytest.mark.parametrize("root", ["/api", "/apis"])
def test_x_21_an_empty_list_of_groups_is_an_error_and_the_snapshot_stays(form, root):
    async def main():
        wire = Wire(standard())
        mapper = mapper_over(wire)
        await mapper.rest_mapping(gk("", "Pod"))
        before = mapper.snapshot
        kind = "APIGroupDiscoveryList" if form == AGGREGATED else "APIGroupList"
        content = {"kind": kind, "items": [], "groups": [], "versions": []}
        wire.faults[root] = (200, form, json.dumps(content).encode())
        with pytest.raises(DiscoveryUnavailableError, match="no groups"):
            await mapper.refresh()
        assert mapper.snapshot is before

    run(main())


def test_x_22_a_blank_group_and_version_of_a_kind_are_those_around_it():
    async def main():
        mapper = mapper_over(Wire(standard()))
        found = await mapper.rest_mapping(gk("apps", "Deployment"))
        assert found.api.kind == gvk("apps", "v1", "Deployment")
        scale = {"group": "autoscaling", "version": "v1", "kind": "Scale"}
        told = {
            "resource": "things",
            "responseKind": {"group": "", "version": "", "kind": "Thing"},
            "scope": "Cluster",
            "singularResource": "thing",
            "verbs": ["get"],
            "subresources": [
                {"subresource": "scale", "responseKind": scale, "verbs": ["get"]}
            ],
        }
        content = {
            "kind": "APIGroupDiscoveryList",
            "items": [
                {
                    "metadata": {"name": X},
                    "versions": [{"version": "v1", "resources": [told]}],
                }
            ],
        }
        wire = Wire(standard())
        wire.faults["/apis"] = (200, AGGREGATED, json.dumps(content).encode())
        found = await mapper_over(wire).rest_mapping(gk(X, "Thing"))
        assert found.api.subresources[0].kind == gvk("autoscaling", "v1", "Scale")

    run(main())


@both_modes
def test_x_23_subresources_without_a_parent(mode):
    async def main():
        cluster = standard(mode).add(X, "v1", "", plural="ghosts", singular="")
        cluster.add(X, "v1", "Driver")
        cluster.groups[X]["v1"]["ghosts"].subresources = {"log": "Log"}
        mapper = mapper_over(Wire(cluster))
        with pytest.raises(NoMatchError):
            await mapper.kind_for(gvr(X, "v1", "ghosts"))
        assert await mapper.rest_mapping(gk(X, "Driver"))
        (version,) = [
            each for each in mapper.snapshot.records.values() if each.gv[0] == X
        ]
        ghosts = next(each for each in version.resources if each.resource == "ghosts")
        assert [each.name for each in ghosts.subresources] == ["log"]

    run(main())


PLURALS = [
    ("Gateway", "gateways", "gateway"),
    ("Redis", "redis", "redis"),
    ("Endpoints", "endpoints", "endpoints"),
    ("Fish", "fish", "fish"),
    ("Policy", "policies", "policy"),
    ("Person", "people", "person"),
    ("ClusterFoo", "foos", "foo"),
    ("HTTPRoute", "httproutes", "httproute"),
]


@both_modes
@pytest.mark.parametrize(("kind", "plural", "singular"), PLURALS)
def test_x_24_plurals_and_singulars_are_the_servers_own(mode, kind, plural, singular):
    async def main():
        cluster = standard(mode).add(X, "v1", kind, plural=plural, singular=singular)
        mapper = mapper_over(Wire(cluster))
        assert (await mapper.rest_mapping(gk(X, kind))).resource.resource == plural
        assert (await mapper.kind_for(gvr(X, "", plural))).kind == kind
        assert (await mapper.kind_for(gvr(X, "", singular))).kind == kind
        if plural != "endpoints":
            assert await mapper.resource_singularizer(plural) == singular

    run(main())


@both_modes
def test_x_25_one_plural_in_two_groups_goes_to_the_first_and_both_are_told(mode):
    async def main():
        cluster = standard(mode).add(X, "v1", "Pod").add(X, "v1", "Ingress")
        mapper = mapper_over(Wire(cluster))
        assert (await mapper.resource_for(gvr("", "", "pods"))).group == ""
        found = await mapper.resources_for(gvr("", "", "ingresses"))
        assert [each.group for each in found] == ["networking.k8s.io", X]
        assert (await mapper.kind_for(gvr(X, "", "pods"))) == gvk(X, "v1", "Pod")

    run(main())


@both_modes
def test_x_26_one_kind_under_two_plurals_is_ambiguous_and_each_plural_is_not(mode):
    async def main():
        cluster = standard(mode)
        cluster.add(X, "v1", "Value", plural="pods", singular="")
        cluster.add(X, "v1", "Value", plural="nodes", singular="")
        mapper = mapper_over(Wire(cluster))
        with pytest.raises(AmbiguousKindError) as raised:
            await mapper.rest_mapping(gk(X, "Value"))
        assert len(raised.value.resources) == 2
        with pytest.raises(AmbiguousKindError):
            await mapper.rest_mapping(gk(X, "Value"), "v1")
        assert len(await mapper.rest_mappings(gk(X, "Value"))) == 2
        assert (await mapper.kind_for(gvr(X, "v1", "pods"))).kind == "Value"
        assert (await mapper.kind_for(gvr(X, "v1", "nodes"))).kind == "Value"

    run(main())


def test_x_26_in_the_preferred_version_it_hides_the_others():
    async def main():
        cluster = standard().add(X, "v1", "Value", plural="values")
        cluster.add(X, "v2", "Value", plural="pods", singular="")
        cluster.add(X, "v2", "Value", plural="nodes", singular="")
        mapper = mapper_over(Wire(cluster))
        with pytest.raises(AmbiguousKindError):
            await mapper.rest_mapping(gk(X, "Value"))
        found = await mapper.rest_mapping(gk(X, "Value"), "v1")
        assert found.resource.resource == "values"

    run(main())


# -- odd clusters ------------------------------------------------------------------


@both_modes
def test_a_server_without_the_core_group_is_a_server(mode):
    async def main():
        wire = Wire(Cluster(mode).add(X, "v1", "Driver"))
        mapper = mapper_over(wire)
        assert await mapper.rest_mapping(gk(X, "Driver"))
        with pytest.raises(NoMatchError):
            await mapper.rest_mapping(gk("", "Pod"))

    run(main())


@both_modes
def test_a_server_that_had_the_core_group_does_not_lose_it(mode):
    async def main():
        wire = Wire(standard(mode))
        mapper = mapper_over(wire)
        await mapper.rest_mapping(gk("", "Pod"))
        wire.faults["/api"] = (404, "text/plain", b"404 page not found\n")
        with pytest.raises(DiscoveryUnavailableError, match="/api: HTTP 404"):
            await mapper.refresh()
        assert await mapper.rest_mapping(gk("", "Pod"))

    run(main())


def test_a_server_may_go_from_one_form_to_the_other():
    async def main():
        cluster = standard("aggregated").add(X, "v1", "Driver")
        wire = Wire(cluster)
        mapper = mapper_over(wire)
        await mapper.rest_mapping(gk(X, "Driver"))
        for mode in ("legacy", "aggregated"):
            cluster.mode = mode
            version = "v2" if mode == "legacy" else "v3"
            cluster.add(X, version, "Driver")
            await mapper.refresh()
            found = await mapper.rest_mapping(gk(X, "Driver"))
            assert found.kind.version == version
        states = {each.state for each in mapper.snapshot.records.values()}
        assert states == {State.FRESH}

    run(main())
