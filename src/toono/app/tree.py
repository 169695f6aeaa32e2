# SPDX-License-Identifier: Apache-2.0
"""Opens the writer of the tree in YurtHub's layout, beside what is remembered."""

from contextlib import AsyncExitStack

from toono.app.board import Board
from toono.app.settings import HubSettings
from toono.app.storage import Storage
from toono.cache.tree_write import TreeWriter
from toono.runtime.clock import Clock


def open_tree(
    settings: HubSettings,
    board: Board,
    storage: Storage,
    *,
    clock: Clock,
    stack: AsyncExitStack,
) -> TreeWriter:
    """Keep the tree up to date from now on, and a last time as `stack` unwinds."""
    writer = TreeWriter(
        storage.scopes, settings.cache_path, clock=clock, documents=storage.documents
    )
    stack.push_async_callback(writer.aclose)
    writer.start()
    counters = writer.counters
    board.notes["tree"] = lambda: writer.problem
    board.gauges.extend(
        [
            (
                "toono_tree_files_written",
                "Files of the tree in YurtHub's layout written since the start.",
                lambda: float(counters.written),
            ),
            (
                "toono_tree_left_out",
                "Objects that this layout cannot hold; the database does.",
                lambda: float(counters.left_out),
            ),
            (
                "toono_tree_failures",
                "Times that the disk refused to take the tree since the start.",
                lambda: float(counters.failures),
            ),
        ]
    )
    return writer
