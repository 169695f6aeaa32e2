# SPDX-License-Identifier: Apache-2.0

import msgspec
import pytest

from tests.unit.cache.kit import call
from toono.cache.received import compacted, fits, media_type_of, question_of
from toono.codec.base import Object
from toono.errors import CodecError


def named(namespace: str, name: str) -> Object:
    return Object(namespace, name, "u", "5", False, b"{}")


@pytest.mark.parametrize(
    ("namespace", "name"),
    [
        ("", ""),
        ("", "."),
        ("", ".."),
        ("..", "a"),
        (".", "a"),
        ("", "a/b"),
        ("a/b", "a"),
        ("", "a\0"),
        ("a\0", "b"),
        ("other", "a"),
    ],
)
def test_an_object_that_cannot_have_been_asked_for_is_not_kept(
    namespace: str, name: str
) -> None:
    assert not fits(named(namespace, name), namespace="default", name="")


def test_an_object_of_another_name_is_not_kept() -> None:
    assert fits(named("default", "a"), namespace="default", name="a")
    assert not fits(named("default", "b"), namespace="default", name="a")


def test_list_and_watch_ask_the_same_question_and_get_another() -> None:
    of_list = question_of(call("/api/v1/pods?labelSelector=a%3Db"), "m")
    of_watch = question_of(call("/api/v1/pods?labelSelector=a%3Db&watch=1"), "m")
    of_get = question_of(call("/api/v1/namespaces/d/pods/a"), "m")
    assert of_list == of_watch
    assert (of_list.name, of_list.label_selector) == ("", "a=b")
    assert (of_get.name, of_get.label_selector) == ("a", "")


def test_the_media_type_is_bare_and_in_lower_case() -> None:
    fields = {b"content-type": b"Application/JSON; charset=utf-8"}
    assert media_type_of(fields) == "application/json"
    assert media_type_of({}) == ""


def test_indents_are_taken_away_and_nothing_else() -> None:
    plain = b'{"kind":"Pod","a":"\\u003c \\n\xc3\xa9","n":1e5,"e":{},"l":[]}\n'
    shown = msgspec.json.format(plain, indent=2)
    assert shown.startswith(b"{\n")
    assert not shown.endswith(b"\n")
    assert compacted(shown) == plain
    assert compacted(plain) == plain
    assert compacted(b"k8s\0{\n") == b"k8s\0{\n"
    with pytest.raises(CodecError, match="indented"):
        compacted(b"{\n nothing")
