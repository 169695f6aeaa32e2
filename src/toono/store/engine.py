# SPDX-License-Identifier: Apache-2.0
"""The connection that writes. Synchronous: its owner gives it a thread of its own.

`sync` and `checkpoint` may run in a second thread beside `commit`; they use a
descriptor and a connection of their own.

Every transaction is committed with `synchronous=NORMAL`, a write without a sync. It
becomes durable by a sync of the write-ahead log through a descriptor of our own: a
dummy transaction under FULL would sync it too, and write a page more each time.
"""

import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

from toono.store.base import Batch, Key
from toono.store.disk import Connection, Disk
from toono.store.faults import DamageError, MovedError, SyncError
from toono.store.files import beside
from toono.store.schema import (
    DELETE,
    DROP,
    DROP_TO_END,
    GET,
    PUT,
    after,
    checksum,
    sound_value,
)

QUARANTINE_ROWS = 256
_ROW_BYTES = 4096
"""What a row costs in the log beyond its own bytes, on average: half a page."""


class Engine:
    """Commits batches, syncs, checkpoints. After any exception: `close`, `open`."""

    def __init__(self, path: Path, disk: Disk) -> None:
        self._path = path
        self._disk = disk
        self._connection: Connection | None = None
        self._guard: Connection | None = None
        self._sweeper: Connection | None = None
        self._log = -1
        self._identity = (0, 0)
        self.logged_bytes = 0
        """About how much was written to the log since it last began anew."""
        self.kept_bytes = 0
        """What was in the log when a checkpoint could not let it begin anew."""

    def open(self) -> None:
        """Connect to a database that is known to be whole and ours."""
        self._connection = connection = self._disk.connect(self._path)
        self._identity = _identity(self._path)
        if connection.execute("PRAGMA journal_mode=WAL").fetchone() != ("wal",):
            raise DamageError(f"{self._path} cannot have a write-ahead log")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA wal_autocheckpoint=0").fetchall()
        connection.execute("PRAGMA cache_size=-1024")
        # Reading makes SQLite open the log, so that it exists.
        connection.execute("SELECT id FROM rows LIMIT 1").fetchone()
        # The last connection to close writes the log into the database, which must
        # not happen after a failed sync. A reader cannot: it is closed last then.
        self._guard = self._disk.connect(self._path, read_only=True)
        self._guard.execute("SELECT id FROM rows LIMIT 1").fetchone()
        self._sweeper = self._disk.connect(self._path)
        self._sweeper.execute("PRAGMA synchronous=NORMAL")
        # Held as long as the connection: a write error that the kernel meets later
        # is told once to each descriptor that was open at the time.
        self._log = self._disk.open(beside(self._path, "-wal"), os.O_RDONLY)
        self.logged_bytes = os.fstat(self._log).st_size
        self.kept_bytes = 0

    def commit(self, batches: Sequence[Batch]) -> None:
        """Make all changes of `batches`, in order, in one transaction. No sync."""
        connection = self._writer
        connection.execute("BEGIN IMMEDIATE")
        for batch in batches:
            self.change(connection, batch)
            self.logged_bytes += batch.size
            self.logged_bytes += _ROW_BYTES * (len(batch.puts) + len(batch.deletes))
        connection.execute("COMMIT")

    def change(self, connection: Connection, batch: Batch) -> None:
        """Make the changes of one batch within a transaction."""
        for prefix in batch.drops:
            end = after(prefix)
            if end is None:
                connection.execute(DROP_TO_END, (prefix,))
            else:
                connection.execute(DROP, (prefix, end))
        if batch.deletes:
            connection.executemany(DELETE, [(key,) for key in batch.deletes])
        if batch.puts:
            rows = [(key, value, checksum(key, value)) for key, value in batch.puts]
            connection.executemany(PUT, rows)

    def sync(self) -> None:
        """Return once all that was committed survives a power cut."""
        try:
            self._disk.sync(self._log)
        except OSError as exc:
            raise SyncError(exc.errno, f"the log cannot be synced: {exc}") from exc
        if self.has_moved():
            raise MovedError(f"{self._path} was removed or replaced")

    def checkpoint(self) -> None:
        """Write the log into the database; it begins anew unless it grew meanwhile."""
        assert self._sweeper is not None, "the engine is closed"
        before = self.logged_bytes
        row = self._sweeper.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        _, frames, written = row or (1, 0, -1)
        if frames == written and self.logged_bytes == before:
            self.logged_bytes = self.kept_bytes = 0
        else:
            self.kept_bytes = self.logged_bytes

    def quarantine(self, keys: Iterable[Key]) -> int:
        """Move damaged rows aside, leaving rows without a value; returns how many."""
        connection = self._writer
        moved = 0
        connection.execute("BEGIN IMMEDIATE")
        for key in keys:
            row = connection.execute(GET, (key,)).fetchone()
            if row is None or row[1] is None or sound_value(key, *row) is not None:
                continue  # written anew, or moved, meanwhile
            if row[0] != key:
                raise DamageError(f"the index leads from {key!r} to {row[0]!r}")
            value = row[1]
            if isinstance(value, str):  # of a flipped bit; no text has to be UTF-8
                value = value.encode("utf-8", "surrogateescape")
            connection.execute(
                "INSERT INTO quarantine(key, value, crc) VALUES(?, ?, ?)",
                (key, value, row[2]),
            )
            connection.execute(
                "UPDATE rows SET value = NULL, crc = NULL WHERE key = ?", (key,)
            )
            moved += 1
        connection.execute(
            "DELETE FROM quarantine WHERE id <= (SELECT max(id) FROM quarantine) - ?",
            (QUARANTINE_ROWS,),
        )
        connection.execute("COMMIT")
        return moved

    def finish(self) -> bool:
        """Close for good; returns whether the log went into the database, durable."""
        row = self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        whole = row is not None and row[0] == 0
        if whole and self._guard is not None:
            guard, self._guard = self._guard, None
            guard.close()  # so that the writer, closed last, removes the empty log
        self.close()
        return whole

    def close(self) -> None:
        """Close as things stand; nothing more is written."""
        connection, self._connection = self._connection, None
        guard, self._guard = self._guard, None
        sweeper, self._sweeper = self._sweeper, None
        log, self._log = self._log, -1
        with ExitStack() as closing:  # closes in reverse: the connection first
            if log >= 0:
                closing.callback(self._disk.close, log)
            if guard is not None:
                closing.callback(guard.close)
            if connection is not None:
                closing.callback(connection.close)
            if sweeper is not None:
                closing.callback(sweeper.close)

    def has_moved(self) -> bool:
        """Tell whether what is open is no longer what lies at the path."""
        try:
            return (
                _identity(self._path) != self._identity
                or os.fstat(self._log).st_nlink == 0
            )
        except OSError:
            return True

    @property
    def survivor(self) -> Connection | None:
        """A connection that still reads files that were removed from their path."""
        return self._guard

    @property
    def _writer(self) -> Connection:
        assert self._connection is not None, "the engine is closed"
        return self._connection


def _identity(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino
