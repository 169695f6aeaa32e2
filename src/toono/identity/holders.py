# SPDX-License-Identifier: Apache-2.0
"""Which processes hold a socket, by /proc: one look through it serves all who wait.

A look costs milliseconds whatever is asked of it, and a kubelet that starts opens
hundreds of connections at once. So looks rest in between, for those who come meanwhile
to share the next. An answer is never from a look that had begun before the question: a
socket that was handed on since would be missed.

Descriptors are what costs, so only those of processes that may not be the node are all
looked through: one in a pod, or that shows no control group, must not be missed. Of the
others one holder is enough.
"""

import os
import threading
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from toono.runtime.clock import Clock, SystemClock

PROC = Path("/proc")
_MARK = "socket:["
REST_FACTOR = 1.0
"""Of the time that a look took: all of them take half a core at most."""
MAX_REST_SECONDS = 0.05
GROUPS_BYTES = 16 * 1024
"""Of the paths of one process; who has more is looked through."""

CONFINED = (b"kubepods", b"..")
"""In a control group's path: a pod's, or one that is hidden from us."""

Found = Mapping[int, Sequence[str]]


class _Look:
    """One look, from its first question to its answer."""

    __slots__ = ("failure", "found", "wanted")

    def __init__(self) -> None:
        self.wanted: set[int] = set()
        self.found: Found | None = None
        self.failure: OSError | None = None


class Holders:
    """Asked from threads; they wait for each other's looks."""

    def __init__(self, *, proc: Path = PROC, clock: Clock | None = None) -> None:
        self._proc = proc
        self._clock = clock or SystemClock()
        self._rested_at = float("-inf")
        self._turn = threading.Condition()
        self._looking = False
        self._next = _Look()

    def of(self, inode: int) -> Sequence[str]:
        """Return processes that hold a socket: all that may not be the node, and one.

        OSError where /proc is not there.
        """
        with self._turn:
            look = self._next
            look.wanted.add(inode)
            while look.found is None:
                if look.failure is not None:
                    raise look.failure
                if self._looking:
                    self._turn.wait()
                else:
                    self._look()
            return look.found.get(inode, ())

    def _look(self) -> None:
        """Rest as is due and look once, the condition let go meanwhile."""
        self._looking = True
        rest = self._rested_at - self._clock.monotonic()
        if rest > 0.0:
            self._turn.wait(rest)
        look, self._next = self._next, _Look()
        began = self._clock.monotonic()
        self._turn.release()
        found: Found | None = None
        failure: OSError | None = None
        try:
            found = sockets_held(self._proc, look.wanted)
        except OSError as exc:
            failure = exc
        finally:
            self._turn.acquire()
            look.found, look.failure = found, failure
            now = self._clock.monotonic()
            rest = REST_FACTOR * (now - began)
            self._rested_at = now + min(rest, MAX_REST_SECONDS)
            self._looking = False
            self._turn.notify_all()


def sockets_held(proc: Path, wanted: Collection[int]) -> Found:
    """Return who holds sockets: confined processes, and others until all are found."""
    found: dict[int, list[str]] = {}

    def note(process: str) -> None:
        for inode in _sockets_of(f"{proc}/{process}/fd"):
            found.setdefault(inode, []).append(process)

    others: list[int] = []
    for entry in os.listdir(proc):
        if not entry.isdigit():
            continue
        if _is_confined(f"{proc}/{entry}/cgroup"):
            note(entry)
        else:
            others.append(int(entry))
    missing = set(wanted)
    for process in sorted(others, reverse=True):  # who calls has often just begun
        missing.difference_update(found)
        if not missing:
            break
        note(str(process))
    return found


def _is_confined(path: str) -> bool:
    """Say whether a process may not be the node: where nothing is seen, it may not."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return True
    try:
        text = os.read(file, GROUPS_BYTES)
    except OSError:
        return True
    finally:
        os.close(file)
    return len(text) == GROUPS_BYTES or any(mark in text for mark in CONFINED)


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
