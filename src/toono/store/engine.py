# SPDX-License-Identifier: Apache-2.0
"""The connection that writes. Synchronous: its owner gives it a thread of its own.

Every transaction is committed with `synchronous=NORMAL`, a write without a sync. It
becomes durable by a sync of the write-ahead log through a descriptor of our own: a
dummy transaction under FULL would sync it too, and write a page more each time.
"""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from toono.store.base import Batch
from toono.store.disk import Connection, Disk
from toono.store.faults import MovedError, SyncError
from toono.store.schema import PAGE_SIZE, after, checksum

_PUT = (
    "INSERT INTO rows(key, value, crc) VALUES(?, ?, ?) "
    "ON CONFLICT(key) DO UPDATE SET value = excluded.value, crc = excluded.crc"
)
_FRAME_BYTES = PAGE_SIZE + 24


class Engine:
    """Commits batches, syncs, checkpoints. After any exception: `close`, `open`."""

    def __init__(self, path: Path, disk: Disk) -> None:
        self._path = path
        self._disk = disk
        self._connection: Connection | None = None
        self._guard: Connection | None = None
        self._log = -1
        self._identity = (0, 0)

    def open(self) -> None:
        """Connect to a database that is known to be whole and ours."""
        self._connection = connection = self._disk.connect(self._path)
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute("PRAGMA cache_size=-1024")
        # Reading makes SQLite open the log, so that it exists.
        connection.execute("SELECT id FROM rows LIMIT 1").fetchone()
        # The last connection to close writes the log into the database, which must
        # not happen after a failed sync. A reader cannot: it is closed last then.
        self._guard = self._disk.connect(self._path, read_only=True)
        self._guard.execute("SELECT id FROM rows LIMIT 1").fetchone()
        # Held as long as the connection: a write error that the kernel meets later
        # is told once to each descriptor that was open at the time.
        self._log = self._disk.open(self._log_path, os.O_RDONLY)
        self._identity = _identity(self._path)

    def commit(self, batches: Sequence[Batch]) -> None:
        """Make all changes of `batches`, in order, in one transaction. No sync."""
        connection = self._connection
        assert connection is not None
        connection.execute("BEGIN IMMEDIATE")
        for batch in batches:
            self.change(connection, batch)
        connection.execute("COMMIT")

    def change(self, connection: Connection, batch: Batch) -> None:
        """Make the changes of one batch within a transaction."""
        for prefix in batch.drops:
            end = after(prefix)
            if end is None:
                connection.execute("DELETE FROM rows WHERE key >= ?", (prefix,))
            else:
                connection.execute(
                    "DELETE FROM rows WHERE key >= ? AND key < ?", (prefix, end)
                )
        if batch.deletes:
            connection.executemany(
                "DELETE FROM rows WHERE key = ?", [(key,) for key in batch.deletes]
            )
        if batch.puts:
            connection.executemany(
                _PUT, [(key, value, checksum(key, value)) for key, value in batch.puts]
            )

    def sync(self) -> None:
        """Return once all that was committed survives a power cut."""
        try:
            self._disk.sync(self._log)
        except OSError as exc:
            raise SyncError(exc.errno, f"sync of the log failed: {exc}") from exc
        self._check_place()

    @property
    def log_bytes(self) -> int:
        """The size of the write-ahead log's file."""
        return os.fstat(self._log).st_size

    def checkpoint(self) -> None:
        """Write the log into the database, so that the log begins anew."""
        assert self._connection is not None
        self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def shut(self) -> bool:
        """Close for good; returns whether the log went into the database, durable."""
        assert self._connection is not None
        assert self._guard is not None
        self._guard.close()
        self._guard = None
        row = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        self.close()
        return row is not None and row[0] == 0

    def close(self) -> None:
        """Close as things stand; nothing more is written."""
        connection, self._connection = self._connection, None
        guard, self._guard = self._guard, None
        log, self._log = self._log, -1
        with ExitStack() as closing:  # closes in reverse: the connection first
            if log >= 0:
                closing.callback(self._disk.close, log)
            if guard is not None:
                closing.callback(guard.close)
            if connection is not None:
                closing.callback(connection.close)

    @property
    def _log_path(self) -> Path:
        return self._path.with_name(self._path.name + "-wal")

    def _check_place(self) -> None:
        try:
            moved = (
                _identity(self._path) != self._identity
                or os.fstat(self._log).st_nlink == 0
            )
        except FileNotFoundError:
            moved = True
        if moved:
            raise MovedError(f"{self._path} was removed or replaced")


def _identity(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino
