# SPDX-License-Identifier: Apache-2.0
"""Endpoints of this node's pods, by the addresses that their kubelet says."""

import json
from typing import Any

import pytest

from toono.filters.addresses import (
    MARK,
    CorrectedAddresses,
    PodKey,
    read_write,
)
from toono.filters.fields import FORMS

from .kit import JSON, filtered, meta

UID = "a9e6b466-787d-4a29-ade8-a9eae545f7df"
WEB = PodKey("default", "web-0", UID)
FILTER = CorrectedAddresses("endpointslices", "edge-1", {WEB: ("10.1.0.9", "fd00::9")})


def target(**more: str) -> dict[str, str]:
    known = {"kind": "Pod", "namespace": "default", "name": "web-0", "uid": UID}
    return known | more


def slice_of(*endpoints: dict[str, object], **more: object) -> dict[str, object]:
    return {
        "metadata": meta("web-abc", **more),
        "addressType": "IPv4",
        "endpoints": list(endpoints),
        "ports": [{"name": "", "port": 80}],
    }


def endpoint(
    address: str = "10.1.0.1", node: str = "edge-1", **ref: str
) -> dict[str, object]:
    return {"addresses": [address], "targetRef": target(**ref), "nodeName": node}


def corrected(*endpoints: dict[str, object], **more: object) -> Any:
    return filtered(FILTER, "EndpointSlice", slice_of(*endpoints, **more))


def test_an_endpoint_of_a_pod_here_gets_its_address_and_the_slice_a_mark() -> None:
    found = corrected(endpoint(), endpoint(node="edge-2"), labels={"a": "b"})
    addresses = [one["addresses"] for one in found["endpoints"]]
    assert addresses == [["10.1.0.9"], ["10.1.0.1"]]
    assert found["metadata"]["annotations"] == {MARK: "true"}
    found = corrected(endpoint(), annotations={"z": "1", "a": "2"})
    assert found["metadata"]["annotations"] == {"a": "2", MARK: "true", "z": "1"}


def test_each_family_gets_its_own() -> None:
    found = corrected(endpoint("fd00::1"))
    assert found["endpoints"][0]["addresses"] == ["fd00::9"]


@pytest.mark.parametrize(
    "one",
    [
        endpoint("10.1.0.9"),
        endpoint(node="edge-2"),
        endpoint(uid="another"),
        endpoint(name="web-1"),
        endpoint(namespace="shop"),
        endpoint(kind="Node"),
        endpoint("web.example.com"),
        {"addresses": ["10.1.0.1"], "nodeName": "edge-1"},
        {"addresses": ["10.1.0.1"], "targetRef": target()},
        {
            "addresses": ["10.1.0.1", "10.1.0.2"],
            "targetRef": target(),
            "nodeName": "edge-1",
        },
        {"addresses": [], "targetRef": target(), "nodeName": "edge-1"},
    ],
)
def test_all_else_stays_as_the_cloud_said_it(one: dict[str, object]) -> None:
    assert corrected(one) == "same"


def test_a_pod_that_has_no_address_of_the_family_keeps_the_old_one() -> None:
    only_v6 = CorrectedAddresses("endpointslices", "edge-1", {WEB: ("fd00::9",)})
    assert filtered(only_v6, "EndpointSlice", slice_of(endpoint())) == "same"


def test_endpoints_are_corrected_as_slices_are() -> None:
    def address(ip: str, node: str = "edge-1") -> dict[str, object]:
        return {"ip": ip, "nodeName": node, "targetRef": target()}

    given = {
        "metadata": meta("web"),
        "subsets": [
            {"addresses": [address("10.1.0.1")], "ports": [{"port": 80}]},
            {
                "addresses": [{"ip": "10.1.0.1"}],
                "notReadyAddresses": [address("10.1.0.1"), address("10.1.0.2", "x")],
            },
        ],
    }
    one = CorrectedAddresses("endpoints", "edge-1", {WEB: ("10.1.0.9",)})
    found = filtered(one, "Endpoints", given)
    assert isinstance(found, dict)
    ips = [
        [a["ip"] for a in subset.get(key, ())]
        for subset in found["subsets"]
        for key in ("addresses", "notReadyAddresses")
    ]
    assert ips == [["10.1.0.9"], [], ["10.1.0.1"], ["10.1.0.9", "10.1.0.2"]]
    assert found["metadata"]["annotations"] == {MARK: "true"}


def test_without_known_pods_nothing_is_looked_at() -> None:
    one = CorrectedAddresses("endpointslices", "edge-1", {})
    data = json.dumps(slice_of(endpoint())).encode()
    assert one(FORMS[JSON], data) is data
    assert not any(mark in data for mark in one.marks)
    assert one.marks


def write(status: object, uid: str = "u") -> bytes:
    return json.dumps({"metadata": {"uid": uid}, "status": status}).encode()


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (
            write({"podIP": "10.1.0.9", "podIPs": [{"ip": "10.1.0.9"}]}),
            ("u", ("10.1.0.9",)),
        ),
        (write({"podIP": "10.1.0.9"}), ("u", ("10.1.0.9",))),
        (
            write(
                {
                    "$setElementOrder/podIPs": [{"ip": "10.1.0.9"}, {"ip": "fd00::9"}],
                    "podIP": "10.1.0.9",
                    "podIPs": [
                        {"ip": "10.1.0.9"},
                        {"ip": "fd00::9"},
                        {"$patch": "delete", "ip": "10.1.0.1"},
                    ],
                }
            ),
            ("u", ("10.1.0.9", "fd00::9")),
        ),
        (write({"podIP": None, "podIPs": None}), ("u", ())),
        (write({"podIPs": [{"$patch": "delete", "ip": "10.1.0.1"}]}), ("u", ())),
        (write({"phase": "Running"}), None),
        (write({"podIP": "10.1.0.9"}, uid=""), None),
        (write({"podIP": "\x00garbage"}), ("u", None)),
        (write({"podIP": 5}), None),
        (b'{"status":{"podIP":"10.1.0.9"}}', None),
        (b'{"metadata":{"uid":"u"}}', None),
        (b"nonsense", None),
        (b"", None),
    ],
)
def test_what_a_kubelet_writes_of_a_pod(content: bytes, found: object) -> None:
    assert read_write(content) == found
