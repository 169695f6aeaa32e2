# SPDX-License-Identifier: Apache-2.0
"""Answers that are kept while they pass, and what of them waits for the disk.

The client is not to notice the recording: only what removes something is held.
"""

import asyncio

from toono.cache.coding import MAX_BODY_BYTES
from toono.cache.documents import DocumentRecording
from toono.cache.persist import Bulk
from toono.cache.record import Recording
from toono.cache.taking import Kept
from toono.runtime.clock import Clock
from toono.wire.messages import Answer, Body

BARRIER_SECONDS = 0.2
BARRIER_REST_SECONDS = 10.0


class Barrier:
    """Holds what removes something until the disk has it, but never for long.

    A disk that stalls longer than 200 ms is not waited for again for 10 s: the
    clients' view of the cloud comes before the promise of a power cut. A big list may
    take longer by its size alone, and so what comes behind it: that says nothing of the
    disk, and is itself not waited for again.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rests_until = 0.0
        self.stalls = 0

    async def wait(self, kept: Kept) -> None:
        """Return once `kept` is durable, or the disk has had its time."""
        if kept is None or kept.done() or self._clock.monotonic() < self._rests_until:
            return
        if isinstance(kept, Bulk) and kept.is_late:
            self.stalls += 1
            return
        done, _ = await asyncio.wait((kept,), timeout=BARRIER_SECONDS)
        if not done:
            self.stalls += 1
            if isinstance(kept, Bulk):
                kept.is_late = True
                return
            self._rests_until = self._clock.monotonic() + BARRIER_REST_SECONDS


class RecordedBody:
    """A streamed answer that is recorded beside the client.

    Its last piece is held until the recording has all: what it removes must be durable
    before the client can know the answer is complete. One that is too large to be kept
    is not looked at any more.
    """

    def __init__(
        self,
        inner: Body,
        recording: Recording | DocumentRecording,
        answer: Answer,
        barrier: Barrier,
    ) -> None:
        self._inner = inner
        self._recording: Recording | DocumentRecording | None = recording
        self._answer = answer
        self._barrier = barrier
        self._size = 0
        self._held = b""
        self._over = False
        self.length = inner.length

    async def read(self) -> bytes:
        if self._over:
            return b""
        while piece := await self._inner.read():
            await self._record(piece)
            held, self._held = self._held, piece
            if held:
                return held
        self._over = True
        if self._recording is not None:
            await self._barrier.wait(await self._recording.finish_passed(self._answer))
        return self._held

    async def _record(self, piece: bytes) -> None:
        if self._recording is None:
            return
        await self._recording.feed(piece, self._answer)
        self._size += len(piece)
        if self._size > MAX_BODY_BYTES:
            self._recording = None

    def close(self) -> None:
        self._over = True
        self._recording = None
        self._inner.close()
