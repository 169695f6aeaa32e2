# SPDX-License-Identifier: Apache-2.0
"""What a store promises. A store speaks bytes and knows nothing of Kubernetes."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

Key = bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Changes that are made together or not at all.

    Order within a batch: `drops`, then `deletes`, then `puts`.
    """

    puts: Sequence[tuple[Key, bytes]] = ()
    deletes: Sequence[Key] = ()
    drops: Sequence[Key] = ()
    """Prefixes: every key that starts with one of them is removed."""

    @property
    def size(self) -> int:
        """Bytes of keys and values, the measure of the queue's bound."""
        return (
            sum(len(key) + len(value) for key, value in self.puts)
            + sum(map(len, self.deletes))
            + sum(map(len, self.drops))
        )


class Scan(NamedTuple):
    """Rows below a prefix, by key in byte order, and the keys of damaged ones."""

    rows: Sequence[tuple[Key, bytes]]
    damaged: Sequence[Key]


class Store(Protocol):
    """Bytes under keys, kept across a power cut.

    `apply` takes a batch into an ordered queue at the moment of the call; batches
    become durable in that order, so that after a crash a prefix of them is there,
    each whole or not at all. Reads see every batch taken so far, committed or not.
    """

    async def get(self, key: Key) -> bytes | None:
        """Return the value, None where there is none; DamagedRowError where bad.

        StoreUnavailableError where the disk cannot be read just now (`scan`, too).
        """
        ...

    async def scan(self, prefix: Key) -> Scan:
        """Return all rows whose key starts with `prefix`.

        Where so much is damaged that rows may be missing unseen, `prefix` itself is
        among the damaged keys. A store cannot know a row that left no trace: who must
        not take damage for absence keeps a count and a digest of the keys.
        """
        ...

    def apply(self, batch: Batch, *, sync: bool = False) -> asyncio.Future[None]:
        """Take `batch`; the future is done once it survives kill -9.

        With `sync`, once it (and all before it) survives a power cut; without,
        that follows within 50 ms. Raises StoreFullError at once where the queue
        is full: then nothing of the batch is kept and the caller must treat what
        it covers as incomplete. Cancelling the future does not take the batch
        back. While the disk fails, batches stay in memory (reads see them) and
        futures wait.
        """
        ...

    async def aclose(self) -> None:
        """Write what is queued, make it durable, and close."""
        ...
