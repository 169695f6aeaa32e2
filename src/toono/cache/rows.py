# SPDX-License-Identifier: Apache-2.0
"""How scopes and their objects are written as keys and values of a store.

    s <scope id, 8 bytes>                        → ScopeRow (msgpack)
    r <bucket, 8 bytes> <namespace> 0x00 <name>  → (uid, resourceVersion, data)

An object's row holds its resourceVersion, so that a change of one object is one row
and no more: the scope's version is the greater of what its own row says and what its
objects' rows say.
"""

from typing import Literal

import msgspec

from toono.cache.scope import Question, Row, RowKey, Scope
from toono.codec.base import Object, Style
from toono.errors import CodecError, DamagedRowError
from toono.store.base import Key

SCOPE_PREFIX = b"s"


class ScopeRow(msgspec.Struct, array_like=True, frozen=True, kw_only=True):
    """A scope as the store keeps it, without its objects."""

    question: Question
    bucket: int
    kind: str
    list_kind: str
    api_version: str
    style: Style
    version: int
    epoch: int
    complete: bool
    imported: bool
    confirmed_at: float
    count: int
    digest: int
    garbage: tuple[int, ...] = ()
    """Buckets whose rows nothing points to: a list written ahead, or replaced."""
    columns: bytes = b""
    no_rows: Literal["[]", "null"] = "[]"
    size: int = 0
    """Bytes of its objects when this was written: a few more or less by now."""


_encode = msgspec.msgpack.Encoder().encode
_decode_scope = msgspec.msgpack.Decoder(ScopeRow).decode
_decode_object = msgspec.msgpack.Decoder(tuple[str, str, bytes]).decode


def scope_key(scope_id: int) -> Key:
    """Return the key of a scope's own row."""
    return SCOPE_PREFIX + scope_id.to_bytes(8, "big")


def scope_id(key: Key) -> int:
    """Return the scope that a key made by `scope_key` names."""
    return int.from_bytes(key[1:9], "big")


def bucket_prefix(bucket: int) -> Key:
    """Return what all keys of a bucket's rows start with."""
    return b"r" + bucket.to_bytes(8, "big")


def object_key(bucket: int, key: RowKey) -> Key:
    """Return the key of one object's row."""
    return bucket_prefix(bucket) + f"{key[0]}\0{key[1]}".encode()


def row_key(key: Key) -> RowKey:
    """Return (namespace, name) of a key made by `object_key`; CodecError if none."""
    try:
        namespace, found, name = key[9:].decode().partition("\0")
    except UnicodeDecodeError as exc:
        raise CodecError(f"row key {key!r} is no name") from exc
    if not found:
        raise CodecError(f"row key {key!r} is no name")
    return namespace, name


def row_of(scope: Scope, garbage: tuple[int, ...] = ()) -> ScopeRow:
    """Return a scope's own row: what there is to it without its objects."""
    return ScopeRow(
        question=scope.question,
        bucket=scope.bucket,
        kind=scope.kind,
        list_kind=scope.list_kind,
        api_version=scope.api_version,
        style=scope.style,
        version=scope.version,
        epoch=scope.epoch,
        complete=scope.complete,
        imported=scope.imported,
        confirmed_at=scope.confirmed_at,
        count=len(scope.rows),
        digest=scope.digest,
        garbage=garbage,
        columns=scope.columns,
        no_rows=scope.no_rows,
        size=scope.size,
    )


def encode_scope(row: ScopeRow) -> bytes:
    """Return a scope's row as the store keeps it."""
    return _encode(row)


def decode_scope(value: bytes) -> ScopeRow:
    """Read what `encode_scope` wrote; CodecError where it is something else."""
    try:
        return _decode_scope(value)
    except (msgspec.DecodeError, msgspec.ValidationError) as exc:
        raise CodecError("a scope's row cannot be read") from exc


def encode_object(item: Object) -> bytes:
    """Return an object's row as the store keeps it."""
    return _encode((item.uid, item.resource_version, item.data))


def decode_object(value: bytes) -> tuple[str, str, bytes]:
    """Return (uid, resourceVersion, data); CodecError where it is something else."""
    try:
        return _decode_object(value)
    except (msgspec.DecodeError, msgspec.ValidationError) as exc:
        raise CodecError("an object's row cannot be read") from exc


def checked(row: Row, value: bytes | None, key: RowKey) -> bytes:
    """Return the stored bytes, only if they are those that the index speaks of."""
    if value is not None:
        uid, version, content = decode_object(value)
        if uid == row.uid and version == row.resource_version:
            return content
    raise DamagedRowError(f"{key[0]}/{key[1]}".encode())
