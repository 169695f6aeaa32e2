# SPDX-License-Identifier: Apache-2.0
import pytest

from toono.codec.sent import (
    JSON,
    PROTOBUF,
    merged,
    paths_of,
    read_sent,
    read_values,
    text_in,
    write_sent,
)
from toono.errors import CannotTranscodeError, CodecError

EVENT = {
    "kind": "Event",
    "apiVersion": "v1",
    "metadata": {"name": "a.1", "namespace": "shop"},
    "involvedObject": {"kind": "Pod", "name": "a"},
    "reason": "Started",
    "source": {"component": "kubelet"},
    "count": 1,
}


def test_what_is_sent_in_either_form_reads_alike() -> None:
    as_json = read_sent(write_sent(EVENT, JSON), "application/json; charset=utf-8")
    assert as_json == EVENT
    as_protobuf = read_sent(write_sent(EVENT, PROTOBUF), PROTOBUF)
    assert as_protobuf["kind"] == "Event"
    assert text_in(as_protobuf, "metadata", "name") == "a.1"
    assert as_protobuf["count"] == 1


def test_what_has_no_such_form_is_refused() -> None:
    custom = {**EVENT, "apiVersion": "x.example.com/v1", "kind": "Thing"}
    with pytest.raises(CannotTranscodeError):
        write_sent(custom, PROTOBUF)


@pytest.mark.parametrize("body", [b"", b"[]", b"nonsense", b'{"a":1e999}', b'"\xff"'])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(CodecError):
        read_values(body)
    with pytest.raises(CodecError):
        read_sent(b"k8s\0" + body, PROTOBUF)


def test_text_is_found_only_where_it_is() -> None:
    assert text_in(EVENT, "source", "component") == "kubelet"
    assert text_in(EVENT, "count") == ""
    assert text_in(EVENT, "count", "more") == ""
    assert text_in(None, "a") == ""


def test_a_patch_sets_and_takes_away() -> None:
    old = {"count": 1, "series": {"count": 2, "at": "x"}, "note": "n"}
    patch = {"count": 3, "series": {"count": 5}, "note": None, "new": {"a": 1}}
    assert merged(old, patch) == {
        "count": 3,
        "series": {"count": 5, "at": "x"},
        "new": {"a": 1},
    }
    assert merged("text", {"a": 1}) == {"a": 1}
    assert merged({"a": 1}, [1]) == [1]


def test_the_paths_of_a_patch_say_what_it_sets() -> None:
    small, large = {"count": 2}, {"count": 3, "series": {"count": 1, "at": 2}}
    assert paths_of(small) < paths_of(large)
    assert paths_of(large) == {"/count", "/series/count", "/series/at"}
    assert paths_of({}) == {""}
