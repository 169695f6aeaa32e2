# SPDX-License-Identifier: Apache-2.0
"""Keys as kube-apiserver makes them, and what no key is made of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toono.kube import kinds
from toono.pool.keys import BUILT_IN_GROUPS, StorageKeys
from toono.store.etcd_errors import BadKeyError

KEYS = StorageKeys()


@pytest.mark.parametrize(
    ("group", "resource", "namespace", "name", "key"),
    [
        ("", "pods", "default", "web-0", "pods/default/web-0"),
        ("", "nodes", "", "edge-1", "minions/edge-1"),
        ("", "services", "shop", "cart", "services/specs/shop/cart"),
        ("", "endpoints", "shop", "cart", "services/endpoints/shop/cart"),
        ("", "replicationcontrollers", "a", "rc", "controllers/a/rc"),
        ("networking.k8s.io", "ingresses", "a", "i", "ingress/a/i"),
        ("apps", "deployments", "a", "d", "deployments/a/d"),
        ("coordination.k8s.io", "leases", "k", "n", "leases/k/n"),
        ("rbac.authorization.k8s.io", "clusterroles", "", "system:node",
         "clusterroles/system:node"),
        ("x.example.com", "crontabs", "default", "t", "x.example.com/crontabs/default/t"),
        ("x.example.com", "yards", "", "t", "x.example.com/yards/t"),
        ("x.example.com", "nodes", "", "t", "x.example.com/nodes/t"),
        ("apiextensions.k8s.io", "customresourcedefinitions", "", "a.b",
         "apiextensions.k8s.io/customresourcedefinitions/a.b"),
        ("apiregistration.k8s.io", "apiservices", "", "v1.",
         "apiregistration.k8s.io/apiservices/v1."),
    ],
)  # fmt: skip
def test_a_key_and_its_object_are_one(group, resource, namespace, name, key):
    made = KEYS.of(group, resource, namespace=namespace, name=name)
    assert made == f"/registry/{key}".encode()
    assert KEYS.parse(made) == (group, resource, namespace, name)


def test_groups_that_share_a_place_share_their_keys():
    ours = KEYS.of("events.k8s.io", "events", namespace="a", name="e")
    assert ours == KEYS.of("", "events", namespace="a", name="e")
    assert KEYS.parse(ours) == ("", "events", "a", "e")
    old = KEYS.of("extensions", "ingresses", namespace="a", name="i")
    assert old == KEYS.of("networking.k8s.io", "ingresses", namespace="a", name="i")
    policy = KEYS.of("policy", "podsecuritypolicies", namespace="", name="p")
    assert policy == b"/registry/podsecuritypolicy/p"
    assert KEYS.parse(policy) == ("policy", "podsecuritypolicies", "", "p")


def test_a_resource_newer_than_this_table_still_has_its_api_servers_key():
    made = KEYS.of("scheduling.k8s.io", "workloads", namespace="a", name="w")
    assert made == b"/registry/workloads/a/w"
    assert KEYS.parse(made) is None


def test_every_built_in_resource_can_be_read_back():
    for (group, resource), row in kinds._BY_RESOURCE.items():
        namespace = "a" if row.namespaced else ""
        made = KEYS.of(group, resource, namespace=namespace, name="n")
        assert KEYS.parse(made).resource == resource
        apart = group in ("apiextensions.k8s.io", "apiregistration.k8s.io")
        assert (group in BUILT_IN_GROUPS) is not apart


def test_a_collection_ends_where_its_names_begin():
    assert KEYS.collection("", "pods") == b"/registry/pods/"
    assert (
        KEYS.collection("", "pods", namespace="default") == b"/registry/pods/default/"
    )


@pytest.mark.parametrize("bad", ["", ".", "..", "a/b", "a%b", "\ud800"])
def test_what_no_api_server_takes_gets_no_key(bad):
    with pytest.raises(BadKeyError):
        KEYS.of("", "pods", namespace="default", name=bad)
    with pytest.raises(BadKeyError):
        KEYS.of("", bad, namespace="default", name="a")
    if bad:
        with pytest.raises(BadKeyError):
            KEYS.of("", "pods", namespace=bad, name="a")
        with pytest.raises(BadKeyError):
            KEYS.of(bad, "pods", namespace="default", name="a")


@pytest.mark.parametrize("bad", ["", "/", "registry", "//", "/a//b", "/..", "/a/../b"])
def test_a_prefix_that_is_none_is_refused(bad):
    with pytest.raises(BadKeyError):
        StorageKeys(bad)


def test_a_prefix_may_be_deep_and_end_in_a_slash():
    keys = StorageKeys("/pools/hangzhou/")
    made = keys.of("", "nodes", namespace="", name="edge-1")
    assert made == b"/pools/hangzhou/minions/edge-1"
    assert keys.parse(made).name == "edge-1"
    assert KEYS.parse(made) is None


@pytest.mark.parametrize(
    "key",
    [
        b"/registry", b"/registry/", b"/registry/pods", b"/registry/pods/",
        b"/registry/pods/web", b"/registry/minions/a/b", b"/registry/services/a/b",
        b"/registry/services", b"/registry/pods/a/b/c", b"/registry/pods//b",
        b"/registry/pods/a/\xff", b"/mirror/rv/pods/a/b", b"/registry/x.example.com",
        b"/registry/nodes/edge-1", b"/registry/x.example.com/a/b/c/d",
        b"/registry/pods/../b", b"/registry/unheard/a/b",
    ],
)  # fmt: skip
def test_what_is_no_objects_key_names_none(key):
    assert KEYS.parse(key) is None


@given(st.binary(max_size=40))
def test_no_key_is_read_as_another_objects(tail):
    key = b"/registry/" + tail
    place = KEYS.parse(key)
    if place is not None:
        again = KEYS.of(
            place.group, place.resource, namespace=place.namespace, name=place.name
        )
        assert again == key
