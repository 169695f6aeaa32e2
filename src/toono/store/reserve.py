# SPDX-License-Identifier: Apache-2.0
"""Room kept back for the hour of need: a file of 1 MiB and eight descriptors.

Recovery from a full disk needs some disk, and from exhausted descriptors some of
them. Both are given back first, and taken again once there is plenty.
"""

import os
from contextlib import suppress
from pathlib import Path

from toono.store.disk import Disk

BALLAST_NAME = "ballast"
BALLAST_BYTES = 1024 * 1024
DESCRIPTORS = 8
PLENTY_BYTES = 16 * BALLAST_BYTES


class Reserve:
    """The ballast of one directory. Never raises: it is a comfort, not a need."""

    def __init__(self, directory: Path, disk: Disk) -> None:
        self._path = directory / BALLAST_NAME
        self._disk = disk
        self._descriptors: list[int] = []

    def hold(self) -> None:
        """Take what is missing of the reserve, if there is plenty of it."""
        with suppress(OSError):
            while len(self._descriptors) < DESCRIPTORS:
                self._descriptors.append(os.open(os.devnull, os.O_RDONLY))
        with suppress(OSError):
            free = os.statvfs(self._path.parent)
            if free.f_bavail * free.f_frsize < PLENTY_BYTES:
                return
            file = self._disk.open(self._path, os.O_WRONLY | os.O_CREAT)
            try:
                os.posix_fallocate(file, 0, BALLAST_BYTES)
            finally:
                self._disk.close(file)

    def release(self) -> None:
        """Give all of it back."""
        self.close()
        with suppress(OSError):
            self._disk.unlink(self._path)

    def close(self) -> None:
        """Give the descriptors back; the ballast stays for the next start."""
        while self._descriptors:
            os.close(self._descriptors.pop())
