# SPDX-License-Identifier: Apache-2.0
"""Selectors have one canonical text, match as the API server does, and compare."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toono.errors import RequestError
from toono.kube import selectors

KEYS, VALUES = ("a", "b"), ("x", "y", "7", "")
ALL_LABELS = [
    {key: value for key, value in zip(KEYS, values, strict=True) if value is not None}
    for values in itertools.product((None, *VALUES), repeat=len(KEYS))
]
CONDITIONS = st.one_of(
    st.builds("{}={}".format, st.sampled_from(KEYS), st.sampled_from(VALUES)),
    st.builds("{}!={}".format, st.sampled_from(KEYS), st.sampled_from(VALUES)),
    st.builds("{}>{}".format, st.sampled_from(KEYS), st.sampled_from(("5", "7"))),
    st.builds("{}<{}".format, st.sampled_from(KEYS), st.sampled_from(("8", "7"))),
    st.builds(
        "{} {} ({})".format,
        st.sampled_from(KEYS),
        st.sampled_from(("in", "notin")),
        st.lists(st.sampled_from(VALUES), max_size=3).map(",".join),
    ),
    st.builds("{}{}".format, st.sampled_from(("", "!")), st.sampled_from(KEYS)),
)
LABELS = st.lists(CONDITIONS, max_size=3).map(",".join)
FIELDS = st.lists(
    st.builds(
        "{}{}{}".format,
        st.sampled_from(KEYS),
        st.sampled_from(("=", "==", "!=")),
        st.sampled_from(("x", "y", "", "\\,", "\\=")),
    ),
    max_size=3,
).map(",".join)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("", ""),
        (" ", ""),
        ("b,a", "a,b"),
        ("a == x", "a=x"),
        ("a in (x)", "a=x"),
        ("a notin (x)", "a!=x"),
        ("a in (y,x,y)", "a in (x,y)"),
        ("a=x,a=x", "a=x"),
        ("!a", "!a"),
        ("a>5,b<7", "a>5,b<7"),
        ("a in ()", "a="),
        ("app in (web,cart),!canary", "app in (cart,web),!canary"),
    ],
)
def test_label_selectors_have_one_text(text: str, canonical: str) -> None:
    assert selectors.canonical_labels(text) == canonical
    assert selectors.canonical_labels(canonical) == canonical


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("", ""),
        (",", ""),
        ("=", ""),
        ("!=", ""),
        ("a==x", "a=x"),
        ("b!=y,a=x", "a=x,b!=y"),
        ("a=x,,a=x,", "a=x"),
        ("a=", "a="),
        ("a=x\\,y", "a=x\\,y"),
        ("a=\\\\\\=", "a=\\\\\\="),
        ("spec.clusterIP!=None", "spec.clusterIP!=None"),
    ],
)
def test_field_selectors_have_one_text(text: str, canonical: str) -> None:
    assert selectors.canonical_fields(text) == canonical
    assert selectors.canonical_fields(canonical) == canonical


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a", "invalid selector: 'a'; can't understand 'a'"),
        ("b=1,a", "invalid selector: 'b=1,a'; can't understand 'a'"),
        ("a=b=c", "invalid field selector: unescaped character in value: 61"),
        ("a=b\\x", "invalid field selector: invalid escape sequence: \\x"),
        ("a=b\\", "invalid field selector: invalid escape sequence: \\"),
    ],
)
def test_bad_field_selectors_are_refused_in_the_api_servers_words(
    text: str, message: str
) -> None:
    with pytest.raises(RequestError) as caught:
        selectors.parse_fields(text)
    assert (caught.value.code, caught.value.message) == (400, message)


@pytest.mark.parametrize(
    ("text", "labels", "matches"),
    [
        ("", {}, True),
        ("a=x", {"a": "x"}, True),
        ("a=x", {}, False),
        ("a=", {}, False),
        ("a=", {"a": ""}, True),
        ("a!=x", {}, True),
        ("a!=x", {"a": "x"}, False),
        ("a notin (x,y)", {"a": "z"}, True),
        ("a", {"a": ""}, True),
        ("a", {}, False),
        ("!a", {}, True),
        ("!a", {"a": ""}, False),
        ("a>5", {"a": "6"}, True),
        ("a>5", {"a": "5"}, False),
        ("a<5", {"a": "4"}, True),
        ("a<5", {}, False),
        ("a>5", {"a": "x"}, False),
        ("a=x,b=y", {"a": "x", "b": "z"}, False),
    ],
)
def test_labels_match(text: str, labels: dict[str, str], *, matches: bool) -> None:
    assert selectors.label_matcher(text)(labels) is matches


@pytest.mark.parametrize(
    ("text", "value", "matches"),
    [
        ("a=x", "x", True),
        ("a=x", "", False),
        ("a!=x", "", True),
        ("a!=x", "x", False),
        ("a=", "", True),
        ("a=x\\,y", "x,y", True),
        ("a=x,a!=y", "x", True),
    ],
)
def test_fields_match(text: str, value: str, *, matches: bool) -> None:
    assert selectors.field_matcher(text)(lambda _: value) is matches


@given(LABELS)
def test_the_canonical_text_picks_the_same_labels(text: str) -> None:
    one = selectors.label_matcher(text)
    other = selectors.label_matcher(selectors.canonical_labels(text))
    assert all(one(labels) == other(labels) for labels in ALL_LABELS)


@given(LABELS, LABELS)
def test_a_containing_label_selector_misses_nothing(wide: str, narrow: str) -> None:
    assert selectors.labels_contain("", narrow)
    assert selectors.labels_contain(narrow, narrow)
    assert selectors.labels_contain(wide, f"{wide},{narrow}".strip(","))
    if selectors.labels_contain(wide, narrow):
        inside = selectors.label_matcher(narrow)
        outside = selectors.label_matcher(wide)
        assert all(outside(labels) for labels in ALL_LABELS if inside(labels))


@given(FIELDS, FIELDS)
def test_a_containing_field_selector_misses_nothing(wide: str, narrow: str) -> None:
    assert selectors.fields_contain("", narrow)
    assert selectors.fields_contain(narrow, narrow)
    if selectors.fields_contain(wide, narrow):
        inside = selectors.field_matcher(narrow)
        outside = selectors.field_matcher(wide)
        for values in itertools.product(("x", "y", "", ",", "="), repeat=2):
            value_of = dict(zip(KEYS, values, strict=True)).__getitem__
            assert outside(value_of) or not inside(value_of)


def test_containing_goes_by_what_selectors_say() -> None:
    assert selectors.labels_contain("a", "a=x,b=y")
    assert selectors.labels_contain("a in (x,y)", "a=x")
    assert not selectors.labels_contain("a=x", "a in (x,y)")
    assert not selectors.labels_contain("a=x", "")
    assert selectors.fields_contain("a!=x", "a=y")
    assert not selectors.fields_contain("a=x", "a!=y")


def test_a_selector_may_pin_one_name() -> None:
    assert selectors.pinned_name("metadata.name=edge-1") == "edge-1"
    assert selectors.pinned_name("metadata.name==a,spec.x=y") == "a"
    assert selectors.pinned_name("metadata.name!=a") == ""
    assert selectors.pinned_name("spec.nodeName=a") == ""
    assert selectors.pinned_name("") == ""


def test_the_selector_of_a_name_pins_it() -> None:
    for name in ("edge-1", "a,b=c\\d"):
        assert selectors.pinned_name(selectors.picks_name(name)) == name
    assert selectors.picks_name("x") == selectors.canonical_fields("metadata.name==x")


def test_only_name_and_namespace_are_identity() -> None:
    assert selectors.is_identity_only("")
    assert selectors.is_identity_only("metadata.name=a,metadata.namespace!=b")
    assert not selectors.is_identity_only("metadata.name=a,spec.nodeName=b")


@pytest.mark.parametrize(
    ("text", "covers"),
    [
        ("", True),
        ("metadata.name=web", True),
        ("metadata.name=other", False),
        ("metadata.name!=web", False),
        ("metadata.name!=other", True),
        ("metadata.namespace=default,metadata.name=web", True),
        ("metadata.namespace=shop", False),
        ("spec.nodeName=edge-1", False),
        ("metadata.name=web,spec.nodeName=edge-1", False),
    ],
)
def test_a_name_is_covered_whatever_the_object_holds(
    text: str, *, covers: bool
) -> None:
    assert selectors.covers_name(text, namespace="default", name="web") is covers


def test_very_long_selectors_are_read_but_not_remembered() -> None:
    text = ",".join(f"k{number}=v" for number in range(1000))
    before = selectors._labels.cache_info().currsize
    assert len(selectors.parse_labels(text)) == 1000
    assert len(selectors.parse_fields(text)) == 1000
    assert selectors._labels.cache_info().currsize == before
    assert selectors.labels_contain(text, text + ",z")
