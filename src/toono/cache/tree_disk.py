# SPDX-License-Identifier: Apache-2.0
"""Every call of the tree's writer that reaches a disk, where tests can replace it.

Nothing here decides anything. All names are single parts below a directory's
descriptor and no symbolic link is followed, so no path can lead out of the tree.
"""

import os
import stat
from pathlib import Path

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class TreeDisk:
    """The machine's own disk."""

    def open_root(self, path: Path) -> int:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def open_directory(self, name: str, parent: int) -> int:
        return os.open(name, _DIRECTORY, dir_fd=parent)

    def make_directory(self, name: str, parent: int) -> None:
        os.mkdir(name, 0o700, dir_fd=parent)

    def remove_directory(self, name: str, parent: int) -> None:
        os.rmdir(name, dir_fd=parent)

    def create(self, name: str, parent: int) -> int:
        """Make a file that is not there yet."""
        return os.open(name, _NEW, 0o600, dir_fd=parent)

    def write(self, descriptor: int, content: bytes) -> None:
        """Write all of it: a full disk may take a part before it says so."""
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]

    def sync(self, descriptor: int) -> None:
        """Return only once a file's content survives a power cut."""
        os.fdatasync(descriptor)

    def sync_directory(self, descriptor: int) -> None:
        """Return only once names made, renamed and removed survive one."""
        os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

    def rename(self, old: str, old_parent: int, new: str, new_parent: int) -> None:
        os.rename(old, new, src_dir_fd=old_parent, dst_dir_fd=new_parent)

    def unlink(self, name: str, parent: int) -> None:
        os.unlink(name, dir_fd=parent)

    def exists(self, name: str, parent: int) -> bool:
        try:
            os.lstat(name, dir_fd=parent)
        except FileNotFoundError:
            return False
        return True

    def entries(self, descriptor: int) -> tuple[list[str], list[str]]:
        """Return the names of directories, and of everything else."""
        with os.scandir(descriptor) as scan:
            found = [(one.name, one.is_dir(follow_symlinks=False)) for one in scan]
        directories = sorted(name for name, is_directory in found if is_directory)
        return directories, sorted(name for name, is_dir in found if not is_dir)

    def read(self, name: str, parent: int, limit: int) -> bytes | None:
        """Return what a plain file holds, one byte over `limit` at most; else None."""
        try:
            descriptor = os.open(name, _READ, dir_fd=parent)
        except OSError:
            return None
        with open(descriptor, "rb") as opened:
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                return None
            return opened.read(limit + 1)
