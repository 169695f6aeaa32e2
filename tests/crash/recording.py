# SPDX-License-Identifier: Apache-2.0
"""A disk beneath the store that writes down what it is asked, in order.

SQLite runs as apsw with a VFS of ours over the real files of a scratch directory;
the store's own calls go through `RecordingDisk`. Files are known by inode numbers of
our own, so that a renamed, replaced or deleted file stays itself.
"""

import errno
import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Self

import apsw

from toono.store.disk import Connection, Disk

_DIRECTORY_SYNCED = (
    apsw.SQLITE_OPEN_WAL
    | apsw.SQLITE_OPEN_MAIN_JOURNAL
    | apsw.SQLITE_OPEN_SUPER_JOURNAL
)


class Op(NamedTuple):
    """One thing that was asked of the disk, or a mark of the test's own."""

    kind: str
    inode: int = 0
    offset: int = 0
    content: bytes = b""
    name: str = ""
    to: str = ""


class Fail(Exception):
    """Raised by a `judge` to make a call fail with an errno."""

    def __init__(self, number: int) -> None:
        super().__init__(os.strerror(number))
        self.number = number


class Recorder:
    """The record of one directory. `judge` sees each call first and may raise Fail."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ops: list[Op] = []
        self.judge: Callable[[str, str], None] = lambda kind, name: None
        self.forgetful = False
        """A failed sync takes the file back to what was synced, as Btrfs may."""
        self._synced: dict[int, bytes] = {}
        self._inodes: dict[str, int] = {}
        self._next = 1
        self._lock = threading.Lock()
        self.base: dict[str, bytes] = {}
        for path in sorted(directory.iterdir()) if directory.is_dir() else ():
            if path.is_file():
                self.base[path.name] = path.read_bytes()
                self._inodes[path.name] = self._new()

    def base_inodes(self) -> dict[str, int]:
        """Return the numbers of the files that were there at the start."""
        return {name: at + 1 for at, name in enumerate(self.base)}

    def mark(self, name: str, number: int) -> None:
        """Note something that the test knows at this moment."""
        self.add(Op("mark", name=name, offset=number))

    def add(self, op: Op) -> None:
        with self._lock:
            self.ops.append(op)

    def opened(self, path: str) -> int:
        """Return the inode of a file that is about to be opened, or made."""
        name = os.path.basename(path)
        with self._lock:
            if name not in self._inodes or not os.path.lexists(path):
                self._inodes[name] = self._new()
                self.ops.append(Op("create", self._inodes[name], name=name))
            return self._inodes[name]

    def deleted(self, path: str) -> None:
        name = os.path.basename(path)
        with self._lock:
            self._inodes.pop(name, None)
            self.ops.append(Op("delete", name=name))

    def renamed(self, old: Path, new: Path) -> None:
        with self._lock:
            self._inodes[new.name] = self._inodes.pop(old.name)
            self.ops.append(Op("rename", name=old.name, to=new.name))

    def synced(self, inode: int, path: Path) -> None:
        self.add(Op("sync", inode))
        if self.forgetful and path.exists():
            self._synced[inode] = path.read_bytes()

    def not_synced(self, inode: int, path: Path) -> None:
        self.add(Op("sync-failed", inode))
        if self.forgetful and path.exists():
            with path.open("r+b") as file:
                file.truncate(file.write(self._synced.get(inode, b"")))

    def _new(self) -> int:
        self._next += 1
        return self._next - 1


_CODES = {
    # What SQLite's unix VFS makes of an errno, by call.
    ("write", errno.ENOSPC): apsw.SQLITE_FULL,
    ("write", None): apsw.SQLITE_IOERR_WRITE,
    ("sync", None): apsw.SQLITE_IOERR_FSYNC,
    ("truncate", None): apsw.SQLITE_IOERR_TRUNCATE,
    ("read", None): apsw.SQLITE_IOERR_READ,
    ("open", None): apsw.SQLITE_CANTOPEN,
    ("delete", None): apsw.SQLITE_IOERR_DELETE,
}


def _apsw_error(kind: str, number: int) -> apsw.Error:
    code = _CODES.get((kind, number)) or _CODES[kind, None]
    error = apsw.exception_for(code)
    error.extendedresult = code
    return error


class _File(apsw.VFSFile):
    def __init__(self, base: str, name, flags, recorder: Recorder) -> None:
        path = _path(name)
        self._recorder = recorder
        self._path = Path(path)
        self._name = self._path.name
        wanted = flags[0] if isinstance(flags, list) else flags
        self._sync_directory = bool(wanted & _DIRECTORY_SYNCED)
        self._inode = recorder.opened(path)
        super().__init__(base, name, flags)

    def _ask(self, kind: str) -> None:
        try:
            self._recorder.judge(kind, self._name)
        except Fail as fail:
            if kind == "sync":
                self._recorder.not_synced(self._inode, self._path)
            raise _apsw_error(kind, fail.number) from None

    def xRead(self, amount: int, offset: int) -> bytes:
        self._ask("read")
        return super().xRead(amount, offset)

    def xWrite(self, content: bytes, offset: int) -> None:
        self._ask("write")
        super().xWrite(content, offset)
        self._recorder.add(Op("write", self._inode, offset, bytes(content)))

    def xTruncate(self, size: int) -> None:
        self._ask("truncate")
        super().xTruncate(size)
        self._recorder.add(Op("truncate", self._inode, size))

    def xSync(self, flags: int) -> None:
        self._ask("sync")
        self._recorder.synced(self._inode, self._path)
        if self._sync_directory:
            # os_unix.c syncs the directory with the first sync of a new log.
            self._sync_directory = False
            self._recorder.add(Op("sync-directory"))


def _path(name) -> str:
    found = name.filename() if isinstance(name, apsw.URIFilename) else name
    assert found, "the store has no temporary files"
    return found


class _VFS(apsw.VFS):
    def __init__(self, name: str, recorder: Recorder) -> None:
        self._recorder = recorder
        super().__init__(name, "")

    def xOpen(self, name, flags) -> _File:
        path = _path(name)
        try:
            self._recorder.judge("open", os.path.basename(path))
        except Fail as fail:
            raise _apsw_error("open", fail.number) from None
        return _File("", name, flags, self._recorder)

    def xDelete(self, path: str, sync_directory: bool) -> None:
        try:
            self._recorder.judge("delete", os.path.basename(path))
        except Fail as fail:
            raise _apsw_error("delete", fail.number) from None
        super().xDelete(path, sync_directory)
        self._recorder.deleted(path)
        if sync_directory:
            self._recorder.add(Op("sync-directory"))


class _Cursor:
    def __init__(self, cursor: apsw.Cursor) -> None:
        self._cursor = cursor

    def fetchone(self):
        return _translated(self._cursor.fetchone)

    def fetchall(self):
        return _translated(self._cursor.fetchall)


class _Connection:
    """apsw's connection with the errors of the standard library's."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> _Cursor:
        return _Cursor(_translated(self._connection.execute, sql, parameters))

    def executemany(self, sql: str, parameters) -> object:
        return _translated(self._connection.executemany, sql, parameters)

    def interrupt(self) -> None:
        self._connection.interrupt()

    def close(self) -> None:
        # What fails while closing SQLite keeps for itself, and apsw tells.
        with suppress(apsw.Error):
            self._connection.close()


def _translated(call, *arguments):
    try:
        return call(*arguments)
    except apsw.Error as exc:
        code = getattr(exc, "extendedresult", 0)
        error = sqlite3.OperationalError(f"{type(exc).__name__}: {exc}")
        error.sqlite_errorcode = code
        raise error from exc


class RecordingDisk(Disk):
    """The store's disk over a recorder. Use as a context: the VFS is global."""

    _count = 0

    def __init__(self, recorder: Recorder) -> None:
        RecordingDisk._count += 1
        self._name = f"recording-{RecordingDisk._count}"
        self._recorder = recorder
        self._vfs = _VFS(self._name, recorder)
        self._descriptors: dict[int, tuple[int, Path]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._vfs.unregister()

    def connect(self, path: Path, *, read_only: bool = False) -> Connection:
        flags = apsw.SQLITE_OPEN_READONLY if read_only else apsw.SQLITE_OPEN_READWRITE
        connection = _translated(
            lambda: apsw.Connection(str(path), flags=flags, vfs=self._name)
        )
        connection.set_busy_timeout(1000)
        return _Connection(connection)

    def open(self, path: Path, flags: int) -> int:
        self._ask("open", path.name)
        made = bool(flags & os.O_CREAT) and not os.path.lexists(path)
        exists = os.path.lexists(path)
        inode = self._recorder.opened(str(path)) if made or exists else 0
        descriptor = super().open(path, flags)
        if flags & os.O_TRUNC and exists:
            self._recorder.add(Op("truncate", inode, 0))
        self._descriptors[descriptor] = (inode, path)
        return descriptor

    def close(self, descriptor: int) -> None:
        self._descriptors.pop(descriptor, None)
        super().close(descriptor)

    def sync(self, descriptor: int) -> None:
        inode, path = self._descriptors[descriptor]
        try:
            self._ask("sync", path.name)
        except OSError:
            self._recorder.not_synced(inode, path)
            raise
        self._recorder.synced(inode, path)

    def sync_directory(self, directory: Path) -> None:
        self._ask("sync", ".")
        self._recorder.add(Op("sync-directory"))

    def rename(self, old: Path, new: Path) -> None:
        self._ask("rename", old.name)
        super().rename(old, new)
        self._recorder.renamed(old, new)

    def unlink(self, path: Path) -> None:
        self._ask("delete", path.name)
        super().unlink(path)
        self._recorder.deleted(str(path))

    def rewrite(self, path: Path) -> None:
        self._ask("write", path.name)
        copy = path.with_name(path.name + ".rewrite")
        content = path.read_bytes()
        copy.unlink(missing_ok=True)
        inode = self._recorder.opened(str(copy))
        copy.write_bytes(content)
        self._recorder.add(Op("write", inode, 0, content))
        try:
            self._ask("sync", copy.name)
        except OSError:
            self._recorder.add(Op("sync-failed", inode))
            raise
        self._recorder.add(Op("sync", inode))
        self.rename(copy, path)
        self.sync_directory(path.parent)

    def _ask(self, kind: str, name: str) -> None:
        try:
            self._recorder.judge(kind, name)
        except Fail as fail:
            raise OSError(fail.number, os.strerror(fail.number), name) from None
