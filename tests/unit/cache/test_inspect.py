# SPDX-License-Identifier: Apache-2.0
import asyncio
import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.cache.kit import Cache, one, partial_list, pod, pod_list, table
from toono.cache.inspect import (
    form_name,
    is_whole,
    lost_questions,
    remembered,
    single,
)
from toono.cache.rows import SCOPE_PREFIX, decode_scope
from toono.errors import StoreUnavailableError
from toono.runtime.clock import SystemClock
from toono.store.sqlite import NAME, open_store

PODS = "/api/v1/pods"
POD = "/api/v1/namespaces/default/pods/c"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A cache of one list of two pods, and one pod by name."""

    async def fill() -> None:
        store = await open_store(tmp_path, clock=SystemClock())
        cache = Cache(store)
        await cache.take(PODS, pod_list(20, pod("a", 5), pod("b", 6)))
        await cache.take(POD, one(pod("c", 30)))
        await cache.scopes.aclose()
        await store.aclose()

    asyncio.run(fill())
    return tmp_path / NAME


def by_name(database: Path) -> dict[str, object]:
    return {found.question.name: found for found in remembered(database)}


def test_every_question_is_found_with_its_objects(database: Path) -> None:
    found = by_name(database)
    assert set(found) == {"", "c"}
    listed = found[""]
    assert (listed.question.component, listed.question.resource) == ("kubelet", "pods")
    assert (listed.version, listed.problems) == (20, ())
    assert set(listed.objects) == {("default", "a"), ("default", "b")}
    assert found["c"].version == 30
    assert listed.number != found["c"].number
    assert lost_questions(database) == 0


def test_an_object_is_shown_as_a_get_would(database: Path) -> None:
    listed = by_name(database)[""]
    shown = single(listed, ("default", "a"))
    assert shown is not None
    assert json.loads(shown) == json.loads(one(pod("a", 5)))
    assert single(listed, ("default", "zzz")) is None
    odd = listed.question._replace(media_type="text/odd")
    strange = type(listed)(
        listed.number, odd, listed.row, listed.version, listed.objects, ()
    )
    assert single(strange, ("default", "a")) is None


def change(database: Path, statement: str, *values: object) -> int:
    with sqlite3.connect(database) as connection:
        return connection.execute(statement, values).rowcount


def rows(database: Path) -> list[tuple]:
    with sqlite3.connect(database) as connection:
        return connection.execute("SELECT rowid, key, value FROM rows").fetchall()


HURT = ["CAST(value || x'20' AS BLOB)", "CAST(value AS TEXT) || x'ff'", "NULL"]


@pytest.mark.parametrize("hurt", HURT)
def test_a_damaged_object_is_named_and_the_others_shown(database, hurt: str) -> None:
    """Whatever the damage makes of it: one flipped bit turns a blob into a text."""
    (number,) = [rowid for rowid, _, value in rows(database) if b'"name":"a"' in value]
    change(database, f"UPDATE rows SET value = {hurt} WHERE rowid = ?", number)
    listed = by_name(database)[""]
    assert set(listed.objects) == {("default", "b")}
    assert any("damaged row" in problem for problem in listed.problems)
    assert any("1 objects, 2 expected" in problem for problem in listed.problems)
    assert by_name(database)["c"].problems == ()


def test_a_lost_object_is_noticed(database: Path) -> None:
    (number,) = [rowid for rowid, _, value in rows(database) if b'"name":"b"' in value]
    change(database, "DELETE FROM rows WHERE rowid = ?", number)
    assert by_name(database)[""].problems == ("1 objects, 2 expected, or other names",)


def test_a_question_whose_own_row_is_damaged_is_counted(database: Path) -> None:
    (number,) = [
        rowid
        for rowid, key, value in rows(database)
        if key.startswith(SCOPE_PREFIX) and decode_scope(value).question[5] == "c"
    ]
    change(database, f"UPDATE rows SET value = {HURT[0]} WHERE rowid = ?", number)
    assert lost_questions(database) == 1
    assert set(by_name(database)) == {""}


def test_what_is_no_cache_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError, match="no database"):
        list(remembered(tmp_path / "none"))
    (tmp_path / "text").write_text("not a database at all, only words " * 40)
    with pytest.raises(StoreUnavailableError):
        list(remembered(tmp_path / "text"))


def test_what_was_seen_in_part_is_shown_in_that_form(tmp_path: Path) -> None:
    async def fill() -> None:
        store = await open_store(tmp_path, clock=SystemClock())
        cache = Cache(store)
        await cache.take(PODS, partial_list(20, "a"), agent="agent/1")
        await cache.take(PODS, table(21, "a"), agent="agent/1")
        await cache.scopes.aclose()
        await store.aclose()

    asyncio.run(fill())
    metadata, rows = sorted(remembered(tmp_path / NAME), key=lambda one: one.version)
    assert [form_name(one) for one in (metadata, rows)] == ["metadata json", "table"]
    assert not is_whole(metadata)
    assert not is_whole(rows)
    key = ("default", "a")
    shown = json.loads(single(metadata, key) or b"")
    assert (shown["kind"], shown["metadata"]["name"]) == ("PartialObjectMetadata", "a")
    row = json.loads(single(rows, key) or b"")
    assert row["columnDefinitions"][0]["name"] == "Name"
    assert [one["cells"] for one in row["rows"]] == [["a"]]


def test_a_whole_form_has_the_name_of_its_coding(database: Path) -> None:
    listed = by_name(database)[""]
    assert (form_name(listed), is_whole(listed)) == ("json", True)
    binary = listed.question._replace(media_type="application/vnd.kubernetes.protobuf")
    assert form_name(replace(listed, question=binary)) == "protobuf"
