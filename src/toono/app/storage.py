# SPDX-License-Identifier: Apache-2.0
"""Opens what is on disk: the store, the scopes and documents in it, a tree beside it.

A disk that cannot be used is no reason not to serve: the hub then remembers in memory.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from toono.app.board import Board, Gauge
from toono.app.settings import HubSettings
from toono.cache.documents import Documents
from toono.cache.scope import Scope
from toono.cache.scopes import Scopes
from toono.cache.tree import adopt_tree, read_documents, read_tree
from toono.errors import StoreInUseError, StoreUnavailableError
from toono.kube.names import GroupResource
from toono.runtime.clock import Clock
from toono.store.base import Store
from toono.store.memory import MemoryStore
from toono.store.sqlite import SQLiteStore, open_store

log = logging.getLogger(__name__)

STORE_DIRECTORY = Path("_internal") / "toono"


@dataclass(frozen=True, slots=True)
class Storage:
    """What the hub remembers."""

    store: Store
    scopes: Scopes
    documents: Documents
    directory: Path


async def open_storage(
    settings: HubSettings, board: Board, *, clock: Clock, stack: AsyncExitStack
) -> Storage:
    """Open all that is remembered, and close it when `stack` unwinds.

    Raises StoreInUseError where another hub has the directory.
    """
    directory = settings.cache_path / STORE_DIRECTORY
    store, state = await _open_store(directory, clock)
    stack.push_async_callback(store.aclose)
    scopes = Scopes(store, clock=clock)
    if isinstance(store, SQLiteStore):
        store.lost = scopes.write_anew
        board.gauges.extend(_disk_gauges(store))
    await scopes.open()
    if isinstance(store, SQLiteStore) and store.opened.damaged:
        scopes.doubt()
    documents = Documents(store, clock=clock)
    await documents.open()
    await _import_tree(scopes, documents, settings.cache_path)
    stack.push_async_callback(scopes.aclose)
    board.checks["cache"] = lambda: True
    board.facts["scopes"] = lambda: sum(1 for _ in scopes.all())
    board.facts["store"] = state
    board.tables["Remembered"] = lambda: _table(scopes, clock.wall())
    board.gauges.extend(_gauges(scopes))
    board.mode.append(lambda online: None if online else scopes.flush())
    return Storage(store, scopes, documents, directory)


async def _open_store(directory: Path, clock: Clock) -> tuple[Store, Callable[[], str]]:
    try:
        store = await open_store(directory, clock=clock)
    except StoreInUseError:
        raise
    except StoreUnavailableError as exc:
        log.warning(
            "nothing will be remembered over a restart: check --disk-cache-path",
            extra={"err": str(exc)},
        )
        return MemoryStore(), lambda: "memory-only"
    if store.opened.rebuilt:
        log.warning(
            "the cache's database could not be read: it is set aside, a new one begins",
            extra={"directory": str(directory)},
        )
    return store, lambda: store.state


async def _import_tree(scopes: Scopes, documents: Documents, path: Path) -> None:
    """Read in a cache that YurtHub wrote, where nothing of ours is there yet."""
    if any(True for _ in scopes.all()):
        return
    objects = adopt_tree(scopes, await asyncio.to_thread(read_tree, path))
    kept = await asyncio.to_thread(read_documents, path)
    for target, (body, seen_at) in kept.items():
        documents.adopt(target, body, seen_at=seen_at)
    if objects:
        log.info("read in a cache of YurtHub", extra={"objects": objects})


def _table(scopes: Scopes, now: float) -> list[dict[str, object]]:
    """Return a row for each component and resource, for the status page."""
    grouped: dict[tuple[str, str], list[Scope]] = {}
    for scope in scopes.all():
        asked = scope.question
        resource = str(GroupResource(asked.group, asked.resource))
        grouped.setdefault((asked.component, resource), []).append(scope)
    return [
        {
            "component": component,
            "resource": resource,
            "questions": len(group),
            "whole": sum(one.complete for one in group),
            "objects": (
                sum(len(one.rows) for one in group)
                if all(one.loaded for one in group)
                else "not read since the start"
            ),
            "last heard": f"{max(0, int(now - _heard(group)))} s ago",
        }
        for (component, resource), group in sorted(grouped.items())
    ]


def _heard(group: list[Scope]) -> float:
    return max(one.confirmed_at for one in group)


def _disk_gauges(store: SQLiteStore) -> list[Gauge]:
    counters = store.counters
    return [
        (
            "toono_store_waiting_bytes",
            "Bytes in memory alone, because they are not durable yet.",
            lambda: float(store.waiting_bytes),
        ),
        (
            "toono_store_commits",
            "Transactions of the database since the start.",
            lambda: float(counters.commits),
        ),
        (
            "toono_store_syncs",
            "Times that the database was made durable since the start.",
            lambda: float(counters.syncs),
        ),
        (
            "toono_store_barrier_stalls",
            "Answers that waited for the disk as long as they may, and went on.",
            lambda: float(counters.barrier_stalls),
        ),
        (
            "toono_store_failures",
            "Failures of the disk since the start.",
            lambda: float(counters.failures),
        ),
        (
            "toono_store_recoveries",
            "Times that the disk worked again after a failure.",
            lambda: float(counters.recoveries),
        ),
        (
            "toono_store_drops",
            "Batches refused because too many waited for the disk.",
            lambda: float(counters.drops),
        ),
        (
            "toono_store_losses",
            "Times that rows may have been lost; what they were of is listed anew.",
            lambda: float(counters.losses),
        ),
        (
            "toono_store_quarantined",
            "Databases set aside because they could not be read.",
            lambda: float(counters.quarantined),
        ),
    ]


def _gauges(scopes: Scopes) -> list[Gauge]:
    return [
        (
            "toono_cache_size_bytes",
            "Bytes of the objects remembered.",
            lambda: float(scopes.size_bytes),
        ),
        (
            "toono_cache_objects",
            "Objects remembered, by scope.",
            lambda: float(sum(len(one.rows) for one in scopes.all())),
        ),
        (
            "toono_cache_dropped_changes",
            "Changes that the disk did not take in time.",
            lambda: float(scopes.counters.dropped_changes),
        ),
        (
            "toono_cache_damaged_rows",
            "Rows found damaged or lost.",
            lambda: float(scopes.counters.damaged_rows),
        ),
        (
            "toono_cache_epochs",
            "Times that the cloud was found restored from a backup.",
            lambda: float(scopes.counters.epochs),
        ),
    ]
