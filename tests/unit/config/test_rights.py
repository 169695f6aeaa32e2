# SPDX-License-Identifier: Apache-2.0
from toono.config.options import load
from toono.config.rights import rights_of
from toono.identity.rights import LAPSE_SECONDS, LEEWAY_SECONDS, RightsSettings


def test_without_a_word_the_defaults_are_those_of_rights() -> None:
    settings = rights_of(load({}, {}))
    assert settings == RightsSettings()
    assert (settings.lapse, settings.leeway) == (LAPSE_SECONDS, LEEWAY_SECONDS)


def test_what_an_operator_says_arrives() -> None:
    user = "system:serviceaccount:kube-system:coredns"
    said = {
        "node-uids": "0,1000",
        "token-leeway": "1m",
        "pod-rights-lapse": "2h",
        "api-audiences": "k3s,api",
        "offline-readers": f"{user}=services,{user}=endpointslices.discovery.k8s.io",
    }
    rights = rights_of(load(said, {}))
    assert rights.node_uids == {0, 1000}
    assert (rights.leeway, rights.lapse) == (60.0, 7200.0)
    assert rights.audiences == {"k3s", "api"}
    assert rights.allowed == {
        (user, "services"),
        (user, "endpointslices.discovery.k8s.io"),
    }
