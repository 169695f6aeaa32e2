# SPDX-License-Identifier: Apache-2.0
"""The connection that reads. Synchronous: its owner gives it a thread of its own.

Every row is checked against its checksum, and against the key under which the index
found it. What cannot be read is damaged, never absent.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from toono.errors import DamagedRowError, StoreUnavailableError
from toono.store.base import Key, Scan
from toono.store.disk import Connection, Disk, Value
from toono.store.faults import DISK_ERRORS, DamageError, Fault, classify
from toono.store.schema import GET, SCAN, SCAN_TO_END, after, sound_value


class Reader:
    """Reads rows. Called, in the reading thread, with what is found to be bad:
    `suspect` with keys of rows, `doubt` with a failure of the whole database.
    """

    def __init__(
        self,
        path: Path,
        disk: Disk,
        *,
        suspect: Callable[[Sequence[Key]], None],
        doubt: Callable[[BaseException], None],
    ) -> None:
        self._path = path
        self._disk = disk
        self._suspect = suspect
        self._doubt = doubt
        self._connection: Connection | None = None

    def get(self, key: Key) -> bytes | None:
        """Return the value, None where there is none; DamagedRowError where bad."""
        rows = self._read(GET, (key,))
        if rows is None:
            raise DamagedRowError(key)
        if not rows:
            return None
        value = sound_value(key, *rows[0])
        if value is None:
            self._report(key, *rows[0])
            raise DamagedRowError(key)
        return value

    def scan(self, prefix: Key) -> Scan:
        """Return all rows below `prefix`.

        Where the database cannot be read there, `prefix` itself is among the damaged.
        """
        end = after(prefix)
        sql = SCAN_TO_END if end is None else SCAN
        found = self._read(sql, (prefix,) if end is None else (prefix, end))
        if found is None:
            return Scan((), (prefix,))
        rows: list[tuple[Key, bytes]] = []
        damaged: list[Key] = []
        for key, *row in found:
            if not isinstance(key, bytes):  # its type in the index is damaged
                self._doubt(DamageError(f"the index holds a key {key!r}"))
                return Scan((), (prefix,))
            value = sound_value(key, *row)
            if value is None:
                damaged.append(key)
                self._report(key, *row)
            else:
                rows.append((key, value))
        return Scan(rows, damaged)

    def close(self) -> None:
        """Close; the next read opens anew."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _read(
        self, sql: str, parameters: Sequence[Value]
    ) -> list[tuple[Value, ...]] | None:
        """Return all rows of a statement, None where damage keeps us from that."""
        try:
            if self._connection is None:
                self._connection = self._open()
            return self._connection.execute(sql, parameters).fetchall()
        except DISK_ERRORS as exc:
            self.close()
            if classify(exc) is not Fault.DAMAGE:
                raise StoreUnavailableError(f"{self._path}: {exc}") from exc
            self._doubt(exc)
            return None

    def _open(self) -> Connection:
        connection = self._disk.connect(self._path, read_only=True)
        try:
            connection.execute("PRAGMA cache_size=-1024")
            connection.execute("SELECT id FROM rows LIMIT 1").fetchone()
        except DISK_ERRORS:
            connection.close()
            raise
        return connection

    def _report(self, key: Key, found: Value, value: Value, crc: Value) -> None:
        if found != key:
            self._doubt(DamageError(f"the index leads from {key!r} to {found!r}"))
        elif value is not None:  # else it is in the quarantine already
            self._suspect((key,))
