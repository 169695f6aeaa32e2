# SPDX-License-Identifier: Apache-2.0
"""Rows laid over documents."""

from toono.restmapper import APIResource, GroupVersion, Scope, Source, State
from toono.restmapper.overlay import Row, agrees, lay
from toono.restmapper.snapshot import GroupRecord, VersionRecord
from toono.restmapper.values import GroupVersionKind

X = "x.example.com"
V1, V2 = GroupVersion(X, "v1"), GroupVersion(X, "v2")


def resource(plural, kind="", gv=V1, **facts):
    kind = kind or plural.removesuffix("s").capitalize()
    of = GroupVersionKind(gv.group, gv.version, kind)
    return APIResource(plural, plural.removesuffix("s"), of, Scope.NAMESPACED, **facts)


def record(gv, *resources, **facts):
    return VersionRecord(gv, resources, State.FRESH, Source.LEGACY, 1.0, **facts)


def row(gv, plural, there=True, source=Source.CRD, **facts):
    told = resource(plural, gv=gv, **facts) if there else None
    return Row(gv, plural, told, source, born=1, until=10.0)


def laid(groups, records, *rows, silent=()):
    listed = [GroupRecord(X, versions) for versions in groups]
    after, told = lay(
        listed, {each.gv: each for each in records}, rows, 5.0, silent=silent
    )
    return (
        [each.versions for each in after],
        {gv: [one.resource for one in told[gv].resources] for gv in told},
        told,
    )


def test_what_comes_is_put_where_it_belongs():
    shown = [record(V1, resource("drivers"))]
    groups, names, told = laid([("v1",)], shown, row(V1, "riders"), row(V2, "pilots"))
    assert groups == [("v1", "v2")]
    assert names == {V1: ["drivers", "riders"], V2: ["pilots"]}
    assert (told[V2].source, told[V2].state) == (Source.CRD, State.FRESH)
    assert told[V2].confirmed


def test_versions_of_a_new_group_come_in_the_order_of_kubernetes():
    beta = GroupVersion(X, "v1beta1")
    groups, _, _ = laid([], [], row(beta, "a"), row(V1, "a"), row(V2, "a"))
    assert groups == [("v2", "v1", "v1beta1")]


def test_a_version_that_no_document_shows_comes_last():
    groups, _, _ = laid([("v1",)], [record(V1)], row(V2, "pilots"))
    assert groups == [("v1", "v2")]


def test_what_goes_takes_an_empty_version_and_an_empty_group_along():
    shown = [record(V1, resource("drivers")), record(V2, resource("drivers", gv=V2))]
    gone = [row(V1, "drivers", there=False), row(V2, "drivers", there=False)]
    groups, names, _ = laid([("v2", "v1")], shown, gone[0])
    assert (groups, list(names)) == ([("v2",)], [V2])
    groups, names, _ = laid([("v2", "v1")], shown, *gone)
    assert (groups, names) == ([], {})


def test_what_goes_leaves_its_neighbours_and_what_nobody_can_tell():
    both = record(V1, resource("drivers"), resource("riders"))
    gone = row(V1, "drivers", there=False)
    assert laid([("v1",)], [both], gone)[1] == {V1: ["riders"]}
    unclear = record(V1, resource("drivers"), error="503")
    groups, names, _ = laid([("v1",)], [unclear], gone)
    assert (groups, names) == ([("v1",)], {V1: []})


def test_what_was_never_there_does_not_go():
    assert laid([("v1",)], [], row(V2, "drivers", there=False))[0] == [("v1",)]


def test_a_row_from_a_file_is_in_question_until_nobody_answers():
    kept = row(V1, "drivers", source=Source.DISK)
    told = laid([], [], kept)[2][V1]
    assert (told.state, told.confirmed) == (State.STALE, False)
    assert laid([], [], kept, silent=["/apis"])[2][V1].confirmed
    assert not laid([], [], kept, silent=["/api"])[2][V1].confirmed


def test_a_row_with_which_the_documents_agree_changes_nothing():
    shown = record(V1, resource("drivers", verbs=("get", "list")))
    same = row(V1, "drivers", verbs=("list", "get"))
    assert laid([("v1",)], [shown], same)[2][V1] is shown


def test_when_documents_agree():
    shown = {V1: record(V1, resource("drivers", verbs=("get",)))}
    assert agrees(row(V1, "drivers", verbs=("get",)), shown)
    assert not agrees(row(V1, "drivers", verbs=("list",)), shown)
    assert not agrees(row(V1, "drivers", kind="Pilot", verbs=("get",)), shown)
    assert not agrees(row(V2, "drivers"), shown)
    assert not agrees(row(V1, "drivers", there=False), shown)
    assert agrees(row(V1, "riders", there=False), shown)
    assert agrees(row(V2, "drivers", there=False), shown)


def test_a_learned_row_knows_its_kind_only():
    shown = {V1: record(V1, resource("drivers", verbs=("get",)))}
    assert agrees(row(V1, "drivers", source=Source.LEARNED), shown)
    assert not agrees(row(V1, "drivers", kind="P", source=Source.LEARNED), shown)
