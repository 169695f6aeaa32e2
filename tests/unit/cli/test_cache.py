# SPDX-License-Identifier: Apache-2.0
import asyncio
import json
import sqlite3

import pytest
from click.testing import CliRunner

from tests.unit.cache.kit import Cache, one, partial_list, pod, pod_list, table
from toono.cli.cache import command
from toono.runtime.clock import SystemClock
from toono.store.sqlite import NAME, open_store


@pytest.fixture
def cache(tmp_path):
    """A cache directory with two questions of the kubelet."""

    async def fill() -> None:
        directory = tmp_path / "_internal" / "toono"
        store = await open_store(directory, clock=SystemClock())
        filled = Cache(store)
        await filled.take(
            "/api/v1/pods?fieldSelector=spec.nodeName%3Dedge-1",
            pod_list(20, pod("a", 5), pod("b", 6)),
        )
        await filled.take("/api/v1/namespaces/default/pods/a", one(pod("a", 9)))
        await filled.scopes.aclose()
        await store.aclose()

    asyncio.run(fill())
    return tmp_path


def call(cache, *arguments: str):
    return CliRunner().invoke(
        command, [*arguments, "--disk-cache-path", str(cache)], catch_exceptions=True
    )


def test_ls_shows_each_question_with_its_version_and_state(cache) -> None:
    result = call(cache, "ls", "-o", "json")
    rows = json.loads(result.output)
    found = [(r["resource"], r["question"], r["version"], r["state"]) for r in rows]
    assert found == [
        ("pods.v1", "spec.nodeName=edge-1", 20, "complete"),
        ("pods.v1", "-n default a", 20, "complete"),
    ]
    assert "spec.nodeName=edge-1" in call(cache, "ls").output


def test_get_prints_the_newest_form_of_an_object(cache) -> None:
    result = call(cache, "get", "kubelet", "pods", "default/a")
    content = json.loads(result.output)
    assert (content["kind"], content["metadata"]["name"]) == ("Pod", "a")


def test_get_prefers_a_whole_object_to_a_newer_table_and_metadata(tmp_path) -> None:
    fill_in_part(tmp_path, whole=True)
    result = call(tmp_path, "get", "agent", "pods", "default/a")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["kind"] == "Pod"
    assert result.stderr == ""


def test_get_shows_what_was_seen_where_no_object_was(tmp_path) -> None:
    fill_in_part(tmp_path, whole=False)
    result = call(tmp_path, "get", "agent", "pods", "default/a")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["kind"] == "Table"
    assert "only this was seen of it: table" in result.stderr


def test_ls_tells_the_form_of_each_answer(tmp_path) -> None:
    fill_in_part(tmp_path, whole=True)
    rows = json.loads(call(tmp_path, "ls", "-o", "json").output)
    assert sorted(row["form"] for row in rows) == ["json", "metadata json", "table"]
    assert "FORM" in call(tmp_path, "ls").output


def fill_in_part(directory, *, whole: bool) -> None:
    async def fill() -> None:
        place = directory / "_internal" / "toono"
        store = await open_store(place, clock=SystemClock())
        filled = Cache(store)
        if whole:
            content = pod_list(20, pod("a", 5))
            await filled.take("/api/v1/pods", content, agent="agent/1")
        await filled.take("/api/v1/pods", partial_list(21, "a"), agent="agent/1")
        await filled.take("/api/v1/pods", table(22, "a"), agent="agent/1")
        await filled.scopes.aclose()
        await store.aclose()

    asyncio.run(fill())


def test_get_of_an_unknown_name_says_so(cache) -> None:
    result = call(cache, "get", "kubelet", "pods", "default/zzz")
    assert result.exit_code == 1
    assert "remembers no pods default/zzz" in result.output


def test_verify_finds_nothing_in_a_sound_cache(cache) -> None:
    result = call(cache, "verify")
    assert result.exit_code == 0
    assert "2 questions, 3 objects, 0 problems" in result.output


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE rows SET value = x'00' WHERE key >= x'72'",
        "DELETE FROM rows WHERE id = (SELECT max(id) FROM rows WHERE key < x'73')",
        "UPDATE rows SET crc = crc + 1 WHERE key >= x'73'",
    ],
    ids=["bytes", "lost", "checksum"],
)
def test_verify_finds_damage(cache, damage: str) -> None:
    path = cache / "_internal" / "toono" / NAME
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(damage)
    connection.close()
    result = call(cache, "verify")
    assert result.exit_code == 1, result.output


def test_no_cache_is_said_with_the_option_to_change(tmp_path) -> None:
    result = call(tmp_path, "verify")
    assert result.exit_code == 1
    assert "--disk-cache-path" in str(result.exception)


def test_where_nothing_is_remembered_that_is_said(tmp_path) -> None:
    async def make() -> None:
        place = tmp_path / "_internal" / "toono"
        await (await open_store(place, clock=SystemClock())).aclose()

    asyncio.run(make())
    assert call(tmp_path, "ls").output == "nothing is remembered\n"
    assert json.loads(call(tmp_path, "ls", "-o", "json").output) == []
