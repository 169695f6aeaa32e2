# SPDX-License-Identifier: Apache-2.0
import json
from urllib.parse import unquote

from tests.rig import in_order
from toono.autonomy.needs import Need, of_node, of_pod, pods_of

POD = {
    "metadata": {"namespace": "shop", "name": "web", "uid": "u"},
    "spec": {
        "serviceAccountName": "seller",
        "imagePullSecrets": [{"name": "pull"}],
        "volumes": [
            {"name": "a", "secret": {"secretName": "tls"}},
            {"name": "b", "configMap": {"name": "settings"}},
            {"name": "c", "csi": {"nodePublishSecretRef": {"name": "mount"}}},
            {"name": "d", "persistentVolumeClaim": {"claimName": "disk"}},
            {"name": "e", "ephemeral": {"volumeClaimTemplate": {}}},
            {
                "name": "f",
                "projected": {
                    "sources": [
                        {"serviceAccountToken": {"expirationSeconds": 3607}},
                        {"serviceAccountToken": {"audience": "vault"}},
                        {"configMap": {"name": "kube-root-ca.crt"}},
                        {"secret": {"name": "tls"}},
                    ]
                },
            },
        ],
        "containers": [
            {
                "envFrom": [{"secretRef": {"name": "env"}}, {"configMapRef": {}}],
                "env": [
                    {"valueFrom": {"secretKeyRef": {"name": "key"}}},
                    {"valueFrom": {"configMapKeyRef": {"name": "flag"}}},
                    {"value": "plain"},
                ],
            }
        ],
        "initContainers": [{"envFrom": [{"configMapRef": {"name": "first"}}]}],
    },
}


def targets(needs) -> list[str]:
    return [unquote(need.target) for need in needs]


def test_all_that_a_pod_mounts_is_needed_once() -> None:
    found = targets(of_pod(POD))
    base = "/api/v1/namespaces/shop/"
    listed = [one.removeprefix(base) for one in found if "fieldSelector" in one]
    assert [one.partition("&")[0] for one in listed] == [
        f"{resource}?fieldSelector=metadata.name={name}"
        for resource, name in [
            ("configmaps", "first"),
            ("configmaps", "flag"),
            ("configmaps", "kube-root-ca.crt"),
            ("configmaps", "settings"),
            ("secrets", "env"),
            ("secrets", "key"),
            ("secrets", "mount"),
            ("secrets", "pull"),
            ("secrets", "tls"),
        ]
    ]
    assert base + "persistentvolumeclaims/disk" in found
    assert base + "persistentvolumeclaims/web-e" in found


def test_tokens_are_asked_for_as_a_kubelet_asks() -> None:
    one, other = (need for need in of_pod(POD) if need.sent)
    assert one.target == "/api/v1/namespaces/shop/serviceaccounts/seller/token"
    spec = json.loads(one.sent)["spec"]
    assert spec == {
        "audiences": [],
        "expirationSeconds": 3607,
        "boundObjectRef": {
            "kind": "Pod",
            "apiVersion": "v1",
            "name": "web",
            "uid": "u",
        },
    }
    spec = json.loads(other.sent)["spec"]
    assert (spec["audiences"], spec["expirationSeconds"]) == (["vault"], 3600)
    plain = {**POD, "spec": {"volumes": POD["spec"]["volumes"]}}
    assert all(
        "accounts/default/" in need.target for need in of_pod(plain) if need.sent
    )


def test_what_is_no_pod_needs_nothing() -> None:
    for odd in ({}, {"spec": []}, {"spec": {"volumes": {}, "containers": [1, None]}}):
        assert list(of_pod(odd)) == []


def test_a_node_needs_what_the_recorded_kubelet_asked_first() -> None:
    recorded = {one.target for one in in_order("boot-list") if one.method == "GET"}
    asked = {need.target for need in of_node("edge-1")}
    lists = {one for one in asked if "?" in one}
    assert {same(one) for one in lists} <= {same(one) for one in recorded}
    assert asked - lists == {"/apis/storage.k8s.io/v1/csinodes/edge-1"}
    assert asked - lists <= recorded
    assert pods_of("edge-1") in of_node("edge-1")
    assert Need("/x") == Need("/x", b"")


def same(target: str) -> tuple[str, frozenset[str]]:
    path, _, query = unquote(target).partition("?")
    return path, frozenset(query.split("&"))
