# SPDX-License-Identifier: Apache-2.0
"""Requests are read by RequestInfo's rules, and refused in the API server's words."""

import pytest
from tests.contract.recordings import connections, recording, recordings

from toono.errors import RequestError
from toono.kube import status
from toono.kube.request import Call, Caller, Form, parse

NODE = Caller(connection=1, local=("127.0.0.1", 10261), remote=("127.0.0.1", 4711))
POD = Caller(connection=2, local=("127.0.0.1", 10268), remote=("10.0.0.7", 4712))


def call(target: str, *, method: str = "GET") -> Call:
    return parse(method, target.encode(), {}, NODE)


@pytest.mark.parametrize(
    ("method", "target", "verb", "place"),
    [
        ("GET", "/api/v1/pods", "list", "/v1/pods//"),
        ("HEAD", "/api/v1/pods", "list", "/v1/pods//"),
        ("GET", "/api/v1/pods?watch=true", "watch", "/v1/pods//"),
        ("GET", "/api/v1/pods?watch=1", "watch", "/v1/pods//"),
        ("GET", "/api/v1/pods?watch", "watch", "/v1/pods//"),
        ("GET", "/api/v1/pods?watch=false", "list", "/v1/pods//"),
        ("GET", "/api/v1/pods?watch=0", "list", "/v1/pods//"),
        ("GET", "/api/v1/namespaces/a/pods", "list", "/v1/pods/a/"),
        ("GET", "/api/v1/namespaces/a/pods/p", "get", "/v1/pods/a/p"),
        ("HEAD", "/api/v1/namespaces/a/pods/p", "get", "/v1/pods/a/p"),
        ("GET", "/api/v1/namespaces/a/pods/p?watch=1", "get", "/v1/pods/a/p"),
        ("GET", "/api/v1/namespaces/a/pods/p/status", "get", "/v1/pods/a/p/status"),
        ("GET", "/api/v1/namespaces/a/pods/p/log", "get", "/v1/pods/a/p/log"),
        (
            "GET",
            "/api/v1/namespaces/a/services/s/proxy/x/y",
            "get",
            "/v1/services/a/s/proxy/x/y",
        ),
        ("GET", "/api/v1/namespaces", "list", "/v1/namespaces//"),
        ("GET", "/api/v1/namespaces/a", "get", "/v1/namespaces//a"),
        ("PUT", "/api/v1/namespaces/a/status", "update", "/v1/namespaces//a/status"),
        (
            "PUT",
            "/api/v1/namespaces/a/finalize",
            "update",
            "/v1/namespaces//a/finalize",
        ),
        ("POST", "/api/v1/namespaces/a/pods", "create", "/v1/pods/a/"),
        ("PUT", "/api/v1/nodes/n", "update", "/v1/nodes//n"),
        ("PATCH", "/api/v1/nodes/n/status", "patch", "/v1/nodes//n/status"),
        ("DELETE", "/api/v1/nodes/n", "delete", "/v1/nodes//n"),
        ("DELETE", "/api/v1/nodes", "deletecollection", "/v1/nodes//"),
        ("OPTIONS", "/api/v1/nodes", "options", "/v1/nodes//"),
        ("GET", "/apis/apps/v1/deployments", "list", "apps/v1/deployments//"),
        (
            "GET",
            "/apis/apps/v1/namespaces/a/deployments/d/scale",
            "get",
            "apps/v1/deployments/a/d/scale",
        ),
        ("GET", "/api/v1/watch/pods", "watch", "/v1/pods//"),
        ("GET", "/api/v1/watch/namespaces/a/pods", "watch", "/v1/pods/a/"),
        ("GET", "/api/v1/watch/namespaces/a/pods/p", "watch", "/v1/pods/a/"),
        ("GET", "/apis/apps/v1/watch/deployments", "watch", "apps/v1/deployments//"),
        ("GET", "/api/v1/proxy/nodes/n/stats", "proxy", "/v1/nodes//n"),
        ("GET", "/api/v1/pods/", "list", "/v1/pods//"),
        ("GET", "/api/v1/namespaces/a/pods/system%3Ap", "get", "/v1/pods/a/system:p"),
    ],
)
def test_a_resource_path_is_read(
    method: str, target: str, verb: str, place: str
) -> None:
    found = call(target, method=method)
    assert found.verb == verb
    parts = [found.group, found.version, found.resource, found.namespace, found.name]
    if found.subresource:
        parts.append(found.subresource)
    assert "/".join(parts) == place
    assert found.method == method
    assert found.target == target.encode()


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/api",
        "/api/v1",
        "/apis",
        "/apis/apps",
        "/apis/apps/v1",
        "/API/v1/pods",
        "/version",
        "/healthz",
        "/readyz/ping",
        "/openapi/v3/api/v1?hash=A",
        "/api/v1/watch",
        "/apis/apps/v1/proxy",
    ],
)
def test_other_paths_name_no_resource(target: str) -> None:
    found = call(target)
    assert found.resource == ""
    assert found.verb == "get"
    assert found.path == target.partition("?")[0]
    assert call(target, method="POST").verb == "post"


def test_a_path_is_decoded_once() -> None:
    assert call("/api/v1/namespaces/a%20b/pods").namespace == "a b"
    assert call("/api/v1/namespaces/a%2520b/pods").namespace == "a%20b"
    assert call("/api/v1/namespaces/a+b/pods").namespace == "a+b"


@pytest.mark.parametrize("raw", [b"/api/v1/nodes/%ff", b"/api/v1/nodes/\xff"])
def test_a_path_that_is_no_utf8_is_refused(raw: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        parse("GET", raw, {}, NODE)
    assert caught.value.code == 400


def test_a_selector_for_one_name_stays_a_list_and_tells_the_name() -> None:
    found = call("/api/v1/nodes?fieldSelector=metadata.name%3Dedge-1")
    assert (found.verb, found.name, found.pinned_name) == ("list", "", "edge-1")
    assert found.field_selector == "metadata.name=edge-1"
    for odd in ("..", "a%252Fb", "a%2Fb"):
        assert (
            call(f"/api/v1/nodes?fieldSelector=metadata.name%3D{odd}").pinned_name == ""
        )


def test_the_legacy_watch_of_one_object_is_a_selector() -> None:
    found = call("/api/v1/watch/nodes/edge-1?resourceVersion=7")
    assert (found.verb, found.name) == ("watch", "")
    assert found.field_selector == "metadata.name=edge-1"
    assert found.pinned_name == "edge-1"
    assert found.resource_version == "7"
    same = call("/api/v1/watch/nodes/a?fieldSelector=metadata.name%3Da,x%3Dy")
    assert same.field_selector == "metadata.name=a,x=y"
    other = call("/api/v1/watch/nodes/a?fieldSelector=metadata.name%3Db")
    assert other.problem is not None
    assert "doesn't match requested name" in other.problem.message


def test_options_belong_to_lists_and_watches() -> None:
    found = call("/api/v1/nodes/n?limit=abc&labelSelector=%3D&resourceVersion=0")
    assert found.limit == 0
    assert found.resource_version == "0"
    assert call("/api/v1/nodes?limit=3&shardSelector=x").unknown_options == (
        "shardSelector",
    )
    assert call("/api/v1/nodes", method="POST").limit == 0


@pytest.mark.parametrize(
    ("version", "code"),
    [("abc", 500), ("-1", 500), ("7", None), ("0", None), ("", None)],
)
def test_a_version_of_one_object_is_checked(version: str, code: int | None) -> None:
    problem = call(f"/api/v1/nodes/a?resourceVersion={version}").problem
    assert (problem and problem.code) == code
    assert call("/api/v1/nodes/a").problem is None


def test_a_dry_run_is_told() -> None:
    assert call("/api/v1/nodes?dryRun=All", method="POST").dry_run
    assert not call("/api/v1/nodes", method="POST").dry_run
    assert call("/api/v1/nodes?dryRun=All", method="DELETE").dry_run


def test_fields_tell_form_component_and_content() -> None:
    fields = {
        b"accept": b"application/json;q=0.5,application/vnd.kubernetes.protobuf",
        b"user-agent": b"Kubelet/v1.34.0 (linux/amd64)",
        b"content-type": b"application/merge-patch+json",
    }
    found = parse("PATCH", b"/api/v1/nodes/n", fields, NODE)
    assert found.accept == (
        Form(media_type="application/vnd.kubernetes.protobuf"),
        Form(media_type="application/json", quality=0.5),
    )
    assert found.component == "kubelet"
    assert found.user_agent == "Kubelet/v1.34.0 (linux/amd64)"
    assert found.content_type == "application/merge-patch+json"
    assert call("/api/v1/nodes").accept == ()
    assert call("/api/v1/nodes").component == ""


def test_equal_request_lines_of_two_callers_are_two_calls() -> None:
    fields = {b"user-agent": b"agent/1"}
    one = parse("GET", b"/api/v1/nodes", fields, NODE)
    other = parse("GET", b"/api/v1/nodes", {b"user-agent": b"other/1"}, POD)
    assert (one.caller, one.component) == (NODE, "agent")
    assert (other.caller, other.component) == (POD, "other")
    assert parse("GET", b"/api/v1/nodes", fields, NODE) == one


def test_a_very_long_target_is_read_but_not_remembered() -> None:
    selector = ",".join(f"k{number}" for number in range(500))
    found = call(f"/api/v1/pods?labelSelector={selector}")
    assert found.label_selector.count(",") == 499


REFUSED = (
    "list-pods-bad-selector",
    "list-pods-rv-invalid",
    "list-pods-match-without-rv",
    "watchlist-invalid",
    "watch-rv-invalid",
)


@pytest.mark.parametrize("name", REFUSED)
def test_bad_options_have_the_recorded_answer(name: str) -> None:
    one = recording(name)
    found = parse(one.method, one.target, one.fields, NODE)
    assert found.resource == "pods"
    assert found.problem is not None
    assert found.problem.code == one.status
    assert status.to_json(status.of_error(found.problem)) == one.body


def test_a_problem_is_never_remembered() -> None:
    one, other = (call("/api/v1/pods?limit=abc") for _ in range(2))
    assert one.problem is not None
    assert one.problem is not other.problem
    assert one.problem.__traceback__ is None
    assert one.problem.message == other.problem.message  # type: ignore[union-attr]


def test_nothing_else_of_what_was_recorded_is_refused() -> None:
    for one in (*recordings(), *connections()):
        if one.name not in REFUSED:
            found = parse(one.method, one.target, one.fields, NODE)
            assert found.problem is None
            assert found.unknown_options == ()


def test_the_first_boot_of_a_kubelet_is_understood() -> None:
    calls = [
        parse(one.method, one.target, one.fields, NODE)
        for one in connections()
        if one.name.startswith("boot")
    ]
    asked = {(found.verb, found.resource, found.subresource) for found in calls}
    assert {
        ("create", "nodes", ""),
        ("get", "nodes", ""),
        ("list", "pods", ""),
        ("watch", "pods", ""),
        ("list", "services", ""),
        ("watch", "nodes", ""),
        ("patch", "nodes", "status"),
        ("patch", "pods", "status"),
        ("update", "leases", ""),
        ("get", "csinodes", ""),
    } <= asked
    assert {found.component for found in calls} == {"hollow-kubelet"}


@pytest.mark.parametrize(
    ("value", "asked"),
    [(b"true", True), (b" TRUE ", True), (b"1", False), (b"", False)],
)
def test_a_header_asks_that_the_answer_be_kept(value: bytes, *, asked: bool) -> None:
    told = parse("GET", b"/api/v1/pods", {b"edge-cache": value}, NODE)
    assert told.edge_cache is asked


@pytest.mark.parametrize(
    ("target", "accept", "agent", "pretty"),
    [
        ("/api/v1/pods", "", "", False),
        ("/api/v1/pods?pretty=true", "", "", True),
        ("/api/v1/namespaces/a/pods/b?pretty=1", "", "", True),
        ("/api/v1/pods", "", "curl/8.5", True),
        ("/api/v1/pods", "", "Wget/1.21", True),
        ("/api/v1/pods", "", "Mozilla/5.0 (X11)", True),
        ("/api/v1/pods?pretty=false", "", "curl/8.5", False),
        ("/api/v1/pods?pretty", "", "", False),
        ("/api/v1/pods", "application/json;pretty=1", "", True),
        ("/api/v1/pods", "application/json,application/json;pretty=1", "", False),
    ],
)
def test_who_reads_by_hand_gets_indents(target, accept, agent, pretty) -> None:
    fields = {b"accept": accept.encode(), b"user-agent": agent.encode()}
    found = parse("GET", target.encode(), fields, NODE)
    assert found.pretty is pretty
    assert found.unknown_options == ()
