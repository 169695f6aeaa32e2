# SPDX-License-Identifier: Apache-2.0
"""Findings follow from what is known, and from nothing else."""

from hypothesis import given
from hypothesis import strategies as st

from toono.autonomy.readiness import (
    CERTIFICATE_SECONDS,
    NEAR_SECONDS,
    Finding,
    Known,
    Level,
    Reason,
    count_reasons,
    nothing_kept,
    of_agents,
    of_certificates,
    of_notes,
    of_workload,
    unjudged,
    workload_of,
    worst_first,
)

NOW = 1_800_000_000.0
known = st.builds(
    Known,
    what=st.sampled_from(["secrets a/b", "configmaps a/c", "token of a/d"]),
    known=st.booleans(),
    forbidden=st.booleans(),
    token=st.booleans(),
    ends_at=st.sampled_from([0.0, NOW + 59, NOW + 60, NOW + NEAR_SECONDS]),
)


def survives(one: Known) -> bool:
    return one.ends_at >= NOW + 60 if one.token else one.known and not one.forbidden


@given(st.lists(known, max_size=8))
def test_a_workload_is_lost_exactly_where_something_of_it_is(needs) -> None:
    found = of_workload("a/pod", needs, now=NOW)
    lost = [one for one in found if one.level is Level.LOST]
    assert len(lost) == sum(not survives(one) for one in needs)
    assert {one.workload for one in found} <= {"a/pod"}
    assert sum(count_reasons(found).values()) == len(lost)
    assert all(one.what and one.remedy for one in found)


@given(st.lists(known, max_size=8))
def test_the_worst_is_read_first_and_nothing_twice(needs) -> None:
    found = of_workload("a/pod", needs, now=NOW)
    ordered = worst_first([*found, unjudged(), *found])
    levels = [list(Level).index(one.level) for one in ordered]
    assert levels == sorted(levels)
    assert set(ordered) == {*found, unjudged()}
    assert len(ordered) == len(set(ordered))


def test_each_lack_is_named_with_its_reason() -> None:
    needs = [
        Known("secrets a/s", known=False),
        Known("secrets a/f", known=True, forbidden=True),
        Known("token of a/t", known=True, token=True, ends_at=0.0),
        Known("token of a/u", known=True, token=True, ends_at=NOW + 65),
        Known("secrets a/k", known=True),
    ]
    found = of_workload("a/pod", needs, now=NOW)
    assert [(one.level, one.reason) for one in found] == [
        (Level.LOST, Reason.NEVER_SEEN),
        (Level.LOST, Reason.FORBIDDEN),
        (Level.LOST, Reason.TOKEN),
        (Level.SOON, Reason.TOKEN),
    ]
    assert found[0].what == "secrets a/s: never seen"
    assert found[3].what == "token of a/u: ends in 65 s"


def test_certificates_are_named_a_day_before_their_end() -> None:
    ends = {
        "a": NOW - 1,
        "b": NOW + CERTIFICATE_SECONDS - 1,
        "c": NOW + CERTIFICATE_SECONDS,
    }
    found = list(of_certificates(ends, now=NOW))
    assert [one.level for one in found] == [Level.LOST, Level.SOON]
    assert found[0].what == "a: has ended"
    assert found[1].what == "b: ends in 86399 s"


def test_who_is_not_kept_is_lost_but_for_people() -> None:
    found = list(of_agents([("cilium", ["pods", "nodes"]), ("kubectl", ["pods"])]))
    assert [one.level for one in found] == [Level.LOST, Level.NOTE]
    assert found[0].what == "pods, nodes: asked for, and not kept"
    assert found[0].remedy == "toono cache agents: add cilium"


def test_the_hubs_own_words_are_passed_on() -> None:
    (one,) = of_notes({"cache-agents": "no right", "filters": ""})
    assert (one.level, one.what) == (Level.NOTE, "cache-agents: no right")


def test_alerts_count_only_what_is_lost_by_every_reason() -> None:
    lost = Finding("a", Level.LOST, Reason.TOKEN, "x", "y")
    counts = count_reasons([lost, lost._replace(level=Level.SOON)])
    assert counts == {reason: int(reason is Reason.TOKEN) for reason in Reason}


def test_a_pod_that_is_finished_needs_nothing() -> None:
    pod = {"metadata": {"namespace": "a", "name": "b"}}
    assert workload_of(pod) == "a/b"
    for phase, name in (("Running", "a/b"), ("Succeeded", ""), ("Failed", "")):
        assert workload_of(pod | {"status": {"phase": phase}}) == name
    assert workload_of({}) == ""


def test_who_keeps_nothing_is_not_ready_and_is_told_why() -> None:
    found = nothing_kept()
    assert (found.level, found.reason) == (Level.LOST, Reason.NOT_KEPT)
    assert "--working-mode=cloud" in found.what
