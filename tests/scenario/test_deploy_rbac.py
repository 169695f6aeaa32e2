# SPDX-License-Identifier: Apache-2.0
"""deploy/rbac.yaml grants what a hub asks for as the node, and nothing else."""

import asyncio
from pathlib import Path

import yaml

from tests.rig import ask, body, get, status_of, until
from tests.scenario.identities import HOST, Cluster, Site
from toono.filters.inputs import Surroundings
from toono.identity.sockets import Owner
from toono.multiplex.shared import DEFAULTS
from toono.testing.apiserver.rbac import Rule
from toono.testing.apiserver.resources import Resource

FILE = Path(__file__).parents[2] / "deploy" / "rbac.yaml"
SLICES = "/apis/discovery.k8s.io/v1/endpointslices"
UNASKED = {("apps.openyurt.io", "nodebuckets"), ("", "namespaces")}
"""Another option's, and what a sweep asks after hours."""
POOLS = Resource(
    group="apps.openyurt.io",
    version="v1beta2",
    plural="nodepools",
    kind="NodePool",
    custom=True,
    namespaced=False,
)


def documents() -> list:
    return list(yaml.safe_load_all(FILE.read_text()))


def granted() -> set[tuple[str, str]]:
    return {
        (group, resource)
        for one in documents()
        for rule in one.get("rules", ())
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


async def visit(tmp_path: Path, *, applied: bool) -> tuple[set, list[int]]:
    """Run a hub and a node's agents; return what the node was refused, and answers."""
    cluster = Cluster(tmp_path)
    cluster.server.add_resource(POOLS)
    if applied:
        cluster.access.rbac.apply(documents())
    refused, used = set(), set()
    allows = cluster.access.allows

    def noted(user, asked) -> bool:
        good = allows(user, asked)
        if user.node and not asked.path:
            (used if good else refused).add((asked.group, asked.resource, asked.name))
        return good

    cluster.access.allows = noted
    annotations = {"openyurt.io/topologyKeys": "openyurt.io/nodepool"}
    metadata = {"name": "near", "annotations": annotations}
    near = {"metadata": metadata, "spec": {"ports": [{"port": 80}]}}
    cluster.server.create("services", near, namespace="shop")
    slice_ = {
        "metadata": {
            "name": "near-1",
            "labels": {"kubernetes.io/service-name": "near"},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.244.0.9"], "nodeName": "edge-2"}],
    }
    cluster.server.create("endpointslices", slice_, namespace="shop")
    await cluster.start()
    site = Site(cluster, tmp_path)
    around = Surroundings(pool="hangzhou")
    async with site.running(shared=DEFAULTS, surroundings=around) as running:
        hub = running.hub
        running.owner = Owner(0, HOST)
        await until(lambda: hub.upstream.online)
        codes = []
        for target in (SLICES, "/api/v1/services", "/api/v1/nodes"):
            answer = await ask(hub, get(target, agent="kube-proxy/v1"))
            codes.append(status_of(answer))
            assert body(answer)
        if applied:
            wanted = {name for _, name in granted() - UNASKED}
            await until(lambda: wanted <= {name for _, name, _ in used}, 10)
    await cluster.aclose()
    return refused, used, codes


def test_with_the_file_nothing_that_a_hub_asks_is_refused(tmp_path) -> None:
    refused, used, codes = asyncio.run(visit(tmp_path, applied=True))
    # A ConfigMap by label, which the file leaves out on purpose, has no name.
    assert refused <= {("", "configmaps", "")}
    assert codes == [200, 200, 200]
    asked = {(group, resource) for group, resource, _ in used}
    assert granted() - asked <= UNASKED


def test_without_the_file_the_node_is_served_what_every_node_may(tmp_path) -> None:
    refused, _, codes = asyncio.run(visit(tmp_path, applied=False))
    assert ("", "configmaps", "yurt-hub-cfg") in refused, codes
    assert codes[1] == 200, codes


def test_the_file_s_subjects_are_nodes_and_no_rule_is_wide() -> None:
    for one in documents():
        for subject in one.get("subjects", ()):
            assert subject["name"] == "system:nodes"
        for rule in one.get("rules", ()):
            assert set(rule["verbs"]) <= {"get", "list", "watch"}
            assert "*" not in (*rule["apiGroups"], *rule["resources"])
            assert "secrets" not in rule["resources"]


def test_rules_are_bound_where_their_binding_is(tmp_path) -> None:
    rbac = Cluster(tmp_path).access.rbac
    before = len(rbac.bindings)
    rbac.apply(documents())
    added = rbac.bindings[before:]
    assert {one.namespace for one in added} == {"", "kube-system"}
    (named,) = [one.rule for one in added if one.namespace]
    assert isinstance(named, Rule)
    assert named.names == ("yurt-hub-cfg", "yurthub-cfg")
