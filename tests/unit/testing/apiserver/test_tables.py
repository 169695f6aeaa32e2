# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from toono.testing.apiserver.query import Refusal
from toono.testing.apiserver.resources import built_in
from toono.testing.apiserver.tables import TableEncoding

PODS = built_in()["", "v1", "pods"]


def pod(name: str) -> dict:
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": name, "resourceVersion": "5"},
        "spec": {"containers": [{"name": "c"}]},
        "status": {"phase": "Running"},
    }


def test_a_list_and_a_get_are_tables_at_their_versions() -> None:
    tables = TableEncoding(PODS, "v1", include="", now=0.0)
    listed = json.loads(
        tables.listed(
            [pod("a"), pod("b")],
            {"resourceVersion": "9", "continue": "t", "remainingItemCount": 3},
        )
    )
    assert listed["metadata"] == {
        "resourceVersion": "9",
        "continue": "t",
        "remainingItemCount": 3,
    }
    assert [row["cells"][0] for row in listed["rows"]] == ["a", "b"]
    one = json.loads(tables.one(pod("a")))
    assert one["metadata"] == {"resourceVersion": "5"}


def test_only_the_first_frame_of_a_watch_has_columns() -> None:
    tables = TableEncoding(PODS, "v1", include="None", now=0.0)
    frames = [
        tables.event("ADDED", pod("a")),
        tables.event("MODIFIED", pod("a")),
        tables.bookmark("7", ends_burst=True),
    ]
    columns = [json.loads(one)["object"]["columnDefinitions"] for one in frames]
    assert [one is None for one in columns] == [False, True, True]
    first = TableEncoding(PODS, "v1beta1", include="", now=0.0).bookmark("7")
    assert json.loads(first)["object"]["apiVersion"] == "meta.k8s.io/v1beta1"


def test_an_error_is_a_status_in_a_frame() -> None:
    tables = TableEncoding(PODS, "v1", include="", now=0.0)
    frame = json.loads(tables.error({"kind": "Status"}))
    assert frame == {"type": "ERROR", "object": {"kind": "Status"}}


def test_an_unknown_include_is_refused() -> None:
    with pytest.raises(Refusal, match="includeObject"):
        TableEncoding(PODS, "v1", include="All", now=0.0)
