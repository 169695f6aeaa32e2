# SPDX-License-Identifier: Apache-2.0
"""Opens what decides who may read while the node is cut off."""

from collections.abc import Callable
from dataclasses import replace

from toono.app.board import Board
from toono.app.settings import HubSettings
from toono.identity.ahead import Ahead
from toono.identity.book import Book
from toono.identity.rights import Rights
from toono.identity.sockets import Lookup
from toono.kube.request import Call
from toono.pipeline.asking import asker
from toono.runtime.clock import Clock
from toono.store.base import Store
from toono.upstream.pool import Upstream


async def open_rights(
    settings: HubSettings,
    store: Store,
    *,
    clock: Clock,
    owner: Lookup,
    keeps: Callable[[Call], bool],
) -> Rights:
    """Read what is known of identities.

    Only of a call that `keeps` is true of an answer can be there to read.
    """
    rights = Rights(
        Book(store),
        clock=clock,
        settings=replace(
            settings.rights,
            node_name=settings.node_name,
            node_uids=settings.node_uids,
        ),
        owner=owner,
        keeps=keeps,
    )
    await rights.open()
    return rights


def ask_ahead(
    rights: Rights, board: Board, upstream: Upstream, *, clock: Clock
) -> Ahead:
    """Ask the cloud ahead what callers may read, for as long as the hub runs."""
    ahead = Ahead(rights, asker(upstream), clock=clock)
    board.duties.append(("ask-ahead", ahead.run))
    board.notes["token-keys"] = lambda: ahead.lacks and f"no caller may {ahead.lacks}"
    board.gauges.extend(
        [
            (
                "toono_identities",
                "Identities whose rights are remembered.",
                lambda: float(rights.book.identities),
            ),
            (
                "toono_token_keys",
                "Keys by which tokens are checked while cut off.",
                lambda: float(rights.verifier.keys),
            ),
        ]
    )
    return ahead
