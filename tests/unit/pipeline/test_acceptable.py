# SPDX-License-Identifier: Apache-2.0
"""406 by Accept alone, as seen of kube-apiserver 1.34."""

import msgspec
import pytest

from tests.unit.cache.kit import call
from toono.errors import RequestError
from toono.kube.accept import parse_accept
from toono.pipeline.acceptable import check_accept

LIST = "/api/v1/namespaces"
GET = "/api/v1/namespaces/default"
CUSTOM = "/apis/x.example.com/v1"
HALF = ("application/*", "*", "application/*;q=0.5", "application/xml")


def refused(target: str, accept: str) -> str:
    """Return what a question is told by its Accept alone; "" where it may go on."""
    asked = msgspec.structs.replace(call(target), accept=parse_accept(accept))
    try:
        check_accept(asked)
    except RequestError as exc:
        assert (exc.code, exc.reason) == (406, "NotAcceptable")
        return str(exc)
    return ""


@pytest.mark.parametrize("accept", HALF)
@pytest.mark.parametrize(
    "target",
    [LIST, GET, "/api", "/api/v1", "/apis/apps/v1", "/version", f"{LIST}?watch=true"],
)
def test_routes_are_found_by_types_alone(target: str, accept: str) -> None:
    assert "406: Not Acceptable" in refused(target, accept)


@pytest.mark.parametrize("accept", HALF)
@pytest.mark.parametrize(
    "target",
    [
        f"{CUSTOM}/widgets",
        f"{CUSTOM}/namespaces/d/widgets/a",
        CUSTOM,
        "/apis",
        "/apis/apps",
        "/openapi/v2",
        "/openapi/v3/api/v1",
    ],
)
def test_what_has_no_route_of_its_own_is_not_refused(target: str, accept: str) -> None:
    assert refused(target, accept) == ""


@pytest.mark.parametrize("target", [LIST, GET, "/api", "/version"])
@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "application/json",
        "application/vnd.kubernetes.protobuf",
        "application/yaml",
        "application/cbor",
        "application/*, application/json",
        "application/*, */*",
        "application/json;as=Table;v=v1;g=meta.k8s.io,application/*",
    ],
)
def test_who_names_a_type_goes_on(target: str, accept: str) -> None:
    assert refused(target, accept) == ""


def test_what_there_is_is_told() -> None:
    json, all_three = "application/json", "application/json, application/yaml, "
    all_three += "application/vnd.kubernetes.protobuf"
    streams = (
        "application/json;stream=watch, "
        "application/vnd.kubernetes.protobuf;stream=watch"
    )
    for target, told in (
        ("/version", json),
        ("/api", all_three),
        (GET, all_three),
        (LIST, f"{all_three}, {streams}"),
    ):
        assert refused(target, "application/*").endswith(f"representations: {told}")
