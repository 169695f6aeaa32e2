# SPDX-License-Identifier: Apache-2.0
"""Answers that say nothing new: the same bytes in the same state of things.

Agents that poll are told from those that bring news by a comparison, not by reading
their objects again; and where nothing changes no client waits for the disk. A list is
compared by its SHA-256, which is made while it passes, so that it need not be held.
"""

import hashlib
from collections import OrderedDict
from typing import NamedTuple

from toono.cache.scope import Question, Scope
from toono.cache.scopes import Scopes

MAX_ECHOES = 256
MAX_BODY_BYTES = 16 * 1024
"""Of an answer that is compared as it is; larger ones by their digest."""


class Echo(NamedTuple):
    """What was last answered, and what was known when it had been taken."""

    scope: Scope
    serial: int
    complete: bool
    seen: int
    mark: bytes


class Fingerprint:
    """Tells one body from all others, piece by piece."""

    __slots__ = ("_digest", "size")

    def __init__(self) -> None:
        self._digest = hashlib.sha256(usedforsecurity=False)
        self.size = 0

    def feed(self, piece: bytes) -> None:
        """Take the next piece."""
        self._digest.update(piece)
        self.size += len(piece)

    @property
    def mark(self) -> bytes:
        return self._digest.digest()


def mark_of(*pieces: bytes) -> bytes:
    """Return what tells a whole body from others: itself while it is small."""
    if len(pieces) == 1 and len(pieces[0]) <= MAX_BODY_BYTES:
        return pieces[0]
    found = Fingerprint()
    for piece in pieces:
        found.feed(piece)
    return found.mark


class Echoes:
    """The last answers to the questions that are asked most lately."""

    def __init__(self, scopes: Scopes) -> None:
        self._scopes = scopes
        self._known: OrderedDict[Question, Echo] = OrderedDict()

    def holds(self, question: Question, seen: int, mark: bytes) -> bool:
        """Say whether this was the last answer, and nothing happened since.

        `seen` is the newest version of the resource that was known as it was asked.
        The scope was then heard of again.
        """
        echo = self._known.get(question)
        if echo is None or echo.mark != mark or not self._is_at(echo, seen):
            return False
        echo.scope.confirmed_at = self._scopes.now()
        return True

    def may_hold(self, question: Question, seen: int) -> bool:
        """Say whether nothing happened since the last answer: it may come again."""
        echo = self._known.get(question)
        return echo is not None and self._is_at(echo, seen)

    def _is_at(self, echo: Echo, seen: int) -> bool:
        scope = echo.scope
        return (
            not scope.dropped
            and scope.durable
            and echo.serial == scope.serial
            and echo.complete is scope.complete
            and echo.seen == seen
        )

    def remember(self, question: Question, seen: int, mark: bytes) -> None:
        """Note an answer that was taken; the oldest are forgotten."""
        scope = self._scopes.find(question)
        if scope is None:
            return
        self._known[question] = Echo(scope, scope.serial, scope.complete, seen, mark)
        self._known.move_to_end(question)
        if len(self._known) > MAX_ECHOES:
            self._known.popitem(last=False)
