# SPDX-License-Identifier: Apache-2.0
import pytest

from toono.autonomy.spooled import (
    Target,
    Write,
    decode,
    encode,
    key_of,
    same_object,
    serial_of,
)
from toono.errors import CodecError

WRITE = Write(
    kind="event",
    method="POST",
    path="/api/v1/namespaces/shop/events",
    content_type="application/json",
    user_agent="kubelet/v1.34",
    target=Target("", "events", "shop", "a.1"),
    body=b"{}",
    at=1.0,
)


def test_a_write_reads_as_it_was_written() -> None:
    assert decode(encode(WRITE)) == WRITE


@pytest.mark.parametrize("value", [b"", b"\xc1", b"\x90", encode(WRITE)[:-3]])
def test_what_is_no_write_is_refused(value: bytes) -> None:
    with pytest.raises(CodecError):
        decode(value)


def test_keys_are_in_the_order_of_serials() -> None:
    assert [serial_of(key_of(one)) for one in (1, 255, 256)] == [1, 255, 256]
    assert key_of(255) < key_of(256)
    assert serial_of(b"x" + bytes(8)) is None
    assert serial_of(b"w" + bytes(7)) is None


def test_both_groups_of_events_are_one_storage() -> None:
    event = Target("events.k8s.io", "events", "shop", "a")
    assert same_object(event) == Target("", "events", "shop", "a")
    pod = Target("metrics.k8s.io", "pods", "shop", "a")
    assert same_object(pod) == pod
