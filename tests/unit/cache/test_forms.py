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
