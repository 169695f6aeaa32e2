# SPDX-License-Identifier: Apache-2.0
"""From whatever lies at the database's path to a database that can be written.

Synchronous: runs in the writer's thread, at the start and after each failure. Never
raises because of what is in the files: what cannot be used is set aside, and what can
be read of it saved.
"""

import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from toono.store.directory import Directory
from toono.store.disk import Connection, Disk, is_regular
from toono.store.engine import Engine
from toono.store.faults import DISK_ERRORS, DamageError, Fault, classify
from toono.store.files import beside, build, place, set_aside, strange
from toono.store.reserve import Reserve
from toono.store.salvage import salvage
from toono.store.schema import APPLICATION_ID, SCHEMA_VERSION

_VERSIONS_AT = 18
_LOGGED = b"\x02\x02"
"""What the header holds there, written and read by a log (SQLite's fileformat2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What was found when the database was opened."""

    fresh: bool = False
    """There was nothing: a first start, or somebody emptied the directory."""
    rebuilt: bool = False
    """What was there could not be used at all; the database is new and empty."""
    damaged: bool = False
    """Rows may be missing or old: hold every scope for incomplete."""
    set_aside: Path | None = None
    """Where the database that was there is now."""
    checked: bool = False
    """Its whole structure was read, as after a stop that was not clean."""


class Recovery:
    """Opens one database, and opens it again after it failed."""

    def __init__(
        self, path: Path, disk: Disk, directory: Directory, wall: Callable[[], float]
    ) -> None:
        self._path = path
        self._disk = disk
        self._directory = directory
        self._wall = wall
        self._reserve = Reserve(path.parent, disk)
        self.engine = Engine(path, disk)
        self.is_prepared = False
        """The database was found usable, or made so, since the start."""

    def claim(self) -> None:
        """Make the directory ours alone; StoreUnavailableError where it cannot be."""
        self._directory.claim()

    def open(self) -> Opened:
        """Make the database usable and open it."""
        clean = self._directory.take_clean_mark()
        opened = self._prepare(check=not clean)
        self.engine.open()
        self.is_prepared = True
        self._reserve.hold()
        return opened

    def restore(self, fault: Fault) -> Opened:
        """Close and open again after a failure; may fail, and be called again."""
        self._reserve.release()
        if self.is_prepared and not os.path.lexists(self._path):
            fault = Fault.MOVED
        if fault is Fault.MOVED:
            self._rescue()
        self.engine.close()
        self._directory.take_clean_mark()
        opened = Opened()
        if fault >= Fault.SYNC or not self.is_prepared:
            self._rewrite_log()
            opened = self._prepare(check=True)
        self.engine.open()
        self.is_prepared = True
        return opened

    def can_be_read(self) -> bool:
        """Tell whether there is a database of ours that answers reads as it is."""
        try:
            connection = self._disk.connect(self._path, read_only=True)
            try:
                return _is_ours(connection)
            finally:
                connection.close()
        except DISK_ERRORS:
            return False

    def replenish(self) -> None:
        """Take the reserve that `restore` gave back, where there is plenty again."""
        self._reserve.hold()

    def finish(self) -> None:
        """Close for good, and say whether that was in order."""
        try:
            if self.engine.finish():
                self._directory.leave_clean_mark()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close as things stand."""
        self.engine.close()
        self._reserve.close()
        self._directory.release()

    def _rewrite_log(self) -> None:
        log = beside(self._path, "-wal")
        if os.path.lexists(log) and is_regular(log):
            self._disk.rewrite(log)

    def _rescue(self) -> None:
        """Copy what is still open, but no longer at its path, into its place."""
        source = self.engine.survivor
        self._directory.release()
        self._directory.claim()
        if source is not None and self.engine.has_moved():
            build(self._path, self._disk, partial(salvage, source))
            place(self._path, self._disk, self._now())

    def _prepare(self, *, check: bool) -> Opened:
        aside = place(self._path, self._disk, self._now())
        damaged = aside is not None
        if not os.path.lexists(self._path):
            orphan = set_aside(self._path, self._disk, self._now())
            self._begin()
            return Opened(fresh=orphan is None, rebuilt=bool(orphan), set_aside=orphan)
        try:
            ours = strange(self._path) is None and self._verify(check=check)
        except DISK_ERRORS as exc:
            if classify(exc) < Fault.DAMAGE:
                raise
            return self._salvage()
        if ours:
            return Opened(damaged=damaged, set_aside=aside, checked=check)
        aside = set_aside(self._path, self._disk, self._now())
        self._begin()
        return Opened(rebuilt=True, set_aside=aside)

    def _verify(self, *, check: bool) -> bool:
        """Tell whether the database is ours; raises where it is damaged."""
        mode = self._path.lstat().st_mode
        if stat.S_IMODE(mode) != 0o600:
            self._path.chmod(0o600)
        self._check_header()
        connection = self._disk.connect(self._path)
        try:
            if not _is_ours(connection):
                return False
            if check:
                # As fast as quick_check for our two tables, and it sees a row that
                # the index lost.
                found = connection.execute("PRAGMA integrity_check(1)").fetchone()
                if found != ("ok",):
                    raise DamageError(f"{self._path} is damaged: {found!r}")
            # Closing would do it, but keep its failure for itself.
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            connection.close()
        return True

    def _check_header(self) -> None:
        """Raise where the header would have SQLite take the file for read-only."""
        # Opened and closed while nobody has it open by SQLite: see `disk`.
        file = self._disk.open(self._path, os.O_RDONLY)
        try:
            versions = os.pread(file, 2, _VERSIONS_AT)
        finally:
            self._disk.close(file)
        if versions != _LOGGED:
            raise DamageError(f"{self._path} has a header of {versions!r}")

    def _salvage(self) -> Opened:
        """Save what can be read into a new database, and set the old one aside."""
        saved = True
        try:
            source = self._disk.connect(self._path, read_only=True)
            try:
                saved = _is_ours(source)
                build(self._path, self._disk, partial(salvage, source))
            finally:
                source.close()
        except DISK_ERRORS as exc:
            if classify(exc) < Fault.DAMAGE:
                raise
            saved = False
        if not saved:
            aside = set_aside(self._path, self._disk, self._now())
            self._begin()
        else:
            aside = place(self._path, self._disk, self._now())
        return Opened(rebuilt=not saved, damaged=True, set_aside=aside)

    def _begin(self) -> None:
        build(self._path, self._disk, _nothing)
        place(self._path, self._disk, self._now())

    def _now(self) -> str:
        return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._wall()))


def _is_ours(connection: Connection) -> bool:
    owner = connection.execute("PRAGMA application_id").fetchone()
    version = connection.execute("PRAGMA user_version").fetchone()
    return (owner, version) == ((APPLICATION_ID,), (SCHEMA_VERSION,))


def _nothing(_: Connection) -> None:
    """Fill a new database."""
