# SPDX-License-Identifier: Apache-2.0
"""Endpoints near this node, where a Service asks for them."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toono.filters.fields import FORMS
from toono.filters.servicetopology import Place, Rule, ServiceTopology, rule_of

from .kit import JSON, filtered, meta

WEB = ("default", "web")
PLACE = Place(node="edge-1", pool=frozenset({"edge-1", "edge-2"}), zone="z1")


def endpoint(address: str, node: str = "", zone: str = "") -> dict[str, object]:
    made: dict[str, object] = {"addresses": [address], "conditions": {"ready": True}}
    if node:
        made["nodeName"] = node
    if zone:
        made["zone"] = zone
    return made


ENDPOINTS = [
    endpoint("10.1.0.1", "edge-1", "z1"),
    endpoint("10.1.0.2", "edge-2", "z2"),
    endpoint("10.1.0.3", "edge-3", "z1"),
    endpoint("10.1.0.4"),
]


def slice_of(
    endpoints: object = ENDPOINTS, service: str = "web", namespace: str = "default"
) -> dict[str, object]:
    labels = {"kubernetes.io/service-name": service} if service else {}
    return {
        "metadata": meta("web-abc", namespace, labels=labels),
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": [{"name": "", "port": 80}],
    }


def left(rule: Rule, place: Place = PLACE, resource: str = "endpointslices") -> Any:
    one = ServiceTopology(resource, {WEB: rule}, place)
    found = filtered(one, "EndpointSlice", slice_of())
    if isinstance(found, dict):
        return [item["addresses"][0][-1] for item in found["endpoints"]]
    return found


def test_each_rule_keeps_what_is_near() -> None:
    assert left("node") == ["1"]
    assert left("pool") == ["1", "2"]
    assert left("zone") == ["1", "3"]


def test_what_this_node_is_not_known_to_be_in_narrows_nothing() -> None:
    assert left("pool", Place(node="edge-1")) == "same"
    assert left("zone", Place(node="edge-1")) == "same"


def test_a_node_in_no_pool_is_a_pool_of_its_own() -> None:
    assert left("pool", Place(node="edge-1", in_pool=False)) == ["1"]


def test_a_pool_that_does_not_list_this_node_yet_has_it() -> None:
    assert left("pool", Place(node="edge-1", pool=frozenset())) == ["1"]


def test_a_slice_that_is_emptied_is_still_there() -> None:
    assert left("node", Place(node="edge-9")) == []


def test_others_stay() -> None:
    one = ServiceTopology("endpointslices", {WEB: "node"}, PLACE)
    for other in (
        slice_of(service="api"),
        slice_of(service=""),
        slice_of(namespace="shop"),
        slice_of(ENDPOINTS[:1]),
        slice_of([]),
    ):
        assert filtered(one, "EndpointSlice", other) == "same"
    nothing = ServiceTopology("endpointslices", {}, PLACE)
    assert filtered(nothing, "EndpointSlice", slice_of()) == "same"


def test_null_endpoints_are_none() -> None:
    data = (
        b'{"metadata":{"name":"a","namespace":"default","labels":{'
        b'"kubernetes.io/service-name":"web"}},"endpoints":null,"addressType":"IPv4"}'
    )
    one = ServiceTopology("endpointslices", {WEB: "node"}, PLACE)
    assert one(FORMS[JSON], data) is data


def address(ip: str, node: str | None) -> dict[str, object]:
    return {"ip": ip} if node is None else {"ip": ip, "nodeName": node}


SUBSETS = [
    {
        "addresses": [address("1", "edge-1"), address("2", "edge-3")],
        "notReadyAddresses": [address("3", "edge-3"), address("4", None)],
        "ports": [{"port": 80}],
    },
    {"addresses": [address("5", "edge-3")], "ports": [{"port": 81}]},
    {"notReadyAddresses": [address("6", "edge-1")], "ports": [{"port": 82}]},
]


def endpoints(name: str = "web") -> dict[str, object]:
    return {"metadata": meta(name), "subsets": SUBSETS}


def test_endpoints_are_narrowed_as_their_slices_are() -> None:
    one = ServiceTopology("endpoints", {WEB: "node"}, PLACE)
    found = filtered(one, "Endpoints", endpoints())
    assert isinstance(found, dict)
    assert found["subsets"] == [
        {"addresses": [address("1", "edge-1")], "ports": [{"port": 80}]},
        SUBSETS[2],
    ]
    assert filtered(one, "Endpoints", endpoints("api")) == "same"


def test_endpoints_have_no_zones_and_stay_for_that_rule() -> None:
    one = ServiceTopology("endpoints", {WEB: "zone"}, PLACE)
    assert filtered(one, "Endpoints", endpoints()) == "same"


def test_endpoints_without_any_address_left_are_still_there() -> None:
    one = ServiceTopology("endpoints", {WEB: "node"}, Place(node="edge-9"))
    found = filtered(one, "Endpoints", endpoints())
    assert isinstance(found, dict)
    assert "subsets" not in found


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("kubernetes.io/hostname", "node"),
        ("openyurt.io/nodepool", "pool"),
        ("kubernetes.io/zone", "pool"),
        ("topology.kubernetes.io/zone", "zone"),
        ("kubernetes.io/hostname,*", None),
        ("", None),
        ("\x00garbage", None),
    ],
)
def test_the_annotation_is_one_string(value: str, rule: str | None) -> None:
    assert rule_of({"openyurt.io/topologyKeys": value}) == rule
    assert rule_of({}) is None


NODES = st.sampled_from(["", "edge-1", "edge-2", "edge-3", "\u00e9"])


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(NODES, NODES), max_size=5),
    st.sampled_from(["node", "pool", "zone"]),
)
def test_what_is_left_is_a_part_in_order_and_twice_is_once(
    places: list[tuple[str, str]], rule: Rule
) -> None:
    given = [endpoint(str(n), node, zone) for n, (node, zone) in enumerate(places)]
    one = ServiceTopology("endpointslices", {WEB: rule}, PLACE)
    found = filtered(one, "EndpointSlice", slice_of(given))
    if not isinstance(found, dict):
        return
    kept = found["endpoints"]
    assert len(kept) < len(given)
    rest = iter(given)
    assert all(one in rest for one in kept)
    assert filtered(one, "EndpointSlice", found) == "same"
