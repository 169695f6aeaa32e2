# SPDX-License-Identifier: Apache-2.0
import base64

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from toono.cache.policy import NOBODY, Policy, component_named
from toono.kube.component import component_of
from toono.kube.request import Call, Caller, Form

CALLER = Caller(connection=1, local=("127.0.0.1", 1), remote=("127.0.0.1", 2))


def call(**fields) -> Call:
    given = {
        "method": "GET",
        "target": b"/api/v1/pods",
        "path": "/api/v1/pods",
        "verb": "list",
        "version": "v1",
        "resource": "pods",
        "component": "kubelet",
        "caller": CALLER,
    }
    return Call(**(given | fields))


def test_yurthubs_agents_are_cached_by_default() -> None:
    policy = Policy.of()
    for component in ("kubelet", "kube-proxy", "flanneld", "coredns", "yurthub"):
        assert policy.allows(call(component=component))
    assert not policy.allows(call(component="cilium-agent"))


def test_added_agents_match_whatever_their_case_and_spaces() -> None:
    assert Policy.of(" Cilium-Agent ").allows(call(component="cilium-agent"))


def test_the_wildcard_allows_everyone_who_says_who_it_is() -> None:
    assert Policy.of("*").allows(call(component="anyone"))
    assert not Policy.of("*").allows(call(component=""))


TABLE = (Form(media_type="application/json", as_kind="Table"),)


def test_an_empty_name_allows_nobody() -> None:
    assert not Policy.of("").allows(call(component=""))


@pytest.mark.parametrize(
    "fields",
    [
        {"verb": "deletecollection"},
        {"resource": ""},
        {"resource": "certificatesigningrequests"},
        {"resource": "subjectaccessreviews"},
        {"resource": "tokenreviews"},
        {"subresource": "token"},
        {"subresource": "log"},
        {"dry_run": True},
        {"accept": (Form(media_type="application/json", as_kind="Secret"),)},
        {"accept": (Form(media_type="application/json", drop="metadata.x"),)},
        {"accept": TABLE, "verb": "watch"},
        {"accept": TABLE, "include_object": "None"},
    ],
)
def test_what_is_no_plain_lasting_answer_is_not_kept(fields) -> None:
    assert not Policy.of("*").allows(call(**fields))


@pytest.mark.parametrize("verb", ["get", "list", "watch"])
def test_tables_and_metadata_are_kept_as_kubectl_and_informers_ask(verb: str) -> None:
    metadata = (Form(media_type="application/json", as_kind="PartialObjectMetadata"),)
    assert Policy.of().allows(call(verb=verb, accept=metadata))
    assert Policy.of().allows(call(verb="list", accept=TABLE))
    sorting = call(verb="list", accept=TABLE, include_object="Object")
    assert Policy.of().allows(sorting)


@pytest.mark.parametrize("verb", ["get", "list", "watch", "create", "update", "patch"])
def test_objects_and_their_status_are_kept(verb: str) -> None:
    assert Policy.of().allows(call(verb=verb))
    assert Policy.of().allows(call(verb=verb, subresource="status"))


def test_a_header_has_one_request_kept_whoever_asks() -> None:
    policy = Policy.of()
    assert policy.allows(call(component="cilium-agent", edge_cache=True))
    assert not policy.allows(call(component="", edge_cache=True))
    assert not policy.names("cilium-agent")


def test_only_a_star_alone_means_everyone() -> None:
    assert Policy.of(" * ", "a").keeps_everyone is False
    assert Policy.of("*").keeps_everyone
    assert not Policy.of("a").keeps_everyone


@pytest.mark.parametrize(
    ("name", "component"),
    [
        ("Cilium-Agent", "cilium-agent"),
        (" a ", "a"),
        ("kubelet/v1.34.0 (linux/amd64)", "kubelet"),
        ("..", "%2E."),
        ("_internal", "%5Finternal"),
        ("a\\b", "a%5Cb"),
        ("ü", "%C3%BC"),
        ("%C3%BC", "%C3%BC"),
        ("100%", "100%25"),
        ("A%5C", "a%255c"),
        ("", ""),
        ("/etc", ""),
    ],
)
def test_a_name_means_the_component_that_its_user_agent_makes(
    name: str, component: str
) -> None:
    assert component_named(name) == component


@given(st.binary(max_size=300))
@example(b"\xe9" * 100)
@example(b"a" + b"\xe9" * 100)
@example(b"aa" + b"\xe9" * 100)
def test_a_component_as_it_is_shown_means_itself(user_agent: bytes) -> None:
    component = component_of(user_agent.decode("latin-1"))
    assert component_named(component) == component
    assert "," not in component


def test_a_service_account_has_its_answers_kept_whatever_it_calls_itself() -> None:
    user = "system:serviceaccount:kube-system:cilium"
    claims = base64.urlsafe_b64encode(f'{{"sub":"{user}"}}'.encode()).rstrip(b"=")
    policy = Policy.of(user)
    caller = msgspec.structs.replace(call().caller, token=b"e30." + claims + b".x")
    asked = call(component="go-http-client", caller=caller)
    assert policy.allows(asked)
    assert not policy.names("go-http-client")
    assert not Policy.of().allows(asked)
    other = msgspec.structs.replace(caller, token=b"opaque")
    assert not policy.allows(call(component="go-http-client", caller=other))
    assert not policy.allows(call(component="go-http-client"))


def test_who_keeps_nothing_keeps_nobody_whatever_a_header_says() -> None:
    for one in ({}, {"component": "yurthub"}, {"edge_cache": True}):
        assert not NOBODY.allows(call(**one))
        assert not NOBODY.admits(call(**one))
