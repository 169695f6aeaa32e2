# SPDX-License-Identifier: Apache-2.0
"""Fields read and replaced, and all other bytes kept."""

import pytest

from toono.codec.wireformat import encode_bytes, encode_number, encode_text
from toono.errors import CodecError
from toono.filters.fields import (
    Field,
    JSONFields,
    ProtobufFields,
    change_each,
    change_inner,
)

A, B, C = Field("a", 1), Field("b", 2, ("a",)), Field("c", 3, ("a", "b"))
JSON, PROTOBUF = JSONFields(), ProtobufFields()


def test_a_field_that_is_unset_reads_as_nothing() -> None:
    for fields, data in ((JSON, b'{"a":null}'), (JSON, b"{}"), (PROTOBUF, b"")):
        assert fields.text(data, A) == ""
        assert fields.inner(data, A) is None
        assert list(fields.each(data, A)) == []
        assert fields.entries(data, A) == {}


def test_json_members_keep_order_and_bytes() -> None:
    data = b'{"z":1.50,"a":"x","c":{ "k" : 1e2},"\\u003ck":0}'
    assert JSON.put_text(data, A, "y") == (
        b'{"z":1.50,"a":"y","c":{ "k" : 1e2},"\\u003ck":0}'
    )
    assert JSON.put_number(data, B, 5).startswith(b'{"z":1.50,"a":"x","b":5,"c":')
    assert JSON.put_flag(b'{"z":1}', B, value=False) == b'{"b":false,"z":1}'


def test_json_strings_are_escaped_as_go_does() -> None:
    found = JSON.put_text(b"{}", A, '<&>\u2028\u2029"\n\u00e9')
    assert found == (
        b'{"a":"\\u003c\\u0026\\u003e\\u2028\\u2029\\"\\n' + "\u00e9".encode() + b'"}'
    )
    assert JSON.text(found, A) == '<&>\u2028\u2029"\n\u00e9'
    with pytest.raises(CodecError):
        JSON.put_text(b"{}", A, "\ud800")


def test_protobuf_fields_keep_order_and_bytes_and_take_their_number_s_place() -> None:
    unknown = encode_number(9, 1)
    data = encode_text(1, "x") + encode_text(3, "z") + unknown
    want = encode_text(1, "x") + encode_text(2, "y") + encode_text(3, "z") + unknown
    assert PROTOBUF.put_text(data, B, "y") == want
    assert PROTOBUF.put_text(want, B, "y") == want
    listed = encode_text(2, "1") + encode_text(3, "z") + encode_text(2, "2")
    assert PROTOBUF.put_texts(listed, B, ["3"]) == (
        encode_text(2, "3") + encode_text(3, "z")
    )


def test_a_map_s_entry_is_replaced_in_its_place() -> None:
    first = encode_bytes(1, encode_text(1, "k") + encode_text(2, "v"))
    second = encode_bytes(1, encode_text(1, "l") + encode_text(2, "w"))
    found = PROTOBUF.put_entry(first + second, A, "k", "new")
    assert PROTOBUF.entries(found, A) == {"k": "new", "l": "w"}
    assert found.endswith(second)
    assert JSON.put_entry(b'{"a":{"k":"v","l":"w"}}', A, "k", "new") == (
        b'{"a":{"k":"new","l":"w"}}'
    )


def test_a_map_s_new_entry_goes_in_by_order() -> None:
    first = encode_bytes(1, encode_text(1, "b") + encode_text(2, "v"))
    new = encode_bytes(1, encode_text(1, "a") + encode_text(2, "w"))
    assert PROTOBUF.put_entry(first, A, "a", "w") == new + first
    assert PROTOBUF.put_entry(b"", A, "a", "w") == new
    assert JSON.put_entry(b'{"a":{"b":"v"}}', A, "a", "w") == (
        b'{"a":{"a":"w","b":"v"}}'
    )
    for data in (b'{"a":null}', b"{}"):
        assert JSON.put_entry(data, A, "a", "w") == b'{"a":{"a":"w"}}'


def test_an_optional_list_that_is_emptied_goes() -> None:
    gone = Field("a", 1, optional=True)
    assert JSON.put_each(b'{"a":[1],"b":2}', gone, []) == b'{"b":2}'
    assert JSON.put_each(b'{"a":[1]}', A, []) == b'{"a":[]}'


def test_what_is_no_message_is_an_error() -> None:
    for data in (b"", b"[]", b'"x"', b"nonsense", b'{"a":1}', b'{"a":{}}'):
        with pytest.raises(CodecError):
            JSON.text(data, A)
    with pytest.raises(CodecError):
        PROTOBUF.text(encode_text(1, "x") + encode_text(1, "y"), A)
    with pytest.raises(CodecError):
        PROTOBUF.text(b"\x0a\xff", A)


@pytest.mark.parametrize(
    ("fields", "data"),
    [(JSON, b'{"a":[{},{}],"b":{}}'), (PROTOBUF, encode_bytes(1, b"") * 2 + b"\x12\0")],
)
def test_nothing_changed_is_the_same_object(
    fields: JSONFields | ProtobufFields, data: bytes
) -> None:
    assert change_inner(fields, data, B, lambda one: one) is data
    assert change_inner(fields, data, C, lambda _: b"") is data
    assert change_each(fields, data, A, lambda one: one) is data
    assert change_each(fields, data, A, lambda _: None) != data
