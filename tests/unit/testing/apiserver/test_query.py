# SPDX-License-Identifier: Apache-2.0
"""What a request asks: its place, its options, its selectors."""

import pytest

from toono.testing.apiserver.query import (
    Place,
    Query,
    Refusal,
    field_selector,
    label_selector,
    place_of,
    selection,
)


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/api/v1/pods", Place("", "v1", "pods")),
        ("/api/v1/namespaces/a/pods", Place("", "v1", "pods", "a")),
        ("/api/v1/namespaces/a/pods/b", Place("", "v1", "pods", "a", "b")),
        (
            "/api/v1/namespaces/a/pods/b/status",
            Place("", "v1", "pods", "a", "b", "status"),
        ),
        ("/api/v1/namespaces/a", Place("", "v1", "namespaces", "", "a")),
        (
            "/api/v1/namespaces/a/status",
            Place("", "v1", "namespaces", "", "a", "status"),
        ),
        ("/apis/apps/v1/deployments", Place("apps", "v1", "deployments")),
        ("/api/v1/nodes/a%20b", Place("", "v1", "nodes", "", "a b")),
        ("/api/v1/watch/pods", Place("", "v1", "pods", watched=True)),
        (
            "/api/v1/watch/namespaces/a/pods/b",
            Place("", "v1", "pods", "a", "b", watched=True),
        ),
        ("/api/v1", None),
        ("/apis/apps/v1", None),
        ("/healthz", None),
        ("/", None),
    ],
)
def test_a_path_is_a_place(path: str, place: Place | None) -> None:
    assert place_of(path) == place


def test_options_are_read() -> None:
    query = Query("watch=1&a=&limit=5&allow=false&b=0&verbose&limit=6")
    assert query.true("watch")
    assert query.true("verbose")
    assert not query.true("allow")
    assert not query.true("b")
    assert not query.true("none")
    assert query.given("a")
    assert not query.given("none")
    assert (query.number("limit"), query.number("none")) == (5, 0)
    assert Query("limit=-3").number("limit") == 0


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(Refusal, match='strconv.ParseInt: parsing "x"') as refusal:
        Query("limit=x").number("limit")
    assert refusal.value.code == 400


@pytest.mark.parametrize("raw", ["", "resourceVersion="])
def test_no_version_is_none(raw: str) -> None:
    assert Query(raw).version() is None


def test_a_version_is_a_plain_number() -> None:
    assert Query("resourceVersion=0").version() == 0
    for text in ("abc", "-1", "1.5", "%D9%A1"):
        with pytest.raises(Refusal, match="^invalid resource version") as refusal:
            Query(f"resourceVersion={text}").version()
        assert refusal.value.code == 400
        with pytest.raises(Refusal, match="^resourceVersion: Invalid") as refusal:
            Query(f"watch=1&resourceVersion={text}").version()
        assert (refusal.value.code, refusal.value.reason) == (500, "")


LABELS = {"metadata": {"labels": {"app": "web", "n": "5", "empty": ""}}}


@pytest.mark.parametrize(
    ("text", "selects"),
    [
        ("", True),
        ("app", True),
        ("!app", False),
        ("! app", False),
        ("none", False),
        ("!none", True),
        ("app=web", True),
        ("app==web", True),
        ("app = web", True),
        ("app!=web", False),
        ("none!=web", True),
        ("app in (web, api)", True),
        ("app in (api)", False),
        ("app notin (api)", True),
        ("app notin (web)", False),
        ("none notin (web)", True),
        ("app=web,n=5", True),
        ("app=web,n=6", False),
        ("app in (web,api),!x", True),
        ("n>4", True),
        ("n>5", False),
        ("n<6", True),
        ("n<5", False),
        ("app>1", False),
        ("none<1", False),
        ("empty=", True),
    ],
)
def test_labels_are_selected(text: str, selects: bool) -> None:
    assert label_selector(text)(LABELS) is selects


def test_an_object_without_labels_has_none() -> None:
    assert label_selector("!app")({"metadata": {}})
    assert label_selector("!app")({"metadata": {"labels": None}})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("===", "found '==', expected: !, identifier, or 'end of string'"),
        ("=a", "found '=', expected: !, identifier, or 'end of string'"),
        ("a=b=c", "unable to parse requirement"),
        ("a b", "unable to parse requirement"),
        ("a>x", "the value must be an integer"),
    ],
)
def test_a_label_selector_that_is_none_is_refused(text: str, message: str) -> None:
    with pytest.raises(Refusal) as refusal:
        label_selector(text)
    assert message in refusal.value.message
    assert refusal.value.code == 400


POD = {
    "metadata": {"name": "a", "namespace": "ns"},
    "spec": {"nodeName": "n", "hostNetwork": True},
}
KNOWN = frozenset({"spec.nodeName", "spec.hostNetwork", "status.phase"})


@pytest.mark.parametrize(
    ("text", "selects"),
    [
        ("", True),
        ("metadata.name=a", True),
        ("metadata.name==a", True),
        ("metadata.name=b", False),
        ("metadata.namespace!=ns", False),
        ("spec.nodeName=n,metadata.name=a", True),
        ("spec.nodeName=n,metadata.name=b", False),
        ("spec.hostNetwork=true", True),
        ("status.phase=", True),
        ("status.phase!=Running", True),
    ],
)
def test_fields_are_selected(text: str, selects: bool) -> None:
    assert field_selector(text, KNOWN)(POD) is selects


def test_an_unknown_field_is_refused_in_the_kind_s_own_words() -> None:
    with pytest.raises(Refusal, match="^field label not supported: spec.x$"):
        field_selector("spec.x=y", KNOWN)
    with pytest.raises(Refusal, match='^"x" is not a known field selector'):
        field_selector("x=y", frozenset())
    with pytest.raises(Refusal, match="^invalid selector: 'a'; can't understand 'a'$"):
        field_selector("a", KNOWN)


def test_a_question_has_a_namespace_and_both_selectors() -> None:
    place = Place("", "v1", "pods", "ns")
    content = POD | LABELS | {"metadata": POD["metadata"] | LABELS["metadata"]}
    raw = "labelSelector=app&fieldSelector=spec.nodeName%3Dn"
    assert selection(place, Query(raw), KNOWN)(content)
    assert not selection(place, Query("labelSelector=x"), KNOWN)(content)
    assert not selection(place, Query("fieldSelector=metadata.name=x"), KNOWN)(content)
    elsewhere = Place("", "v1", "pods", "other")
    assert not selection(elsewhere, Query(raw), KNOWN)(content)


def test_a_refusal_is_a_status() -> None:
    bare = Refusal(500, "", "broken").status()
    assert bare == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "broken",
        "code": 500,
    }
    whole = Refusal(410, "Expired", "old", {}, metadata={"continue": "t"}).status()
    assert (whole["reason"], whole["details"]) == ("Expired", {})
    assert whole["metadata"] == {"continue": "t"}
    assert list(whole)[-1] == "code"


def test_a_watch_of_a_name_selects_it_alone() -> None:
    place = Place("", "v1", "pods", "ns", "a", watched=True)
    selects = selection(place, Query(""), frozenset())
    assert selects({"metadata": {"name": "a", "namespace": "ns"}})
    assert not selects({"metadata": {"name": "b", "namespace": "ns"}})
