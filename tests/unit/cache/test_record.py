# SPDX-License-Identifier: Apache-2.0
import gzip
import threading

import msgspec
import pytest

from tests.unit.cache.kit import (
    CALLER,
    JSON_FIELDS,
    Cache,
    call,
    encode,
    not_found,
    one,
    pod,
    pod_list,
    run,
)
from toono.cache.passing import Passing
from toono.cache.record import PACKED_BYTES
from toono.kube.request import parse
from toono.wire.messages import Answer, BytesBody

PODS = "/api/v1/pods"
POD_A = "/api/v1/namespaces/default/pods/a"


def test_a_list_answers_its_own_question() -> None:
    async def scenario() -> None:
        cache = Cache()
        await cache.take(PODS, pod_list(20, pod("a", 5), pod("b", 6)))
        assert await cache.list(PODS) == (20, ["a", "b"])

    run(scenario)


def test_an_empty_list_is_empty_and_an_unasked_one_unknown() -> None:
    async def scenario() -> None:
        cache = Cache()
        await cache.take(PODS, pod_list(20))
        assert await cache.list(PODS) == (20, [])
        assert await cache.list("/api/v1/services") == "Unknown"

    run(scenario)


def test_only_a_whole_chain_of_pages_is_a_list() -> None:
    async def scenario() -> None:
        cache = Cache()
        first = pod_list(20, pod("a", 5), **{"continue": "t1"})
        await cache.take(PODS + "?limit=1", first)
        assert await cache.list(PODS) == "Unknown"
        await cache.take(PODS + "?limit=1&continue=t1", pod_list(20, pod("b", 6)))
        assert await cache.list(PODS) == (20, ["a", "b"])

    run(scenario)


def test_a_page_of_another_version_breaks_the_chain() -> None:
    async def scenario() -> None:
        cache = Cache()
        await cache.take(PODS, pod_list(20, pod("a", 5), **{"continue": "t1"}))
        await cache.take(PODS + "?continue=t1", pod_list(21, pod("b", 6)))
        assert await cache.list(PODS) == "Unknown"

    run(scenario)


def test_a_page_that_continues_nothing_we_saw_is_not_kept() -> None:
    async def scenario() -> None:
        cache = Cache()
        await cache.take(PODS + "?continue=other", pod_list(20, pod("b", 6)))
        assert await cache.list(PODS) == "Unknown"

    run(scenario)


def test_a_get_is_remembered_and_a_404_of_its_name_forgets_it() -> None:
    async def scenario() -> None:
        cache = Cache()
        await cache.take(POD_A, one(pod("a", 5)))
        assert await cache.get(POD_A) == "5"
        await cache.take(POD_A, not_found("a"), status=404)
        assert await cache.get(POD_A) == "Absent"

    run(scenario)


@pytest.mark.parametrize(
    "body", [b"404 page not found\n", not_found("other"), b"", b"{}"]
)
def test_a_404_that_names_nothing_we_asked_for_is_not_believed(body: bytes) -> None:
    async def scenario() -> None:
        cache = Cache()
        await cache.take(POD_A, one(pod("a", 5)))
        await cache.take(POD_A, body, status=404)
        assert await cache.get(POD_A) == "5"

    run(scenario)


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_write_s_answer_is_remembered(method: str) -> None:
    async def scenario() -> None:
        cache = Cache()
        await cache.take(POD_A, one(pod("a", 5)), method=method)
        assert await cache.get(POD_A) == "5"

    run(scenario)


def test_a_create_is_remembered_under_the_name_it_got() -> None:
    async def scenario() -> None:
        cache = Cache()
        await cache.take(POD_A, not_found("a"), status=404)
        path = "/api/v1/namespaces/default/pods"
        await cache.take(path, one(pod("a", 9)), method="POST", status=201)
        assert await cache.get(POD_A) == "9"

    run(scenario)


def test_a_dry_run_made_nothing() -> None:
    async def scenario() -> None:
        cache = Cache()
        await cache.take(POD_A + "?dryRun=All", one(pod("a", 5)), method="PUT")
        assert await cache.get(POD_A) == "Unknown"

    run(scenario)


def test_a_delete_removes_and_a_graceful_one_is_stored_with_its_timestamp() -> None:
    async def scenario() -> None:
        cache = Cache()
        await cache.take(POD_A, one(pod("a", 5)))
        going = pod("a", 7, deletionTimestamp="2026-11-21T00:00:00Z")
        await cache.take(POD_A, one(going), method="DELETE")
        assert await cache.get(POD_A) == "7"
        success = encode({"kind": "Status", "apiVersion": "v1", "status": "Success"})
        await cache.take(POD_A, success, method="DELETE")
        assert await cache.get(POD_A) == "Absent"

    run(scenario)


STAMP = "2026-11-21T00:00:00Z"
DUE = {"deletionTimestamp": STAMP, "deletionGracePeriodSeconds": 0}


@pytest.mark.parametrize(
    ("method", "marks", "left"),
    [
        ("DELETE", {}, "Absent"),
        ("DELETE", DUE, "Absent"),
        ("PUT", DUE, "Absent"),
        ("PATCH", DUE, "Absent"),
        ("GET", DUE, "7"),
        ("DELETE", DUE | {"finalizers": ["a/b"]}, "7"),
        ("DELETE", DUE | {"deletionGracePeriodSeconds": 1}, "7"),
        ("PUT", {}, "7"),
    ],
)
def test_an_answer_that_tells_the_last_of_an_object_removes_it(
    method: str, marks: dict, left: str
) -> None:
    async def scenario() -> None:
        cache = Cache()
        await cache.take(POD_A, one(pod("a", 5)))
        await cache.take(POD_A, one(pod("a", 7, **marks)), method=method)
        assert await cache.get(POD_A) == left

    run(scenario)


@pytest.mark.parametrize(
    "body",
    [
        b"<html>please log in</html>",
        b"",
        one(pod("b", 5)),
        one(pod("a", 5, namespace="other")),
        one(pod("a", 5) | {"kind": "Status"}),
        one(pod("a", "abc")),
        one(pod("a", "")),
        one(pod("a", 5))[:-20],
    ],
    ids=["html", "empty", "name", "namespace", "status", "text", "no-rv", "cut"],
)
def test_what_is_not_the_object_asked_for_is_not_kept(body: bytes) -> None:
    async def scenario() -> None:
        cache = Cache()
        await cache.take(POD_A, body)
        assert await cache.get(POD_A) == "Unknown"

    run(scenario)


@pytest.mark.parametrize(
    "item",
    [pod("", 5), pod("..", 5), pod("a/b", 5), pod("a", 5, namespace="..")],
    ids=["empty", "dots", "slash", "namespace"],
)
def test_a_list_with_a_hostile_name_is_not_kept(item: dict) -> None:
    async def scenario() -> None:
        cache = Cache()
        await cache.take(PODS, pod_list(20, item))
        assert await cache.list(PODS) == "Unknown"

    run(scenario)


def test_a_list_that_names_an_object_twice_is_not_kept() -> None:
    async def scenario() -> None:
        cache = Cache()
        await cache.take(PODS, pod_list(20, pod("a", 5), pod("a", 6)))
        assert await cache.list(PODS) == "Unknown"

    run(scenario)


def test_what_one_component_asked_answers_another() -> None:
    async def scenario() -> None:
        cache = Cache()
        await cache.take(PODS, pod_list(20, pod("a", 5)), agent="agent/1")
        assert await cache.list(PODS) == (20, ["a"])
        assert await cache.get(POD_A) == "5"

        await cache.take(PODS, pod_list(30, pod("a", 5), pod("b", 25)))
        assert await cache.list(PODS, agent="agent/1") == (30, ["a", "b"])

    run(scenario)


def test_who_is_not_allowed_is_not_recorded() -> None:
    async def scenario() -> None:
        cache = Cache()
        assert await cache.recorder.begin(call(PODS, agent="curl/8")) is None

    run(scenario)


def test_errors_and_redirects_are_not_kept() -> None:
    async def scenario() -> None:
        cache = Cache()
        for status in (302, 304, 401, 403, 410, 429, 500, 503):
            await cache.take(PODS, pod_list(20, pod("a", 5)), status=status)
        assert await cache.list(PODS) == "Unknown"

    run(scenario)


def test_gzip_is_unpacked_for_the_copy_that_is_kept() -> None:
    async def scenario() -> None:
        cache = Cache()
        recording = await cache.recorder.begin(call(PODS))
        body = pod_list(20, pod("a", 5))
        packed = gzip.compress(body[:50]) + gzip.compress(body[50:])
        fields = JSON_FIELDS | {b"content-encoding": b"gzip"}
        assert recording is not None
        await recording.finish(200, fields, packed)
        assert await cache.list(PODS) == (20, ["a"])

    run(scenario)


def test_the_same_answer_again_changes_nothing_and_news_in_between_does() -> None:
    async def scenario() -> None:
        cache = Cache()
        answer = one(pod("a", 5))
        await cache.take(POD_A, answer)
        await cache.take(POD_A, answer)
        serials = [scope.serial for scope in cache.scopes.all()]
        await cache.take(POD_A, answer)
        assert [scope.serial for scope in cache.scopes.all()] == serials
        await cache.take(POD_A, not_found("a"), status=404)
        assert await cache.get(POD_A) == "Absent"
        await cache.take(POD_A, answer)
        assert await cache.get(POD_A) != "Absent"

    run(scenario)


def test_what_any_scope_has_seen_tells_that_the_cloud_was_restored() -> None:
    """A list that lags would else be taken for a newer one of the same life."""

    async def scenario() -> None:
        cache = Cache()
        red = PODS + "?labelSelector=color%3Dred"
        await cache.take(PODS, pod_list(20, pod("a", 5)))
        await cache.take(red, pod_list(50))
        await cache.take(PODS, pod_list(40))
        assert cache.scopes.epoch == 1
        assert await cache.list(PODS) == (40, [])
        await cache.take(PODS, pod_list(41))
        assert cache.scopes.epoch == 1

    run(scenario)


def test_a_first_list_tells_it_too() -> None:
    async def scenario() -> None:
        cache = Cache()
        red = PODS + "?labelSelector=color%3Dred"
        await cache.take(red, pod_list(50))
        await cache.take(PODS, pod_list(40))
        assert cache.scopes.epoch == 1

    run(scenario)


def test_a_list_that_may_lag_tells_nothing_of_the_kind() -> None:
    async def scenario() -> None:
        cache = Cache()
        red = PODS + "?labelSelector=color%3Dred"
        await cache.take(red, pod_list(50))
        await cache.take(PODS + "?resourceVersion=0", pod_list(40))
        assert cache.scopes.epoch == 0
        assert await cache.list(PODS) == (40, [])

    run(scenario)


def test_who_hears_of_a_restore_second_begins_no_epoch_of_its_own() -> None:
    async def scenario() -> None:
        cache = Cache()
        red = PODS + "?labelSelector=color%3Dred"
        await cache.take(PODS + "?resourceVersion=0", pod_list(10, pod("a", 5)))
        await cache.take(red, pod_list(50))
        recording = await cache.recorder.begin(call(PODS))
        await cache.take(red, pod_list(30))
        assert recording is not None
        await recording.finish(200, JSON_FIELDS, pod_list(31, pod("b", 22)))
        assert cache.scopes.epoch == 1
        assert [one.epoch for one in cache.scopes.all()] == [1, 1]
        assert await cache.list(PODS) == (31, ["b"])

    run(scenario)


def test_what_was_written_for_people_is_kept_as_for_programs() -> None:
    async def scenario() -> None:
        cache = Cache()
        plain = pod_list(9, pod("a", 3))
        shown = msgspec.json.format(plain, indent=2)
        await cache.take("/api/v1/pods?pretty=true", shown)
        asked = call("/api/v1/pods")
        found = await cache.answers.list(asked, lambda _: True)
        other = Cache()
        await other.take("/api/v1/pods", plain)
        expected = await other.answers.list(asked, lambda _: True)
        assert found.items == expected.items

    run(scenario)


def test_whatever_may_move_a_version_counts_as_a_change() -> None:
    """Who holds an answer ready asks for it: which scope answers may be another."""

    async def scenario() -> None:
        cache = Cache()
        await cache.take(POD_A, one(pod("a", 5)))
        await cache.take(POD_A[:-1] + "b", one(pod("b", 9)))
        (scope,) = cache.scopes.of_all("", "pods", "a")
        before, version = cache.scopes.changes, scope.version
        await cache.take(POD_A, one(pod("a", 5)))
        assert scope.version > version
        assert cache.scopes.changes > before

    run(scenario)


def test_a_list_in_another_form_than_expected_replaces_what_the_last_life_knew() -> (
    None
):
    """Who asks for protobuf first gets custom resources in JSON: of that form nothing
    is in memory after a restart, and what is only in the store is replaced, too."""

    async def scenario() -> None:
        accept = b"application/vnd.kubernetes.protobuf,application/json"
        fields = {b"user-agent": b"kubelet/v1", b"accept": accept}
        asked = parse("GET", PODS.encode(), fields, CALLER)
        cache = Cache()

        async def listed(body: bytes) -> None:
            recording = await cache.recorder.begin(asked)
            assert recording is not None
            await recording.finish(200, JSON_FIELDS, body)

        await listed(pod_list(10, pod("a", 5)))
        cache = Cache(cache.store)
        await cache.scopes.open()
        await listed(pod_list(20, pod("b", 15)))
        assert await cache.list(PODS) == (20, ["b"])
        await cache.scopes.aclose()
        cache = Cache(cache.store)
        await cache.scopes.open()
        assert await cache.list(PODS) == (20, ["b"])
        await cache.scopes.aclose()

    run(scenario)


@pytest.mark.parametrize("deleted_again", [False, True])
def test_what_was_remembered_of_a_name_does_not_outlive_a_write_after_a_restart(
    deleted_again: bool,
) -> None:
    async def scenario() -> None:
        cache = Cache()
        await cache.take(POD_A, one(pod("a", 5)))
        await cache.take(POD_A, one(pod("a", 9)), method="DELETE")
        cache = Cache(cache.store)
        await cache.scopes.open()
        pods = POD_A.removesuffix("/a")
        await cache.take(pods, one(pod("a", 12)), status=201, method="POST")
        assert await cache.get(POD_A) == "12"
        await cache.scopes.aclose()
        cache = Cache(cache.store)
        await cache.scopes.open()
        if deleted_again:
            accept = b"application/vnd.kubernetes.protobuf,application/json"
            fields = {b"user-agent": b"kubelet/v1", b"accept": accept}
            asked = parse("DELETE", POD_A.encode(), fields, CALLER)
            recording = await cache.recorder.begin(asked)
            assert recording is not None
            await recording.finish(200, JSON_FIELDS, one(pod("a", 15)))
        assert await cache.get(POD_A) == ("Absent" if deleted_again else "12")
        await cache.scopes.aclose()

    run(scenario)


@pytest.mark.parametrize("size", [PACKED_BYTES, PACKED_BYTES + 1])
def test_much_that_is_packed_is_unpacked_beside_the_loop(
    size: int, monkeypatch
) -> None:
    async def scenario() -> None:
        threads: list[bool] = []
        fields = JSON_FIELDS | {b"content-encoding": b"gzip"}
        answered = Answer(
            status=200, reason=b"", headers=[], fields=fields, body=BytesBody(b"")
        )
        recording = await Cache().recorder.begin(call("/api/v1/pods"))
        assert recording is not None
        feed = Passing.feed

        def noted(self, piece: bytes) -> None:
            main = threading.main_thread()
            threads.append(threading.current_thread() is not main)
            feed(self, piece)

        monkeypatch.setattr(Passing, "feed", noted)
        await recording.feed(bytes(size), answered)
        assert threads == [size > PACKED_BYTES]

    run(scenario)
