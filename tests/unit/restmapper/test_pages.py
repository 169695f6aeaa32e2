# SPDX-License-Identifier: Apache-2.0
"""Which of a page's documents to believe."""

from toono.restmapper import APIResource, Scope
from toono.restmapper.discovery import (
    Document,
    Form,
    GroupDocument,
    VersionDocument,
)
from toono.restmapper.fetch import Page, Reading
from toono.restmapper.limits import Backoff
from toono.restmapper.pages import SURE, PageState, common, loses, union
from toono.restmapper.values import GroupVersionKind


def group(name="x", **versions):
    """`v1="ab"` serves a and b; `v1=None` cannot be told."""
    return GroupDocument(
        name,
        tuple(
            VersionDocument(
                version, None if names is None else tuple(map(resource, names))
            )
            for version, names in versions.items()
        ),
    )


def resource(name):
    kind = GroupVersionKind("x", "v1", name.upper())
    return APIResource(name, name, kind, Scope.CLUSTER)


def reading(*groups, mark=None):
    return Reading(document=Document(Form.AGGREGATED, mark or str(groups), "", groups))


def state(*groups):
    page = PageState(Page("/apis"), Backoff(first=1, most=2))
    if groups:
        page.believe(reading(*groups))
    return page


FULL = group(v1="ab", v2="c")


def test_what_a_document_loses():
    for less in (
        (),
        (group(v1="ab"),),
        (group(v1="a", v2="c"),),
        (group("y", v1="ab", v2="c"),),
    ):
        assert loses([FULL], less)
    for as_much in (FULL, group(v1="abd", v2="c"), group(v1=None, v2="c", v3="z")):
        assert not loses([FULL], [as_much])
    assert not loses([group(v1=None)], [group(v1="")])


def test_a_union_has_all_and_the_newer_word_for_what_both_have():
    assert union([group(v1="a")], [group("y", v1="b")]) == (
        group("y", v1="b"),
        group(v1="a"),
    )
    assert union([group(v1="ab", v2="c")], [group(v3="d", v1="b")]) == (
        group(v3="d", v1="ba", v2="c"),
    )
    assert union([group(v1="a")], [group(v1=None)]) == (group(v1="a"),)
    assert union([group(v1=None)], [group(v1="a")]) == (group(v1="a"),)


def test_what_two_have_in_common():
    assert common([FULL], [group(v1="ax", v3="c")]) == (group(v1="a"),)
    assert common([FULL], [FULL]) == (FULL,)
    assert common([FULL], [group("y", v1="ab")]) == ()
    assert common([FULL], [group(v1=None, v2=None)]) == (FULL,)


def test_what_somebody_asked_for_is_believed_and_a_poll_needs_a_second():
    page = state(FULL)
    less, more = reading(group(v1="ab")), reading(group(v1="abx", v2="c"))
    assert page.doubts(less, asked=True) == 0
    assert page.doubts(less, asked=False) == 1
    assert page.doubts(more, asked=False) == 0
    assert page.doubts(Reading(absent=True), asked=False) == 1
    assert page.doubts(Reading(failure="503"), asked=False) == 0
    assert page.doubts(Reading(unchanged=True), asked=False) == 0


def test_the_first_document_and_one_after_a_file_are_believed():
    assert state().doubts(reading(FULL), asked=False) == 0
    page = state(FULL)
    page.from_disk = True
    assert page.doubts(reading(group(v1="a")), asked=False) == 0


def test_a_document_that_was_replaced_must_be_told_several_times():
    page = state(FULL)
    page.believe(reading(group(v1="abx", v2="c")))
    assert page.doubts(reading(FULL), asked=True) == SURE
    assert page.doubts(reading(FULL), asked=False) == SURE


def test_while_servers_differ_what_any_of_them_has_stays():
    page = state(FULL)
    page.disbelieve(reading(group(v1="a", v2="c")), reading(group(v1="b", v3="d")))
    assert page.skewed
    (found,) = page.content
    served = {
        each.version: {one.resource for one in each.resources}
        for each in found.versions
    }
    assert served == {"v1": {"a", "b"}, "v2": {"c"}, "v3": {"d"}}
    assert page.doubts(reading(group(v1="a")), asked=True) == SURE


def test_a_second_reading_that_fails_takes_nothing_away():
    page = state(FULL)
    page.disbelieve(reading(group(v1="a")), Reading(failure="503"))
    assert not loses([FULL], page.content)
    assert page.skewed


def test_agreement_ends_the_difference():
    page = state(FULL)
    page.disbelieve(reading(group(v1="a")), reading(FULL))
    last = reading(group(v1="a"))
    assert page.agree(last, reading(group(v1="a")))
    assert page.agree(last, Reading(unchanged=True))
    assert not page.agree(last, reading(FULL))
    assert not page.agree(last, Reading(failure="503"))
    assert not page.agree(last, Reading(absent=True))
    assert page.agree(Reading(absent=True), Reading(absent=True))
    page.believe(last)
    assert (page.content, page.skewed) == ((group(v1="a"),), False)
