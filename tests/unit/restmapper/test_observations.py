# SPDX-License-Identifier: Apache-2.0
"""What paths, 404s and bodies tell."""

import json

import pytest

from toono.restmapper import GVK, GVR, Scope, is_not_served
from toono.restmapper.observations import parse_target, sighting

PODS, DRIVERS = GVR("", "v1", "pods"), GVR("x.example.com", "v1", "drivers")
TARGETS = {
    "/api/v1/pods": (PODS, "", "", ""),
    "/api/v1/pods?watch=true": (PODS, "", "", ""),
    "/api/v1/watch/pods": (PODS, "", "", ""),
    "/api/v1/namespaces/a/pods": (PODS, "a", "", ""),
    "/api/v1/namespaces/a/pods/b": (PODS, "a", "b", ""),
    "/api/v1/namespaces/a/pods/b/log": (PODS, "a", "b", "log"),
    "/api/v1/namespaces/a": (GVR("", "v1", "namespaces"), "", "a", ""),
    "/api/v1/namespaces/a/status": (GVR("", "v1", "namespaces"), "", "a", "status"),
    "/apis/x.example.com/v1/drivers/b/scale": (DRIVERS, "", "b", "scale"),
    "/apis/x.example.com/v1/watch/namespaces/a/drivers": (DRIVERS, "a", "", ""),
    "/api": None,
    "/api/v1": None,
    "/apis/x.example.com/v1": None,
    "/version": None,
    "/api/v1/watch": None,
    "/api/v1/namespaces//pods": (PODS, "", "", ""),
    "": None,
}


@pytest.mark.parametrize(("target", "expected"), TARGETS.items())
def test_the_parts_of_a_path(target, expected):
    assert parse_target(target) == expected


STATUS = {"kind": "Status", "reason": "NotFound"}
ANSWERS = [
    (404, "text/plain; charset=utf-8", b"404 page not found\n", True),
    (404, "application/json", STATUS, True),
    (404, "application/json", STATUS | {"details": {}}, True),
    (404, "application/json", STATUS | {"details": {"name": "a"}}, False),
    (404, "application/json", {"kind": "Status", "reason": "Gone"}, False),
    (404, "application/json", {"kind": "Pod", "reason": "NotFound"}, False),
    (404, "application/json", b"<html>", False),
    (404, "application/json", b'"\xff"', False),
    (404, "text/plain", b"no such page", False),
    (404, "text/html", b"404 page not found", False),
    (403, "text/plain", b"404 page not found", False),
]


@pytest.mark.parametrize(("status", "content_type", "body", "expected"), ANSWERS)
def test_which_404_says_that_the_resource_is_not_served(
    status, content_type, body, expected
):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert is_not_served(status, content_type, content) is expected


DRIVER = GVK("x.example.com", "v1", "Driver")
ROOT = "/apis/x.example.com/v1"
BODIES = [
    (f"{ROOT}/drivers", "DriverList", Scope.UNKNOWN),
    (f"{ROOT}/drivers/a", "Driver", Scope.CLUSTER),
    (f"{ROOT}/namespaces/a/drivers", "DriverList", Scope.NAMESPACED),
    (f"{ROOT}/namespaces/a/drivers", "Driver", Scope.NAMESPACED),
    (f"{ROOT}/drivers/a/status", "Driver", None),
    (f"{ROOT}/drivers/a", "Status", None),
    (f"{ROOT}/drivers", "List", None),
    (f"{ROOT}/drivers", "", None),
    ("/version", "Driver", None),
]


@pytest.mark.parametrize(("target", "kind", "scope"), BODIES)
def test_what_a_body_shows_of_the_resource_in_its_url(target, kind, scope):
    seen = sighting(target, "x.example.com/v1", kind)
    if scope is None:
        assert seen is None
    else:
        assert seen == (DRIVERS, DRIVER, scope)


@pytest.mark.parametrize(
    "api_version", ["meta.k8s.io/v1", "x.example.com/v2", "v1", "", "a/b/c"]
)
def test_a_body_of_another_group_version_tells_nothing(api_version):
    assert sighting(f"{ROOT}/drivers", api_version, "DriverList") is None


def test_a_kind_may_end_in_list():
    seen = sighting(f"{ROOT}/allowlists/a", "x.example.com/v1", "AllowList")
    assert seen.kind.kind == "AllowList"
