# SPDX-License-Identifier: Apache-2.0
"""Which form an Accept gets, clause by clause."""

import json

import pytest

from tests.unit.testing.apiserver.kit import CRONTABS, resource
from toono.testing.apiserver.forms import clauses, form_of, wants_protobuf
from toono.testing.apiserver.query import Refusal

PODS = resource("pods")
PROTOBUF = "application/vnd.kubernetes.protobuf"
PARTIAL = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
PARTIALS = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1"
OBJECT = {
    "apiVersion": "x.example.com/v1",
    "metadata": {"name": "a", "resourceVersion": "1"},
    "spec": {},
}


def kind_of(accept: str, of=PODS, **asked: bool) -> str:
    written = form_of(of, accept, **asked).one(OBJECT)
    if written.startswith(b"k8s\0"):
        return "partial protobuf" if b"Partial" in written else "protobuf"
    content = json.loads(written)
    if "spec" in content:
        return "json"
    return f"{content['kind']} {content['apiVersion'].rpartition('/')[2]}"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "json"),
        ("*/*", "json"),
        ("application/*, */*", "json"),
        ("application/json", "json"),
        ("text/html, application/json", "json"),
        (PROTOBUF, "protobuf"),
        (f"{PROTOBUF},application/json", "protobuf"),
        (f"application/json,{PROTOBUF}", "json"),
        (f"application/json;q=0.5,{PROTOBUF}", "protobuf"),
        (f"{PROTOBUF};q=0.1, */*;q=0.2", "json"),
        (PARTIAL, "PartialObjectMetadata v1"),
        (PARTIAL.replace("v=v1", "v=v1beta1"), "PartialObjectMetadata v1beta1"),
        (f"{TABLE},application/json", "Table v1"),
        (TABLE.replace("v=v1", "v=v1beta1"), "Table v1beta1"),
        (f"{TABLE.replace('v=v1', 'v=v2')},{PARTIAL}", "PartialObjectMetadata v1"),
        (
            f"{TABLE.replace('g=meta.k8s.io', 'g=x')},{PARTIAL}",
            "PartialObjectMetadata v1",
        ),
        (PARTIAL.replace("g=meta.k8s.io", "g=x") + ",application/json", "json"),
        (PARTIAL.replace("v=v1", "v=v2") + ",application/json", "json"),
        (PARTIAL.replace("application/json", PROTOBUF), "partial protobuf"),
        ("application/yaml, application/json;q=bad", "json"),
    ],
)
def test_the_most_wanted_form_that_is_made_is_given(accept: str, kind: str) -> None:
    assert kind_of(accept) == kind


def test_custom_resources_have_no_protobuf() -> None:
    assert kind_of(f"{PROTOBUF},application/json", CRONTABS) == "json"
    with pytest.raises(Refusal, match="^only the following media types"):
        form_of(CRONTABS, PROTOBUF)


@pytest.mark.parametrize(
    ("accept", "message"),
    [
        ("application/xml", "^406: Not Acceptable"),
        (TABLE.replace("application/json", PROTOBUF), "^only the following media"),
        ("application/yaml", "^only the following media types are accepted"),
    ],
)
def test_where_nothing_is_made_it_is_406(accept: str, message: str) -> None:
    with pytest.raises(Refusal, match=message) as refusal:
        form_of(PODS, accept)
    assert (refusal.value.code, refusal.value.pretty) == (406, True)


def test_streams_are_offered_where_there_are_any() -> None:
    for asked in ({"is_list": True}, {"is_watch": True}):
        with pytest.raises(Refusal, match="stream=watch"):
            form_of(PODS, "application/xml", **asked)
    with pytest.raises(Refusal) as refusal:
        form_of(PODS, "application/xml")
    assert "stream=watch" not in refusal.value.message


def test_metadata_of_a_list_and_of_an_object_are_two_forms() -> None:
    with pytest.raises(Refusal, match=r"is a list \(\*core\.PodList\)"):
        form_of(PODS, PARTIAL, is_list=True)
    with pytest.raises(Refusal, match=r"is not a list \(\*core\.Pod\)"):
        form_of(PODS, PARTIALS)
    with pytest.raises(Refusal, match=r"not a list \(\*apps\.Deployment\)"):
        form_of(resource("deployments"), PARTIALS, is_watch=True)
    with pytest.raises(Refusal, match=r"not a list \(\*unstructured\.Unstructured\)"):
        form_of(CRONTABS, PARTIALS)


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", False),
        (PROTOBUF, True),
        (f"{PROTOBUF},application/json", True),
        (f"application/json,{PROTOBUF}", False),
        (f"text/html,{PROTOBUF}", True),
    ],
)
def test_a_status_goes_out_as_what_is_wanted_most(accept: str, wanted: bool) -> None:
    assert wants_protobuf(accept) is wanted


def test_clauses_are_sorted_by_quality_and_keep_their_parameters() -> None:
    found = clauses("a/b;q=0.5, c/d; v = 1 ;as=X, e/f")
    assert [clause["type"] for clause in found] == ["c/d", "e/f", "a/b"]
    assert (found[0]["v"], found[0]["as"]) == ("1", "X")


def test_a_route_of_a_built_in_kind_is_named_in_full() -> None:
    for accept in ("application/*", "*", "application/*;q=0.5, text/html"):
        with pytest.raises(Refusal):
            form_of(PODS, accept)
    assert form_of(CRONTABS, "application/*")
