# SPDX-License-Identifier: Apache-2.0
"""One write that waits for the link: as a value, and as a row of the store.

    w <serial, 8 bytes> → Write (msgpack)

The serial is the order. The body is what the client sent, byte for byte; a token is
sealed for its row's place and can be opened in no other.
"""

from typing import NamedTuple

import msgspec

from toono.errors import CodecError
from toono.store.base import Key

PREFIX = b"w"
EVENT, STATUS = "event", "status"
EVENT_GROUPS = frozenset({"", "events.k8s.io"})


class Target(NamedTuple):
    """The object that a write is of, whatever subresource it names."""

    group: str
    resource: str
    namespace: str
    name: str


class Write(msgspec.Struct, array_like=True, frozen=True, kw_only=True):
    """What is sent once the link is back, as it was asked."""

    kind: str
    """`event` or `status`."""
    method: str
    path: str
    """With the query, as sent."""
    content_type: str
    user_agent: str
    target: Target
    body: bytes
    at: float
    """Wall time at which the hub took it."""
    owner: str = ""
    """Whose token goes with it; empty: the node's."""
    token: bytes = b""
    """Sealed; empty: the node's certificate goes with it."""
    expires_at: float = 0.0
    """End of the token, 0 where there is none."""
    whole: bytes = b""
    """Of a patch of an event: the event with it, in JSON. The API server forgets events
    after an hour; recorders then create them anew."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Write).decode


def key_of(serial: int) -> Key:
    """Return the key of a write's row."""
    return PREFIX + serial.to_bytes(8, "big")


def serial_of(key: Key) -> int | None:
    """Return the serial in a key; None where it is no write's key."""
    number = key[len(PREFIX) :]
    if not key.startswith(PREFIX) or len(number) != 8:
        return None
    return int.from_bytes(number, "big")


def encode(write: Write) -> bytes:
    """Return a write as the store keeps it."""
    return _encode(write)


def decode(value: bytes) -> Write:
    """Read what `encode` wrote; CodecError where it is something else."""
    try:
        return _decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise CodecError(f"a spooled write cannot be read: {exc}") from exc


def same_object(target: Target) -> Target:
    """Return how writes of one object are told: events have two groups, one storage."""
    if target.resource == "events" and target.group in EVENT_GROUPS:
        return target._replace(group="")
    return target
