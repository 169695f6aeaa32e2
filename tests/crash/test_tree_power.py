# SPDX-License-Identifier: Apache-2.0
"""Power cuts while the tree is written: no file torn, none older than was said.

Each fault that a writer of files can have is put in on purpose, and must be seen.
"""

import asyncio
import os
import random
import shutil
from pathlib import Path

import pytest

from tests.crash.tree_power import ForgetfulDisk, left
from tests.unit.cache.kit import Cache, pod, pod_list
from tests.unit.cache.tree_kit import Copied, files_of
from toono.cache.tree import adopt_tree, read_manifest, read_tree
from toono.cache.tree_files import PART, TreeFiles

PODS = "/api/v1/pods"
PASSES = 6
NAMES = ("a", "b", "c", "d")
STATES = 20 if os.environ.get("TOONO_PROVE") else 2


class Story:
    """A cloud whose pods come, change and go, a writer, and cuts at every call."""

    def __init__(self, path: Path, disk: ForgetfulDisk, files: type[TreeFiles]) -> None:
        self.path = path
        self.disk = disk
        self.rng = random.Random(os.environ.get("TOONO_SEED", "0"))
        self.cache = Copied(path / "cache")
        self.cache.writer._files = files(path / "cache", disk)
        self.now: dict[str, int] = {}
        self.ever: set[tuple[str, int]] = set()
        self.kept: dict[str, int] = {}
        self.worlds: dict[int, dict[str, int]] = {}
        self.states = self.proven = 0
        self.bad: list[str] = []
        disk.before = self.cut

    async def run(self) -> None:
        for version in range(10, 10 + PASSES):
            for name in self.rng.sample(NAMES, 2):
                self.now[name] = version
            if version % 2:
                self.now.pop(self.rng.choice(sorted(self.now)))
            self.worlds[version] = dict(self.now)
            self.ever |= set(self.now.items())
            pods = [pod(name, at) for name, at in self.now.items()]
            await self.cache.take(PODS, pod_list(version, *pods))
            self.going = set(self.kept) - set(self.now)
            await self.cache.writer.bring_up_to_date()
            self.kept, self.going = dict(self.now), set()
            self.cut()

    def cut(self) -> None:
        """Look at some states that are left if the power goes now."""
        for _ in range(STATES):
            place = self.path / "state"
            shutil.rmtree(place, ignore_errors=True)
            left(self.disk, self.rng, place)
            self.states += 1
            self.judge(place)

    def judge(self, place: Path) -> None:
        files = files_of(place)
        shown = {
            single.object.name: int(single.object.resource_version)
            for found in read_tree(place)
            for single in found.singles
        }
        if len(files) != len(shown):
            self.bad.append(f"of {files} only {shown} can be read")
        if not set(shown.items()) <= self.ever:
            self.bad.append(f"{shown} never was")
        for name, version in self.kept.items():
            if name not in self.going and shown.get(name, 0) < version:
                self.bad.append(f"{name} was at {version}, there is {shown}")
        if set(shown) - set(self.kept) - set(self.now):
            self.bad.append(f"{shown} shows what was removed")
        cache = Cache()
        adopt_tree(cache.scopes, read_tree(place))
        for scope in cache.scopes.all():
            held = {
                name: int(row.resource_version) for (_, name), row in scope.rows.items()
            }
            if scope.complete and held != self.worlds[scope.version]:
                self.bad.append(f"{held} is told to be all at {scope.version}")
            self.proven += scope.complete
        manifest = place / "_internal/toono/scopes.json"
        if manifest.exists() and read_manifest(place) is None:
            self.bad.append("the manifest is torn")


class RenamesFirst(TreeFiles):
    """Puts the name in place before the content is there."""

    def _replace(self, name: str, parent: int, content: bytes) -> None:
        descriptor = self._disk.create(PART, self._own)
        self._disk.rename(PART, self._own, name, parent)
        self._disk.write(descriptor, content)
        self._disk.sync(descriptor)
        self._disk.close(descriptor)


class ForgetsToSync(TreeFiles):
    """Renames what may not have reached the disk."""

    def _replace(self, name: str, parent: int, content: bytes) -> None:
        descriptor = self._disk.create(PART, self._own)
        self._disk.write(descriptor, content)
        self._disk.close(descriptor)
        self._disk.rename(PART, self._own, name, parent)


class OnlyTheManifest(TreeFiles):
    """Writes objects well, and the manifest as if nothing could go wrong."""

    def _replace(self, name: str, parent: int, content: bytes) -> None:
        kind = ForgetsToSync if name == "scopes.json" else TreeFiles
        kind._replace(self, name, parent, content)


class OnDirectories(ForgetfulDisk):
    """Holds a sync of a directory for superfluous."""

    def sync_directory(self, descriptor: int) -> None:
        if self.open_files[descriptor] is self.own():
            super().sync_directory(descriptor)

    def own(self):
        internal = self.root.entries["_internal"]
        return internal.entries.get("toono")


def play(path: Path, disk: ForgetfulDisk, files: type[TreeFiles]) -> Story:
    story = Story(path, disk, files)
    asyncio.run(story.run())
    return story


def test_no_cut_leaves_a_torn_or_forgotten_file(tmp_path) -> None:
    story = play(tmp_path, ForgetfulDisk(), TreeFiles)
    assert story.bad == []
    assert story.states > 100 * STATES
    assert story.proven > 5 * STATES


@pytest.mark.parametrize("fault", [RenamesFirst, ForgetsToSync, OnlyTheManifest])
def test_a_writer_that_trusts_the_disk_is_found_out(tmp_path, fault) -> None:
    assert play(tmp_path, ForgetfulDisk(), fault).bad != []


def test_a_writer_that_forgets_directories_is_found_out(tmp_path) -> None:
    assert play(tmp_path, OnDirectories(), TreeFiles).bad != []
