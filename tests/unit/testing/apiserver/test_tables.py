# SPDX-License-Identifier: Apache-2.0
"""Tables: columns once, a row an object, as much of the object as is asked for."""

import json

import pytest

from tests.unit.testing.apiserver.kit import CRONTABS, PODS, World, pod, resource, run
from toono.testing.apiserver.query import Refusal
from toono.testing.apiserver.tables import TableEncoding

TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1"
POD = {
    "kind": "Pod",
    "apiVersion": "v1",
    "metadata": {"name": "a", "resourceVersion": "7"},
    "spec": {"containers": []},
    "status": {},
}


def table(include: str = "", *, of=resource("pods")) -> TableEncoding:  # noqa: B008
    return TableEncoding(of, "v1", include=include, now=0.0)


def test_a_table_has_columns_and_a_row_an_object() -> None:
    one = json.loads(table().one(POD))
    assert (one["kind"], one["metadata"]["resourceVersion"]) == ("Table", "7")
    assert [each["name"] for each in one["columnDefinitions"]][:2] == ["Name", "Ready"]
    assert one["rows"][0]["cells"][0] == "a"
    meta = {"resourceVersion": "9", "continue": "t", "remainingItemCount": 3}
    listed = json.loads(table().listed([POD, POD], meta))
    assert (listed["metadata"], len(listed["rows"])) == (meta, 2)


@pytest.mark.parametrize(
    ("include", "kind"),
    [
        ("", "PartialObjectMetadata"),
        ("Metadata", "PartialObjectMetadata"),
        ("Object", "Pod"),
    ],
)
def test_a_row_holds_as_much_of_its_object_as_is_asked(include: str, kind: str) -> None:
    (row,) = json.loads(table(include).one(POD))["rows"]
    assert row["object"]["kind"] == kind


def test_a_row_may_hold_nothing_of_its_object() -> None:
    (row,) = json.loads(table("None").one(POD))["rows"]
    assert row["object"] is None


def test_an_unknown_include_is_refused() -> None:
    with pytest.raises(Refusal, match="unrecognized includeObject value") as refusal:
        table("All")
    assert refusal.value.code == 400


def test_only_the_first_event_of_a_watch_has_columns() -> None:
    form = table()
    events = [json.loads(form.event("ADDED", POD)) for _ in range(2)]
    told = [event["object"]["columnDefinitions"] for event in events]
    assert told[0]
    assert told[1] is None


def test_bookmarks_and_errors_are_frames() -> None:
    mark = json.loads(table().bookmark("9", ends_burst=True))
    assert (mark["type"], mark["object"]["kind"]) == ("BOOKMARK", "Table")
    (row,) = mark["object"]["rows"]
    notes = row["object"]["metadata"]["annotations"]
    assert notes == {"k8s.io/initial-events-end": "true"}
    error = json.loads(table().error({"kind": "Status", "code": 410}))
    assert (error["type"], error["object"]["code"]) == ("ERROR", 410)


def test_custom_resources_have_a_name_and_an_age() -> None:
    content = {**POD, "kind": "CronTab", "apiVersion": "x.example.com/v1"}
    told = json.loads(table(of=CRONTABS).one(content))
    assert [each["name"] for each in told["columnDefinitions"]] == ["Name", "Age"]


def test_ages_are_counted_by_the_server_s_clock() -> None:
    async def scenario(world: World) -> None:
        await world.ask("POST", PODS, pod("a"))
        await world.clock.advance(90)
        told = await world.ask("GET", PODS + "?includeObject=None", accept=TABLE)
        assert "90s" in told.body["rows"][0]["cells"]

    run(scenario)
