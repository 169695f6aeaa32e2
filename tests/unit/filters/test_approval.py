# SPDX-License-Identifier: Apache-2.0
"""Which filters apply to which question."""

import pytest

from toono.filters.approval import DEFAULTS, Approval, switched_off
from toono.kube.request import Call, Caller, parse

NOBODY = Caller(connection=0, local=("", 0), remote=("", 0))
SLICES = "/apis/discovery.k8s.io/v1/endpointslices"


def call(agent: str, target: str, method: str = "GET") -> Call:
    return parse(method, target.encode(), {b"user-agent": agent.encode()}, NOBODY)


@pytest.mark.parametrize(
    ("agent", "target", "filters"),
    [
        ("kubelet/v1.34", "/api/v1/services?limit=500", ["masterservice"]),
        ("kubelet/v1.34", "/api/v1/services?watch=true", ["masterservice"]),
        ("kubelet/v1.34", "/api/v1/namespaces/a/services/b", []),
        ("kubelet/v1.34", "/api/v1/pods?fieldSelector=a%3Db", ["serviceenvupdater"]),
        ("kubelet/v1.34", "/api/v1/namespaces/a/pods/b", ["serviceenvupdater"]),
        ("kubelet/v1.34", "/api/v1/namespaces/a/pods/b/status", ["serviceenvupdater"]),
        ("kubelet/v1.34", "/api/v1/namespaces/a/pods/b/log", []),
        ("kubelet/v1.34", "/api/v1/namespaces/a/configmaps/b", ["inclusterconfig"]),
        ("kubelet/v1.34", "/api/v1/nodes", []),
        (
            "kube-proxy/v1.34",
            SLICES,
            ["forwardkubesvctraffic", "servicetopology"],
        ),
        (
            "kube-proxy/v1.34",
            "/api/v1/services",
            ["discardcloudservice", "nodeportisolation"],
        ),
        ("coredns/v0", SLICES, ["servicetopology"]),
        ("nginx-ingress-controller/1", "/api/v1/endpoints", ["servicetopology"]),
        ("coredns/v0", "/api/v1/services", []),
        ("flanneld/1", SLICES, []),
        ("yurthub/1", "/api/v1/services", []),
    ],
)
def test_the_defaults_are_yurthub_s(
    agent: str, target: str, filters: list[str]
) -> None:
    assert list(Approval().find(call(agent, target))) == filters


def test_a_patch_of_a_pod_s_status_answers_with_the_pod() -> None:
    target = "/api/v1/namespaces/a/pods/b/status"
    assert Approval().find(call("kubelet/1", target, "PATCH")) == ("serviceenvupdater",)
    assert Approval().find(call("kubelet/1", target, "PUT")) == ()


def test_added_components_keep_the_order_and_some_are_never_filtered() -> None:
    names = frozenset({"agent", "yurthub", "toono", "multiplexer-proxy-edge-1"})
    found = Approval(added=dict.fromkeys(reversed(DEFAULTS), names))
    assert found.find(call("agent/1", "/api/v1/services")) == (
        "masterservice",
        "discardcloudservice",
        "nodeportisolation",
    )
    for other in ("yurthub", "toono", "multiplexer-proxy-edge-1"):
        assert found.find(call(other, "/api/v1/services")) == ()
    assert Approval().find(call("agent/1", "/api/v1/services")) == ()


def test_options_switch_filters_off() -> None:
    every = frozenset(DEFAULTS)
    assert switched_off([], enabled=True, door=True) == frozenset()
    assert switched_off([], enabled=False, door=True) == every
    assert switched_off(["*"], enabled=True, door=True) == every
    assert switched_off(["masterservice", "x"], enabled=True, door=True) == {
        "masterservice"
    }
    assert switched_off([], enabled=True, door=False) == {
        "masterservice",
        "serviceenvupdater",
        "inclusterconfig",
        "forwardkubesvctraffic",
    }
    off = Approval(off=every)
    assert off.find(call("kubelet/1", "/api/v1/services")) == ()
