# SPDX-License-Identifier: Apache-2.0
"""The store as a model: what every other store must be indistinguishable from.

For tests and for machines that may not write. Nothing here survives the process.
"""

import asyncio

from toono.errors import StoreFullError, StoreUnavailableError
from toono.store.base import Batch, Key, Scan

QUEUE_BYTES = 8 * 1024 * 1024


class MemoryStore:
    """A dict that keeps the contract; every batch is done when it is taken."""

    def __init__(self) -> None:
        self._rows: dict[Key, bytes] = {}
        self._closed = False

    async def get(self, key: Key) -> bytes | None:
        """Return the value, None where there is none."""
        return self._rows.get(key)

    async def scan(self, prefix: Key) -> Scan:
        """Return all rows whose key starts with `prefix`, by key."""
        found = [row for row in self._rows.items() if row[0].startswith(prefix)]
        return Scan(sorted(found), ())

    def apply(self, batch: Batch, *, sync: bool = False) -> asyncio.Future[None]:
        """Take `batch`. `sync` changes nothing: there is no disk."""
        if self._closed:
            raise StoreUnavailableError("the store is closed")
        if batch.size > QUEUE_BYTES:
            raise StoreFullError(
                f"a batch of {batch.size} bytes does not fit the queue"
            )
        for prefix in batch.drops:
            for key in [key for key in self._rows if key.startswith(prefix)]:
                del self._rows[key]
        for key in batch.deletes:
            self._rows.pop(key, None)
        self._rows.update(batch.puts)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future

    async def aclose(self) -> None:
        """Refuse further batches; what was stored can still be read."""
        self._closed = True
