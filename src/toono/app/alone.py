# SPDX-License-Identifier: Apache-2.0
"""Opens what the node does with writes while it is cut off, and what is sent after."""

import asyncio
from functools import partial

import msgspec

from toono.admin.handler import JSON, TEXT
from toono.app.board import Board, Gauge
from toono.app.node_only import node_content
from toono.app.settings import HubSettings
from toono.app.storage import Storage
from toono.autonomy import reviews, tokens
from toono.autonomy.replay import Replay
from toono.autonomy.reviews import Reviews
from toono.autonomy.spool import Spool
from toono.autonomy.tokens import Tokens
from toono.autonomy.vault import Vault
from toono.cache.answer import Answers
from toono.identity.rights import Rights
from toono.identity.sealed import Seal, node_seal
from toono.pipeline.alone import Alone
from toono.pipeline.local import Local
from toono.pipeline.spooling import Spooling
from toono.runtime.clock import Clock
from toono.store.memory import MemoryStore
from toono.store.sqlite import SQLiteStore
from toono.upstream.pool import Upstream
from toono.wire.messages import Request, Response

DROP = "/v1/spool/drop"
MAX_DROP_BYTES = 256 * 1024


class _Drop(msgspec.Struct):
    serials: list[int]


_dropped = msgspec.json.Decoder(_Drop).decode


async def open_alone(
    settings: HubSettings,
    board: Board,
    storage: Storage,
    upstream: Upstream,
    *,
    rights: Rights,
    answers: Answers,
    local: Local,
    clock: Clock,
) -> Alone:
    """Read what waits and what is kept sealed; send it once the link is there.

    On a disk that cannot be used nothing is spooled: it would be gone with the process.
    A hub that keeps nothing writes no token and no verdict either.
    """
    store = storage.store if settings.keeps else MemoryStore()
    lasting = not isinstance(store, MemoryStore)
    seal = Seal.fleeting()
    spool = None
    if lasting:
        seal = await asyncio.to_thread(node_seal, storage.directory)
        spool = Spool(store, settings=settings.spool)
        await spool.open()
        if isinstance(store, SQLiteStore):
            store.spare = spool.spare
        replay = Replay(spool, seal, upstream, clock=clock)
        board.mode.append(replay.mode)
        board.duties.append(("replay", replay.run))
        board.gauges.extend(_gauges(spool))
        board.actions[DROP] = partial(_drop, spool, rights)
    vaults = [
        Vault(store, seal, prefix=prefix, clock=clock)
        for prefix in (tokens.PREFIX, reviews.PREFIX)
    ]
    for vault in vaults:
        await vault.open()
    return Alone(
        table=settings.writes,
        spooling=Spooling(
            spool, seal, rights=rights, answers=answers, local=local, clock=clock
        ),
        tokens=Tokens(vaults[0], clock=clock),
        reviews=Reviews(vaults[1], clock=clock, lifetime=settings.review_lifetime),
        rights=rights,
    )


async def _drop(spool: Spool, rights: Rights, request: Request) -> Response:
    """Drop the writes whose serials the node itself names."""
    content = await node_content(request, rights, most=MAX_DROP_BYTES)
    if isinstance(content, Response):
        return content
    try:
        asked = _dropped(content)
    except msgspec.DecodeError as exc:
        return Response(status=400, headers=TEXT, content=f"{exc}\n".encode())
    serials = frozenset(asked.serials)
    chosen = [one for one in spool.entries() if one.serial in serials]
    count = await spool.drop(chosen, "dropped")
    content = msgspec.json.encode({"dropped": count})
    return Response(status=200, headers=JSON, content=content)


OUTCOMES = {
    "landed": "Spooled writes that the API server has.",
    "refused": "Spooled writes that the API server refused.",
    "expired": "Spooled writes whose token ended before they could be sent.",
    "overtaken": "Spooled writes given up because a newer one passed.",
    "replaced": "Spooled writes that a newer one took the place of.",
    "overflow": "Spooled writes dropped because there were too many.",
    "disk_full": "Spooled events given up because the disk was full.",
    "given_up": "Spooled writes that the API server broke over too often.",
    "damaged": "Spooled writes that could not be read back.",
    "dropped": "Spooled writes dropped by hand.",
}


def _gauges(spool: Spool) -> list[Gauge]:
    waiting: list[Gauge] = [
        (
            "toono_spool_writes",
            "Writes that wait for the link.",
            lambda: float(len(spool)),
        ),
        (
            "toono_spool_size_bytes",
            "Bytes of the writes that wait.",
            lambda: float(spool.size_bytes),
        ),
    ]
    return waiting + [_counted(spool, name, text) for name, text in OUTCOMES.items()]


def _counted(spool: Spool, outcome: str, text: str) -> Gauge:
    return (f"toono_spool_{outcome}", text, lambda: float(spool.counts[outcome]))
