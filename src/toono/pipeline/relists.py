# SPDX-License-Identifier: Apache-2.0
"""Lists go back to the cloud one after the other once the link is back.

An outage ends for all clients of a node at the same moment, and what cannot resume
lists. So for a while lists of collections take turns: the kubelet first, then who has
least waiting. At any other time nobody is counted, and nobody waits. What a list is of,
and who answers it, is not known here.
"""

import asyncio
import heapq
from collections import Counter
from itertools import count

from toono.kube.request import Call
from toono.pipeline.clients import KUBELET, Client, ClientOf, by_address
from toono.pipeline.limits import too_many
from toono.runtime.clock import Clock

LISTS_A_SECOND = 5.0
BURST = 5
"""Lists that go at once: what a kubelet asks for when it starts."""
RETURN_SECONDS = 30.0
"""After the link is back, so long as clients spread their own return."""
WAITING_LIMIT = 50
"""Ten seconds of turns: who comes after them is told 429, but for the kubelet."""

Turn = tuple[bool, int, int, asyncio.Future[None]]
"""Not the kubelet's, how many of its client waited before it, its number."""


class Relists:
    """Gives turns to lists after an outage."""

    def __init__(self, clock: Clock, *, client_of: ClientOf = by_address) -> None:
        self._clock = clock
        self._client_of = client_of
        self.is_on = False
        """The link came back lately: lists must ask for a turn."""
        self._until = 0.0
        self._cut = False
        self._turns: list[Turn] = []
        self._wanted = asyncio.Event()
        self._waiting: Counter[Client] = Counter()
        self._order = count()
        self._tokens = float(BURST)
        self._filled_at = 0.0
        self.paced = 0
        """Lists that have waited for their turn."""

    @property
    def waiting(self) -> int:
        """Lists that wait for their turn now."""
        return len(self._turns)

    def mode(self, online: bool) -> None:
        """The link is back, or cut: then nobody waits for it."""
        if not online:
            self._cut, self.is_on = True, False
            self._let_all_go()
        elif self._cut:
            self._cut, self.is_on = False, True
            self._until = self._clock.monotonic() + RETURN_SECONDS

    async def turn(self, call: Call) -> None:
        """Return when a list may go to the cloud; RequestError 429 where too many wait.

        A list of one name is no more than a GET, and a page's continuation has begun.
        """
        if not self.is_on or call.pinned_name or call.continue_token:
            return
        if not self._turns:
            self.is_on = self._clock.monotonic() < self._until
            if not self.is_on or self._take():
                return
        await self._wait(call)

    async def run(self) -> None:
        """Give the turns; ends by cancellation only."""
        while True:
            await self._wanted.wait()
            if not self._take():
                await self._clock.sleep((1.0 - self._tokens) / LISTS_A_SECOND)
                continue
            done = heapq.heappop(self._turns)[-1]
            if not done.done():
                done.set_result(None)
            self._note_empty()

    def _take(self) -> bool:
        """Take one of what is there for now."""
        now = self._clock.monotonic()
        more = (now - self._filled_at) * LISTS_A_SECOND
        self._tokens = min(float(BURST), self._tokens + more)
        self._filled_at = now
        if self._tokens < 1.0 - 1e-9:
            return False
        self._tokens -= 1.0
        return True

    async def _wait(self, call: Call) -> None:
        client = self._client_of(call)
        kubelet = client == KUBELET
        if len(self._turns) >= WAITING_LIMIT and not kubelet:
            raise too_many()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        turn = (not kubelet, self._waiting[client], next(self._order), done)
        heapq.heappush(self._turns, turn)
        self._waiting[client] += 1
        self._wanted.set()
        self.paced += 1
        try:
            await done
        except BaseException:
            if turn in self._turns:  # it left before its turn
                self._turns.remove(turn)
                heapq.heapify(self._turns)
                self._note_empty()
            raise
        finally:
            self._waiting[client] -= 1
            if not self._waiting[client]:
                del self._waiting[client]

    def _let_all_go(self) -> None:
        turns, self._turns = self._turns, []
        for *_, done in turns:
            if not done.done():
                done.set_result(None)
        self._note_empty()

    def _note_empty(self) -> None:
        if not self._turns:
            self._wanted.clear()
