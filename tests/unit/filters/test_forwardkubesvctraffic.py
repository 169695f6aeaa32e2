# SPDX-License-Identifier: Apache-2.0
"""The endpoints of the API server's own Service."""

import pytest

from toono.filters.base import Door
from toono.filters.forwardkubesvctraffic import ForwardKubeSvcTraffic

from .kit import filtered, meta

FILTER = ForwardKubeSvcTraffic(Door("169.254.2.1", 10268))


def test_it_has_one_endpoint_which_is_the_hub() -> None:
    given = {
        "metadata": meta("kubernetes"),
        "addressType": "IPv4",
        "endpoints": [
            {"addresses": ["10.0.0.1"], "nodeName": "cp-1"},
            {"addresses": ["10.0.0.2"], "conditions": {"ready": False}},
        ],
        "ports": [
            {"name": "https", "protocol": "TCP", "port": 6443},
            {"name": "other", "port": 1},
        ],
    }
    found = filtered(FILTER, "EndpointSlice", given)
    assert isinstance(found, dict)
    assert found["endpoints"] == [
        {"addresses": ["169.254.2.1"], "conditions": {"ready": True}}
    ]
    assert found["ports"] == [
        {"name": "https", "protocol": "TCP", "port": 10268},
        {"name": "other", "port": 1},
    ]


def test_an_empty_slice_has_the_hub_too() -> None:
    given = {"metadata": meta("kubernetes"), "addressType": "IPv4", "endpoints": []}
    found = filtered(FILTER, "EndpointSlice", given)
    assert isinstance(found, dict)
    assert [one["addresses"] for one in found["endpoints"]] == [["169.254.2.1"]]


@pytest.mark.parametrize("family", ["IPv6", "FQDN", ""])
def test_other_families_stay(family: str) -> None:
    given = {"metadata": meta("kubernetes"), "addressType": family, "endpoints": []}
    assert filtered(FILTER, "EndpointSlice", given) == "same"


def test_of_ipv6_where_the_hub_has_such_an_address() -> None:
    given = {"metadata": meta("kubernetes"), "addressType": "IPv6", "endpoints": []}
    found = filtered(
        ForwardKubeSvcTraffic(Door("fd00::2:1", 10268)), "EndpointSlice", given
    )
    assert isinstance(found, dict)
    assert found["endpoints"][0]["addresses"] == ["fd00::2:1"]


def test_others_stay() -> None:
    given = {"metadata": meta("web"), "addressType": "IPv4", "endpoints": []}
    assert filtered(FILTER, "EndpointSlice", given) == "same"
