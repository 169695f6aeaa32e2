# SPDX-License-Identifier: Apache-2.0
"""The directory that a store lives in: whose it is, what it lies on, who is using it.

Everything in it is 0600 in a directory of 0700, whatever the umask. One process holds
it, by a lock that the kernel drops with the process.
"""

import ctypes
import errno
import fcntl
import os
import stat
from contextlib import ExitStack, suppress
from pathlib import Path

from toono.errors import StoreInUseError, StoreUnavailableError
from toono.store.disk import Disk

LOCK_NAME = "lock"
CLEAN_NAME = "clean"

_UNSAFE = {
    # Names after statfs(2). None of them has both working locks and a log that can
    # be mapped, or keeps what was synced.
    0x4D44: "vfat",
    0x2011BAB0: "exfat",
    0x6969: "nfs",
    0xFF534D42: "cifs",
    0xFE534D42: "smb",
    0x01021997: "9p",
}
_VOLATILE = {0x01021994: "tmpfs", 0x858458F6: "ramfs"}


class Directory:
    """The store's directory, locked. Opened by `claim`, given back by `release`."""

    def __init__(self, path: Path, disk: Disk, *, allow_tmpfs: bool = False) -> None:
        self.path = path
        self._disk = disk
        self._allow_tmpfs = allow_tmpfs
        self._lock = -1

    def claim(self) -> None:
        """Make the directory, check it and lock it; StoreUnavailableError if taken."""
        self._make()
        refuse_file_system(file_system(self.path), self.path, self._allow_tmpfs)
        path = self.path / LOCK_NAME
        if os.path.lexists(path) and not stat.S_ISREG(os.lstat(path).st_mode):
            raise StoreUnavailableError(
                f"{path} is not a file: remove it, and start again"
            )
        lock = self._open_lock(path)
        with ExitStack() as undo:
            undo.callback(self._disk.close, lock)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as exc:
                holder = os.pread(lock, 20, 0).decode("ascii", "replace").strip()
                raise StoreInUseError(
                    f"{self.path} is in use by process {holder or 'unknown'}: stop "
                    "it, or give this hub another --disk-cache-path"
                ) from exc
            with suppress(OSError):  # a full disk: the lock holds without the name
                os.fchmod(lock, 0o600)
                os.ftruncate(lock, 0)
                os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
            undo.pop_all()
        self._lock = lock

    def _open_lock(self, path: Path) -> int:
        try:
            return self._disk.open(path, os.O_RDWR | os.O_CREAT)
        except OSError as failure:
            try:  # a disk that cannot be written can still be read, and locked
                return self._disk.open(path, os.O_RDONLY)
            except OSError:
                raise StoreUnavailableError(_explain(path, failure)) from failure

    def release(self) -> None:
        """Let another process have the directory."""
        lock, self._lock = self._lock, -1
        if lock >= 0:
            self._disk.close(lock)

    def take_clean_mark(self) -> bool:
        """Remove the mark of a clean end, durable; returns whether it was there.

        Must succeed before anything is written: else the next start takes the
        database for clean.
        """
        try:
            self._disk.unlink(self.path / CLEAN_NAME)
        except FileNotFoundError:
            return False
        self._disk.sync_directory(self.path)
        return True

    def leave_clean_mark(self) -> None:
        """Say that everything was written and closed in order."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        self._disk.close(self._disk.open(self.path / CLEAN_NAME, flags))
        self._disk.sync_directory(self.path)

    def _make(self) -> None:
        try:
            # Parents are not ours alone: they keep the modes that others expect.
            self.path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            with suppress(FileExistsError):
                self.path.mkdir(mode=0o700)
            descriptor = os.open(self.path, os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if stat.S_IMODE(os.fstat(descriptor).st_mode) != 0o700:
                    os.fchmod(descriptor, 0o700)
            finally:
                os.close(descriptor)
        except OSError as exc:
            raise StoreUnavailableError(_explain(self.path, exc)) from exc


def file_system(path: Path) -> int:
    """Return the magic number of the file system under `path`; 0 where unknown."""
    try:
        statfs = ctypes.CDLL(None).statfs
    except (OSError, AttributeError):
        return 0
    buffer = ctypes.create_string_buffer(512)  # struct statfs has at most 120 bytes
    if statfs(os.fsencode(path), buffer) != 0:
        return 0
    return ctypes.c_ulong.from_buffer(buffer).value & 0xFFFFFFFF


def refuse_file_system(magic: int, path: Path, allow_tmpfs: bool) -> None:
    """Raise StoreUnavailableError for a file system that does not keep promises."""
    name = _UNSAFE.get(magic)
    if name is not None:
        raise StoreUnavailableError(
            f"{path} lies on {name}, which does not keep what is written across a "
            "power cut: point --disk-cache-path to a local disk"
        )
    if magic in _VOLATILE and not allow_tmpfs:
        raise StoreUnavailableError(
            f"{path} lies on {_VOLATILE[magic]}, which is empty after a reboot: point "
            "--disk-cache-path to a local disk"
        )


def _explain(path: Path, failure: OSError) -> str:
    remedy = {
        errno.EACCES: "give the hub's user write permission there",
        errno.EPERM: "give the hub's user write permission there",
        errno.EROFS: "remount it writable, or choose another --disk-cache-path",
        errno.ENOSPC: "free space or inodes, or choose another --disk-cache-path",
        errno.ELOOP: "a symbolic link is not followed: make it a directory",
        errno.ENOTDIR: "it or a part of it is no directory: move that away",
    }.get(failure.errno or 0, "check --disk-cache-path")
    return f"{path} cannot be used: {failure.strerror} ({remedy})"
