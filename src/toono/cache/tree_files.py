# SPDX-License-Identifier: Apache-2.0
"""The files of the tree: what is there, and how it is brought to what a plan wants.

Blocks: the writer calls it in its thread, one call at a time. A file is written
beside the tree under a name that nobody reads, synced, and renamed into place; then
its directory is synced; the manifest follows last, the same way. So at every moment,
over a kill or a power cut, each file is whole, as one of its states or another.

Nothing is deleted but files and empty directories of folders that toono writes. What
YurtHub left in layouts of its own is moved below `_internal/toono` once it is copied.
"""

import errno
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from toono.cache.received import MAX_OBJECT_BYTES
from toono.cache.scope import Question
from toono.cache.tree_disk import TreeDisk
from toono.cache.tree_layout import (
    BACKUP,
    OWN,
    PARTIAL_FOLDER,
    Folder,
    is_partial_folder,
)
from toono.cache.tree_manifest import (
    MAX_BYTES,
    NAME,
    FileFact,
    Manifest,
    ScopeFact,
    decode,
    encode,
)
from toono.cache.tree_plan import Plan, State, Wanted

PART = "tree.part"
"""What is being written: below `_internal/toono`, where YurtHub looks for nothing."""
SET_ASIDE = "older-layout"
_IN_THE_WAY = frozenset(
    {errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EEXIST, errno.ENOTEMPTY}
)
"""Something that is not ours stands there: no reason to stop writing the rest."""


class Job(NamedTuple):
    """A file to write."""

    path: str
    content: bytes
    state: State


@dataclass(frozen=True, slots=True)
class Changes:
    """What brings a folder to its plan."""

    writes: Sequence[tuple[str, Wanted]]
    removes: Sequence[str]


class TreeFiles:
    """The tree below one cache directory, as its only writer knows it."""

    def __init__(self, path: Path, disk: TreeDisk | None = None) -> None:
        self._path = path
        self._disk = disk or TreeDisk()
        self._root = -1
        self._own = -1
        self._facts: dict[str, dict[str, FileFact]] = {}
        self._present: dict[str, dict[str, tuple[int, int]]] = {}
        self._left_out: dict[tuple[str, str], State] = {}
        self.noted: Mapping[Question, ScopeFact] = {}
        """Questions as they were when the manifest was written."""
        self._changed = False
        self.ignores_case = False
        self.in_the_way = 0

    def open(self) -> None:
        """Find the tree and what its last writer noted of it."""
        self.close()
        self._root = self._disk.open_root(self._path)
        self._own = self._open((*OWN,), make=True)
        self.ignores_case = self._disk.exists(OWN[0].upper(), self._root)
        content = self._disk.read(NAME, self._own, MAX_BYTES)
        manifest = None if content is None else decode(content)
        if manifest is not None:
            self._facts = {name: dict(one) for name, one in manifest.files.items()}
            self.noted = _by_question(manifest.scopes)

    @property
    def is_open(self) -> bool:
        return self._own >= 0

    def close(self) -> None:
        """Give back the directories; what was written stays."""
        for descriptor in (self._own, self._root):
            if descriptor >= 0:
                self._disk.close(descriptor)
        self._own = self._root = -1

    def forget(self) -> None:
        """Begin anew: what was there is gone, as if the directory was swept."""
        self.close()
        self._present, self._facts, self.noted = {}, {}, {}
        self._changed = True

    # -- one folder ------------------------------------------------------------

    def changes(self, folder: Folder, plan: Plan) -> Changes:
        """Return what brings `folder` to `plan`. Its files are read the first time."""
        name = "/".join(folder)
        if name not in self._present:
            self._look(folder)
        facts, present = self._facts.get(name, {}), self._present[name]
        writes = [
            (path, wanted)
            for path, wanted in sorted(plan.files.items())
            if not (path in facts and facts[path].state == wanted.state)
            and self._left_out.get((name, path)) != wanted.state
        ]
        removes = [
            path
            for path in sorted(present)
            if path not in plan.files and (plan.removes or path in plan.gone)
        ]
        return Changes(writes, removes)

    def _look(self, folder: Folder) -> None:
        """Read a folder's files: what is not as noted is as good as not there."""
        name = "/".join(folder)
        present: dict[str, tuple[int, int]] = {}
        with self._if_there(), self._opened(folder, make=False) as top:
            directories, names = self._disk.entries(top)
            present.update(self._sums(top, "", names))
            for directory in directories:
                inner = self._disk.open_directory(directory, top)
                try:
                    _, names = self._disk.entries(inner)
                    present.update(self._sums(inner, directory + "/", names))
                finally:
                    self._disk.close(inner)
        facts = self._facts.get(name, {})
        self._facts[name] = {
            path: fact
            for path, fact in facts.items()
            if present.get(path) == (fact.crc, fact.size)
        }
        self._changed = self._changed or len(self._facts[name]) != len(facts)
        self._present[name] = present

    def _sums(
        self, parent: int, prefix: str, names: Iterable[str]
    ) -> Iterator[tuple[str, tuple[int, int]]]:
        for name in names:
            content = self._disk.read(name, parent, MAX_OBJECT_BYTES)
            whole = b"" if content is None else content
            yield prefix + name, (zlib.crc32(whole), len(whole))

    def remove(self, folder: Folder, paths: Sequence[str]) -> None:
        """Remove files of a folder; gone for good when this returns."""
        name = "/".join(folder)
        for directory, names in _by_directory(paths).items():
            place = (*folder, *directory)
            with self._if_there(), self._opened(place, make=False) as parent:
                for one in names:
                    with self._if_there():
                        self._disk.unlink(one, parent)
                self._disk.sync_directory(parent)
        for path in paths:
            self._present[name].pop(path, None)
            self._facts[name].pop(path, None)
            self._changed = True

    def write(self, folder: Folder, jobs: Sequence[Job]) -> int:
        """Put files in place; there for good when this returns. Returns how many."""
        name, written = "/".join(folder), 0
        by_path = {job.path: job for job in jobs}
        for directory, names in _by_directory(list(by_path)).items():
            with self._passing(), ExitStack() as stack:
                place = (*folder, *directory)
                parent = stack.enter_context(self._opened(place, make=True))
                for one in names:
                    job = by_path["/".join((*directory, one))]
                    with self._passing():
                        written += self._write(name, job, one, parent)
                self._disk.sync_directory(parent)
        return written

    def _write(self, folder: str, job: Job, name: str, parent: int) -> bool:
        """Write one file, unless it is there as it should be."""
        total = (zlib.crc32(job.content), len(job.content))
        is_there = self._present[folder].get(job.path) == total
        if not is_there:
            self._replace(name, parent, job.content)
        epoch, uid, version = job.state
        self._facts[folder][job.path] = FileFact(*total, uid, version, epoch)
        self._present[folder][job.path] = total
        self._changed = True
        return not is_there

    def is_there(self, folder: Folder) -> bool:
        """Say whether files that are noted of a folder can be in it at all."""
        if not self._facts.get("/".join(folder)):
            return True
        try:
            self._disk.close(self._open(folder, make=False))
        except FileNotFoundError:
            return False
        return True

    def folders(self) -> list[Folder]:
        """Return the folders that files are noted of."""
        return [tuple(name.split("/")) for name, facts in self._facts.items() if facts]

    def clear(self, folder: Folder) -> int:
        """Remove what was written to a folder that no question needs; count it."""
        written = Plan(gone=frozenset(self._facts["/".join(folder)]))
        removes = self.changes(folder, written).removes
        self.remove(folder, removes)
        self.shape(folder, Plan(removes=True))
        return len(removes)

    def leave_out(self, folder: Folder, path: str, state: State) -> None:
        """Note that this state of an object cannot be written; an older one goes."""
        name = "/".join(folder)
        self._left_out[name, path] = state
        if path in self._present[name]:
            self.remove(folder, [path])

    def shape(self, folder: Folder, plan: Plan) -> None:
        """Make the directories that lists of nothing leave; remove other empty ones."""
        name = "/".join(folder)
        for directory in sorted(plan.directories):
            parts = (*folder, directory) if directory else folder
            with self._passing():
                self._disk.close(self._open(parts, make=True))
        if not plan.removes:
            return
        with self._if_there(), self._opened(folder, make=False) as top:
            used = {path.partition("/")[0] for path in self._present[name]}
            for one in self._disk.entries(top)[0]:
                if one not in used and one not in plan.directories:
                    self._remove_directory(one, top)
        if not (self._present[name] or plan.directories):
            with self._if_there(), self._opened(folder[:-1], make=False) as parent:
                self._remove_directory(folder[-1], parent)

    def _remove_directory(self, name: str, parent: int) -> None:
        with self._if_there():
            self._disk.remove_directory(name, parent)
            self._disk.sync_directory(parent)

    # -- the whole -------------------------------------------------------------

    def seal(self, scopes: Sequence[ScopeFact], *, exact: bool = False) -> bool:
        """Write the manifest if anything has changed; say if it was.

        A version alone is no change, unless all is to be `exact`.
        """
        now, noted = tuple(scopes), self.noted.values()
        same = _timeless(now) == _timeless(noted)
        same = same and not (exact and set(now) != set(noted))
        if same and not self._changed:
            return False
        files = {name: facts for name, facts in self._facts.items() if facts}
        self._replace(NAME, self._own, encode(Manifest(scopes=now, files=files)))
        self._disk.sync_directory(self._own)
        self.noted, self._changed = _by_question(now), False
        return True

    def set_older_aside(self) -> int:
        """Move away what would make YurtHub read the tree another way; count it.

        A directory without a dot makes it take the older layout for all, a backup
        takes the place of the directory that it names, and metadata below another
        spelling than ours would grow old there.
        """
        moved = 0
        for component in self._disk.entries(self._root)[0]:
            if component.startswith("_"):
                continue
            with self._opened((component,), make=False) as parent:
                for name in self._disk.entries(parent)[0]:
                    if _is_older(name):
                        self._set_aside(component, name, parent)
                        moved += 1
        return moved

    def _set_aside(self, component: str, name: str, parent: int) -> None:
        with self._opened((*OWN, SET_ASIDE, component), make=True) as aside:
            new, number = name, 1
            while self._disk.exists(new, aside):
                number += 1
                new = f"{name}-{number}"
            self._disk.rename(name, parent, new, aside)
            self._disk.sync_directory(aside)
            self._disk.sync_directory(parent)

    def beside(self, path: Sequence[str], limit: int) -> bytes | None:
        """Return a file that is no object's; None where there is none."""
        *directory, name = path
        with self._if_there(), self._opened(directory, make=False) as parent:
            return self._disk.read(name, parent, limit)
        return None

    def put_beside(self, path: Sequence[str], content: bytes) -> None:
        """Put such a file in place, unless it is there; there for good on return."""
        if self.beside(path, len(content)) == content:
            return
        *directory, name = path
        with self._passing(), self._opened(directory, make=True) as parent:
            self._replace(name, parent, content)
            self._disk.sync_directory(parent)

    # -- steps -----------------------------------------------------------------

    def _replace(self, name: str, parent: int, content: bytes) -> None:
        """Put a whole file in place of `name`. The caller syncs the directory."""
        with suppress(FileNotFoundError):
            self._disk.unlink(PART, self._own)
        descriptor = self._disk.create(PART, self._own)
        try:
            self._disk.write(descriptor, content)
            # Never asked again of this file where it fails: the next try makes another.
            self._disk.sync(descriptor)
        finally:
            self._disk.close(descriptor)
        self._disk.rename(PART, self._own, name, parent)

    @contextmanager
    def _opened(self, parts: Sequence[str], *, make: bool) -> Iterator[int]:
        descriptor = self._open(parts, make=make)
        try:
            yield descriptor
        finally:
            if parts:
                self._disk.close(descriptor)

    def _open(self, parts: Sequence[str], *, make: bool) -> int:
        """Open a directory part by part, from the root."""
        parent = self._root
        for number, name in enumerate(parts):
            try:
                try:
                    found = self._disk.open_directory(name, parent)
                except FileNotFoundError:
                    if not make:
                        raise
                    self._disk.make_directory(name, parent)
                    self._disk.sync_directory(parent)
                    found = self._disk.open_directory(name, parent)
            finally:
                if number:
                    self._disk.close(parent)
            parent = found
        return parent

    @contextmanager
    def _if_there(self) -> Iterator[None]:
        """Go on where nothing is, or something that is not a directory of ours."""
        with suppress(FileNotFoundError), self._passing():
            yield

    @contextmanager
    def _passing(self) -> Iterator[None]:
        """Go on where something strange stands in one file's place."""
        try:
            yield
        except OSError as exc:
            if exc.errno not in _IN_THE_WAY:
                raise
            self.in_the_way += 1


def _by_directory(paths: Sequence[str]) -> Mapping[tuple[str, ...], list[str]]:
    found: dict[tuple[str, ...], list[str]] = {}
    for path in paths:
        *directory, name = path.split("/")
        found.setdefault(tuple(directory), []).append(name)
    return found


def _by_question(scopes: Iterable[ScopeFact]) -> Mapping[Question, ScopeFact]:
    return {one.question: one for one in scopes}


def _timeless(scopes: Iterable[ScopeFact]) -> set[tuple[object, ...]]:
    return {(one.question, one.list_kind, one.complete, one.count) for one in scopes}


def _is_older(name: str) -> bool:
    if "." not in name or name.startswith(BACKUP):
        return True
    return is_partial_folder(name) and name != PARTIAL_FOLDER
