# SPDX-License-Identifier: Apache-2.0
"""Messages as etcd's gateway writes and reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toono.errors import BadResponseError
from toono.store.etcd_messages import (
    LeaseAnswer,
    Members,
    Op,
    Put,
    Range,
    RangeAnswer,
    Txn,
    TxnAnswer,
    WatchAnswer,
    created_at,
    decode,
    delete,
    encode,
    end_of,
    get,
    put,
    unchanged,
)


def test_defaults_are_left_out_and_bytes_are_base64():
    assert encode(Range(b"\xff")) == b'{"key":"/w=="}'
    assert encode(Put(b"a", b"b", 7)) == b'{"key":"YQ==","value":"Yg==","lease":7}'
    asked = Txn(
        [unchanged(b"a", 3), created_at(b"b", 0)], [put(b"a", b""), delete(b"b")]
    )
    assert encode(asked) == (
        b'{"compare":[{"key":"YQ==","target":"MOD","mod_revision":3},'
        b'{"key":"Yg==","target":"CREATE"}],'
        b'"success":[{"request_put":{"key":"YQ=="}},'
        b'{"request_delete_range":{"key":"Yg=="}}]}'
    )
    assert get(b"a", b"b") == Op(request_range=Range(b"a", b"b"))


def test_numbers_come_as_text_and_fields_may_be_missing_or_new():
    found = decode(
        b'{"header":{"cluster_id":"18446744073709551615", "revision":"2"},'
        b' "kvs":[{"key":"Zm9v", "mod_revision":"2"}], "count":"1", "new":[1]}',
        RangeAnswer,
    )
    assert found.header.cluster_id == 2**64 - 1
    assert (found.kvs[0].key, found.kvs[0].value, found.count) == (b"foo", b"", 1)
    lease = decode(b'{"ID":"5","TTL":"9"}', LeaseAnswer)
    assert (lease.id, lease.ttl) == (5, 9)
    members = decode(b'{"members":[{"ID":"1","clientURLs":["u"]}]}', Members)
    assert (members.members[0].id, members.members[0].client_urls) == (1, ["u"])
    assert decode(b"{}", TxnAnswer).succeeded is False
    told = decode(b'{"events":[{"kv":{}},{"type":"DELETE","kv":{}}]}', WatchAnswer)
    assert [event.type for event in told.events] == ["PUT", "DELETE"]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"nope",
        b'{"kvs":1}',
        b'{"kvs":[{"key":"%"}]}',
        b'{"count":"x"}',
        b"\xff",
    ],
)
def test_what_is_no_answer_is_not_taken_for_one(text):
    with pytest.raises(BadResponseError):
        decode(text, RangeAnswer)


@given(st.binary(max_size=6), st.binary(max_size=8))
def test_the_end_of_a_prefix_is_after_its_keys_and_before_all_others(prefix, key):
    end = end_of(prefix)
    inside = key >= prefix and (end == b"\0" or key < end)
    assert inside is key.startswith(prefix)
