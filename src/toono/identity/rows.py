# SPDX-License-Identifier: Apache-2.0
"""How rights are written as keys and values of a store.

    i0                    → the node's own key for hashes of tokens (32 random bytes)
    ik                    → KeySetRow: the cluster's key set
    iv <digest, 16 bytes> → VerdictRow: what one identity was told
    ir <digest, 16 bytes> → RefusedRow: a token that the API server takes no longer
    il <digest, 16 bytes> → FedRow: answers to token owners are kept of this resource

No row holds a token, nor anything that one could be made from.
"""

import hashlib
from typing import NamedTuple

import msgspec

from toono.errors import CodecError

SALT = b"i0"
KEY_SET = b"ik"
VERDICT_PREFIX = b"iv"
REFUSED_PREFIX = b"ir"
FED_PREFIX = b"il"
PREFIX = b"i"
NODE = "node"
"""The node's own identity in a row; no user's has this form."""


class Question(NamedTuple):
    """What an authorizer is asked; an empty namespace or name stands for all."""

    verb: str
    group: str
    resource: str
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    selector: str = ""
    """Authorizers may look at selectors (KEP-4601): a node lists its own pods alone."""


class VerdictRow(msgspec.Struct, array_like=True, frozen=True):
    """What one identity heard to one question, and when."""

    identity: str
    question: Question
    allowed: bool
    at: float


class KeySetRow(msgspec.Struct, array_like=True, frozen=True):
    """The cluster's key set as it was told."""

    issuer: str
    document: bytes
    fetched_at: float


class RefusedRow(msgspec.Struct, array_like=True, frozen=True):
    """When a token was refused."""

    at: float


class FedRow(msgspec.Struct, array_like=True, frozen=True):
    """A resource of which something is kept that a token's owner was told."""

    group: str
    resource: str


Row = VerdictRow | KeySetRow | RefusedRow | FedRow
encode = msgspec.msgpack.Encoder().encode


def decode(kind: type[Row], value: bytes) -> Row:
    """Return a row of one kind; CodecError where the value is none."""
    try:
        return msgspec.msgpack.decode(value, type=kind)
    except msgspec.DecodeError as exc:
        raise CodecError(f"a row of rights cannot be read: {exc}") from exc


def verdict_key(identity: str, question: Question) -> bytes:
    """Return the key of a verdict's row."""
    return VERDICT_PREFIX + _digest(identity, *question)


def fed_key(row: FedRow) -> bytes:
    """Return the key of a fed resource's row."""
    return FED_PREFIX + _digest(row.group, row.resource)


def _digest(*parts: str) -> bytes:
    joined = "\0".join(parts).encode("utf-8", "replace")
    return hashlib.blake2b(joined, digest_size=16).digest()
