# SPDX-License-Identifier: Apache-2.0
"""From whatever lies at the database's path to a database that can be written.

What cannot be used is set aside under a name with the time, never deleted, and a new
database begun.
"""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from toono.store.disk import Connection, Disk, is_regular
from toono.store.faults import DISK_ERRORS, Fault, classify
from toono.store.schema import APPLICATION_ID, CREATE, PAGE_SIZE, SCHEMA_VERSION

COMPANIONS = ("-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What was found when the database was opened."""

    fresh: bool
    """There was no database: this is a first start, or somebody removed it."""
    rebuilt: bool = False
    """What was there could not be used; this database is new and empty."""
    set_aside: Path | None = None
    damaged: bool = False
    """Rows may be missing: every scope must be checked, or held for incomplete."""


class UnusableError(Exception):
    """The file at the database's path is no database of ours."""


def prepare(path: Path, disk: Disk, *, check: bool, now: str) -> Opened:
    """Leave a database of ours at `path`, closed.

    `check` reads its whole structure first, as after a stop that was not clean.
    """
    if not os.path.lexists(path):
        _begin(path, disk)
        return Opened(fresh=True)
    try:
        _verify(path, disk, check=check)
    except UnusableError:
        aside = set_aside(path, disk, now)
        _begin(path, disk)
        return Opened(fresh=False, rebuilt=True, set_aside=aside, damaged=True)
    return Opened(fresh=False)


def set_aside(path: Path, disk: Disk, now: str) -> Path:
    """Rename the database and what belongs to it; returns its new path."""
    aside = path.with_name(f"{path.name}.set-aside-{now}")
    number = 1
    while os.path.lexists(aside):
        number += 1
        aside = path.with_name(f"{path.name}.set-aside-{now}-{number}")
    for suffix in ("", *COMPANIONS):
        part = path.with_name(path.name + suffix)
        if os.path.lexists(part):
            disk.rename(part, aside.with_name(aside.name + suffix))
    disk.sync_directory(path.parent)
    return aside


def _verify(path: Path, disk: Disk, *, check: bool) -> None:
    """Raise UnusableError unless `path` is a whole database of ours."""
    for suffix in ("", *COMPANIONS):
        part = path.with_name(path.name + suffix)
        if os.path.lexists(part) and not is_regular(part):
            raise UnusableError(f"{part} is not a file")
    if stat.S_IMODE(path.lstat().st_mode) != 0o600:
        path.chmod(0o600)
    connection = disk.connect(path)
    try:
        _identify(connection, path)
        if check:
            _check(connection)
    except DISK_ERRORS as exc:
        if classify(exc) is Fault.DAMAGE:
            raise UnusableError(f"{path}: {exc}") from exc
        raise
    finally:
        connection.close()


def _identify(connection: Connection, path: Path) -> None:
    (owner,) = connection.execute("PRAGMA application_id").fetchone() or (None,)
    (version,) = connection.execute("PRAGMA user_version").fetchone() or (None,)
    tables = connection.execute("SELECT name FROM sqlite_schema").fetchall()
    if owner == 0 and version == 0 and not tables:
        _create(connection)
        return
    if owner != APPLICATION_ID:
        raise UnusableError(f"{path} is a database of another program")
    if version != SCHEMA_VERSION:
        raise UnusableError(f"{path} has version {version!r}, this is {SCHEMA_VERSION}")


def _check(connection: Connection) -> None:
    found = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != ("ok",):
        raise UnusableError(f"the database is damaged: {found!r}")


def _begin(path: Path, disk: Disk) -> None:
    disk.close(disk.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    connection = disk.connect(path)
    try:
        _create(connection)
    finally:
        connection.close()
    disk.sync_directory(path.parent)


def _create(connection: Connection) -> None:
    connection.execute(f"PRAGMA page_size={PAGE_SIZE}")
    connection.execute("PRAGMA journal_mode=WAL").fetchall()
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("BEGIN IMMEDIATE")
    for statement in CREATE:
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    connection.execute("COMMIT")
