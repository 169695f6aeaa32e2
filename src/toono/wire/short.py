# SPDX-License-Identifier: Apache-2.0
"""The short way: a head that came before, on the same connection, word for word.

Whoever answered it may have left an `Again`, which answers the next one within the
callback that brings it: no task, no head read anew. What it is worth only it can tell;
any doubt sends the request the long way, as if there were no other.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

from toono.wire.messages import Again, Response

if TYPE_CHECKING:
    import asyncio

MAX_HEAD_BYTES = 2048
MAX_KNOWN = 1024
"""Heads in all: 4 MB at most, whoever asks; the oldest go first. Beside them, cut off,
32 MB at most of answers held ready, for the node's own programs alone."""


class KnownHeads:
    """The heads of all connections, counted so that nobody fills the memory."""

    def __init__(self, most: int = MAX_KNOWN) -> None:
        self._most = most
        self._order: OrderedDict[tuple[int, bytes], ShortWay] = OrderedDict()

    def __len__(self) -> int:
        return len(self._order)

    def add(self, way: "ShortWay", head: bytes) -> None:
        """Count one in; the oldest of anybody's gives way."""
        self._order[id(way), head] = way
        if len(self._order) > self._most:
            (_, oldest), holder = self._order.popitem(last=False)
            holder.known.pop(oldest, None)

    def remove(self, way: "ShortWay", head: bytes) -> None:
        """Count one out."""
        self._order.pop((id(way), head), None)


class ShortWay:
    """What one connection asked before, and what of it is under way now."""

    __slots__ = ("_all", "_head", "_over", "known", "transport", "under_way")

    def __init__(self, known_heads: KnownHeads, over: Callable[[bytes], None]) -> None:
        self._all = known_heads
        self._over = over
        """Called when an answer that was waited for is written, with b"", or with
        the head that has to go the long way."""
        self._head = b""
        self.known: dict[bytes, Again | None] = {}
        """None: this head has no short way, whatever its next answer looks like."""
        self.under_way: Again | None = None
        self.transport: asyncio.Transport

    def begin(self, again: Again, head: bytes, now: float) -> bool:
        """Have a head answered, now or soon; False where it goes the long way."""
        self.under_way, self._head = again, head
        content = again.begin(self, now)
        if content:
            self.under_way = None
            self.transport.write(content)
        elif content is None:
            self.under_way = None
            return False
        return True

    def answer(self, content: bytes) -> None:
        """Take the answer of what is under way."""
        self.under_way = None
        self.transport.write(content)
        self._over(b"")

    def decline(self, *, for_good: bool = False) -> None:
        """Send what is under way the long way; `for_good`: always, from now on."""
        self.under_way = None
        if for_good and self._head in self.known:
            self.known[self._head] = None
        self._over(self._head)

    def learn(self, raw: bytes, response: Response) -> None:
        """Remember how the head that was just answered is answered again."""
        again = response.again
        if again is None and not self.known:
            return
        head = raw + b"\r\n\r\n"
        if again is None:
            if self.known.get(head) is not None:
                self._all.remove(self, head)
                del self.known[head]
        elif len(head) <= MAX_HEAD_BYTES:
            if head not in self.known:
                self._all.add(self, head)
                self.known[head] = again
            elif self.known[head] is not None:
                self.known[head] = again

    def abandon(self) -> None:
        """The client is gone: so is whatever it waits for, and what it asked."""
        if self.under_way is not None:
            again, self.under_way = self.under_way, None
            again.abandon()
        for head in self.known:
            self._all.remove(self, head)
        self.known.clear()
