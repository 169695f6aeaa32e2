# SPDX-License-Identifier: Apache-2.0
"""Keeps the tree in YurtHub's layout up to date: lazily, slowly, and never in the way.

The database is the truth and the tree its copy: for a way back to YurtHub, and for a
database that is lost. A pass looks at every scope that changed since the last one,
and writes the files whose object's state changed; an object changed ninety times
costs one file, a tree that is up to date nothing. Passes run when all has been quiet
for a while, every quarter of an hour while it is not, and at shutdown.

What a disk refuses is tried again later; nothing that answers ever waits for it.
"""

import asyncio
import functools
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from toono.cache.documents import Documents
from toono.cache.forms import JSON
from toono.cache.scope import Scope
from toono.cache.scopes import Scopes
from toono.cache.tree_beside import (
    DOCUMENTS,
    KINDS_FILE,
    MAX_KINDS_BYTES,
    with_kinds,
)
from toono.cache.tree_document import document
from toono.cache.tree_files import Job, TreeFiles
from toono.cache.tree_layout import Folder, folder_of, folders_beside
from toono.cache.tree_manifest import ScopeFact
from toono.cache.tree_plan import Plan, Wanted, hold, plan
from toono.errors import CodecError, DamagedRowError, StoreUnavailableError
from toono.runtime.clock import Clock
from toono.runtime.tasks import cancel_and_wait, spawn
from toono.store.worker import Worker

log = logging.getLogger(__name__)

LOOK_SECONDS = 30.0
QUIET_SECONDS = 300.0
"""At least so long between passes, if nothing changed between the last two looks."""
LATEST_SECONDS = 900.0
CHUNK_FILES = 16
CHUNK_BYTES = 256 * 1024
PAUSE_SECONDS = 0.5
"""After each chunk and each folder: the flash card has other work, too."""
FIRST_RETRY_SECONDS = 1.0
LAST_RETRY_SECONDS = 60.0
SHUTDOWN_SECONDS = 5.0

Mark = tuple[object, ...]
T = TypeVar("T")


@dataclass(slots=True)
class TreeCounters:
    """What the writer did since the start; read by metrics."""

    passes: int = 0
    written: int = 0
    removed: int = 0
    left_out: int = 0
    """Objects that cannot be put into this layout, or into JSON."""
    failures: int = 0


class TreeWriter:
    """The tree's one writer. Its files are touched in a thread of its own."""

    def __init__(
        self,
        scopes: Scopes,
        path: Path,
        *,
        clock: Clock,
        documents: Documents | None = None,
        files: TreeFiles | None = None,
        thread: Worker | None = None,
    ) -> None:
        self._scopes = scopes
        self._clock = clock
        self._documents = documents
        self._files = files or TreeFiles(path)
        self._thread = thread or Worker("tree")
        self._done: dict[Folder, Mark] = {}
        self._copied: dict[Folder, list[ScopeFact]] = {}
        self._last_seen: Mark = ()
        self._sealed: Mark = ()
        self._passed_at = clock.monotonic()
        self._task: asyncio.Task[None] | None = None
        self._tidied = False
        self.counters = TreeCounters()
        self.problem = ""
        """Why the last pass failed; empty since one did not."""

    def start(self) -> None:
        """Begin to look for changes now and then."""
        self._task = spawn(self._run(), name="tree-writer")

    async def aclose(self) -> None:
        """Write what is left, within a few seconds, and let go of the tree."""
        if self._task is not None:
            await cancel_and_wait(self._task)
        last = spawn(self._last_pass(), name="tree-last-pass")
        limit = spawn(self._clock.sleep(SHUTDOWN_SECONDS), name="tree-shutdown-limit")
        await asyncio.wait((last, limit), return_when=asyncio.FIRST_COMPLETED)
        await cancel_and_wait(last, limit)
        self._thread.begin(self._files.close)
        self._thread.leave()

    async def bring_up_to_date(
        self, *, pause: float = 0.0, exact: bool = False
    ) -> None:
        """Run one pass over what changed. OSError where the disk refuses it.

        StoreUnavailableError where objects cannot be read just now.
        """
        self._passed_at = self._clock.monotonic()
        if not self._files.is_open:
            await self._in_thread(self._files.open)
        by_folder = self._by_folder()
        for folder, scopes in by_folder.items():
            if self._done.get(folder) != _mark(scopes):
                await self._update(folder, scopes, pause)
        await self._clear(by_folder)
        await self._finish(exact=exact)
        self.counters.passes += 1

    # -- when ------------------------------------------------------------------

    async def _run(self) -> None:
        retry = 0.0
        while True:
            await self._clock.sleep(retry or LOOK_SECONDS)
            if not (retry or self._is_due()):
                continue
            if await self._try(PAUSE_SECONDS):
                retry = 0.0
            else:
                retry = min(max(2 * retry, FIRST_RETRY_SECONDS), LAST_RETRY_SECONDS)

    async def _last_pass(self) -> None:
        await self._try(0.0, exact=True)

    async def _try(self, pause: float, *, exact: bool = False) -> bool:
        try:
            await self.bring_up_to_date(pause=pause, exact=exact)
        except (OSError, StoreUnavailableError) as exc:
            if isinstance(exc, FileNotFoundError):  # swept from under us
                await self._in_thread(self._files.forget)
                self._done.clear()
                self._copied.clear()
            if not self.problem:
                log.warning(
                    "the copy of the cache in YurtHub's layout cannot be written:"
                    " it is tried again; answers come from the database",
                    extra={"err": str(exc)},
                )
            self.problem = f"the copy in YurtHub's layout lags behind: {exc}"
            self.counters.failures += 1
            return False
        self.problem = ""
        return True

    def _is_due(self) -> bool:
        """Say whether a pass should run now; counts as a look."""
        seen = _mark(list(self._scopes.all()))
        quiet, self._last_seen = seen == self._last_seen, seen
        if seen == self._sealed:
            return False
        waited = self._clock.monotonic() - self._passed_at
        return waited >= (QUIET_SECONDS if quiet else LATEST_SECONDS)

    # -- one pass --------------------------------------------------------------

    def _by_folder(self) -> dict[Folder, list[Scope]]:
        found: dict[Folder, list[Scope]] = {}
        components = {scope.question.component for scope in self._scopes.all()}
        for scope in self._scopes.all():
            folder = folder_of(scope.question)
            if folder is None:
                continue
            for one in (folder, *folders_beside(scope.question, components)):
                found.setdefault(one, []).append(scope)
        return found

    async def _update(
        self, folder: Folder, scopes: Sequence[Scope], pause: float
    ) -> None:
        if await self._is_as_noted(folder, scopes):
            self._done[folder] = _mark(scopes)
            self._copied[folder] = [self._files.noted[one.question] for one in scopes]
            return
        for scope in scopes:
            await self._scopes.load(scope)
        mark, facts = _mark(scopes), [_fact(one) for one in scopes]
        held = [hold(scope) for scope in scopes]
        ignores_case = self._files.ignores_case
        wish: Plan = await self._in_thread(
            lambda: plan(folder, held, ignores_case=ignores_case)
        )
        self.counters.left_out += wish.placeless
        changes = await self._in_thread(lambda: self._files.changes(folder, wish))
        if changes.removes:
            await self._in_thread(lambda: self._files.remove(folder, changes.removes))
            self.counters.removed += len(changes.removes)
        whole = True
        for chunk in _chunks(changes.writes):
            whole = await self._write(folder, chunk) and whole
            await self._rest(pause)
        await self._in_thread(lambda: self._files.shape(folder, wish))
        if whole:
            self._done[folder] = mark
        else:  # a row was gone before it could be read: nothing is proven
            facts = [msgspec.structs.replace(one, complete=False) for one in facts]
        self._copied[folder] = facts
        await self._rest(pause)

    async def _is_as_noted(self, folder: Folder, scopes: Sequence[Scope]) -> bool:
        """Say whether a restart left all as it was: then nothing need be read."""
        noted = self._files.noted
        for one in scopes:
            fact = noted.get(one.question)
            if one.loaded or fact is None or _state(one) != _state(fact):
                return False
        return await self._in_thread(lambda: self._files.is_there(folder))

    async def _clear(self, by_folder: Mapping[Folder, Sequence[Scope]]) -> None:
        """Remove what was written for questions that were given up."""
        for folder in self._files.folders():
            if folder in by_folder:
                continue
            removed = await self._in_thread(
                functools.partial(self._files.clear, folder)
            )
            self.counters.removed += removed
            self._done.pop(folder, None)
            self._copied.pop(folder, None)

    async def _write(self, folder: Folder, chunk: Sequence[tuple[str, Wanted]]) -> bool:
        """Write some files; False where a row was gone before it could be read."""
        found: list[tuple[str, Wanted, bytes]] = []
        for path, wanted in chunk:
            scope, key, row = wanted.held.scope, wanted.key, wanted.row
            try:
                contents = await self._scopes.contents(scope, {key: row})
            except (DamagedRowError, CodecError):
                continue  # replaced since the pass began, or lost: the next one tells
            found.append((path, wanted, contents[key]))
        written, left_out = await self._in_thread(lambda: self._put(folder, found))
        self.counters.written += written
        self.counters.left_out += left_out
        return len(found) == len(chunk)

    def _put(
        self, folder: Folder, found: Sequence[tuple[str, Wanted, bytes]]
    ) -> tuple[int, int]:
        """In the thread: turn rows into files; (written, left out)."""
        jobs: list[Job] = []
        left_out = 0
        for path, wanted, content in found:
            try:
                jobs.append(Job(path, document(wanted, content), wanted.state))
            except CodecError as exc:
                self._files.leave_out(folder, path, wanted.state)
                left_out += 1
                log.info(
                    "an object stays in the database alone",
                    extra={"path": "/".join((*folder, path)), "err": str(exc)},
                )
        return self._files.write(folder, jobs), left_out

    async def _finish(self, *, exact: bool) -> None:
        """Note what the tree holds, and move away what it replaces."""
        scopes = list(self._scopes.all())
        seen = _mark(scopes)
        by_folder = self._by_folder()
        whole = all(self._done.get(one) == _mark(by_folder[one]) for one in by_folder)
        facts = [
            fact
            for one in by_folder
            for fact in self._copied.get(one, ())
            if folder_of(fact.question) == one
        ]
        await self._in_thread(lambda: self._files.seal(facts, exact=exact))
        await self._keep_beside(scopes)
        if whole:
            self._sealed = seen
            if not self._tidied:
                await self._in_thread(self._files.set_older_aside)
                self._tidied = True

    async def _keep_beside(self, scopes: Sequence[Scope]) -> None:
        """Write what YurtHub needs to know beside the objects."""
        kinds = [(one.question, _kind(one)) for one in scopes]
        files = self._files

        def keep_kinds() -> None:
            content = with_kinds(files.beside(KINDS_FILE, MAX_KINDS_BYTES), kinds)
            if content is not None:
                files.put_beside(KINDS_FILE, content)

        await self._in_thread(keep_kinds)
        if self._documents is None:
            return
        for target, name in DOCUMENTS.items():
            body = await self._documents.body(target, JSON)
            if body is not None:
                put = functools.partial(files.put_beside, (name,), body)
                await self._in_thread(put)

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await self._thread.call(call)

    async def _rest(self, seconds: float) -> None:
        if seconds:
            await self._clock.sleep(seconds)


def _chunks(
    writes: Sequence[tuple[str, Wanted]],
) -> Iterator[Sequence[tuple[str, Wanted]]]:
    chunk: list[tuple[str, Wanted]] = []
    size = 0
    for path, wanted in writes:
        if chunk and (len(chunk) == CHUNK_FILES or size >= CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append((path, wanted))
        size += wanted.row.size
    if chunk:
        yield chunk


def _mark(scopes: Sequence[Scope]) -> Mark:
    """Return what is another after any change to what scopes hold."""
    return tuple(
        (
            one.id,
            one.serial,
            one.digest,
            len(one.rows),
            one.complete,
            one.imported,
            one.durable,
            one.loaded,
        )
        for one in scopes
    )


def _kind(scope: Scope) -> str:
    return scope.kind or scope.list_kind.removesuffix("List")


def _state(scope: Scope | ScopeFact) -> tuple[int, int, bool]:
    """Return what tells, across a restart, whether a scope has changed."""
    return (scope.epoch, scope.version, scope.complete)


def _fact(scope: Scope) -> ScopeFact:
    return ScopeFact(
        question=scope.question,
        kind=scope.kind,
        list_kind=scope.list_kind,
        api_version=scope.api_version,
        style=scope.style,
        version=scope.version,
        epoch=scope.epoch,
        complete=scope.complete,
        count=len(scope.rows),
    )
