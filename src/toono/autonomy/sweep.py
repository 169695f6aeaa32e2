# SPDX-License-Identifier: Apache-2.0
"""Gives up what the cloud no longer has: single objects, and sets of gone namespaces.

What a watch keeps fresh needs no sweeping. What is known of one name, by a GET, an
event's POST or a watch that has ended, nobody takes back: so what was not heard of
for an hour is asked about. Only the API server's own word that the very object is not
there removes anything; any other answer is a doubt and ends the round. This node's
own Node has to be there first, and no round removes more than a tenth of all. Events
alone go without that word where the node may not read them, as `system:node` may not:
the API server itself keeps them for an hour, and no pod lives by one.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote

from toono.autonomy.cloud import Cloud, Told, is_missing
from toono.autonomy.node import read_node
from toono.cache.scope import Question, Scope
from toono.cache.scopes import FIRST, Scopes
from toono.errors import UpstreamError
from toono.kube.selectors import pinned_name
from toono.runtime.clock import Clock

log = logging.getLogger(__name__)

EVENTS = frozenset({("", "events"), ("events.k8s.io", "events")})
EVENT_SECONDS = 24 * 3600.0
METADATA = (
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepSettings:
    """How often, how old, how much."""

    every: float = 7200.0
    """Seconds between sweeps; 0: there are none."""
    online: float = 600.0
    """Seconds that the link has to be there: clients come back first."""
    quiet: float = 3600.0
    """Seconds that nothing was heard of one object."""
    quiet_set: float = 24 * 3600.0
    """The same of a set: a watch without bookmarks may be quiet, and live."""
    pause: float = 60.0
    """Between rounds of one sweep."""
    asks: int = 100
    """Questions a round."""
    asked_again: float = 6 * 3600.0
    """Seconds until the same is asked about again, if it was there or in doubt."""
    least: int = 20
    share: float = 0.1
    """A round removes at most this share of all questions, or `least`, and never more
    than half."""


@dataclass(frozen=True, slots=True)
class Target:
    """What to ask the API server, to know whether a scope's objects can be."""

    path: str
    name: str


def target_of(question: Question) -> Target | None:
    """Return whose absence proves that a scope is of nothing; None: no question does.

    The kubelet's sets are never swept: it asks for them itself, and lives by them.
    """
    name = question.name or pinned_name(question.field_selector)
    if name:
        base = f"/apis/{question.group}" if question.group else "/api"
        space = f"/namespaces/{question.namespace}" if question.namespace else ""
        if not question.namespace and not question.name:
            return None  # a set of all namespaces, of which a name is no object
        path = f"{base}/{question.version}{space}/{question.resource}"
        return Target(f"{path}/{quote(name, safe='')}", name)
    if question.namespace and question.component != FIRST:
        return Target(f"/api/v1/namespaces/{question.namespace}", question.namespace)
    return None


class Sweeper:
    """Sweeps every few hours, in rounds, until cancelled."""

    def __init__(
        self,
        cloud: Cloud,
        scopes: Scopes,
        node_name: str,
        *,
        clock: Clock,
        settings: SweepSettings | None = None,
    ) -> None:
        self._cloud = cloud
        self._scopes = scopes
        self._node = node_name
        self._clock = clock
        self._settings = settings or SweepSettings()
        self._asked: dict[Question, float] = {}
        self._online_since: float | None = None
        self.removed = 0
        self.doubts = 0

    async def run(self) -> None:
        """Sweep; ends by cancellation only."""
        if not self._settings.every:
            return
        while True:
            more = await self.round()
            wait = self._settings.pause if more else self._settings.every
            until = self._clock.monotonic() + wait
            while self._clock.monotonic() < until or not self.steady:
                await self._clock.sleep(self._settings.pause)
                self.look()

    def look(self) -> None:
        """Note whether the link is there."""
        if not self._cloud.online:
            self._online_since = None
        elif self._online_since is None:
            self._online_since = self._clock.monotonic()

    @property
    def steady(self) -> bool:
        """The link has been there for long enough."""
        since = self._online_since
        now = self._clock.monotonic()
        return since is not None and now - since >= self._settings.online

    async def round(self) -> bool:
        """Ask about the oldest, remove what is gone; say whether there may be more."""
        self.look()
        quiet = self._quiet()
        if not self.steady or not quiet:
            return False
        gone: list[Scope] = []
        most = self._most(sum(1 for _ in self._scopes.all()))
        try:
            if not await self._is_our_cloud():
                return self._doubt("this node's own Node was not found")
            for scope, target in quiet[: self._settings.asks]:
                told = await self._cloud.ask("GET", target.path, accept=METADATA)
                if is_missing(told, target.name) or self._has_expired(scope, told):
                    gone.append(scope)
                elif not _is_plain(told):
                    return self._doubt(f"{target.path}: HTTP {told.status}")
                else:
                    self._asked[scope.question] = self._clock.monotonic()
                if len(gone) >= most:
                    break
        except UpstreamError as exc:
            return self._doubt(str(exc))
        self._remove(gone)
        return bool(gone) or len(quiet) > self._settings.asks

    def _most(self, count: int) -> int:
        """Return how many of so many questions one round may remove."""
        share = max(self._settings.least, int(count * self._settings.share))
        return min(share, max(1, count // 2))

    def _quiet(self) -> list[tuple[Scope, Target]]:
        """Return what was not heard of for long, the oldest first."""
        now, wall = self._clock.monotonic(), self._clock.wall()
        again = now - self._settings.asked_again
        self._asked = {one: at for one, at in self._asked.items() if at > again}
        found = [
            (scope, target)
            for scope in self._scopes.all()
            if wall - scope.confirmed_at >= self._patience(scope)
            and scope.question not in self._asked
            and (target := target_of(scope.question)) is not None
        ]
        found.sort(key=lambda one: one[0].confirmed_at)
        return found

    def _has_expired(self, scope: Scope, told: Told) -> bool:
        """Say whether this is an old event that the node may not ask about."""
        asked = scope.question
        event = (asked.group, asked.resource) in EVENTS and asked.name != ""
        age = self._clock.wall() - scope.confirmed_at
        return event and _is_plain(told) and told.status == 403 and age >= EVENT_SECONDS

    def _patience(self, scope: Scope) -> float:
        settings = self._settings
        return settings.quiet if scope.question.name else settings.quiet_set

    async def _is_our_cloud(self) -> bool:
        """Say whether who answers knows this node: no other's word counts."""
        told = await self._cloud.ask("GET", f"/api/v1/nodes/{self._node}")
        return told.status == 200 and read_node(told.content) is not None

    def _doubt(self, why: str) -> bool:
        self.doubts += 1
        log.info("nothing is swept: the answers are in doubt", extra={"why": why})
        return False

    def _remove(self, gone: Iterable[Scope]) -> None:
        count = sum(
            self._scopes.drop(scope) for scope in gone if self._is_as_asked(scope)
        )
        if count:
            self.removed += count
            log.info("gave up what the cloud no longer has", extra={"questions": count})

    def _is_as_asked(self, scope: Scope) -> bool:
        """Say whether nothing was heard of a scope while the round went on."""
        heard = self._clock.wall() - scope.confirmed_at < self._patience(scope)
        return not scope.dropped and not heard


def _is_plain(told: Told) -> bool:
    """Say whether an answer is one object, or the API server's no to this question."""
    return told.status in (200, 403) and told.media_type == "application/json"
