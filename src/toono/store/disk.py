# SPDX-License-Identifier: Apache-2.0
"""Every call of the store that reaches a disk, in one place that tests can replace.

Nothing here decides anything. Never open the database file itself other than by
`connect`: closing any descriptor of it drops SQLite's POSIX locks in this process.
"""

import os
import shutil
import sqlite3
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

Value = bytes | int | float | str | None
BUSY_SECONDS = 2.0
"""How long another process, as an operator's shell, may hold the database locked."""


class Cursor(Protocol):
    """Rows of one statement."""

    def fetchone(self) -> tuple[Value, ...] | None: ...
    def fetchall(self) -> list[tuple[Value, ...]]: ...


class Connection(Protocol):
    """What the store uses of sqlite3.Connection (and tests give it of apsw's)."""

    def execute(self, sql: str, parameters: Sequence[Value] = ..., /) -> Cursor: ...
    def executemany(
        self, sql: str, parameters: Iterable[Sequence[Value]], /
    ) -> object: ...
    def interrupt(self) -> None: ...
    def close(self) -> object: ...


class Disk:
    """The machine's own disk."""

    def connect(self, path: Path, *, read_only: bool = False) -> Connection:
        """Open the database at `path`, which must exist. No transaction is begun."""
        mode = "ro" if read_only else "rw"
        return _tolerant(
            sqlite3.connect(
                f"file:{quote(str(path))}?mode={mode}",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                timeout=BUSY_SECONDS,
            )
        )

    def open(self, path: Path, flags: int) -> int:
        """Open a file that is no symlink; 0600 where it is made."""
        return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

    def sync(self, descriptor: int) -> None:
        """Return only once what was written to the file survives a power cut."""
        os.fdatasync(descriptor)

    def sync_directory(self, directory: Path) -> None:
        """Make names that were added, renamed or removed in `directory` durable."""
        descriptor = os.open(directory, os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        old.replace(new)

    def unlink(self, path: Path) -> None:
        path.unlink()

    def rewrite(self, path: Path) -> None:
        """Put a copy of a file, written anew and durable, in its place.

        After a failed sync the kernel holds pages of the file for written that never
        reached the disk; syncing it again would succeed and mean nothing.
        """
        copy = path.with_name(path.name + ".rewrite")
        source = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(source, "rb") as old, open(copy, "wb", opener=_opener) as new:
            shutil.copyfileobj(old, new)
            new.flush()
            os.fsync(new.fileno())
        copy.replace(path)
        self.sync_directory(path.parent)


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def is_regular(path: Path) -> bool:
    """Tell whether `path` is a file, and no symlink, FIFO, device or directory."""
    return stat.S_ISREG(path.lstat().st_mode)


def _tolerant(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Read every text: one flipped bit makes one of a blob, and a row must not hide all."""
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    return connection
