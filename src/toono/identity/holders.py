# SPDX-License-Identifier: Apache-2.0
"""Which processes hold a socket, by /proc: one look through it serves all who wait.

A look costs milliseconds whatever is asked of it, and a kubelet that starts opens
hundreds of connections at once. So looks rest in between, for those who come meanwhile
to share the next. An answer is never from a look that had begun before the question: a
socket that was handed on since would be missed.
"""

import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from toono.runtime.clock import Clock, SystemClock

PROC = Path("/proc")
_MARK = "socket:["
REST_FACTOR = 1.0
"""Of the time that a look took: all of them take half a core at most."""
MAX_REST_SECONDS = 0.05

Found = Mapping[int, Sequence[str]]


class Holders:
    """Asked from threads; they wait for each other's looks."""

    def __init__(self, *, proc: Path = PROC, clock: Clock | None = None) -> None:
        self._proc = proc
        self._clock = clock or SystemClock()
        self._rested_at = float("-inf")
        self._turn = threading.Condition()
        self._looks_begun = 0
        self._looks_ended = 0
        self._looking = False
        self._found: Found = {}

    def of(self, inode: int) -> Sequence[str]:
        """Return the processes that hold a socket; OSError where /proc is not there."""
        with self._turn:
            wanted = self._looks_begun + 1
            while self._looks_ended < wanted:
                if self._looking:
                    self._turn.wait()
                else:
                    self._look()
            return self._found.get(inode, ())

    def _look(self) -> None:
        """Rest as is due and look once, the condition let go meanwhile."""
        self._looking = True
        rest = self._rested_at - self._clock.monotonic()
        if rest > 0.0:
            self._turn.wait(rest)
        self._looks_begun += 1
        number, began = self._looks_begun, self._clock.monotonic()
        self._turn.release()
        try:
            found = sockets_held(self._proc)
        finally:
            self._turn.acquire()
            now = self._clock.monotonic()
            rest = REST_FACTOR * (now - began)
            self._rested_at = now + min(rest, MAX_REST_SECONDS)
            self._looking = False
            self._turn.notify_all()
        self._found, self._looks_ended = found, number


def sockets_held(proc: Path) -> Found:
    """Return the holders of every socket that any process is seen to hold."""
    found: dict[int, list[str]] = {}
    for entry in os.listdir(proc):
        if entry.isdigit():
            for inode in _sockets_of(f"{proc}/{entry}/fd"):
                found.setdefault(inode, []).append(entry)
    return found


def _sockets_of(path: str) -> set[int]:
    inodes: set[int] = set()
    try:
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return inodes  # the process ended; nobody else's is hidden from root
    try:
        for descriptor in os.listdir(directory):
            try:
                target = os.readlink(descriptor, dir_fd=directory)
            except OSError:
                continue  # closed meanwhile
            if target.startswith(_MARK):
                inodes.add(int(target[len(_MARK) : -1]))
    except OSError:
        pass  # it ended within the look
    finally:
        os.close(directory)
    return inodes
