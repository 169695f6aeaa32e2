# SPDX-License-Identifier: Apache-2.0
"""What a disk may hold after the power went out, by the record of what it was asked.

A write that was not synced may be there, or not, or some of its sectors of 512 bytes.
Names that were made, renamed or removed may be so, or not, until their directory is
synced. After a sync that failed, what it should have written stays in doubt for good:
Linux holds those pages for clean, and a later sync of the file does not write them.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.crash.recording import Op

SECTOR = 512
PAGE = 4096
Files = dict[str, bytes]


@dataclass
class _Inode:
    durable: bytearray
    pending: list[Op] = field(default_factory=list)
    doubtful: list[Op] = field(default_factory=list)


class Platter:
    """The disk at one point of the record: what is durable and what is in doubt."""

    def __init__(self, base: Files, inodes: dict[str, int]) -> None:
        self._inodes = {
            inodes[name]: _Inode(bytearray(content)) for name, content in base.items()
        }
        self._names = dict(inodes)
        self._pending_names: list[Op] = []

    def take(self, op: Op) -> None:
        """Move on by one operation."""
        if op.kind == "create":
            self._inodes[op.inode] = _Inode(bytearray())
            self._pending_names.append(op)
        elif op.kind in {"rename", "delete"}:
            self._pending_names.append(op)
        elif op.kind in {"write", "truncate"}:
            self._inodes[op.inode].pending.append(op)
        elif op.kind == "sync":
            self._sync(self._inodes[op.inode])
        elif op.kind == "sync-failed":
            inode = self._inodes[op.inode]
            for doubted in inode.pending:
                inode.doubtful += _sectors(doubted)
            inode.pending = []
        elif op.kind == "sync-directory":
            _rename(self._names, self._pending_names)
            self._pending_names = []

    def after_kill(self) -> Files:
        """Return what the process's death leaves: all that was asked."""
        names = dict(self._names)
        _rename(names, self._pending_names)
        return self._files(names, lambda ops: ops)

    def after_power_cut(self, chooser: "Chooser") -> Files:
        """Return one of the states that a power cut may leave."""
        names = dict(self._names)
        _rename(names, chooser.names(self._pending_names))
        return self._files(names, chooser.writes)

    @property
    def in_doubt(self) -> int:
        """How many operations a power cut may undo."""
        return len(self._pending_names) + sum(
            len(inode.pending) + len(inode.doubtful) for inode in self._inodes.values()
        )

    def _files(self, names, choose) -> Files:
        found: Files = {}
        for name, number in names.items():
            inode = self._inodes[number]
            content = bytearray(inode.durable)
            for op in choose([*inode.doubtful, *inode.pending]):
                _apply(content, op)
            found[name] = bytes(content)
        return found

    @staticmethod
    def _sync(inode: _Inode) -> None:
        # A page that was written again since a failed sync is written as a whole.
        dirty = {page for op in inode.pending for page in _pages(op)}
        doubtful = inode.doubtful
        inode.doubtful = []
        for op in doubtful:
            if op.kind == "truncate" or op.offset // PAGE in dirty:
                _apply(inode.durable, op)
            else:
                inode.doubtful.append(op)
        for op in inode.pending:
            _apply(inode.durable, op)
        inode.pending = []


class Chooser:
    """Decides by chance what of the doubtful a power cut lets through."""

    def __init__(self, chance: random.Random, keep: float, tear: float) -> None:
        self._random = chance
        self._keep = keep
        self._tear = tear

    def names(self, ops: Sequence[Op]) -> list[Op]:
        return [op for op in ops if self._random.random() < self._keep]

    def writes(self, ops: Sequence[Op]) -> list[Op]:
        kept: list[Op] = []
        for op in ops:
            if op.kind == "write" and self._random.random() < self._tear:
                kept += self._torn(op)
            elif self._random.random() < self._keep:
                kept.append(op)
        return kept

    def _torn(self, op: Op) -> Iterator[Op]:
        """Some of a write's sectors, one of them perhaps only to a part."""
        for sector in _sectors(op):
            fate = self._random.random()
            if fate < 0.15:
                size = self._random.randrange(len(sector.content))
                yield _piece(sector, sector.offset, sector.offset + size)
            elif fate < 0.6:
                yield sector


def _apply(content: bytearray, op: Op) -> None:
    if op.kind == "truncate":
        del content[op.offset :]
        return
    if len(content) < op.offset:
        content.extend(bytes(op.offset - len(content)))
    content[op.offset : op.offset + len(op.content)] = op.content


def _rename(names: dict[str, int], ops: Sequence[Op]) -> None:
    for op in ops:
        if op.kind == "create":
            names[op.name] = op.inode
        elif op.name in names:
            number = names.pop(op.name)
            if op.kind == "rename":
                names[op.to] = number


def _pages(op: Op) -> range:
    return range(op.offset // PAGE, (op.offset + len(op.content) - 1) // PAGE + 1)


def _sectors(op: Op) -> Iterator[Op]:
    """Return a write as one operation a sector."""
    if op.kind != "write":
        yield op
        return
    at, end = op.offset, op.offset + len(op.content)
    while at < end:
        stop = min((at // SECTOR + 1) * SECTOR, end)
        yield _piece(op, at, stop)
        at = stop


def _piece(op: Op, start: int, stop: int) -> Op:
    content = op.content[start - op.offset : stop - op.offset]
    return Op("write", op.inode, start, content)
