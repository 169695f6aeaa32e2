# SPDX-License-Identifier: Apache-2.0
"""RESTMapper: which resource has this kind, and which kind this resource.

Answers from an immutable snapshot; asks the servers on a miss; in the background keeps
the snapshot as new as polls, watches and passing traffic allow. READ FIRST of this
package: every other module is one part of what is put together here.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Self

from toono.restmapper.answers import Expansion, Statistics
from toono.restmapper.background import Keeper, Polls, watchers
from toono.restmapper.errors import MapperError, NoMatchError
from toono.restmapper.events import Event, News
from toono.restmapper.fetch import Fetcher
from toono.restmapper.flights import Flights
from toono.restmapper.keep import Shelf
from toono.restmapper.ledger import Ledger
from toono.restmapper.observing import Observer
from toono.restmapper.queries import (
    Finding,
    KindQuestion,
    Question,
    ResourceQuestion,
    only_kind,
    only_resource,
)
from toono.restmapper.refresh import Refresher
from toono.restmapper.resolver import Resolver
from toono.restmapper.serve import Offer, Served, serve
from toono.restmapper.settings import MapperSettings
from toono.restmapper.signals import Signals
from toono.restmapper.snapshot import Snapshot
from toono.restmapper.transport import Transport
from toono.restmapper.values import (
    GroupKind,
    GroupVersionKind,
    GroupVersionResource,
    RESTMapping,
)
from toono.runtime.clock import Clock, SystemClock
from toono.runtime.tasks import cancel_and_wait, spawn

log = logging.getLogger(__name__)

GRACE_SECONDS = 1.0
"""How long a known answer that was called in question waits for its confirmation."""
WAIT_STEP_SECONDS = 0.25
EVERYTHING = "*"
"""No resource has this name, so that every version must be read to know it."""


class RESTMapper:
    """Resources and kinds of one cluster, right within a second of a change.

    Constructing it sends nothing. It answers as it is; inside `async with` (or while
    `run` runs) it also polls, watches and keeps its file. One event loop only; for
    threads there is `SyncRESTMapper`.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        settings: MapperSettings | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._settings = settings or MapperSettings()
        self._clock = clock or SystemClock()
        self._transport = transport
        self._misses = 0
        self._live: set[str] = set()
        self._task: asyncio.Task[None] | None = None
        timeout = self._settings.request_timeout
        self._fetcher = Fetcher(transport, timeout=timeout)
        self._ledger = Ledger(self._clock, on_change=self._on_change)
        self._news = News(lambda: self._ledger.snapshot)
        self._flights = Flights(self._fetcher, self._ledger)
        self._resolver = Resolver(self._ledger, self._flights, self._clock)
        self._refresher = Refresher(self._ledger, self._flights)
        self._signals = Signals(
            self._ledger, self._resolver, self._refresher, self._clock
        )
        self._shelf = Shelf(
            self._settings.file,
            self._settings.yurthub_file,
            identity=self._settings.identity,
        )
        self._keeper = Keeper(
            self._clock,
            lambda: self._shelf.save(self._ledger, self._fetcher, self.observe),
        )
        self.observe = Observer(self._ledger, self._signals, self._fetcher)
        """What passing traffic shows; for a proxy that hosts this mapper."""
        self._shelf.restore(self._ledger, self._fetcher, self.observe)

    # -- life ------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        self._task = spawn(self.run(), name="restmapper")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            await cancel_and_wait(self._task)
        await self.aclose()

    async def run(self) -> None:
        """Poll, watch, follow signals and keep the file; ends by cancellation."""
        self._signals.is_running = True
        polls = Polls(
            self._refresher, self._clock, self._settings.poll_seconds, self._ask_version
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(polls.run(), name="restmapper polls")
                tasks.create_task(self._signals.run(), name="restmapper signals")
                tasks.create_task(self._keeper.run(), name="restmapper file")
                if self._settings.watch:
                    for watcher in watchers(
                        self._transport, self._signals, self._clock, self._on_live
                    ):
                        tasks.create_task(watcher.run(), name="restmapper watch")
        finally:
            self._signals.is_running = False

    async def aclose(self) -> None:
        """Give up what is under way and write the file; the transport stays open."""
        await self._flights.aclose()
        await self._keeper.flush()

    # -- the hot path ------------------------------------------------------------------

    @property
    def snapshot(self) -> Snapshot:
        """All that is known at this instant; never changes, is only replaced."""
        return self._ledger.snapshot

    def lookup(self, kind: GroupVersionKind) -> RESTMapping | None:
        """What is known of a kind, at once; None where it would have to be asked."""
        hit = self._ledger.snapshot.kinds.get(kind)
        if hit is not None:
            return hit
        question = KindQuestion(GroupKind(kind.group, kind.kind), (kind.version,))
        found = question.find(self._ledger.snapshot).mappings
        return found[0] if found else None

    # -- the seven calls of meta.RESTMapper ------------------------------------------

    async def rest_mapping(
        self, kind: GroupKind, *versions: str, timeout: float | None = None
    ) -> RESTMapping:
        """The mapping of a kind: in the first of `versions` that has it, or else in
        the version that the server prefers."""
        snapshot, hit = self._ledger.snapshot, None
        if not versions:
            hit = snapshot.preferred.get(kind)
        elif len(versions) == 1:
            hit = snapshot.kinds.get(GroupVersionKind(kind[0], versions[0], kind[1]))
        if hit is not None:
            return hit
        question = KindQuestion(kind, versions)
        finding = await self._find(question, timeout)
        return only_kind(question, finding.mappings)

    async def rest_mappings(
        self, kind: GroupKind, *versions: str, timeout: float | None = None
    ) -> Sequence[RESTMapping]:
        """The mappings of a kind in all versions, or in all of `versions`."""
        question = KindQuestion(kind, versions, every=True)
        return (await self._find(question, timeout)).mappings

    async def kind_for(
        self, resource: GroupVersionResource, *, timeout: float | None = None
    ) -> GroupVersionKind:
        """The kind of a resource that is named in part."""
        return (await self._one(resource, timeout)).kind

    async def kinds_for(
        self, resource: GroupVersionResource, *, timeout: float | None = None
    ) -> Sequence[GroupVersionKind]:
        """Every kind that a name may stand for, most wanted first."""
        found = await self._all(resource, timeout)
        return tuple(dict.fromkeys(each.kind for each in found))

    async def resource_for(
        self, resource: GroupVersionResource, *, timeout: float | None = None
    ) -> GroupVersionResource:
        """The whole name of a resource that is named in part."""
        return (await self._one(resource, timeout)).resource

    async def resources_for(
        self, resource: GroupVersionResource, *, timeout: float | None = None
    ) -> Sequence[GroupVersionResource]:
        """Every resource that a name may stand for, most wanted first."""
        found = await self._all(resource, timeout)
        return tuple(dict.fromkeys(each.resource for each in found))

    async def resource_singularizer(
        self, resource: str, *, timeout: float | None = None
    ) -> str:
        """The singular of a resource's name."""
        asked = GroupVersionResource("", "", resource)
        return (await self._all(asked, timeout))[0].api.singular

    # -- names that people type ------------------------------------------------------

    async def expand(
        self, resource: GroupVersionResource, *, timeout: float | None = None
    ) -> Expansion:
        """What a plural, singular or short name stands for; the group may be a prefix.

        As kubectl: a plural or singular comes before a short name, and of several the
        group that the server lists first.
        """
        question = ResourceQuestion.about(resource, short=True)
        found = (await self._find(question, timeout)).mappings
        distinct: dict[tuple[str, str], RESTMapping] = {}
        for each in found:
            distinct.setdefault((each.kind.group, each.resource.resource), each)
        first, *others = distinct.values()
        if question.resource.resource not in first.api.short_names:
            others = []
        return Expansion(first, tuple(others))

    def category(self, name: str) -> tuple[GroupVersionResource, ...]:
        """The known resources of a category such as "all", in preferred versions."""
        snapshot = self._ledger.snapshot
        members: dict[tuple[str, str], GroupVersionResource] = {}
        for mapping in snapshot.all_mappings():
            if name in mapping.api.categories:
                key = (mapping.kind.group, mapping.resource.resource)
                members.setdefault(key, mapping.resource)
        return tuple(members.values())

    # -- waiting, refreshing, being told ---------------------------------------------

    async def wait_for(
        self, kind: GroupVersionKind, *, timeout: float | None = None
    ) -> RESTMapping:
        """The mapping of a kind once it is served.

        Raises the last NoMatchError or DiscoveryUnavailableError when time is up.
        """
        limit = self._settings.timeout if timeout is None else timeout
        last: MapperError | None = None
        try:
            async with asyncio.timeout(limit):
                while True:
                    seen = self.snapshot
                    try:
                        group_kind = GroupKind(kind.group, kind.kind)
                        return await self.rest_mapping(group_kind, kind.version)
                    except MapperError as exc:
                        last = exc
                    await self._next_snapshot(seen)
        except TimeoutError:
            question = KindQuestion(GroupKind(kind.group, kind.kind), (kind.version,))
            raise last or self._late(question, limit) from None

    def events(self) -> AsyncIterator[Event]:
        """Every kind that is added, removed or changed from this call on."""
        return self._news.events(self.snapshot)

    async def changed(self, seen: Snapshot) -> Snapshot:
        """The newest snapshot, once it is another than `seen`."""
        return await self._news.after(seen)

    async def refresh(
        self, group: str | None = None, *, timeout: float | None = None
    ) -> Snapshot:
        """Ask again now (for one group, or all); the snapshot after it.

        Raises DiscoveryUnavailableError where nobody answers.
        """
        limit = self._settings.timeout if timeout is None else timeout
        groups = None if group is None else [group]
        self._resolver.clear()
        self._ledger.forgive(group)
        try:
            async with asyncio.timeout(limit):
                await self._refresher.refresh(groups, asked=True)
        except TimeoutError:
            raise self._late(KindQuestion(GroupKind(group or "", "")), limit) from None
        self._refresher.check(groups)
        return self.snapshot

    async def load(self, *, timeout: float | None = None) -> Snapshot:
        """Read what was not read yet: all that is served is known then.

        Raises DiscoveryUnavailableError where some of it cannot be told just now.
        """
        with suppress(NoMatchError):
            await self._all(GroupVersionResource("", "", EVERYTHING), timeout)
        return self.snapshot

    def invalidate(self, group: str | None = None) -> None:
        """Believe nothing (of a group) any more: the next question asks first.

        What is known is still answered where nobody can be asked.
        """
        self._resolver.clear()
        self._ledger.question(group)

    def age(self, group: str | None = None) -> float | None:
        """Seconds since what is known was last confirmed; None if it never was."""
        return self._refresher.age(group)

    def statistics(self) -> Statistics:
        """What happened so far, and how large it is."""
        snapshot = self.snapshot
        return Statistics(
            requests=self._fetcher.requests,
            signals=self._signals.count,
            misses=self._misses,
            generation=snapshot.generation,
            kinds=len(snapshot.kinds),
            stale_versions=len(snapshot.doubtful),
            age=self.age(),
            watching=len(self._live) == 2,
        )

    def serve(
        self, target: str, *, accept: str = "", if_none_match: str = ""
    ) -> Served | None:
        """Answer a request for discovery out of what is known; None: not known."""
        offer = Offer(accept=accept, if_none_match=if_none_match)
        version = self.observe.version_document
        return serve(self._ledger, version, target, offer)

    # -- inside ------------------------------------------------------------------------

    async def _one(
        self, resource: GroupVersionResource, timeout: float | None
    ) -> RESTMapping:
        question = ResourceQuestion.about(resource)
        finding = await self._find(question, timeout)
        return only_resource(question, finding.mappings)

    async def _all(
        self, resource: GroupVersionResource, timeout: float | None
    ) -> Sequence[RESTMapping]:
        question = ResourceQuestion.about(resource, every=True)
        return (await self._find(question, timeout)).mappings

    async def _find(self, question: Question, timeout: float | None) -> Finding:
        finding = question.find(self._ledger.snapshot)
        if finding.is_final:
            return finding
        self._misses += 1
        limit = self._settings.timeout if timeout is None else timeout
        known = bool(finding.mappings) and all(
            gv in self._ledger.snapshot.records for gv in finding.unread
        )
        if known:
            limit = min(limit, GRACE_SECONDS)
        try:
            async with asyncio.timeout(limit):
                return await self._resolver.resolve(question)
        except TimeoutError:
            if not known:
                raise self._late(question, limit) from None
        for root in question.roots:
            self._ledger.stop_waiting(root, _late_reason(limit))
        return question.find(self._ledger.snapshot)

    def _late(self, question: Question, limit: float) -> MapperError:
        return self._resolver.unavailable(question, _late_reason(limit))

    async def _next_snapshot(self, seen: Snapshot) -> None:
        """Wait for a change, or a little while: a miss may ask again by then."""
        with suppress(TimeoutError):
            async with asyncio.timeout(WAIT_STEP_SECONDS):
                await self._news.after(seen)

    def _on_change(self) -> None:
        self._news.tell()
        self._keeper.tell()

    def _on_live(self, watch: str, is_live: bool) -> None:
        (self._live.add if is_live else self._live.discard)(watch)
        both = len(self._live) == 2
        if self._resolver.absent.may_double and not both:
            self._resolver.clear()
        self._resolver.absent.may_double = both

    async def _ask_version(self) -> None:
        body = await self._fetcher.plain("/version")
        if body:
            self.observe.version(body)


def _late_reason(limit: float) -> str:
    return f"no answer within {limit:g} s"
