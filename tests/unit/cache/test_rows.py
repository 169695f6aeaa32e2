# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toono.cache import rows
from toono.cache.scope import Question
from toono.codec.base import Object
from toono.errors import CodecError

NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)))


@given(st.integers(0, 2**63), NAMES, NAMES)
def test_object_keys_give_back_their_names(bucket: int, ns: str, name: str) -> None:
    key = rows.object_key(bucket, (ns, name))
    assert key.startswith(rows.bucket_prefix(bucket))
    assert rows.row_key(key) == (ns, name)


@given(st.integers(0, 2**63))
def test_scope_keys_give_back_their_number(number: int) -> None:
    key = rows.scope_key(number)
    assert key.startswith(rows.SCOPE_PREFIX)
    assert rows.scope_id(key) == number


def test_scope_rows_survive_the_store() -> None:
    row = rows.ScopeRow(
        question=Question("kubelet", "", "v1", "pods", "", "", "a=b", "", "json"),
        bucket=7,
        kind="Pod",
        list_kind="PodList",
        api_version="v1",
        style="typed",
        version=12,
        epoch=1,
        complete=True,
        imported=False,
        confirmed_at=3.5,
        count=2,
        digest=2**64 - 1,
        garbage=(5, 6),
    )
    assert rows.decode_scope(rows.encode_scope(row)) == row


def test_objects_survive_the_store() -> None:
    item = Object("ns", "n", "uid", "12", True, b'{"a":1}')
    assert rows.decode_object(rows.encode_object(item)) == ("uid", "12", b'{"a":1}')


@given(st.binary(max_size=64))
def test_damaged_rows_are_an_error_and_never_a_value(content: bytes) -> None:
    for decode in (rows.decode_scope, rows.decode_object):
        with pytest.raises(CodecError):
            decode(b"\xc1" + content)


@pytest.mark.parametrize("key", [b"r12345678no-mark", b"r12345678\xff\0x"])
def test_keys_that_are_no_names_are_an_error(key: bytes) -> None:
    with pytest.raises(CodecError):
        rows.row_key(key)
