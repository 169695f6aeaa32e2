# SPDX-License-Identifier: Apache-2.0
"""The embedded server's discovery, held to a real server's."""

import json
from dataclasses import replace

import pytest

from tests.contract.recordings import recording
from toono.testing.apiserver.discovery import (
    AGGREGATED,
    Discovery,
    is_served,
    page_not_found,
    unavailable,
)
from toono.testing.apiserver.resources import Resource, built_in

CRONTAB = Resource(
    group="x.example.com",
    version="v1",
    plural="crontabs",
    kind="CronTab",
    custom=True,
    short_names=("ct",),
    verbs=(
        "delete", "deletecollection", "get", "list",
        "patch", "create", "update", "watch",
    ),
    subresources=("status",),
)  # fmt: skip
REAL = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,"
    "application/json"
)


def ask(path, accept="application/json", discovery=None, more=(), **fields):
    sent = {b"accept": accept.encode()} | {
        name.replace("_", "-").encode(): value.encode()
        for name, value in fields.items()
    }
    resources = [*built_in().values(), CRONTAB, *more]
    return (discovery or Discovery()).answer(path, sent, resources)


def content(response):
    return json.loads(response.content)


def headers(response):
    return {name.decode().lower(): value.decode() for name, value in response.headers}


def test_the_documents_of_a_custom_group_are_the_real_servers():
    for path, name in (
        ("/apis/x.example.com", "discovery-group"),
        ("/apis/x.example.com/v1", "discovery-group-version"),
    ):
        real = json.loads(recording(name).body)
        answer = ask(path)
        assert json.dumps(content(answer)) == json.dumps(real)
        assert headers(answer)["content-type"] == "application/json"


def test_the_aggregated_form_tells_a_custom_group_as_the_real_server():
    real = json.loads(recording("discovery-apis-aggregated").body)
    answer = ask("/apis", REAL)
    assert headers(answer)["content-type"] == AGGREGATED
    mine = {each["metadata"]["name"]: each for each in content(answer)["items"]}
    theirs = {each["metadata"]["name"]: each for each in real["items"]}
    assert json.dumps(mine["x.example.com"]) == json.dumps(theirs["x.example.com"])
    assert set(mine) <= set(theirs)
    shared = [name for name in theirs if name in mine]
    assert list(mine) == shared


def test_every_resource_is_told_as_the_real_server_tells_it():
    for path, name in (
        ("/api", "discovery-api-aggregated"),
        ("/apis", "discovery-apis-aggregated"),
    ):
        theirs = {}
        for group in json.loads(recording(name).body)["items"]:
            for version in group["versions"]:
                key = (group["metadata"].get("name"), version["version"])
                for each in version["resources"]:
                    theirs[*key, each["resource"]] = each
        for group in content(ask(path, REAL))["items"]:
            for version in group["versions"]:
                key = (group["metadata"].get("name"), version["version"])
                for each in version["resources"]:
                    real = theirs[*key, each["resource"]]
                    for field in (
                        "responseKind",
                        "scope",
                        "singularResource",
                        "shortNames",
                        "categories",
                    ):
                        assert each.get(field) == real.get(field), each["resource"]


def test_an_etag_answers_304_until_something_changes():
    first = ask("/apis", REAL)
    etag = headers(first)["etag"]
    assert headers(first)["vary"] == "Accept"
    again = ask("/apis", REAL, if_none_match=etag)
    assert (again.status, again.content) == (304, b"")
    changed = ask(
        "/apis", REAL, if_none_match=etag, more=[replace(CRONTAB, version="v2")]
    )
    assert changed.status == 200
    assert headers(changed)["etag"] != etag


def test_the_legacy_form_for_who_asks_for_it_and_from_old_servers():
    assert content(ask("/apis"))["kind"] == "APIGroupList"
    assert content(ask("/api"))["kind"] == "APIVersions"
    old = Discovery()
    old.aggregated = False
    assert content(ask("/apis", REAL, old))["kind"] == "APIGroupList"
    assert "etag" not in headers(ask("/apis"))


def test_core_documents_say_no_api_version():
    assert list(content(ask("/api/v1")))[:2] == ["kind", "groupVersion"]
    assert content(ask("/apis/apps/v1"))["apiVersion"] == "v1"


def test_versions_stand_in_kubernetes_order_unless_one_is_preferred():
    more = [
        replace(CRONTAB, version=version)
        for version in ("v2beta1", "v2", "v1alpha1", "foo", "v10")
    ]
    discovery = Discovery()
    told = content(ask("/apis/x.example.com", discovery=discovery, more=more))
    found = [each["version"] for each in told["versions"]]
    assert found == ["v10", "v2", "v1", "v2beta1", "v1alpha1", "foo"]
    discovery.preferred["x.example.com"] = "v1"
    told = content(ask("/apis/x.example.com", discovery=discovery, more=more))
    assert told["preferredVersion"]["version"] == "v1"


def test_an_aggregated_api_that_is_down_is_stale_or_503():
    discovery = Discovery()
    discovery.stale.add(("x.example.com", "v1"))
    group = content(ask("/apis", REAL, discovery))["items"][-1]
    assert group["versions"] == [{"version": "v1", "freshness": "Stale"}]
    assert ask("/apis/x.example.com/v1", discovery=discovery).status == 503
    assert ask("/apis/x.example.com", discovery=discovery).status == 200
    assert unavailable().status == 503


@pytest.mark.parametrize("path", ["/apis/nope.example.com", "/apis/x.example.com/v2"])
def test_what_is_not_served_is_a_page_not_found(path):
    assert ask(path).status == 404
    assert ask(path).content == recording("discovery-group-404").body
    assert page_not_found().content == b"404 page not found\n"


def test_other_paths_are_not_discovery():
    for path in ("/", "/version", "/api/v1/pods", "/apis/apps/v1/deployments/a"):
        assert ask(path) is None
    assert is_served("apps", built_in().values())
    assert not is_served("nope", built_in().values())
