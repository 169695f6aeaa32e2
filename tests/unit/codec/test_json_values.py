# SPDX-License-Identifier: Apache-2.0
"""A value is read by its path alone, as a selector compares it."""

import pytest

from toono.codec.json_values import is_ended, text_at
from toono.errors import CodecError


@pytest.mark.parametrize(
    ("data", "path", "text"),
    [
        (b'{"a":"x"}', "a", "x"),
        (b'{"a":{"b":{"c":"x"}}}', "a.b.c", "x"),
        (b'{"a":{"b":null}}', "a.b.c", ""),
        (b'{"a":null}', "a.b.c", ""),
        (b"{}", "a.b.c", ""),
        (b'{"a":true}', "a", "true"),
        (b'{"a":false}', "a", "false"),
        (b'{"a":0}', "a", "0"),
        (b'{"a":-12}', "a", "-12"),
        (b'{"a":""}', "a", ""),
        (b'{"a-b":{"c_d":"x"}}', "a-b.c_d", "x"),
        (b'{"next":{"next":"x"}}', "next.next", "x"),
        (b'{"x":[1,{"a":2}],"a":"y"}', "a", "y"),
        (b'{"a":"x","a":"y"}', "a", "y"),
    ],
)
def test_plain_values_are_read(data: bytes, path: str, text: str) -> None:
    assert text_at(data, path) == text


@pytest.mark.parametrize(
    "data",
    [b'{"a":[]}', b'{"a":{"b":{}}}', b'{"a":{"b":1.5}}', b'{"a":"x"}', b"[]", b'{"a":'],
)
def test_other_shapes_are_refused(data: bytes) -> None:
    with pytest.raises(CodecError):
        text_at(data, "a.b")


@pytest.mark.parametrize(
    ("metadata", "ended"),
    [
        ('{"deletionGracePeriodSeconds":0}', True),
        ('{"deletionGracePeriodSeconds":0,"finalizers":[]}', True),
        ('{"deletionGracePeriodSeconds":0,"finalizers":null}', True),
        ('{"deletionGracePeriodSeconds":0,"finalizers":["a/b"]}', False),
        ('{"deletionGracePeriodSeconds":30}', False),
        ("{}", False),
    ],
)
def test_an_end_waits_for_grace_and_finalizers(metadata: str, ended: bool) -> None:
    assert is_ended(f'{{"metadata":{metadata}}}'.encode()) is ended
