# SPDX-License-Identifier: Apache-2.0
"""What can go wrong with etcd, told apart by what one can do about it.

StoreError
 +-- BadKeyError              a name that can have no key in etcd
 +-- EtcdError                etcd answered, and refused
 |    +-- EtcdFullError       its quota is reached: reads go on, writes need an operator
 |    +-- EtcdTooLargeError   a request of more bytes than it takes: send less
 |    +-- EtcdTooManyOpsError a transaction of more operations than it takes: split
 |    +-- EtcdCompactedError  the history asked for is gone: read the present
 |    +-- EtcdLeaseGoneError  a lease has ended: what it held is gone
 |    +-- EtcdDeniedError     our certificate or user may not do this
 |    +-- WrongClusterError   another cluster answers, or other data: never write there
 |    +-- EtcdConflictError   others changed the same keys each time we tried
 |    +-- EtcdFencedError     we are not who may write any more: stop
 +-- StoreUnavailableError
      +-- EtcdUnavailableError  no member answers, or they have no leader: ask later
           +-- EtcdUnsureError  the request left and no answer came: it may be done
"""

from toono.errors import StoreError, StoreUnavailableError


class BadKeyError(StoreError):
    """A name, resource, namespace or prefix that can be no part of a key."""


class EtcdError(StoreError):
    """etcd refused what was asked; carries its gRPC code and its words."""

    def __init__(self, message: str, *, code: int = 0) -> None:
        super().__init__(f"etcd: {message}")
        self.code = code


class EtcdFullError(EtcdError):
    """The quota is reached (NOSPACE): it must be compacted and the alarm disarmed."""


class EtcdTooLargeError(EtcdError):
    """A request of more than --max-request-bytes."""


class EtcdTooManyOpsError(EtcdError):
    """A transaction of more than --max-txn-ops operations."""


class EtcdCompactedError(EtcdError):
    """A revision that compaction has removed."""

    def __init__(self, message: str, *, code: int = 0, revision: int = 0) -> None:
        super().__init__(message, code=code)
        self.revision = revision
        """The oldest revision that still can be watched; 0 where it was not told."""


class EtcdLeaseGoneError(EtcdError):
    """The lease is unknown: it ended or was revoked."""


class EtcdDeniedError(EtcdError):
    """Neither certificate nor user may do this."""


class WrongClusterError(EtcdError):
    """An answer from a cluster that is not the pool's."""


class EtcdConflictError(EtcdError):
    """Keys changed under every attempt: read again, later."""


class EtcdFencedError(EtcdError):
    """A later session of this hub, or a later leader, writes now."""

    def __init__(self, message: str, *, code: int = 0, session: bool = False) -> None:
        super().__init__(message, code=code)
        self.session = session
        """It is the whole session that has ended, not only a guard that failed."""


class EtcdUnavailableError(StoreUnavailableError):
    """No member could answer."""


class EtcdUnsureError(EtcdUnavailableError):
    """The connection broke after the request had left: it may or may not be done."""


def refusal(code: int, message: str) -> StoreError:
    """Return the error for an answer that etcd's gateway gave instead of a result.

    The gRPC code alone does not tell: "too large" and "too many operations" are both
    INVALID_ARGUMENT, a quota and a rate limit both RESOURCE_EXHAUSTED.
    """
    for words, kind in _BY_WORDS:
        if words in message:
            return kind(message, code=code)
    if code in _UNAVAILABLE:
        return EtcdUnavailableError(f"etcd: {message}")
    if code in _UNSURE:
        return EtcdUnsureError(f"etcd: {message}")
    if code in (_DENIED, _UNAUTHENTICATED):
        return EtcdDeniedError(message, code=code)
    return EtcdError(message, code=code)


_BY_WORDS: tuple[tuple[str, type[EtcdError]], ...] = (
    ("database space exceeded", EtcdFullError),
    ("too many operations in txn", EtcdTooManyOpsError),
    ("request is too large", EtcdTooLargeError),
    ("message larger than max", EtcdTooLargeError),
    ("has been compacted", EtcdCompactedError),
    ("requested lease not found", EtcdLeaseGoneError),
    ("permission denied", EtcdDeniedError),
    ("auth token", EtcdDeniedError),
)
_CANCELLED, _DEADLINE, _DENIED, _EXHAUSTED, _UNAUTHENTICATED = 1, 4, 7, 8, 16
_UNAVAILABLE = frozenset({_EXHAUSTED})
"""Refused before anything was done: "too many requests"."""
_UNSURE = frozenset({_CANCELLED, _DEADLINE, 2, 13, 14})
"""UNKNOWN, INTERNAL and UNAVAILABLE too: "leader changed" and "request timed out,
possibly due to previous leader failure" come for requests that are in the log."""
