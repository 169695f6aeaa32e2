# SPDX-License-Identifier: Apache-2.0
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toono.cache.forms import JSON, PARTIAL, PROTOBUF, form_of
from toono.cache.scope import Question, Row, Scope
from toono.cache.tree_document import document
from toono.cache.tree_plan import Wanted, hold
from toono.codec.transcode import to_protobuf
from toono.errors import CodecError

META = b'{"metadata":{"name":"a","namespace":"default","uid":"u","resourceVersion":"5"}'
POD = META + b',"spec":{"containers":[{"name":"c","resources":{}}]},"status":{}}'
CRON = b'{"apiVersion":"x.example.com/v1","kind":"CronTab",' + META[1:] + b',"spec":{}}'


def wanted(form: str, *, kind: str = "Pod", api_version: str = "v1", **row) -> Wanted:
    question = Question("kubelet", "", "v1", "pods", "", "", "", "", form)
    style = "unstructured" if kind == "CronTab" else "typed"
    scope = Scope(1, question, 1, kind=kind, api_version=api_version, style=style)
    key = ("default", row.get("name", "a"))
    held = Row(row.get("uid", "u"), row.get("version", "5"), b"", 0)
    return Wanted(hold(scope), key, held)


def test_a_built_in_kind_gets_its_name_back() -> None:
    made = document(wanted(JSON), POD)
    assert made == b'{"kind":"Pod","apiVersion":"v1",' + POD[1:] + b"\n"


def test_a_custom_resource_is_as_it_was() -> None:
    of = wanted(JSON, kind="CronTab", api_version="x.example.com/v1")
    assert document(of, CRON) == CRON + b"\n"


def test_protobuf_becomes_json() -> None:
    packed = to_protobuf(POD, kind="Pod", api_version="v1")
    assert json.loads(document(wanted(PROTOBUF), packed)) == json.loads(
        document(wanted(JSON), POD)
    )


@pytest.mark.parametrize("media_type", [JSON, PROTOBUF])
@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_metadata_is_metadata_of_one_version(media_type, version) -> None:
    api_version = f"meta.k8s.io/{version}"
    content = META + b"}"
    if media_type == PROTOBUF:
        content = to_protobuf(content, kind=PARTIAL, api_version=api_version)
    of = wanted(form_of(media_type, PARTIAL), kind=PARTIAL, api_version=api_version)
    found = json.loads(document(of, content))
    assert (found["kind"], found["apiVersion"]) == (PARTIAL, "meta.k8s.io/v1")
    assert found["metadata"]["name"] == "a"


@pytest.mark.parametrize("row", [{"name": "b"}, {"uid": "x"}, {"version": "6"}])
def test_what_would_be_read_back_as_another_is_refused(row) -> None:
    with pytest.raises(CodecError, match="is kept as"):
        document(wanted(JSON, **row), POD)


def test_what_cannot_be_transcoded_is_refused() -> None:
    with pytest.raises(CodecError):
        document(wanted(PROTOBUF, kind="Nothing", api_version="x/v1"), b"\n\x00")


@given(st.binary(max_size=200), st.sampled_from([JSON, PROTOBUF]))
def test_any_bytes_become_a_file_or_are_refused(content, form) -> None:
    try:
        made = document(wanted(form), content)
    except CodecError:
        return
    assert json.loads(made)["metadata"]["name"] == "a"
