# SPDX-License-Identifier: Apache-2.0
"""Answers that nobody but the node may see again: sealed rows, looked up by digests.

    <prefix> <digest, 16 bytes> → (told at, ends at, sealed content)

What was asked is in the digest only, what was answered in the seal; a copied database
tells neither. A clock that jumps hides rows and deletes none. The row that ends first
goes where there are too many. It knows nothing of what the answers say.
"""

import msgspec

from toono.errors import DamagedRowError, StoreFullError, StoreUnavailableError
from toono.identity.sealed import Seal
from toono.runtime.clock import Clock
from toono.store.base import Batch, Store

MAX_ROWS = 4096
LEEWAY_SECONDS = 300.0
"""How far into the future an answer may have been told: clocks are set back."""


class Row(msgspec.Struct, array_like=True, frozen=True):
    """One answer as the store keeps it."""

    at: float
    ends_at: float
    sealed: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Row).decode


class Vault:
    """Answers of one sort, below one prefix."""

    def __init__(
        self,
        store: Store,
        seal: Seal,
        *,
        prefix: bytes,
        clock: Clock,
        max_rows: int = MAX_ROWS,
    ) -> None:
        self._store = store
        self._seal = seal
        self._prefix = prefix
        self._clock = clock
        self._max_rows = max_rows
        self._ends: dict[bytes, tuple[float, float]] = {}

    async def open(self) -> None:
        """Read what there is; what cannot be read is asked for again online."""
        for key, value in (await self._store.scan(self._prefix)).rows:
            row = _row(value)
            if row is not None:
                self._ends[key] = (row.at, row.ends_at)

    def __len__(self) -> int:
        return len(self._ends)

    def lasts(self, *question: str) -> tuple[float, float] | None:
        """Return when the answer to a question was told and ends, if there is one."""
        return self._ends.get(self._key(question))

    def put(self, content: bytes, *question: str, ends_at: float) -> None:
        """Keep an answer; a queue that is full keeps none, and nobody waits."""
        key, at = self._key(question), self._clock.wall()
        row = Row(at, ends_at, self._seal.close(content, place=key))
        gone = []
        if key not in self._ends and len(self._ends) >= self._max_rows:
            gone = [min(self._ends, key=lambda one: self._ends[one][1])]
        try:
            self._store.apply(Batch(puts=[(key, _encode(row))], deletes=gone))
        except (StoreFullError, StoreUnavailableError):
            return
        for one in gone:
            del self._ends[one]
        self._ends[key] = (at, ends_at)

    async def get(self, *question: str) -> bytes | None:
        """Return the answer to a question; None where none holds now."""
        key, now = self._key(question), self._clock.wall()
        at, ends_at = self._ends.get(key, (0.0, 0.0))
        if not at - LEEWAY_SECONDS <= now < ends_at:
            return None
        try:
            value = await self._store.get(key)
        except (DamagedRowError, StoreUnavailableError):
            return None
        row = _row(value) if value is not None else None
        return None if row is None else self._seal.open(row.sealed, place=key)

    def _key(self, question: tuple[str, ...]) -> bytes:
        content = msgspec.msgpack.encode(question)
        return self._prefix + self._seal.digest(content)


def _row(value: bytes) -> Row | None:
    try:
        return _decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
