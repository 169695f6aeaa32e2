# SPDX-License-Identifier: Apache-2.0
"""A disk that forgets: what of the tree a power cut may leave, call by call.

A model of the harshest file system: a file's bytes last only once it was synced, a
name made, moved or removed only once its directory was. Whatever was not synced is
there or not, each on its own, and a file not synced may be empty, cut or zeros.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from toono.cache.tree_disk import TreeDisk


@dataclass(eq=False)
class File:
    content: bytes = b""
    lasting: bytes = b""


@dataclass(eq=False)
class Directory:
    entries: dict[str, "File | Directory"] = field(default_factory=dict)
    lasting: dict[str, "File | Directory"] = field(default_factory=dict)
    waiting: list[tuple[str, "File | Directory | None"]] = field(default_factory=list)

    def put(self, name: str, inode: "File | Directory | None") -> None:
        self.waiting.append((name, inode))
        _apply(self.entries, name, inode)


def _apply(entries: dict, name: str, inode: File | Directory | None) -> None:
    if inode is None:
        entries.pop(name, None)
    else:
        entries[name] = inode


class ForgetfulDisk(TreeDisk):
    """Keeps everything in memory; `before` is called before each call that changes."""

    def __init__(self) -> None:
        self.root = Directory()
        self.open_files: dict[int, File | Directory] = {}
        self.before: Callable[[], None] = lambda: None
        self.calls = 0

    def _open(self, inode: File | Directory) -> int:
        number = len(self.open_files) + 1000
        while number in self.open_files:
            number += 1
        self.open_files[number] = inode
        return number

    def _directory(self, descriptor: int) -> Directory:
        found = self.open_files[descriptor]
        assert isinstance(found, Directory)
        return found

    def _file(self, descriptor: int) -> File:
        found = self.open_files[descriptor]
        assert isinstance(found, File)
        return found

    def _changes(self) -> None:
        self.before()
        self.calls += 1

    def open_root(self, path: Path) -> int:
        return self._open(self.root)

    def open_directory(self, name: str, parent: int) -> int:
        found = self._directory(parent).entries.get(name)
        if found is None:
            raise FileNotFoundError(name)
        assert isinstance(found, Directory)
        return self._open(found)

    def make_directory(self, name: str, parent: int) -> None:
        self._changes()
        self._directory(parent).put(name, Directory())

    def remove_directory(self, name: str, parent: int) -> None:
        self._changes()
        self._directory(parent).put(name, None)

    def create(self, name: str, parent: int) -> int:
        self._changes()
        made = File()
        self._directory(parent).put(name, made)
        return self._open(made)

    def write(self, descriptor: int, content: bytes) -> None:
        self._changes()
        self._file(descriptor).content += content

    def sync(self, descriptor: int) -> None:
        self._changes()
        file = self._file(descriptor)
        file.lasting = file.content

    def sync_directory(self, descriptor: int) -> None:
        self._changes()
        directory = self._directory(descriptor)
        directory.lasting = dict(directory.entries)
        directory.waiting.clear()

    def close(self, descriptor: int) -> None:
        del self.open_files[descriptor]

    def rename(self, old: str, old_parent: int, new: str, new_parent: int) -> None:
        self._changes()
        moved = self._directory(old_parent).entries[old]
        self._directory(new_parent).put(new, moved)
        self._directory(old_parent).put(old, None)

    def unlink(self, name: str, parent: int) -> None:
        self._changes()
        if name not in self._directory(parent).entries:
            raise FileNotFoundError(name)
        self._directory(parent).put(name, None)

    def exists(self, name: str, parent: int) -> bool:
        return name in self._directory(parent).entries

    def entries(self, descriptor: int) -> tuple[list[str], list[str]]:
        entries = self._directory(descriptor).entries
        names = sorted(entries)
        return (
            [one for one in names if isinstance(entries[one], Directory)],
            [one for one in names if isinstance(entries[one], File)],
        )

    def read(self, name: str, parent: int, limit: int) -> bytes | None:
        found = self._directory(parent).entries.get(name)
        return found.content[: limit + 1] if isinstance(found, File) else None


def left(disk: ForgetfulDisk, rng: random.Random, place: Path) -> None:
    """Write below `place` one of the states that a cut at this moment may leave."""
    _leave(disk.root, rng, place)


def _leave(directory: Directory, rng: random.Random, place: Path) -> None:
    place.mkdir(parents=True, exist_ok=True)
    entries = dict(directory.lasting)
    likely = rng.choice((0.0, 0.5, 1.0))
    for name, inode in directory.waiting:
        if rng.random() < likely:
            _apply(entries, name, inode)
    for name, inode in entries.items():
        if isinstance(inode, Directory):
            _leave(inode, rng, place / name)
        else:
            (place / name).write_bytes(_content(inode, rng))


def _content(file: File, rng: random.Random) -> bytes:
    if file.lasting == file.content:
        return file.content
    whole = file.content
    cut = whole[: rng.randrange(len(whole) + 1)]
    return rng.choice((file.lasting, whole, cut, bytes(len(whole))))
