# SPDX-License-Identifier: Apache-2.0
"""What the server adds to objects, what it refuses, and how objects go."""

import pytest

from tests.unit.testing.apiserver.kit import (
    CRONTABS,
    config_map,
    pod,
    resource,
)
from toono.testing.apiserver.query import Refusal
from toono.testing.apiserver.storage import Storage
from toono.testing.apiserver.writes import (
    DeleteOptions,
    Writes,
    check_update,
    delete_options,
)
from toono.testing.clock import VirtualClock

PODS_OF, MAPS_OF, NODES_OF = map(resource, ("pods", "configmaps", "nodes"))
STAMP = "2026-11-21T01:00:00Z"
LATER = "2026-11-21T01:00:30Z"


def writes() -> Writes:
    return Writes(Storage(0), VirtualClock(wall=1_795_222_800.0))


def meta(stored) -> dict:
    return stored.object["metadata"]


def test_a_new_object_gets_what_only_a_server_gives() -> None:
    made = writes().create(MAPS_OF, "default", config_map("a", k="v"))
    assert list(made.object) == ["kind", "apiVersion", "metadata", "data"]
    assert (made.object["kind"], made.object["apiVersion"]) == ("ConfigMap", "v1")
    assert list(meta(made)) == [
        "name", "namespace", "uid", "resourceVersion", "creationTimestamp",
    ]  # fmt: skip
    assert meta(made)["creationTimestamp"] == STAMP
    assert (meta(made)["namespace"], meta(made)["resourceVersion"]) == ("default", "1")


def test_a_writer_s_own_marks_do_not_count() -> None:
    marks = {"name": "a", "resourceVersion": "77", "deletionTimestamp": STAMP}
    made = writes().create(MAPS_OF, "default", {"metadata": marks})
    assert meta(made)["resourceVersion"] == "1"
    assert "deletionTimestamp" not in meta(made)


def test_what_is_wanted_is_counted_where_the_kind_counts() -> None:
    one = writes()
    first = one.create(PODS_OF, "default", pod("a"))
    assert meta(first)["generation"] == 1
    labelled = {**first.object, "metadata": meta(first) | {"labels": {"a": "b"}}}
    second = one.replace(PODS_OF, first, labelled)
    assert meta(second)["generation"] == 1
    third = one.replace(PODS_OF, second, {**second.object, "spec": {"nodeName": "x"}})
    assert meta(third)["generation"] == 2
    assert "generation" not in meta(one.create(MAPS_OF, "default", config_map("a")))


def test_a_generated_name_is_drawn() -> None:
    content = {"metadata": {"generateName": "web-"}}
    one = writes()
    names = {meta(one.create(MAPS_OF, "default", content))["name"] for _ in range(3)}
    assert len(names) == 3
    assert all(len(name) == 9 and name.startswith("web-") for name in names)


def test_a_cluster_s_object_has_no_namespace() -> None:
    made = writes().create(NODES_OF, "", {"metadata": {"name": "a", "namespace": "x"}})
    assert made.key == ("", "a")
    assert "namespace" not in meta(made)


@pytest.mark.parametrize(
    ("metadata", "code", "reason"),
    [
        ({}, 422, "FieldValueRequired"),
        ({"name": "UPPER"}, 422, "FieldValueInvalid"),
        ({"name": "a_b"}, 422, "FieldValueInvalid"),
        ({"name": "a" * 254}, 422, "FieldValueInvalid"),
        ({"name": "-a"}, 422, "FieldValueInvalid"),
        ({"name": "a", "namespace": "other"}, 400, ""),
    ],
)
def test_a_name_or_namespace_that_is_wrong_is_refused(
    metadata: dict, code: int, reason: str
) -> None:
    with pytest.raises(Refusal) as refusal:
        writes().create(MAPS_OF, "default", {"metadata": metadata})
    assert refusal.value.code == code
    causes = (refusal.value.details or {}).get("causes", [{"reason": ""}])
    assert causes[0]["reason"] == reason


def test_a_name_is_taken_once() -> None:
    one = writes()
    one.create(MAPS_OF, "default", config_map("a.b-c"))
    one.create(MAPS_OF, "other", config_map("a.b-c"))
    with pytest.raises(Refusal, match="already exists"):
        one.create(MAPS_OF, "default", config_map("a.b-c"))


def test_a_dry_run_leaves_nothing_behind() -> None:
    one = writes()
    made = one.create(MAPS_OF, "default", config_map("a"), dry_run=True)
    assert "resourceVersion" not in meta(made)
    with pytest.raises(Refusal, match='configmaps "a" not found'):
        one.existing(MAPS_OF, "default", "a")
    stored = one.create(MAPS_OF, "default", config_map("a"))
    dry = one.replace(
        MAPS_OF, stored, {**stored.object, "data": {"k": "v"}}, dry_run=True
    )
    assert (dry.version, dry.object["data"]) == (stored.version, {"k": "v"})
    one.delete(MAPS_OF, stored, DeleteOptions(dry_run=True))
    assert one.existing(MAPS_OF, "default", "a") is stored


def test_a_write_of_what_is_there_is_no_change() -> None:
    one = writes()
    stored = one.create(MAPS_OF, "default", config_map("a", k="v"))
    assert one.replace(MAPS_OF, stored, dict(stored.object)) is stored


def test_what_is_fixed_stays() -> None:
    one = writes()
    stored = one.create(MAPS_OF, "default", config_map("a"))
    mine = {"uid": "x", "name": "b", "namespace": "c", "creationTimestamp": "d"}
    new = one.replace(MAPS_OF, stored, {"metadata": mine, "data": {"k": "v"}})
    fixed = ("uid", "name", "namespace", "creationTimestamp")
    assert [meta(new)[key] for key in fixed] == [meta(stored)[key] for key in fixed]
    assert new.object["kind"] == "ConfigMap"


def test_status_and_the_rest_are_written_apart() -> None:
    one = writes()
    stored = one.create(PODS_OF, "default", pod("a") | {"status": {"phase": "Pending"}})
    content = {
        "metadata": meta(stored) | {"labels": {"a": "b"}},
        "spec": {"nodeName": "other"},
        "status": {"phase": "Running"},
    }
    spec = one.replace(PODS_OF, stored, content, part="spec")
    assert spec.object["spec"]["nodeName"] == "other"
    assert spec.object["status"] == {"phase": "Pending"}
    status = one.replace(PODS_OF, spec, {**content, "spec": {}}, part="status")
    assert status.object["spec"]["nodeName"] == "other"
    assert status.object["status"] == {"phase": "Running"}
    assert meta(status)["labels"] == {"a": "b"}


def test_the_status_of_a_custom_object_is_written_alone() -> None:
    one = writes()
    stored = one.create(CRONTABS, "default", {"metadata": {"name": "a"}, "spec": {}})
    content = {
        "metadata": meta(stored) | {"labels": {"a": "b"}},
        "status": {"seen": 1},
    }
    new = one.replace(CRONTABS, stored, content, part="status")
    assert new.object["status"] == {"seen": 1}
    assert "labels" not in meta(new)
    assert list(new.object) == sorted(new.object)


def test_an_update_must_be_of_this_object_and_version() -> None:
    stored = writes().create(MAPS_OF, "default", config_map("a"))
    check_update(MAPS_OF, stored, {"metadata": {}})
    check_update(MAPS_OF, stored, {})
    cases = [
        ({"name": "b"}, 400, "does not match the name on the URL"),
        ({"uid": "x"}, 409, "Key: /registry/configmaps/default/a, ResourceVersion"),
        ({"resourceVersion": "9"}, 409, "the object has been modified"),
    ]
    for metadata, code, message in cases:
        with pytest.raises(Refusal) as refusal:
            check_update(MAPS_OF, stored, {"metadata": metadata})
        assert refusal.value.code == code
        assert message in refusal.value.message


def test_a_lease_is_never_updated_blindly() -> None:
    leases = resource("leases")
    stored = writes().create(leases, "default", {"metadata": {"name": "a"}})
    with pytest.raises(Refusal, match="must be specified for an update"):
        check_update(leases, stored, {"metadata": {"name": "a"}})
    check_update(leases, stored, {"metadata": {"resourceVersion": "1"}})


def gone(one: Writes, kind, stored) -> bool:
    try:
        one.existing(kind, *stored.key)
    except Refusal:
        return True
    return False


def test_a_plain_object_goes_at_once() -> None:
    one = writes()
    stored = one.create(MAPS_OF, "default", config_map("a"))
    done = one.delete(MAPS_OF, stored, DeleteOptions())
    assert (done.whole, done.last.version) == (False, 2)
    assert gone(one, MAPS_OF, stored)


def test_a_running_pod_has_its_grace() -> None:
    one = writes()
    stored = one.create(PODS_OF, "default", pod("a"))
    done = one.delete(PODS_OF, stored, DeleteOptions())
    assert done.whole
    assert meta(done.last)["deletionTimestamp"] == LATER
    assert meta(done.last)["deletionGracePeriodSeconds"] == 30
    assert meta(done.last)["generation"] == 2
    shorter = one.delete(PODS_OF, done.last, DeleteOptions(grace=10))
    assert meta(shorter.last)["deletionGracePeriodSeconds"] == 10
    assert meta(shorter.last)["generation"] == 2
    longer = one.delete(PODS_OF, shorter.last, DeleteOptions(grace=20))
    assert longer.last is shorter.last
    assert not gone(one, PODS_OF, stored)
    ended = one.delete(PODS_OF, longer.last, DeleteOptions(grace=0))
    assert meta(ended.last)["deletionGracePeriodSeconds"] == 0
    assert gone(one, PODS_OF, stored)


def test_a_pod_s_own_grace_is_taken() -> None:
    one = writes()
    content = pod("a")
    content["spec"]["terminationGracePeriodSeconds"] = 5
    stored = one.create(PODS_OF, "default", content)
    done = one.delete(PODS_OF, stored, DeleteOptions())
    assert meta(done.last)["deletionGracePeriodSeconds"] == 5


def test_a_pod_without_a_node_goes_at_once_marked_first() -> None:
    one = writes()
    stored = one.create(PODS_OF, "default", pod("a", node=""))
    done = one.delete(PODS_OF, stored, DeleteOptions())
    assert (done.whole, done.last.version) == (True, 3)
    assert meta(done.last)["deletionTimestamp"] == STAMP
    assert gone(one, PODS_OF, stored)


def test_the_last_finalizer_lets_an_object_go() -> None:
    one = writes()
    content = {"metadata": {"name": "a", "finalizers": ["x.y/a", "x.y/b"]}}
    stored = one.create(MAPS_OF, "default", content)
    done = one.delete(MAPS_OF, stored, DeleteOptions())
    assert done.whole
    assert one.delete(MAPS_OF, done.last, DeleteOptions()).last is done.last
    left = {**done.last.object, "metadata": meta(done.last) | {"finalizers": ["x.y/b"]}}
    fewer = one.replace(MAPS_OF, done.last, left)
    assert not gone(one, MAPS_OF, stored)
    free = {**fewer.object, "metadata": {**meta(fewer), "finalizers": []}}
    last = one.replace(MAPS_OF, fewer, free)
    assert (last.version, "finalizers" in meta(last)) == (fewer.version, False)
    assert gone(one, MAPS_OF, stored)


def test_a_pod_waits_for_its_grace_after_its_finalizers() -> None:
    one = writes()
    stored = one.create(PODS_OF, "default", pod("a", finalizers=["x.y/a"]))
    done = one.delete(PODS_OF, stored, DeleteOptions())
    free = {**done.last.object, "metadata": {**meta(done.last), "finalizers": []}}
    one.replace(PODS_OF, done.last, free)
    assert not gone(one, PODS_OF, stored)


def test_an_update_of_a_pod_that_goes_does_not_end_it() -> None:
    one = writes()
    stored = one.create(PODS_OF, "default", pod("a"))
    done = one.delete(PODS_OF, stored, DeleteOptions())
    one.replace(PODS_OF, done.last, {**done.last.object, "status": {"phase": "Failed"}})
    assert not gone(one, PODS_OF, stored)


def test_preconditions_hold_or_nothing_happens() -> None:
    one = writes()
    stored = one.create(PODS_OF, "default", pod("a"))
    for options in (DeleteOptions(uid="x"), DeleteOptions(version="9")):
        with pytest.raises(Refusal, match="in the precondition") as refusal:
            one.delete(PODS_OF, stored, options)
        assert (refusal.value.code, refusal.value.details["kind"]) == (409, "Pod")
    exact = DeleteOptions(uid=meta(stored)["uid"], version="1", grace=0)
    one.delete(PODS_OF, stored, exact)
    assert gone(one, PODS_OF, stored)


def test_a_dry_run_shows_the_mark_and_leaves_none() -> None:
    one = writes()
    stored = one.create(PODS_OF, "default", pod("a"))
    done = one.delete(PODS_OF, stored, DeleteOptions(dry_run=True))
    assert meta(done.last)["deletionGracePeriodSeconds"] == 30
    assert done.last.version == stored.version
    assert one.existing(PODS_OF, "default", "a") is stored


def test_options_are_read_from_the_body_and_the_query() -> None:
    body = {
        "gracePeriodSeconds": 5,
        "preconditions": {"uid": "u", "resourceVersion": "7"},
    }
    both = delete_options(body, "9", dry_run=False)
    assert both == DeleteOptions(grace=5, uid="u", version="7")
    assert delete_options({}, "9", dry_run=False).grace == 9
    assert delete_options({}, "", dry_run=False).grace is None
    assert delete_options({"gracePeriodSeconds": -1}, "", dry_run=False).grace == 0
    assert delete_options({"dryRun": ["All"]}, "", dry_run=False).dry_run
    assert delete_options({}, "", dry_run=True).dry_run
    with pytest.raises(Refusal, match="invalid gracePeriodSeconds"):
        delete_options({}, "soon", dry_run=False)
