# SPDX-License-Identifier: Apache-2.0
"""Opens what the readers of a node share: one feed a resource, idle until it is asked."""

from collections.abc import Iterable
from functools import partial

from toono.app.board import Board
from toono.app.settings import HubSettings
from toono.app.storage import Storage
from toono.cache.forms import JSON, PROTOBUF
from toono.cache.scope import Question as ScopeQuestion
from toono.filters.follow import Question
from toono.multiplex.feed import Feed
from toono.multiplex.shared import OWN, Resource, Shared
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
            kept=partial(is_kept, storage, one),
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


def is_kept(storage: Storage, one: Resource, version: int) -> bool:
    """Say whether the feed's own list is kept, whole, at `version` or newer.

    A watch goes on from it then, and what it tells is kept: events that begin after
    the version of a scope are not (`cache.scope.accept_event`).
    """
    forms = (
        ScopeQuestion(
            OWN,
            *one,
            namespace="",
            name="",
            label_selector="",
            field_selector="",
            media_type=form,
        )
        for form in (PROTOBUF, JSON)
    )
    scopes = (storage.scopes.find(form) for form in forms)
    return any(
        scope.complete
        and not scope.imported
        and (scope.epoch, scope.version) >= (storage.scopes.epoch, version)
        for scope in scopes
        if scope is not None
    )
