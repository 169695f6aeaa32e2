# SPDX-License-Identifier: Apache-2.0
import asyncio
import json
import os
import zlib
from pathlib import Path

import pytest

from tests.unit.cache.kit import Cache, Journal, pod, pod_list, run
from toono.cache import persist
from toono.cache.forms import JSON
from toono.cache.scope import Question
from toono.cache.tree import adopt_tree, read_documents, read_manifest, read_tree
from toono.cache.tree_manifest import FileFact, Manifest, ScopeFact, encode
from toono.testing.clock import settle

PODS = "/api/v1/pods"
POD_A = "/api/v1/namespaces/default/pods/a"


def write(path: Path, content) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = (
        content
        if isinstance(content, str)
        else json.dumps(content, separators=(",", ":"))
    )
    path.write_text(text + "\n")
    return path


def whole(name: str, version: int, **meta) -> dict:
    return {"kind": "Pod", "apiVersion": "v1"} | pod(name, version, **meta)


@pytest.fixture
def pods(tmp_path) -> Path:
    folder = tmp_path / "kubelet" / "pods.v1.core" / "default"
    write(folder / "a", whole("a", 5))
    write(folder / "b", whole("b", 6))
    return folder


async def imported(path: Path, store=None) -> Cache:
    cache = Cache(store)
    adopt_tree(cache.scopes, read_tree(path))
    return cache


def test_a_cache_of_yurthub_s_is_shown_and_proves_no_absence(tmp_path, pods) -> None:
    async def scenario() -> None:
        cache = await imported(tmp_path)
        assert (await cache.list(PODS))[1] == ["a", "b"]
        assert await cache.get(POD_A) == "5"
        assert await cache.get(POD_A[:-1] + "zzz") == "Unknown"
        assert await cache.list(PODS, agent="kube-proxy/1") == "Unknown"

    run(scenario)


def test_selectors_are_applied_to_what_was_imported(tmp_path, pods) -> None:
    async def scenario() -> None:
        cache = await imported(tmp_path)
        mine = PODS + "?fieldSelector=spec.nodeName%3Dedge-1"
        assert (await cache.list(mine))[1] == ["a", "b"]
        other = PODS + "?fieldSelector=spec.nodeName%3Dedge-2"
        assert await cache.list(other) == "Unknown"

    run(scenario)


def test_the_first_answer_from_the_cloud_replaces_it(tmp_path, pods) -> None:
    async def scenario() -> None:
        cache = await imported(tmp_path)
        await cache.take(PODS, pod_list(3, pod("c", 2)))
        assert await cache.list(PODS) == (3, ["c"])

    run(scenario)


def test_a_narrower_list_from_the_cloud_retires_it_too(tmp_path, pods) -> None:
    async def scenario() -> None:
        cache = await imported(tmp_path)
        mine = PODS + "?fieldSelector=spec.nodeName%3Dedge-1"
        await cache.take(mine, pod_list(9, pod("b", 6)))
        assert await cache.get(POD_A) == "Unknown"  # deleted: no ghost
        assert await cache.list(PODS) == "Unknown"
        assert await cache.list(mine) == (9, ["b"])

    run(scenario)


def test_it_goes_after_a_restart_too_before_anybody_has_looked_at_it(
    tmp_path, pods
) -> None:
    async def scenario() -> None:
        cache = await imported(tmp_path)
        again = Cache(cache.store)
        await again.scopes.open()
        mine = PODS + "?fieldSelector=spec.nodeName%3Dedge-1"
        await again.take(mine, pod_list(9, pod("b", 6)))
        assert await again.get(POD_A) == "Unknown"
        assert await again.list(PODS) == "Unknown"
        await again.scopes.aclose()

    run(scenario)


@pytest.mark.parametrize("lists", [1, 2])
def test_it_goes_no_sooner_than_what_replaces_it_is_kept(
    lists, tmp_path, pods, monkeypatch
) -> None:
    """A crash in between would leave a node that starts cut off with nothing."""
    monkeypatch.setattr(persist, "WRITE_AHEAD_BYTES", 10)

    async def scenario() -> None:
        store = Journal()
        cache = await imported(tmp_path, store)
        await asyncio.sleep(0)
        before = len(store.batches)
        mine = PODS + "?fieldSelector=spec.nodeName%3Dedge-1"
        two = pod("a", 5), pod("b", 6)
        answers = [cache.take(mine, pod_list(9 + n, *two)) for n in range(lists)]
        await asyncio.gather(*answers)
        await settle()
        for steps in range(before, len(store.batches) + 1):
            again = Cache(await store.after(steps))
            await again.scopes.open()
            assert (await again.list(mine))[1] == ["a", "b"]
            assert await again.get(POD_A) == "5"
            await again.scopes.aclose()
        assert not [one for one in cache.scopes.all() if one.imported and one.rows]

    run(scenario)


def test_it_stays_where_what_should_replace_it_is_lost(tmp_path, pods) -> None:
    async def scenario() -> None:
        store = Journal()
        cache = await imported(tmp_path, store)
        mine = PODS + "?fieldSelector=spec.nodeName%3Dedge-1"
        store.full = True
        await cache.take(mine, pod_list(9, pod("b", 6)))
        store.full = False
        assert await cache.get(POD_A) == "5"

    run(scenario)


def test_an_empty_directory_is_no_empty_list(tmp_path) -> None:
    (tmp_path / "kubelet" / "pods.v1.core").mkdir(parents=True)

    async def scenario() -> None:
        assert await (await imported(tmp_path)).list(PODS) == "Unknown"

    run(scenario)


def test_the_older_layout_takes_versions_from_the_objects(tmp_path) -> None:
    write(tmp_path / "kubelet" / "pods" / "default" / "a", whole("a", 5))
    (found,) = read_tree(tmp_path)
    assert found.resource == ("kubelet", "", "v1", "pods")


@pytest.mark.parametrize(("backup", "expected"), [(9, "9"), (2, "5")])
def test_beside_a_backup_the_higher_version_wins(
    tmp_path, pods, backup, expected
) -> None:
    write(pods / "tmp_a", whole("a", backup))

    async def scenario() -> None:
        assert await (await imported(tmp_path)).get(POD_A) == expected

    run(scenario)


def test_a_backup_of_a_whole_directory_is_read(tmp_path) -> None:
    folder = tmp_path / "kubelet" / "tmp_pods.v1.core" / "default"
    write(folder / "a", whole("a", 5))

    async def scenario() -> None:
        assert await (await imported(tmp_path)).get(POD_A) == "5"

    run(scenario)


def test_files_that_are_not_what_they_should_be_are_passed_over(tmp_path, pods) -> None:
    write(pods / "empty", "")
    write(pods / "zeros", "\0" * 100)
    write(pods / "half", json.dumps(whole("half", 7))[:60])
    write(pods / "other-name", whole("c", 7))
    write(pods / "other-namespace", whole("other-namespace", 7, namespace="shop"))
    write(pods / "no-version", whole("no-version", "x"))
    (pods / "directory").mkdir()
    os.mkfifo(pods / "fifo")
    (pods / "link").symlink_to("/etc/passwd")
    write(
        tmp_path / "kubelet" / "services.v1.core" / "default" / "a",
        whole("a", 5) | {"apiVersion": "x/v1"},
    )
    write(tmp_path / "kubelet" / "partialobjectmetadatas.v1.meta.k8s.io" / "x", "{}")
    write(tmp_path / "_internal" / "x" / "y", whole("y", 5))
    write(tmp_path / "version", "{}")
    (found,) = read_tree(tmp_path)
    assert sorted(single.object.name for single in found.singles) == ["a", "b"]


def test_what_the_cloud_said_is_never_replaced_by_a_file(tmp_path, pods) -> None:
    async def scenario() -> None:
        cache = Cache()
        await cache.take(PODS, pod_list(3, pod("c", 2)))
        adopt_tree(cache.scopes, read_tree(tmp_path))
        assert await cache.list(PODS) == (3, ["c"])

    run(scenario)


def test_nothing_there_is_nothing_read(tmp_path) -> None:
    assert read_tree(tmp_path / "nowhere") == []


def test_a_restart_still_knows_that_it_was_imported(tmp_path, pods) -> None:
    async def scenario() -> None:
        cache = await imported(tmp_path)
        await cache.scopes.aclose()
        again = Cache(cache.store)
        await again.scopes.open()
        assert (await again.list(PODS))[1] == ["a", "b"]
        assert await again.get(POD_A[:-1] + "zzz") == "Unknown"
        await again.scopes.aclose()

    run(scenario)


def metadata(name: str, version: int, api_version: str = "meta.k8s.io/v1") -> dict:
    meta = {"name": name, "uid": "u-" + name, "resourceVersion": str(version)}
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": api_version,
        "metadata": meta,
    }


@pytest.mark.parametrize(
    "folder",
    [
        "partialobjectmetadata.v1.meta.k8s.io/nodes.v1.core",
        "partialobjectmetadatas.v1.meta.k8s.io/nodes.v1.core",
        "partialobjectmetadatas.v1.meta.k8s.io/nodes",
        "partialobjectmetadatas/nodes",
        "tmp_partialobjectmetadatas.v1.meta.k8s.io/nodes.v1.core",
    ],
)
def test_metadata_is_read_in_apart_in_every_spelling(tmp_path, folder) -> None:
    write(tmp_path / "agent" / folder / "a", metadata("a", 5))
    (found,) = read_tree(tmp_path)
    assert found.resource == ("agent", "", "v1", "nodes")
    assert found.form == "application/json;as=PartialObjectMetadata"
    assert found.list_kind == "PartialObjectMetadataList"


def test_metadata_and_whole_objects_are_never_mixed(tmp_path) -> None:
    partial = tmp_path / "agent" / "partialobjectmetadata.v1.meta.k8s.io"
    write(partial / "pods.v1.core" / "default" / "a", whole("a", 5))
    write(tmp_path / "agent" / "nodes.v1.core" / "b", metadata("b", 5))
    assert read_tree(tmp_path) == []


def test_metadata_that_was_imported_answers_no_question_for_the_object(
    tmp_path,
) -> None:
    partial = tmp_path / "kubelet" / "partialobjectmetadata.v1.meta.k8s.io"
    document = metadata("a", 5)
    document["metadata"]["namespace"] = "default"
    write(partial / "pods.v1.core" / "default" / "a", document)

    async def scenario() -> None:
        cache = await imported(tmp_path)
        (scope,) = cache.scopes.all()
        assert scope.kind == "PartialObjectMetadata"
        assert scope.question.media_type.endswith("PartialObjectMetadata")
        assert scope.imported

    run(scenario)


def vouch(tmp_path: Path, folder: str, facts: dict) -> None:
    question = Question("kubelet", "x.io", "v1", "mice", "", "", "", "", JSON)
    fact = ScopeFact(
        question=question,
        kind="Mouse",
        list_kind="MouseCollection",
        version=9,
        epoch=0,
        complete=True,
        count=1,
    )
    path = tmp_path / "_internal" / "toono" / "scopes.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(encode(Manifest(scopes=(fact,), files={folder: facts})))


def fact_of(path: Path, version: int) -> FileFact:
    content = path.read_bytes()
    return FileFact(zlib.crc32(content), len(content), "u", str(version), 0)


def test_a_damaged_file_is_not_read_where_a_manifest_vouches_for_it(
    tmp_path, pods
) -> None:
    facts = {f"default/{name}": fact_of(pods / name, 5) for name in "ab"}
    vouch(tmp_path, "kubelet/pods.v1.core", facts)
    write(pods / "a", whole("a", 5, labels={"flipped": "bit"}))
    write(pods / "b", whole("b", 7))  # written after the manifest
    (found,) = read_tree(tmp_path)
    assert [single.object.name for single in found.singles] == ["b"]


def test_a_manifest_vouches_for_metadata_by_its_own_folder(tmp_path) -> None:
    folder = "agent/partialobjectmetadata.v1.meta.k8s.io/nodes.v1.core"
    path = write(tmp_path / folder / "a", metadata("a", 5))
    vouch(tmp_path, folder, {"a": fact_of(path, 5)})
    write(path, metadata("a", 5) | {"x": 1})
    assert read_tree(tmp_path) == []


def test_a_manifest_tells_how_a_list_is_called(tmp_path) -> None:
    mouse = {
        "apiVersion": "x.io/v1",
        "kind": "Mouse",
        "metadata": {"name": "m", "resourceVersion": "4", "uid": "u"},
    }
    write(tmp_path / "kubelet" / "mice.v1.x.io" / "m", mouse)
    vouch(tmp_path, "", {})
    (found,) = read_tree(tmp_path)
    assert found.list_kind == "MouseCollection"


@pytest.mark.parametrize("content", [b"", b"{", b"\0" * 100])
def test_a_damaged_manifest_vouches_for_nothing_and_stops_nothing(
    tmp_path, pods, content
) -> None:
    path = tmp_path / "_internal" / "toono" / "scopes.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    assert read_manifest(tmp_path) is None
    assert len(read_tree(tmp_path)) == 1


def test_a_manifest_that_is_no_plain_file_is_none(tmp_path) -> None:
    path = tmp_path / "_internal" / "toono" / "scopes.json"
    path.parent.mkdir(parents=True)
    os.mkfifo(path)
    assert read_manifest(tmp_path) is None


def test_documents_that_yurthub_kept_are_read(tmp_path) -> None:
    assert read_documents(tmp_path) == {}
    write(tmp_path / "version", {"major": "1"})
    write(tmp_path / "_apis_discovery.k8s.io_v1", "torn {")
    write(tmp_path / "_apis_discovery.k8s.io_v1beta1", "[]")
    (tmp_path / "_apis_raven.openyurt.io_v1beta1").symlink_to(tmp_path / "version")
    os.utime(tmp_path / "version", (5, 5))
    assert read_documents(tmp_path) == {"/version": (b'{"major":"1"}\n', 5.0)}


def test_more_files_than_are_read_in_are_left_out(
    tmp_path, monkeypatch, caplog
) -> None:
    monkeypatch.setattr("toono.cache.tree.MAX_FILES", 3)
    for component in ("a", "b", "c"):
        for name in ("x", "y"):
            folder = tmp_path / component / "pods.v1.core" / "default"
            write(folder / name, whole(name, 5))
    assert [found.resource.component for found in read_tree(tmp_path)] == ["a"]
    assert [one.message for one in caplog.records] == ["more files than are read in"]
