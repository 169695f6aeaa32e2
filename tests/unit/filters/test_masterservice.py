# SPDX-License-Identifier: Apache-2.0
"""The Service that tells pods where the API is."""

import json

from toono.filters.base import Door
from toono.filters.fields import FORMS
from toono.filters.masterservice import MasterService

from .kit import JSON, filtered, meta

FILTER = MasterService(Door("169.254.2.1", 10268))


def service(**spec: object) -> dict[str, object]:
    return {"metadata": meta("kubernetes"), "spec": spec}


PORTS = [
    {"name": "dns", "port": 53, "targetPort": 53},
    {"name": "https", "protocol": "TCP", "port": 443, "targetPort": 6443},
    {"name": "https", "port": 444, "targetPort": 6443},
]


def test_it_names_the_hub() -> None:
    given = service(ports=PORTS, clusterIP="10.0.0.1", clusterIPs=["10.0.0.1", "fd::1"])
    found = filtered(FILTER, "Service", given)
    assert isinstance(found, dict)
    spec = found["spec"]
    assert (spec["clusterIP"], spec["clusterIPs"]) == ("169.254.2.1", ["169.254.2.1"])
    assert [port["port"] for port in spec["ports"]] == [53, 10268, 444]
    assert [port["targetPort"] for port in spec["ports"]] == [53, 6443, 6443]


def test_addresses_that_were_not_there_are_put_where_go_writes_them() -> None:
    found = filtered(FILTER, "Service", service(type="ClusterIP", selector={"a": "b"}))
    assert isinstance(found, dict)
    assert list(found["spec"]) == ["selector", "clusterIP", "clusterIPs", "type"]


def test_no_ports_and_no_spec_are_no_crash() -> None:
    found = filtered(FILTER, "Service", service(clusterIP="10.0.0.1"))
    assert isinstance(found, dict)
    assert "ports" not in found["spec"]
    bare = b'{"metadata":{"name":"kubernetes","namespace":"default"}}'
    assert FILTER(FORMS[JSON], bare) is bare


def test_others_are_left_alone() -> None:
    other = {"metadata": meta("kubernetes", "shop"), "spec": {"clusterIP": "10.0.0.2"}}
    assert filtered(FILTER, "Service", other) == "same"
    other = {"metadata": meta("web"), "spec": {"clusterIP": "10.0.0.2"}}
    assert filtered(FILTER, "Service", other) == "same"


def test_what_is_unknown_stays() -> None:
    data = json.dumps({**service(clusterIP="x", future=[1.50, "\u003c"]), "more": 1})
    found = FILTER(FORMS[JSON], data.encode())
    assert found is not None
    assert b'"future":[1.5, "<"]' in found
    assert found.endswith(b'"more":1}')
