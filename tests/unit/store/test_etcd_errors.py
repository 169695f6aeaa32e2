# SPDX-License-Identifier: Apache-2.0
"""What etcd says when it refuses, told apart by what one can do about it."""

import pytest

from toono.errors import StoreError, StoreUnavailableError
from toono.store import etcd_errors as errors


@pytest.mark.parametrize(
    ("code", "words", "kind"),
    [
        (8, "etcdserver: mvcc: database space exceeded", errors.EtcdFullError),
        (8, "etcdserver: too many requests", errors.EtcdUnavailableError),
        (3, "etcdserver: too many operations in txn request",
         errors.EtcdTooManyOpsError),
        (3, "etcdserver: request is too large", errors.EtcdTooLargeError),
        (8, "grpc: received message larger than max (3 vs. 2)",
         errors.EtcdTooLargeError),
        (11, "etcdserver: mvcc: required revision has been compacted",
         errors.EtcdCompactedError),
        (5, "etcdserver: requested lease not found", errors.EtcdLeaseGoneError),
        (7, "etcdserver: permission denied", errors.EtcdDeniedError),
        (16, "etcdserver: invalid auth token", errors.EtcdDeniedError),
        (16, "no", errors.EtcdDeniedError),
        (14, "etcdserver: leader changed", errors.EtcdUnsureError),
        (14, "etcdserver: request timed out", errors.EtcdUnsureError),
        (13, "what", errors.EtcdUnsureError),
        (2, "raft: stopped", errors.EtcdUnsureError),
        (3, "etcdserver: key is not provided", errors.EtcdError),
    ],
)  # fmt: skip
def test_a_refusal_is_known_by_code_and_words(code, words, kind):
    found = errors.refusal(code, words)
    assert type(found) is kind
    assert words in str(found)
    assert isinstance(found, StoreError)
    if isinstance(found, errors.EtcdError):
        assert found.code == code


def test_only_what_may_be_done_is_unsure_and_both_are_unavailable():
    assert issubclass(errors.EtcdUnsureError, errors.EtcdUnavailableError)
    assert issubclass(errors.EtcdUnavailableError, StoreUnavailableError)
    assert not issubclass(errors.EtcdFullError, StoreUnavailableError)
    assert errors.EtcdCompactedError("gone", revision=7).revision == 7
