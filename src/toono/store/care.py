# SPDX-License-Identifier: Apache-2.0
"""The check of the whole database that a start cannot wait for."""

from collections.abc import Callable
from pathlib import Path

from toono.runtime.clock import Clock
from toono.store.disk import Connection, Disk
from toono.store.faults import DISK_ERRORS, DamageError, Fault, classify
from toono.store.worker import Worker


class Care:
    """Checks once, in a thread and a connection of its own; reports damage."""

    def __init__(
        self, path: Path, disk: Disk, doubt: Callable[[BaseException], None]
    ) -> None:
        self._path = path
        self._disk = disk
        self._doubt = doubt
        self._thread = Worker("store-check")
        self._connection: Connection | None = None
        self._stopped = False

    async def run(self, clock: Clock, after: float) -> None:
        """Check after some time."""
        await clock.sleep(after)
        failure = await self._thread.call(self._check)
        if failure is not None:
            self._doubt(failure)

    async def stop(self) -> None:
        """Let go of the database; it is not checked again."""
        self._stopped = True
        if self._connection is not None:
            self._connection.interrupt()
        await self._thread.call(_nothing)

    def end(self) -> None:
        """End the thread, after `stop`."""
        self._thread.stop()

    def _check(self) -> BaseException | None:
        if self._stopped:
            return None
        try:
            self._connection = self._disk.connect(self._path, read_only=True)
            try:
                sql = "PRAGMA integrity_check(1)"
                found = self._connection.execute(sql).fetchone()
            finally:
                connection, self._connection = self._connection, None
                connection.close()
        except DISK_ERRORS as exc:
            return exc if classify(exc) is Fault.DAMAGE else None
        if found == ("ok",):
            return None
        return DamageError(f"{self._path} is damaged: {found!r}")


def _nothing() -> None:
    """Only wait until the thread is free."""
