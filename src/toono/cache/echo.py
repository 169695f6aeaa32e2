# SPDX-License-Identifier: Apache-2.0
"""Answers that say nothing new: the same bytes in the same state of things.

Agents that poll are told from those that bring news by a comparison, not by reading
their objects again; and where nothing changes no client waits for the disk. What is
read while it passes (`passing`) is told so object by object instead.
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


def mark_of(body: bytes) -> bytes:
    """Return what tells a whole body from others: itself while it is small."""
    if len(body) <= MAX_BODY_BYTES:
        return body
    return hashlib.sha256(body, usedforsecurity=False).digest()


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
        if echo is None or echo.mark != mark:
            return False
        scope = echo.scope
        same = (
            not scope.dropped
            and scope.durable
            and echo.serial == scope.serial
            and echo.complete is scope.complete
            and echo.seen == seen
        )
        if same:
            scope.confirmed_at = self._scopes.now()
        return same

    def remember(self, question: Question, seen: int, mark: bytes) -> None:
        """Note an answer that was taken; the oldest are forgotten."""
        scope = self._scopes.find(question)
        if scope is None:
            return
        self._known[question] = Echo(scope, scope.serial, scope.complete, seen, mark)
        self._known.move_to_end(question)
        if len(self._known) > MAX_ECHOES:
            self._known.popitem(last=False)
