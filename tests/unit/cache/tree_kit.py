# SPDX-License-Identifier: Apache-2.0
"""What the tests of the tree's writer share."""

import asyncio
import json
from pathlib import Path

from tests.unit.cache.kit import Cache
from toono.cache.tree import adopt_tree, read_tree
from toono.cache.tree_disk import TreeDisk
from toono.cache.tree_files import TreeFiles
from toono.cache.tree_layout import OWN
from toono.cache.tree_write import TreeWriter
from toono.store.worker import Worker


class Inline(Worker):
    """Runs calls at once, so that a virtual clock decides all."""

    def begin(self, work):
        done = asyncio.get_running_loop().create_future()
        try:
            done.set_result(work())
        except OSError as exc:
            done.set_exception(exc)
        return done


class Hanging(Worker):
    """A disk that never answers."""

    def begin(self, work):
        return asyncio.get_running_loop().create_future()


class Copied(Cache):
    """A cache with a writer of the tree beside it."""

    def __init__(self, path: Path, store=None, disk: TreeDisk | None = None) -> None:
        super().__init__(store)
        self.path = path
        path.joinpath(*OWN).mkdir(parents=True, exist_ok=True)
        self.writer = TreeWriter(
            self.scopes,
            path,
            clock=self.clock,
            documents=self.documents,
            files=TreeFiles(path, disk),
            thread=Inline("tree"),
        )

    async def copy(self) -> list[str]:
        """Run a pass; return the tree's files but our own."""
        await self.writer.bring_up_to_date()
        return files_of(self.path)


def files_of(path: Path) -> list[str]:
    """Return the names of a tree's files, but for toono's own."""
    found = (one for one in path.rglob("*") if one.is_file() or one.is_symlink())
    names = (one.relative_to(path).as_posix() for one in found)
    return sorted(name for name in names if not name.startswith("_internal/toono/"))


def content(path: Path, name: str) -> dict:
    return json.loads((path / name).read_bytes())


async def rebuilt(path: Path) -> Cache:
    """Return a cache whose database was lost: what the tree alone can tell."""
    cache = Cache()
    adopt_tree(cache.scopes, await asyncio.to_thread(read_tree, path))
    return cache
