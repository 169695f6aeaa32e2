# SPDX-License-Identifier: Apache-2.0
"""The messages of etcd's v3 API in the JSON form of its gateway.

Bytes are base64 and 64-bit numbers come as text; both turn here, and nowhere else.
Fields that hold their default are left out by either side. Plain values: no socket.
"""

from typing import Literal, TypeVar

import msgspec

from toono.errors import BadResponseError
from toono.store.base import Key

Message = TypeVar("Message")


class Header(msgspec.Struct, gc=False):
    """What begins every answer."""

    cluster_id: int = 0
    member_id: int = 0
    revision: int = 0
    """Of the whole store when the answer was made: it never goes back."""
    raft_term: int = 0


class KeyValue(msgspec.Struct, gc=False):
    """A key and all that etcd tells of it."""

    key: bytes = b""
    value: bytes = b""
    create_revision: int = 0
    mod_revision: int = 0
    version: int = 0
    lease: int = 0


class Range(msgspec.Struct, omit_defaults=True, gc=False):
    """Asks for a key, or for all from `key` up to `range_end`."""

    key: bytes
    range_end: bytes = b""
    limit: int = 0
    revision: int = 0
    serializable: bool = False
    keys_only: bool = False
    count_only: bool = False


class Put(msgspec.Struct, omit_defaults=True, gc=False):
    """Sets a key."""

    key: bytes
    value: bytes = b""
    lease: int = 0


class Delete(msgspec.Struct, omit_defaults=True, gc=False):
    """Removes a key, or all from `key` up to `range_end`."""

    key: bytes
    range_end: bytes = b""


class Op(msgspec.Struct, omit_defaults=True, gc=False):
    """One operation of a transaction."""

    request_put: Put | None = None
    request_delete_range: Delete | None = None
    request_range: Range | None = None


class Compare(msgspec.Struct, gc=False, omit_defaults=True):
    """A condition of a transaction: what one revision of a key must equal.

    A key that is not there has revision 0. At 0 the field is left out, and etcd
    compares with 0.
    """

    key: bytes
    target: Literal["MOD", "CREATE"]
    mod_revision: int = 0
    create_revision: int = 0
    result: Literal["EQUAL", "GREATER", "LESS"] = "EQUAL"


class Txn(msgspec.Struct, omit_defaults=True, gc=False):
    """Operations made together, or those of `failure` where a condition fails."""

    compare: list[Compare]
    success: list[Op]
    failure: list[Op] = []


class RangeAnswer(msgspec.Struct, gc=False):
    """Rows by key in byte order."""

    header: Header = msgspec.field(default_factory=Header)
    kvs: list[KeyValue] = []
    more: bool = False
    count: int = 0


class PutAnswer(msgspec.Struct, gc=False):
    """A key was set."""

    header: Header = msgspec.field(default_factory=Header)


class DeleteAnswer(msgspec.Struct, gc=False):
    """Keys were removed."""

    header: Header = msgspec.field(default_factory=Header)
    deleted: int = 0


class OpAnswer(msgspec.Struct, gc=False):
    """What one operation of a transaction answered; puts are not looked at."""

    response_range: RangeAnswer | None = None


class TxnAnswer(msgspec.Struct, gc=False):
    """Which branch was taken, and its answers in the order asked."""

    header: Header = msgspec.field(default_factory=Header)
    succeeded: bool = False
    responses: list[OpAnswer] = []


class LeaseAnswer(msgspec.Struct, rename={"id": "ID", "ttl": "TTL"}, gc=False):
    """A lease and the seconds it has left; none where it has ended."""

    header: Header = msgspec.field(default_factory=Header)
    id: int = 0
    ttl: int = 0


class Status(msgspec.Struct, rename="camel", gc=False):
    """A member's own view."""

    header: Header = msgspec.field(default_factory=Header)
    version: str = ""
    db_size: int = 0
    db_size_in_use: int = 0
    leader: int = 0
    errors: list[str] = []
    """Alarms among them: "memberID:1 alarm:NOSPACE "."""


class Member(
    msgspec.Struct, rename={"id": "ID", "client_urls": "clientURLs"}, gc=False
):
    """One member of the cluster."""

    id: int = 0
    name: str = ""
    client_urls: list[str] = []


class Members(msgspec.Struct, gc=False):
    """Who belongs to the cluster."""

    header: Header = msgspec.field(default_factory=Header)
    members: list[Member] = []


class Event(msgspec.Struct, gc=False):
    """A key was set or removed; `kv.mod_revision` says when."""

    kv: KeyValue
    type: Literal["PUT", "DELETE"] = "PUT"


class WatchAnswer(msgspec.Struct, gc=False):
    """What a watch tells: events of one revision or more, or that it has ended."""

    header: Header = msgspec.field(default_factory=Header)
    created: bool = False
    canceled: bool = False
    compact_revision: int = 0
    cancel_reason: str = ""
    events: list[Event] = []


class Refusal(msgspec.Struct, gc=False):
    """What the gateway answers instead."""

    code: int = 0
    message: str = ""
    error: str = ""


class Frame(msgspec.Struct, gc=False):
    """One line of a stream."""

    result: msgspec.Raw = msgspec.Raw()
    error: Refusal | None = None


def put(key: Key, value: bytes, *, lease: int = 0) -> Op:
    """Return the operation that sets a key."""
    return Op(request_put=Put(key, value, lease))


def delete(key: Key, range_end: Key = b"") -> Op:
    """Return the operation that removes a key, or a range."""
    return Op(request_delete_range=Delete(key, range_end))


def get(key: Key, range_end: Key = b"") -> Op:
    """Return the operation that reads a key, or a range."""
    return Op(request_range=Range(key, range_end))


def unchanged(key: Key, mod_revision: int) -> Compare:
    """Return the condition that a key was last set at a revision; 0: is not there."""
    return Compare(key, "MOD", mod_revision=mod_revision)


def created_at(key: Key, create_revision: int) -> Compare:
    """Return the condition that a key has lived since a revision."""
    return Compare(key, "CREATE", create_revision=create_revision)


def end_of(prefix: Key) -> Key:
    """Return the first key after all that start with `prefix`; etcd's \\0 at the end."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else b"\0"


def encode(message: object) -> bytes:
    """Return a message as the gateway takes it."""
    return _encode(message)


def decode(text: bytes, kind: type[Message]) -> Message:
    """Read an answer; BadResponseError where it is something else."""
    try:
        return msgspec.json.decode(text, type=kind, strict=False)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as exc:
        raise BadResponseError(f"what etcd answered cannot be read: {exc}") from exc


_encode = msgspec.json.Encoder().encode
