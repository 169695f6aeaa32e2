# SPDX-License-Identifier: Apache-2.0
"""The connection that reads. Synchronous: its owner gives it a thread of its own.

Every row is checked against its checksum, and against the key under which the index
found it. What cannot be read is damaged, never absent.
"""

import sqlite3
from pathlib import Path

from toono.errors import DamagedRowError, StoreUnavailableError
from toono.store.base import Key, Scan
from toono.store.disk import Connection, Disk
from toono.store.faults import DISK_ERRORS, Fault, classify
from toono.store.schema import after, sound_value

# `i` only reads the index, `r` only the table: each tells what the other lost.
_GET = (
    "SELECT r.key, r.value, r.crc FROM rows i LEFT JOIN rows r ON r.id = i.id "
    "WHERE i.key = ?"
)
_SCAN = (
    "SELECT i.key, r.key, r.value, r.crc FROM rows i LEFT JOIN rows r ON r.id = i.id "
    "WHERE i.key >= ? {} ORDER BY i.key"
)
_SCAN_TO = _SCAN.format("AND i.key < ?")
_SCAN_TO_END = _SCAN.format("")

_UNREADABLE = {sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ}


class Reader:
    """Reads rows. `damaged` collects the keys of bad ones until they are taken."""

    def __init__(self, path: Path, disk: Disk) -> None:
        self._path = path
        self._disk = disk
        self._connection: Connection | None = None
        self.damaged: list[Key] = []
        self.malformed = False
        """Set once the structure of the database, not a row, was found damaged."""

    def get(self, key: Key) -> bytes | None:
        """Return the value, None where there is none; DamagedRowError where bad."""
        try:
            row = self._open().execute(_GET, (key,)).fetchone()
        except DISK_ERRORS as exc:
            self._judge(exc)
            raise DamagedRowError(key) from exc
        if row is None:
            return None
        value = sound_value(key, *row)
        if value is None:
            self.damaged.append(key)
            raise DamagedRowError(key)
        return value

    def scan(self, prefix: Key) -> Scan:
        """Return all rows below `prefix`.

        Where the database cannot be read there, `prefix` itself is among the damaged.
        """
        end = after(prefix)
        sql = _SCAN_TO_END if end is None else _SCAN_TO
        bounds = (prefix,) if end is None else (prefix, end)
        try:
            found = self._open().execute(sql, bounds).fetchall()
        except DISK_ERRORS as exc:
            self._judge(exc)
            return Scan((), (prefix,))
        rows: list[tuple[Key, bytes]] = []
        damaged: list[Key] = []
        for key, *row in found:
            assert isinstance(key, bytes)
            value = sound_value(key, *row)
            if value is None:
                damaged.append(key)
            else:
                rows.append((key, value))
        self.damaged += damaged
        return Scan(rows, damaged)

    def close(self) -> None:
        """Close; the next read opens anew."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _open(self) -> Connection:
        if self._connection is None:
            connection = self._disk.connect(self._path, read_only=True)
            connection.execute("PRAGMA cache_size=-1024")
            self._connection = connection
        return self._connection

    def _judge(self, failure: BaseException) -> None:
        """Return where what was asked for is damaged, raise where the disk is away."""
        if classify(failure) is Fault.DAMAGE:
            self.malformed = True
        elif getattr(failure, "sqlite_errorcode", 0) not in _UNREADABLE:
            raise StoreUnavailableError(f"{self._path}: {failure}") from failure
