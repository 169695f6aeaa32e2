# SPDX-License-Identifier: Apache-2.0
"""What follows from a list or a kind that was taken, whoever took it."""

import asyncio

from toono.cache.persist import Bulk
from toono.cache.scope import Change, Scope
from toono.cache.scopes import Scopes

Kept = asyncio.Future[None] | None
"""Done once a removal is kept for good, or a big list over kill -9; None for less."""


def commit_list(scopes: Scopes, scope: Scope, change: Change) -> Kept:
    """Take a whole list; what was imported goes once it is kept, not before."""

    def retire(kept: Kept) -> None:
        done = kept is None or not (kept.cancelled() or kept.exception())
        if done and scopes.is_kept(scope):
            scopes.retire_imported(scope.question)

    future = scopes.commit(scope, change, sync=change.removes)
    if future is None or future.done():
        retire(future)
    else:
        future.add_done_callback(retire)
    return future if change.removes or isinstance(future, Bulk) else None


def describe(scope: Scope, kind: str, api_version: str) -> None:
    """Note of what kind a scope's objects are."""
    scope.kind, scope.api_version = kind, api_version
