# SPDX-License-Identifier: Apache-2.0
"""What a failure of the disk means for what was written before.

A pure table. The order of `Fault` is the order of distrust: the cure of a later one
includes those of the earlier.
"""

import enum
import sqlite3

DISK_ERRORS = (sqlite3.Error, OSError)
"""Everything that SQLite or the system raises where a disk does not do its work."""


class Fault(enum.IntEnum):
    """How far a failure reaches."""

    DISK = 1
    """Nothing was changed (full, read-only, no descriptors, locked): try again."""
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


_SYNC_CODES = frozenset({sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC})


def classify(failure: BaseException) -> Fault:
    """Say what `failure` means for the database."""
    if isinstance(failure, MovedError):
        return Fault.MOVED
    if isinstance(failure, SyncError):
        return Fault.SYNC
    code = getattr(failure, "sqlite_errorcode", 0)
    if code in _SYNC_CODES:
        return Fault.SYNC
    if code & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return Fault.DAMAGE
    return Fault.DISK
