# SPDX-License-Identifier: Apache-2.0
import asyncio
import errno
import json
import os
import threading

import pytest

from tests.unit.cache.kit import (
    JSON_FIELDS,
    Cache,
    bookmark,
    call,
    event,
    pod,
    pod_list,
    run,
)
from tests.unit.cache.tree_kit import (
    Copied,
    Hanging,
    Inline,
    content,
    files_of,
    rebuilt,
)
from toono.cache.scope import Question
from toono.cache.tree import read_manifest
from toono.cache.tree_disk import TreeDisk
from toono.cache.tree_files import TreeFiles
from toono.cache.tree_write import (
    CHUNK_BYTES,
    CHUNK_FILES,
    LATEST_SECONDS,
    LOOK_SECONDS,
    QUIET_SECONDS,
    SHUTDOWN_SECONDS,
    TreeWriter,
)
from toono.store.base import Batch
from toono.store.memory import MemoryStore

PODS = "/api/v1/pods"
MINE = PODS + "?fieldSelector=spec.nodeName%3Dedge-1"
POD_A = "/api/v1/namespaces/default/pods/a"
A, B = "kubelet/pods.v1.core/default/a", "kubelet/pods.v1.core/default/b"
MANIFEST = "_internal/toono/scopes.json"


class FullDisk(TreeDisk):
    """Refuses writes while it is full."""

    def __init__(self) -> None:
        self.full = True
        self.writes = 0

    def write(self, descriptor: int, content: bytes) -> None:
        self.writes += 1
        if self.full:
            os.write(descriptor, content[:3])
            raise OSError(errno.ENOSPC, "no space left")
        super().write(descriptor, content)


def test_what_the_hub_shares_lies_with_those_who_read_it_too(tmp_path) -> None:
    """YurtHub knows no sharing: it looks for services under the kubelet's name."""

    async def scenario() -> None:
        cache = Copied(tmp_path)
        services = "/api/v1/services"
        own = {"agent": "toono/1"}
        await cache.take(services, pod_list(7, pod("web", 5)), **own)
        shared = "toono/services.v1.core/default/web"
        assert await cache.copy() == [shared]
        await cache.take(MINE, pod_list(8, pod("a", 5)), agent="kubelet/v1")
        found = await cache.copy()
        assert found == [A, "kubelet/services.v1.core/default/web", shared]
        await cache.take(services + "?labelSelector=a", pod_list(9), **own)
        await cache.take(services, pod_list(10), **own)
        assert await cache.copy() == [A]
        again = await rebuilt(tmp_path)
        assert await again.list(MINE) == (8, ["a"])

    run(scenario)


def test_each_object_of_a_list_becomes_a_file_with_its_kind(tmp_path) -> None:
    async def scenario() -> None:
        cache = Copied(tmp_path)
        await cache.take(MINE, pod_list(7, pod("a", 5), pod("b", 6)))
        assert await cache.copy() == [A, B]
        text = (tmp_path / A).read_text()
        assert text.startswith('{"kind":"Pod","apiVersion":"v1","metadata":{')
        assert text.endswith("}\n")
        assert json.loads(text)["metadata"]["name"] == "a"
        assert (tmp_path / A).stat().st_mode & 0o777 == 0o600
        assert (tmp_path / A).parent.stat().st_mode & 0o777 == 0o700

    run(scenario)


def test_a_tree_that_is_up_to_date_is_not_touched(tmp_path) -> None:
    async def scenario() -> None:
        cache = Copied(tmp_path)
        await cache.take(MINE, pod_list(7, pod("a", 5)))
        await cache.copy()
        before = [(tmp_path / one).stat() for one in (A, MANIFEST)]
        await cache.take(MINE, pod_list(9, pod("a", 5)))
        await cache.copy()
        assert [(tmp_path / one).stat() for one in (A, MANIFEST)] == before
        assert cache.writer.counters.written == 1

    run(scenario)


def test_an_object_changed_ninety_times_costs_one_file(tmp_path) -> None:
    async def scenario() -> None:
        cache = Copied(tmp_path)
        await cache.take(MINE, pod_list(1, pod("a", 1)))
        watch = await cache.watch(MINE + "&watch=1&resourceVersion=1")
        for version in range(2, 92):
            watch.feed(event("MODIFIED", pod("a", version)))
        await cache.copy()
        assert cache.writer.counters.written == 1
        assert content(tmp_path, A)["metadata"]["resourceVersion"] == "91"

    run(scenario)


def test_what_the_cloud_removed_is_removed(tmp_path) -> None:
    async def scenario() -> None:
        cache = Copied(tmp_path)
        await cache.take(MINE, pod_list(7, pod("a", 5), pod("b", 6)))
        await cache.copy()
        await cache.take(MINE, pod_list(8, pod("b", 6)))
        assert await cache.copy() == [B]
        assert cache.writer.counters.removed == 1

    run(scenario)


def test_a_list_of_nothing_leaves_a_directory(tmp_path) -> None:
    async def scenario() -> None:
        cache = Copied(tmp_path)
        await cache.take(PODS, pod_list(7))
        assert await cache.copy() == []
        assert (tmp_path / "kubelet" / "pods.v1.core").is_dir()

    run(scenario)


def test_a_lost_database_is_rebuilt_from_the_tree(tmp_path) -> None:
    async def scenario() -> None:
        cache = Copied(tmp_path)
        await cache.take(MINE, pod_list(7, pod("a", 5), pod("b", 6)))
        await cache.copy()
        again = await rebuilt(tmp_path)
        assert (await again.list(MINE))[1] == ["a", "b"]
        assert await again.get(POD_A) == "5"

    run(scenario)


def test_a_rebuilt_cache_keeps_its_files_until_the_cloud_spoke(tmp_path) -> None:
    async def scenario() -> None:
        cache = Copied(tmp_path)
        await cache.take(MINE, pod_list(7, pod("a", 5), pod("b", 6)))
        await cache.copy()
        (tmp_path / B).write_text("torn")
        again = Copied(tmp_path)
        again.scopes = (await rebuilt(tmp_path)).scopes
        again.writer = TreeWriter(
            again.scopes, tmp_path, clock=again.clock, thread=Inline("tree")
        )
        assert await again.copy() == [A, B]

    run(scenario)


def test_metadata_is_kept_apart(tmp_path) -> None:
    async def scenario() -> None:
        cache = Copied(tmp_path)
        await cache.take(MINE, pod_list(7, pod("a", 5)))
        head = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1"}
        meta = {"metadata": pod("a", 6)["metadata"]}
        body = head | {"metadata": {"resourceVersion": "9"}, "items": [meta]}
        await cache.take(PODS, json.dumps(body, separators=(",", ":")).encode())
        name = "partialobjectmetadata.v1.meta.k8s.io/pods.v1.core/default/a"
        assert await cache.copy() == ["kubelet/" + name, A]
        found = content(tmp_path, "kubelet/" + name)
        assert (found["kind"], found["apiVersion"]) == (
            "PartialObjectMetadata",
            "meta.k8s.io/v1",
        )
        assert "spec" in content(tmp_path, A)

    run(scenario)


def test_the_newest_of_two_questions_wins(tmp_path) -> None:
    async def scenario() -> None:
        cache = Copied(tmp_path)
        await cache.take(PODS, pod_list(7, pod("a", 5)))
        await cache.take(MINE, pod_list(9, pod("a", 8)))
        await cache.copy()
        assert content(tmp_path, A)["metadata"]["resourceVersion"] == "8"

    run(scenario)


def test_the_manifest_tells_what_is_there(tmp_path) -> None:
    async def scenario() -> None:
        cache = Copied(tmp_path)
        await cache.take(MINE, pod_list(7, pod("a", 5)))
        await cache.copy()
        manifest = read_manifest(tmp_path)
        assert manifest is not None
        (scope,) = manifest.scopes
        assert scope.question.field_selector == "spec.nodeName=edge-1"
        assert (scope.version, scope.complete, scope.count) == (7, True, 1)
        (fact,) = manifest.files["kubelet/pods.v1.core"].values()
        assert fact.size == (tmp_path / A).stat().st_size

    run(scenario)


def test_after_a_restart_nothing_is_read_that_is_as_noted(tmp_path) -> None:
    async def scenario() -> None:
        store = MemoryStore()
        cache = Copied(tmp_path, store)
        await cache.take(MINE, pod_list(7, pod("a", 5)))
        await cache.copy()
        before = (tmp_path / MANIFEST).read_bytes()
        again = Copied(tmp_path, store)
        await again.scopes.open()
        await again.copy()
        assert [one.loaded for one in again.scopes.all()] == [False]
        assert (tmp_path / MANIFEST).read_bytes() == before
        await again.scopes.aclose()

    run(scenario)


def test_after_a_restart_a_lost_folder_is_written_again(tmp_path) -> None:
    async def scenario() -> None:
        store = MemoryStore()
        cache = Copied(tmp_path, store)
        await cache.take(MINE, pod_list(7, pod("a", 5)))
        await cache.copy()
        (tmp_path / A).unlink()
        for folder in ("default", ""):
            (tmp_path / "kubelet/pods.v1.core" / folder).rmdir()
        again = Copied(tmp_path, store)
        await again.scopes.open()
        assert await again.copy() == [A]
        await again.scopes.aclose()

    run(scenario)


def test_a_question_given_up_takes_its_files_with_it(tmp_path) -> None:
    async def scenario() -> None:
        cache = Copied(tmp_path)
        await cache.take(MINE, pod_list(7, pod("a", 5)))
        await cache.copy()
        for scope in list(cache.scopes.all()):
            assert cache.scopes.drop(scope)
        assert await cache.copy() == []
        assert not (tmp_path / "kubelet/pods.v1.core").exists()

    run(scenario)


def test_a_swept_directory_is_written_again(tmp_path) -> None:
    async def scenario() -> None:
        cache = Copied(tmp_path)
        cache.writer.start()
        await cache.take(MINE, pod_list(7, pod("a", 5)))
        await cache.clock.advance(QUIET_SECONDS + 2 * LOOK_SECONDS)
        assert files_of(tmp_path) == [A]
        for name in (MANIFEST, A):
            (tmp_path / name).unlink()
        for name in ("_internal/toono", "_internal"):
            (tmp_path / name).rmdir()
        await cache.take(MINE, pod_list(9, pod("a", 5), pod("b", 8)))
        await cache.clock.advance(LATEST_SECONDS + LOOK_SECONDS)
        assert files_of(tmp_path) == [A, B]
        assert (tmp_path / MANIFEST).exists()
        await cache.writer.aclose()

    run(scenario)


KINDS = "_internal/restmapper/cache-crd-restmapper.conf"


def test_yurthub_is_told_of_kinds_that_it_does_not_know(tmp_path) -> None:
    async def scenario() -> None:
        cache = Copied(tmp_path)
        head = {"apiVersion": "x.example.com/v1", "kind": "CronTabList"}
        body = {"items": [], "metadata": {"resourceVersion": "5"}}
        text = json.dumps({**head, **body}, separators=(",", ":"), sort_keys=True)
        await cache.take("/apis/x.example.com/v1/crontabs", text.encode())
        assert await cache.copy() == [KINDS]
        assert content(tmp_path, KINDS) == {
            "x.example.com/v1/crontab": "CronTab",
            "x.example.com/v1/crontabs": "CronTab",
        }
        before = (tmp_path / KINDS).stat()
        await cache.copy()
        assert (tmp_path / KINDS).stat() == before

    run(scenario)


def test_the_version_is_kept_where_yurthub_looks_for_it(tmp_path) -> None:
    async def scenario() -> None:
        cache = Copied(tmp_path)
        for target in ("/version", "/apis/discovery.k8s.io/v1", "/apis"):
            recording = cache.documents.begin(call(target))
            assert recording is not None
            await recording.finish(200, JSON_FIELDS, target.encode())
        assert await cache.copy() == ["_apis_discovery.k8s.io_v1", "version"]
        assert (tmp_path / "version").read_bytes() == b"/version"

    run(scenario)


def test_what_cannot_be_json_stays_in_the_database(tmp_path, caplog) -> None:
    async def scenario() -> None:
        cache = Copied(tmp_path)
        await cache.take(MINE, pod_list(7, pod("a", 5), pod("b", 6)))
        await cache.copy()
        await cache.take(MINE, pod_list(9, pod("a", 8), pod("b", 9)))
        (scope,) = cache.scopes.all()
        scope.rows["default", "a"].data = b"{}"
        assert await cache.copy() == [B]
        assert cache.writer.counters.left_out == 1
        assert [one.complete for one in (await rebuilt(tmp_path)).scopes.all()] == [
            False
        ]

    caplog.set_level("INFO")
    run(scenario)
    assert [one.path for one in caplog.records if hasattr(one, "path")] == [A]


def test_a_damaged_row_keeps_its_old_file_and_proves_nothing(tmp_path) -> None:
    async def scenario() -> None:
        cache = Copied(tmp_path)
        await cache.take(MINE, pod_list(7, pod("a", 5), pod("b", 6)))
        await cache.copy()
        await cache.take(MINE, pod_list(9, pod("a", 8), pod("b", 6)))
        (scope,) = cache.scopes.all()
        scope.rows["default", "a"].data = None
        for key, _ in (await cache.store.scan(b"r")).rows:
            cache.store.apply(Batch(deletes=[key]))
        assert await cache.copy() == [A, B]
        assert content(tmp_path, A)["metadata"]["resourceVersion"] == "5"
        manifest = read_manifest(tmp_path)
        assert manifest is not None
        assert [one.complete for one in manifest.scopes] == [False]

    run(scenario)


def test_many_objects_are_written_in_small_steps_with_rests(tmp_path) -> None:
    async def scenario() -> None:
        cache = Copied(tmp_path)
        pods = [pod(f"p-{number}", 5) for number in range(2 * CHUNK_FILES + 1)]
        await cache.take(MINE, pod_list(7, *pods))
        passing = asyncio.ensure_future(cache.writer.bring_up_to_date(pause=1.0))
        seen = []
        for _ in range(5):
            await cache.clock.advance(0.0)
            seen.append(cache.writer.counters.written)
            await cache.clock.advance(1.0)
        await passing
        assert seen == [CHUNK_FILES, 2 * CHUNK_FILES, *[2 * CHUNK_FILES + 1] * 3]

    run(scenario)


def test_large_objects_go_in_fewer_a_step(tmp_path) -> None:
    async def scenario() -> None:
        cache = Copied(tmp_path)
        filler = {"annotations": {"x": "y" * (CHUNK_BYTES - 100)}}
        await cache.take(MINE, pod_list(7, *(pod(one, 5, **filler) for one in "abc")))
        passing = asyncio.ensure_future(cache.writer.bring_up_to_date(pause=1.0))
        await cache.clock.advance(0.5)
        assert cache.writer.counters.written == 1
        await cache.clock.advance(5.0)
        await passing
        assert cache.writer.counters.written == 3

    run(scenario)


# -- when --------------------------------------------------------------------


def test_nothing_is_written_while_all_changes_but_every_quarter_hour(tmp_path) -> None:
    async def scenario() -> None:
        cache = Copied(tmp_path)
        cache.writer.start()
        for number in range(int(LATEST_SECONDS / LOOK_SECONDS) - 1):
            await cache.take(MINE, pod_list(7 + number, pod("a", 5 + number)))
            await cache.clock.advance(LOOK_SECONDS)
        assert files_of(tmp_path) == []
        await cache.clock.advance(LOOK_SECONDS)
        assert files_of(tmp_path) == [A]
        await cache.writer.aclose()

    run(scenario)


def test_it_is_written_once_all_has_been_quiet(tmp_path) -> None:
    async def scenario() -> None:
        cache = Copied(tmp_path)
        cache.writer.start()
        await cache.take(MINE, pod_list(7, pod("a", 5)))
        await cache.clock.advance(QUIET_SECONDS - 1)
        assert files_of(tmp_path) == []
        await cache.clock.advance(LOOK_SECONDS + 2)
        assert files_of(tmp_path) == [A]
        assert cache.writer.counters.passes == 1
        await cache.clock.advance(4 * LATEST_SECONDS)
        assert cache.writer.counters.passes == 1
        await cache.writer.aclose()

    run(scenario)


def test_a_shutdown_writes_what_is_left(tmp_path) -> None:
    async def scenario() -> None:
        cache = Copied(tmp_path)
        cache.writer.start()
        await cache.take(MINE, pod_list(7, pod("a", 5)))
        await cache.writer.aclose()
        assert files_of(tmp_path) == [A]

    run(scenario)


# -- disks that fail ---------------------------------------------------------


def test_a_full_disk_keeps_the_old_file_and_is_tried_again(tmp_path, caplog) -> None:
    async def scenario() -> None:
        disk = FullDisk()
        disk.full = False
        cache = Copied(tmp_path, disk=disk)
        await cache.take(MINE, pod_list(7, pod("a", 5)))
        await cache.copy()
        old = (tmp_path / A).read_bytes()
        disk.full = True
        cache.writer.start()
        await cache.take(MINE, pod_list(9, pod("a", 8), pod("b", 9)))
        await cache.clock.advance(LATEST_SECONDS + LOOK_SECONDS)
        assert (tmp_path / A).read_bytes() == old
        assert await cache.list(MINE) == (9, ["a", "b"])
        tries = disk.writes
        await cache.clock.advance(600)
        assert 8 <= disk.writes - tries <= 20
        disk.full = False
        await cache.clock.advance(61)
        assert files_of(tmp_path) == [A, B]
        assert content(tmp_path, A)["metadata"]["resourceVersion"] == "8"
        assert len(caplog.records) == 1
        await cache.writer.aclose()

    run(scenario)


def test_a_disk_that_hangs_does_not_hold_the_shutdown(tmp_path) -> None:
    async def scenario() -> None:
        cache = Cache()
        await cache.take(MINE, pod_list(7, pod("a", 5)))
        writer = TreeWriter(
            cache.scopes, tmp_path, clock=cache.clock, thread=Hanging("tree")
        )
        closing = asyncio.ensure_future(writer.aclose())
        await cache.clock.advance(SHUTDOWN_SECONDS - 1)
        assert not closing.done()
        await cache.clock.advance(1)
        await closing

    run(scenario)


def test_a_disk_that_hangs_holds_up_no_answer(tmp_path) -> None:
    class Stuck(TreeDisk):
        def __init__(self) -> None:
            self.reached, self.free = threading.Event(), threading.Event()

        def sync(self, descriptor: int) -> None:
            self.reached.set()
            assert self.free.wait(20)

    async def scenario() -> None:
        disk = Stuck()
        cache = Cache()
        writer = TreeWriter(
            cache.scopes, tmp_path, clock=cache.clock, files=TreeFiles(tmp_path, disk)
        )
        await cache.take(MINE, pod_list(7, pod("a", 5)))
        copying = asyncio.ensure_future(writer.bring_up_to_date())
        await asyncio.to_thread(disk.reached.wait, 20)
        await cache.take(MINE, pod_list(9, pod("a", 8), pod("b", 9)))
        assert await cache.list(MINE) == (9, ["a", "b"])
        disk.free.set()
        await copying
        assert content(tmp_path, A)["metadata"]["resourceVersion"] == "5"
        await writer.bring_up_to_date()
        assert files_of(tmp_path) == [A, B]
        await writer.aclose()

    run(scenario)


def test_what_is_in_the_way_does_not_stop_the_rest(tmp_path) -> None:
    async def scenario() -> None:
        cache = Copied(tmp_path)
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "kubelet").mkdir()
        (tmp_path / "kubelet/secrets.v1.core").symlink_to(tmp_path / "elsewhere")
        (tmp_path / A).mkdir(parents=True)
        (tmp_path / A / "deep").mkdir()
        await cache.take(MINE, pod_list(7, pod("a", 5), pod("b", 6)))
        secret = {"kind": "SecretList", "apiVersion": "v1"}
        secret |= {"metadata": {"resourceVersion": "3"}, "items": [pod("s", 2)]}
        await cache.take("/api/v1/secrets", json.dumps(secret).encode())
        assert B in await cache.copy()
        assert list((tmp_path / "elsewhere").iterdir()) == []

    run(scenario)


@pytest.mark.parametrize("lost", [False, True])
def test_a_scope_that_lost_rows_removes_nothing(tmp_path, lost) -> None:
    async def scenario() -> None:
        cache = Copied(tmp_path)
        await cache.take(MINE, pod_list(7, pod("a", 5), pod("b", 6)))
        await cache.copy()
        (scope,) = cache.scopes.all()
        del scope.rows["default", "b"]
        scope.serial += 1
        if lost:
            cache.scopes.doubt()
        assert await cache.copy() == ([A, B] if lost else [A])

    run(scenario)


def test_a_bookmark_alone_writes_nothing(tmp_path) -> None:
    async def scenario() -> None:
        cache = Copied(tmp_path)
        await cache.take(MINE, pod_list(1, pod("a", 1)))
        await cache.copy()
        before = (tmp_path / MANIFEST).stat()
        watch = await cache.watch(MINE + "&watch=1&resourceVersion=1")
        watch.feed(bookmark(50))
        await cache.copy()
        assert (tmp_path / MANIFEST).stat() == before

    run(scenario)


def test_two_components_have_their_own(tmp_path) -> None:
    async def scenario() -> None:
        cache = Copied(tmp_path)
        await cache.take(PODS, pod_list(7, pod("a", 5)))
        await cache.take(PODS, pod_list(7, pod("a", 5)), agent="agent/1")
        assert await cache.copy() == [A.replace("kubelet", "agent"), A]
        questions = [one.question for one in cache.scopes.all()]
        assert all(isinstance(one, Question) for one in questions)

    run(scenario)
