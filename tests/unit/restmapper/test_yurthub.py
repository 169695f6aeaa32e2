# SPDX-License-Identifier: Apache-2.0
"""YurtHub's mapper file, read and written."""

import json

from tests.unit.restmapper.kit import Wire, X, mapper_over, standard
from tests.unit.restmapper.virtual import run
from toono.restmapper import yurthub


def rows(tmp_path, entries):
    file = tmp_path / "file"
    file.write_text(json.dumps(entries))
    return {
        (str(row.gv), row.plural, row.resource.singular, row.resource.kind.kind)
        for row in yurthub.read(file)
    }


def test_both_names_of_a_resource_are_one_row(tmp_path):
    told = {f"{X}/v1/driver": "Driver", f"{X}/v1/drivers": "Driver"}
    assert rows(tmp_path, told) == {(f"{X}/v1", "drivers", "driver", "Driver")}


def test_its_six_rows_of_plurals(tmp_path):
    told = {
        "/v1/pod": "Pod",
        "/v1/pods": "Pod",
        "g.io/v1/gateway": "Gateway",
        "g.io/v1/gateways": "Gateway",
        "/v1/replicationcontroller": "ReplicationController",
        "/v1/replicationcontrollers": "ReplicationController",
        "i.io/v1/imagerepository": "ImageRepository",
        "i.io/v1/imagerepositories": "ImageRepository",
        "l.io/v1/lower": "lower",
        "l.io/v1/lowers": "lower",
    }
    assert rows(tmp_path, told) == {
        ("v1", "pods", "pod", "Pod"),
        ("g.io/v1", "gateways", "gateway", "Gateway"),
        (
            "v1",
            "replicationcontrollers",
            "replicationcontroller",
            "ReplicationController",
        ),
        ("i.io/v1", "imagerepositories", "imagerepository", "ImageRepository"),
        ("l.io/v1", "lowers", "lower", "lower"),
    }


def test_keys_that_name_nothing_are_left_out(tmp_path):
    told = {"a": "A", "a//b": "B", "a/v1/": "C", "a/v1/d": "", "a/b/c/d": "D"}
    assert rows(tmp_path, told | {"meta.k8s.io/v1/tables": "Table"}) == set()


def test_no_file_and_a_huge_one_are_empty(tmp_path, monkeypatch, caplog):
    assert yurthub.read(tmp_path / "none") == []
    assert not caplog.records
    (tmp_path / "file").write_text(json.dumps({f"{X}/v1/drivers": "Driver"}))
    monkeypatch.setattr(yurthub, "MAX_FILE_BYTES", 5)
    assert yurthub.read(tmp_path / "file") == []
    assert caplog.records[0].reason == "too large"


def test_what_is_written_is_what_it_would_have_learned(tmp_path):
    async def main():
        cluster = standard().add(X, "v1", "Driver").add(X, "v1", "Order", verbs=["get"])
        mapper = mapper_over(Wire(cluster))
        return await mapper.load()

    file = tmp_path / "_internal" / "restmapper" / "file"
    yurthub.write(file, run(main()))
    assert json.loads(file.read_text()) == {
        f"{X}/v1/driver": "Driver",
        f"{X}/v1/drivers": "Driver",
    }
