# SPDX-License-Identifier: Apache-2.0
"""What a failure of the disk means for what was written before.

A pure table. The order of `Fault` is the order of distrust: a cure of a later one is
good for an earlier one, too.
"""

import enum
import errno
import sqlite3

from toono.errors import StoreUnavailableError

DISK_ERRORS = (sqlite3.Error, OSError)
"""Everything that SQLite or the system raises where a disk does not do its work."""
FAILURES = (*DISK_ERRORS, StoreUnavailableError)


class Fault(enum.IntEnum):
    """How far a failure reaches."""

    DISK = 1
    """Nothing was changed (full, read-only, unreadable, locked): try again later."""
    SYNC = 2
    """The kernel may hold for written what never reached the disk."""
    DAMAGE = 3
    """The database is not what was written: keep what can be read of it."""
    MOVED = 4
    """The directory or the database was removed or replaced under us."""


class SyncError(OSError):
    """A sync of the write-ahead log failed; it must not be asked again."""


class MovedError(OSError):
    """The files that are open are no longer those at the database's path."""


class DamageError(OSError):
    """The structure of the database is not sound."""


_SYNC_CODES = frozenset({sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC})
_DAMAGE_CODES = frozenset(
    {
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_FORMAT,
        # Our statements are fixed: where one makes no sense the schema is damaged.
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_SCHEMA,
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_MISMATCH,
    }
)
_KINDS: tuple[tuple[type[BaseException], Fault], ...] = (
    (MovedError, Fault.MOVED),
    (DamageError, Fault.DAMAGE),
    (SyncError, Fault.SYNC),
)


def is_full(failure: BaseException) -> bool:
    """Say whether a disk, or our share of it, has no room left."""
    if getattr(failure, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
        return True
    return isinstance(failure, OSError) and failure.errno in _NO_ROOM


_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def classify(failure: BaseException) -> Fault:
    """Say what `failure` means for the database."""
    for kind, fault in _KINDS:
        if isinstance(failure, kind):
            return fault
    code = getattr(failure, "sqlite_errorcode", 0)
    if code in _SYNC_CODES:
        return Fault.SYNC
    if code & 0xFF in _DAMAGE_CODES:
        return Fault.DAMAGE
    # A read that failed too: a card that cannot be read now may be so in a minute,
    # and to begin a new database on it would throw away what it holds.
    return Fault.DISK
