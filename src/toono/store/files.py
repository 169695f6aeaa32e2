# SPDX-License-Identifier: Apache-2.0
"""The database's files: a new one is put in place whole, an old one set aside.

A database is filled under `.part` and is complete under `.new`, from where it takes
its place; whoever finds `.new` finishes that. At no point does a power cut leave a
half-filled database, or one whose log belongs to another. Nothing is ever deleted but
what was never finished.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from toono.store.disk import Connection, Disk, is_regular
from toono.store.schema import create

COMPANIONS = ("-wal", "-shm", "-journal")


def beside(path: Path, suffix: str) -> Path:
    """Return the path of a file that belongs to the database at `path`."""
    return path.with_name(path.name + suffix)


def build(path: Path, disk: Disk, fill: Callable[[Connection], None]) -> None:
    """Make a new database, filled by `fill`, that `place` will put at `path`."""
    part = beside(path, ".part")
    _discard(part, disk)
    disk.close(disk.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    connection = disk.connect(part)
    try:
        create(connection)
        connection.execute("BEGIN IMMEDIATE")
        fill(connection)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        connection.close()
    finished = disk.open(part, os.O_RDONLY)
    try:
        disk.sync(finished)
    finally:
        disk.close(finished)
    disk.rename(part, beside(path, ".new"))
    disk.sync_directory(path.parent)


def place(path: Path, disk: Disk, now: str) -> Path | None:
    """Put a database that `build` left in its place, if there is one.

    Returns where that which stood there is now.
    """
    _discard(beside(path, ".part"), disk)
    new = beside(path, ".new")
    if not os.path.lexists(new):
        return None
    aside = set_aside(path, disk, now)
    disk.rename(new, path)
    disk.sync_directory(path.parent)
    return aside


def set_aside(path: Path, disk: Disk, now: str) -> Path | None:
    """Rename the database and what belongs to it, durable; returns its new path."""
    parts = [part for part in ("", *COMPANIONS) if os.path.lexists(beside(path, part))]
    if not parts:
        return None
    aside = beside(path, f".set-aside-{now}")
    number = 1
    while any(os.path.lexists(beside(aside, part)) for part in ("", *COMPANIONS)):
        number += 1
        aside = beside(path, f".set-aside-{now}-{number}")
    for part in parts:
        disk.rename(beside(path, part), beside(aside, part))
    disk.sync_directory(path.parent)
    return aside


def strange(path: Path) -> Path | None:
    """Return which of the database's files is no file: a symlink, a FIFO, or so."""
    for part in ("", *COMPANIONS):
        candidate = beside(path, part)
        if os.path.lexists(candidate) and not is_regular(candidate):
            return candidate
    return None


def _discard(path: Path, disk: Disk) -> None:
    for part in ("", *COMPANIONS):
        with suppress(FileNotFoundError):
            disk.unlink(beside(path, part))
