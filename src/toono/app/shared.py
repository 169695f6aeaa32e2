# SPDX-License-Identifier: Apache-2.0
"""Opens what the readers of a node share: one feed a resource, idle until it is asked."""

from collections.abc import Iterable
from functools import partial

from toono.app.board import Board
from toono.app.kept import is_kept
from toono.app.settings import HubSettings
from toono.app.storage import Storage
from toono.filters.follow import Question
from toono.multiplex.feed import Feed
from toono.multiplex.shared import Resource, Shared
from toono.pipeline import heads
from toono.pipeline.asking import own_questions
from toono.pipeline.forward import Forward
from toono.pipeline.local import Local
from toono.runtime.clock import Clock


def open_shared(
    settings: HubSettings,
    board: Board,
    storage: Storage,
    forward: Forward,
    local: Local,
    *,
    clock: Clock,
) -> Shared | None:
    """Return what answers shared questions; None where nothing is shared."""
    if not settings.shared:
        return None
    ask = own_questions(forward, local)
    feeds = {
        one: Feed(
            question_of(one),
            ask,
            clock=clock,
            kept=partial(is_kept, storage, question_of(one)),
            least_watch=settings.least_watch,
            epoch=lambda: storage.scopes.epoch,
        )
        for one in settings.shared
    }
    for feed in feeds.values():
        board.duties.append(("shared-feed", feed.run))
        board.duties.append(("shared-tick", feed.tick))
    board.mode.append(lambda online: hurry(feeds.values()) if online else None)
    board.gauges.append(
        (
            "toono_shared_watches",
            "Watches that share one of the hub's own.",
            lambda: float(sum(feed.readers for feed in feeds.values())),
        )
    )
    board.gauges.append(
        (
            "toono_shared_watches_cut",
            "Shared watches ended before their time: too slow, or listed anew.",
            lambda: float(sum(feed.cut.total() for feed in feeds.values())),
        )
    )
    return Shared(
        feeds, [(b"Cache-Control", b"no-cache, private"), heads.VIA, heads.SHARED]
    )


def hurry(feeds: Iterable[Feed]) -> None:
    """Let feeds try again at once: the link is back."""
    for feed in feeds:
        feed.hurry()


def question_of(one: Resource) -> Question:
    """Return what is asked of the cloud for a resource: all of it."""
    named = ".".join(filter(None, (one.resource, one.group)))
    return Question(one.path, whole=True, packed=True, rule=f"list, watch {named}")
