# SPDX-License-Identifier: Apache-2.0
from toono.certs.names import client_wanted, serving_wanted


def test_client_is_the_node_in_the_groups_that_approvers_look_for():
    wanted = client_wanted("edge-1")
    assert wanted.common_name == "system:node:edge-1"
    assert wanted.organizations == ("openyurt:yurthub", "system:nodes")
    assert wanted.signer == "kubernetes.io/kube-apiserver-client"
    assert wanted.usages == ("key encipherment", "digital signature", "client auth")
    assert wanted.dns == ()


def test_further_organizations_are_added_once():
    wanted = client_wanted("edge-1", ["openyurt:tenant:a", "system:nodes"])
    assert wanted.organizations[2:] == ("openyurt:tenant:a",)


def test_serving_certificate_is_for_all_that_pods_may_call():
    found = serving_wanted(
        "edge-1",
        ["10.96.0.1", "169.254.2.1", "127.0.0.1", "127.0.0.1", "10.0.0.7", "fd00::2:1"],
    )
    assert found.addresses == (
        "10.96.0.1", "169.254.2.1", "127.0.0.1", "10.0.0.7", "fd00::2:1",
    )  # fmt: skip
    assert "kubernetes.default.svc" in found.dns
    assert found.organizations == ("system:nodes",)
    assert found.signer == "kubernetes.io/kubelet-serving"
    assert found.usages[-1] == "server auth"


def test_one_address_in_two_spellings_is_one():
    spelt = ["fd00::2:1", "fd00:0:0:0:0:0:2:1"]
    assert serving_wanted("n", spelt).addresses == ("fd00::2:1",)


def test_what_nobody_can_connect_to_is_not_asked_for():
    assert serving_wanted("n", ["0.0.0.0", "::", "", "hub.local"]).addresses == ()
