# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from toono.cache.forms import (
    JSON,
    PARTIAL,
    PROTOBUF,
    TABLE,
    form_of,
    is_table,
    read_list,
    read_one,
    read_table,
    read_table_of_one,
    reader_of,
    split_form,
)
from toono.codec.json import JSONCodec
from toono.codec.protobuf import ProtobufCodec
from toono.errors import CodecError


def row(name: str, /, **meta) -> dict:
    content = {
        "kind": PARTIAL,
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"name": name, "namespace": "d", "resourceVersion": "5"} | meta,
    }
    return {"cells": [name, 1], "object": content}


def whole(name: str, /, kind: str = "Pod") -> dict:
    meta = {"name": name, "namespace": "d", "resourceVersion": "5"}
    return {
        "cells": [name, 1],
        "object": {"kind": kind, "apiVersion": "v1", "metadata": meta, "spec": {}},
    }


def table(*rows: dict, token: str = "") -> bytes:
    meta = {"resourceVersion": "20"} | ({"continue": token} if token else {})
    column = {
        "name": "Name",
        "type": "string",
        "format": "name",
        "description": "x",
        "priority": 0,
    }
    content = {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": meta,
        "columnDefinitions": [column],
        "rows": list(rows),
    }
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"


@pytest.mark.parametrize("media_type", [JSON, PROTOBUF])
@pytest.mark.parametrize("kind", ["PodList", "Pod", PARTIAL, PARTIAL + "List", TABLE])
def test_metadata_and_tables_have_forms_of_their_own(media_type, kind) -> None:
    as_kind = kind.removesuffix("List") if kind not in ("PodList", "Pod") else ""
    form = form_of(media_type, kind)
    assert split_form(form) == (media_type, as_kind)
    assert (form == media_type) is (as_kind == "")


def test_the_readers_of_forms() -> None:
    assert isinstance(reader_of(JSON), JSONCodec)
    assert isinstance(reader_of(form_of(PROTOBUF, PARTIAL)), ProtobufCodec)


def test_a_table_is_a_list_of_its_rows() -> None:
    body = table(row("a", uid="u"), row("b"), token="t")
    assert is_table(body)
    parts, columns = read_table(body)
    assert (parts.kind, parts.resource_version) == ("Table", "20")
    assert parts.continue_token == "t"
    assert [(one.namespace, one.name, one.uid) for one in parts.items] == [
        ("d", "a", "u"),
        ("d", "b", ""),
    ]
    assert b'"name":"Name"' in columns.definitions
    assert columns.no_rows == "[]"


def test_a_table_of_one_answers_a_get() -> None:
    single, _ = read_table_of_one(table(row("a")))
    assert (single.kind, single.object.name) == ("Table", "a")
    with pytest.raises(CodecError):
        read_table_of_one(table(row("a"), row("b")))


@pytest.mark.parametrize("meta", [{"name": ""}, {"resourceVersion": ""}])
def test_rows_that_name_no_object_are_not_kept(meta) -> None:
    with pytest.raises(CodecError):
        read_table(table(row("a", **meta)))


def test_a_row_without_its_object_is_not_kept() -> None:
    with pytest.raises(CodecError):
        read_table(table({"cells": ["a", 1], "object": None}))


def test_selectors_read_what_a_row_holds_and_no_more() -> None:
    parts, _ = read_table(table(row("a", labels={"app": "web"})))
    reader, data = reader_of(form_of(JSON, TABLE)), parts.items[0].data
    assert reader.labels(data) == {"app": "web"}
    asked = {"kind": "Pod", "api_version": "v1"}
    assert reader.field(data, "metadata.name", **asked) == "a"
    assert reader.field(data, "metadata.namespace", **asked) == "d"
    with pytest.raises(CodecError):
        reader.field(data, "spec.nodeName", **asked)
    with pytest.raises(CodecError):
        reader.labels(b'{"cells":["a"],"object":null}')


def test_rows_with_whole_objects_are_a_list_of_those() -> None:
    codec = JSONCodec()
    body = table(whole("a"), whole("b"), token="next")
    parts, columns = read_list(codec, body, objects=True)
    assert columns is None
    assert (parts.kind, parts.api_version, parts.style) == ("PodList", "v1", "typed")
    assert (parts.resource_version, parts.continue_token) == ("20", "next")
    asked = {key: whole("a")["object"][key] for key in ("metadata", "spec")}
    assert json.loads(parts.items[0].data) == asked
    assert [item.name for item in parts.items] == ["a", "b"]
    single, _ = read_one(codec, table(whole("a")), objects=True)
    assert single.object == parts.items[0]


def test_rows_of_which_no_objects_were_asked_are_rows() -> None:
    codec = JSONCodec()
    parts, columns = read_list(codec, table(row("a")), objects=False)
    assert parts.kind == TABLE
    assert columns is not None
    single, columns = read_one(codec, table(row("a")), objects=False)
    assert single.kind == TABLE
    assert columns is not None


def test_a_table_without_rows_does_not_tell_the_kind_of_its_objects() -> None:
    parts, _ = read_list(JSONCodec(), table(), objects=True)
    assert (parts.kind, parts.api_version, parts.items) == ("", "", [])


@pytest.mark.parametrize(
    "rows", [[row("a")], [whole("a"), whole("b", "Node")], [{"cells": ["a"]}]]
)
def test_rows_without_whole_objects_of_one_kind_are_no_list(rows: list) -> None:
    with pytest.raises(CodecError):
        read_list(JSONCodec(), table(*rows), objects=True)


@pytest.mark.parametrize("rows", [[], [whole("a"), whole("b")]])
def test_one_object_is_one_row(rows: list) -> None:
    with pytest.raises(CodecError):
        read_one(JSONCodec(), table(*rows), objects=True)
