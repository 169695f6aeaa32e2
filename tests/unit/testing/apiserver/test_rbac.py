# SPDX-License-Identifier: Apache-2.0
import pytest

from toono.testing import Storage
from toono.testing.apiserver.rbac import (
    NOBODY,
    RBAC,
    Attributes,
    NodeRights,
    Rule,
    User,
)

WEB = User("system:serviceaccount:shop:web", ("system:serviceaccounts",))
GET_PODS = Rule(verbs=("get",), resources=("pods", "pods/log"))


def asked(verb: str = "get", resource: str = "pods", **fields) -> Attributes:
    return Attributes(verb=verb, resource=resource, **fields)


def test_a_binding_allows_its_verbs_resources_and_subresources() -> None:
    rbac = RBAC()
    rbac.grant(WEB.name, GET_PODS)
    assert rbac.allows(WEB, asked(namespace="shop", name="a"))
    assert rbac.allows(WEB, asked(subresource="log"))
    assert not rbac.allows(WEB, asked(subresource="exec"))
    assert not rbac.allows(WEB, asked("list"))
    assert not rbac.allows(WEB, asked(group="metrics.k8s.io"))
    assert not rbac.allows(NOBODY, asked())
    rbac.revoke(WEB.name)
    assert not rbac.allows(WEB, asked())


def test_a_role_binding_ends_at_its_namespace_and_names_bind_by_name() -> None:
    rbac = RBAC()
    rbac.grant("system:serviceaccounts", GET_PODS, namespace="shop")
    assert rbac.allows(WEB, asked(namespace="shop"))
    assert not rbac.allows(WEB, asked(namespace="bank"))
    assert not rbac.allows(WEB, asked())
    named = Rule(verbs=("get",), resources=("secrets",), names=("a",))
    rbac.grant(WEB.name, named)
    assert rbac.allows(WEB, asked(resource="secrets", name="a"))
    assert not rbac.allows(WEB, asked(resource="secrets", name="b"))
    assert not rbac.allows(WEB, asked(resource="secrets"))


def test_stars_stand_for_all_and_paths_for_themselves() -> None:
    rbac = RBAC()
    admin = User("admin", ("system:masters",))
    assert rbac.allows(admin, asked("delete", "widgets", group="example.org"))
    assert rbac.allows(admin, Attributes(verb="get", path="/metrics"))
    status = Rule(verbs=("get",), resources=("*/status",))
    assert status.allows(asked(subresource="status"))
    assert not status.allows(asked())
    known = User("x", ("system:authenticated",))
    assert rbac.allows(known, Attributes(verb="get", path="/apis/apps/v1"))
    assert rbac.allows(NOBODY, Attributes(verb="get", path="/version"))
    assert not rbac.allows(NOBODY, Attributes(verb="get", path="/apis"))


def pod(name: str, node: str, **spec) -> dict:
    meta = {"name": name, "namespace": "shop"}
    return {"metadata": meta, "spec": {"nodeName": node, "containers": [], **spec}}


@pytest.fixture
def rights() -> NodeRights:
    storage = Storage()
    here = pod(
        "here",
        "edge-1",
        serviceAccountName="web",
        imagePullSecrets=[{"name": "pull"}],
        volumes=[
            {"secret": {"secretName": "mounted"}},
            {"configMap": {"name": "settings"}},
            {"emptyDir": {}},
        ],
        containers=[
            {
                "envFrom": [
                    {"secretRef": {"name": "env"}},
                    {"configMapRef": {"name": "more"}},
                ]
            }
        ],
    )
    storage.put("pods", ("shop", "here"), here)
    storage.put("pods", ("shop", "there"), pod("there", "edge-2"))
    return NodeRights(storage)


@pytest.mark.parametrize(
    ("expected", "one"),
    [
        (True, asked(name="here", namespace="shop")),
        (False, asked(name="there", namespace="shop")),
        (False, asked(name="here", namespace="shop", subresource="exec")),
        (True, asked("list", field_selector="spec.nodeName=edge-1")),
        (False, asked("list", field_selector="spec.nodeName=edge-2")),
        (False, asked("list")),
        (True, asked(resource="secrets", namespace="shop", name="mounted")),
        (True, asked(resource="secrets", namespace="shop", name="pull")),
        (True, asked(resource="secrets", namespace="shop", name="env")),
        (False, asked(resource="secrets", namespace="shop", name="elsewhere")),
        (False, asked("update", "secrets", namespace="shop", name="mounted")),
        (True, asked(resource="configmaps", namespace="shop", name="settings")),
        (True, asked(resource="configmaps", namespace="shop", name="more")),
        (False, asked(resource="configmaps", namespace="shop", name="other")),
        (True, asked(resource="nodes", name="edge-1")),
        (True, asked("list", "nodes", field_selector="metadata.name=edge-1")),
        (False, asked(resource="nodes", name="edge-2")),
        (False, asked("delete", "nodes", name="edge-1")),
        (True, asked("list", "services")),
        (True, asked("update", "leases", name="edge-1")),
        (False, asked("update", "leases", name="edge-2")),
        (True, asked("create", "serviceaccounts", namespace="shop", name="web",
                     subresource="token")),
        (False, asked("create", "serviceaccounts", namespace="shop", name="root",
                      subresource="token")),
        (False, asked(resource="widgets", group="example.org")),
        (False, Attributes(verb="get", path="/openid/v1/jwks")),
    ],
)  # fmt: skip
def test_a_node_reads_its_own_and_what_its_pods_name(
    rights: NodeRights, expected: bool, one: Attributes
) -> None:
    assert rights.allows("edge-1", one) is expected


def test_a_node_is_known_by_name_and_group_together() -> None:
    assert User("system:node:edge-1", ("system:nodes",)).node == "edge-1"
    assert User("system:node:edge-1").node == ""
    assert User("edge-1", ("system:nodes",)).node == ""


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (Attributes(verb="get", path="/x"), ""),
        (Attributes(verb="list", resource="endpoints"), ""),
        (
            Attributes(verb="delete", resource="secrets", namespace="a", name="b"),
            "can only read resources of this type",
        ),
        (
            Attributes(verb="list", resource="configmaps"),
            "can only read namespaced object of this type",
        ),
        (
            Attributes(verb="list", resource="secrets", namespace="a"),
            "No Object name found",
        ),
        (
            Attributes(verb="get", resource="secrets", namespace="a", name="b"),
            "no relationship found between node 'n' and this object",
        ),
    ],
)
def test_a_node_is_told_why_not(asked: Attributes, why: str) -> None:
    assert NodeRights(Storage()).reason("n", asked) == why
