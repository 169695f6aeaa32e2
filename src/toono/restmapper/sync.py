# SPDX-License-Identifier: Apache-2.0
"""The mapper for programs without an event loop: same calls, any thread.

A thread of its own runs the loop, the polls and the watches. What is known is read
from the snapshot in the caller's thread; only a miss crosses over.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, Self, TypeVar

from toono.restmapper.answers import Expansion, Statistics
from toono.restmapper.errors import DiscoveryUnavailableError
from toono.restmapper.events import Event, differences
from toono.restmapper.mapper import RESTMapper
from toono.restmapper.queries import (
    Finding,
    KindQuestion,
    Question,
    ResourceQuestion,
    only_kind,
    only_resource,
)
from toono.restmapper.settings import MapperSettings
from toono.restmapper.snapshot import Snapshot
from toono.restmapper.transport import Transport
from toono.restmapper.values import (
    GroupKind,
    GroupVersionKind,
    GroupVersionResource,
    RESTMapping,
)
from toono.runtime.clock import Clock

T = TypeVar("T")


class SyncRESTMapper:
    """`RESTMapper` for threads; use it as a context manager.

    `transport` is made inside the mapper's own loop, because most asynchronous
    clients belong to the loop they were made in.
    """

    def __init__(
        self,
        transport: Callable[[], Transport],
        *,
        settings: MapperSettings | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._make = transport
        self._settings, self._clock = settings, clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._mapper: RESTMapper | None = None
        self._stop: asyncio.Event | None = None
        self._thread: threading.Thread | None = None

    # -- life --------------------------------------------------------------------

    def __enter__(self) -> Self:
        started: Future[None] = Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._live(started)),
            name="restmapper",
            daemon=True,
        )
        self._thread.start()
        started.result()
        try:
            self._ask(self._begin())
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        if self._thread is not None:
            self._thread.join()

    async def _live(self, started: "Future[None]") -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        started.set_result(None)
        await self._stop.wait()
        if self._mapper is not None:
            await self._mapper.__aexit__()

    async def _begin(self) -> None:
        mapper = RESTMapper(self._make(), settings=self._settings, clock=self._clock)
        self._mapper = await mapper.__aenter__()

    # -- the calls ---------------------------------------------------------------

    @property
    def snapshot(self) -> Snapshot:
        """All that is known at this instant."""
        return self._inner.snapshot

    def lookup(self, kind: GroupVersionKind) -> RESTMapping | None:
        """What is known of a kind, at once."""
        return self._inner.lookup(kind)

    def rest_mapping(
        self, kind: GroupKind, *versions: str, timeout: float | None = None
    ) -> RESTMapping:
        """See RESTMapper.rest_mapping."""
        question = KindQuestion(kind, versions)
        if hit := self._hit(question):
            return only_kind(question, hit.mappings)
        return self._ask(self._inner.rest_mapping(kind, *versions, timeout=timeout))

    def rest_mappings(
        self, kind: GroupKind, *versions: str, timeout: float | None = None
    ) -> Sequence[RESTMapping]:
        """See RESTMapper.rest_mappings."""
        if hit := self._hit(KindQuestion(kind, versions, every=True)):
            return hit.mappings
        return self._ask(self._inner.rest_mappings(kind, *versions, timeout=timeout))

    def kind_for(
        self, resource: GroupVersionResource, *, timeout: float | None = None
    ) -> GroupVersionKind:
        """See RESTMapper.kind_for."""
        question = ResourceQuestion.about(resource)
        if hit := self._hit(question):
            return only_resource(question, hit.mappings).kind
        return self._ask(self._inner.kind_for(resource, timeout=timeout))

    def kinds_for(
        self, resource: GroupVersionResource, *, timeout: float | None = None
    ) -> Sequence[GroupVersionKind]:
        """See RESTMapper.kinds_for."""
        return self._ask(self._inner.kinds_for(resource, timeout=timeout))

    def resource_for(
        self, resource: GroupVersionResource, *, timeout: float | None = None
    ) -> GroupVersionResource:
        """See RESTMapper.resource_for."""
        question = ResourceQuestion.about(resource)
        if hit := self._hit(question):
            return only_resource(question, hit.mappings).resource
        return self._ask(self._inner.resource_for(resource, timeout=timeout))

    def resources_for(
        self, resource: GroupVersionResource, *, timeout: float | None = None
    ) -> Sequence[GroupVersionResource]:
        """See RESTMapper.resources_for."""
        return self._ask(self._inner.resources_for(resource, timeout=timeout))

    def resource_singularizer(
        self, resource: str, *, timeout: float | None = None
    ) -> str:
        """See RESTMapper.resource_singularizer."""
        return self._ask(self._inner.resource_singularizer(resource, timeout=timeout))

    def expand(
        self, resource: GroupVersionResource, *, timeout: float | None = None
    ) -> Expansion:
        """See RESTMapper.expand."""
        return self._ask(self._inner.expand(resource, timeout=timeout))

    def category(self, name: str) -> tuple[GroupVersionResource, ...]:
        """See RESTMapper.category."""
        return self._inner.category(name)

    def wait_for(
        self, kind: GroupVersionKind, *, timeout: float | None = None
    ) -> RESTMapping:
        """See RESTMapper.wait_for."""
        return self._ask(self._inner.wait_for(kind, timeout=timeout))

    def refresh(
        self, group: str | None = None, *, timeout: float | None = None
    ) -> Snapshot:
        """See RESTMapper.refresh."""
        return self._ask(self._inner.refresh(group, timeout=timeout))

    def load(self, *, timeout: float | None = None) -> Snapshot:
        """See RESTMapper.load."""
        return self._ask(self._inner.load(timeout=timeout))

    def invalidate(self, group: str | None = None) -> None:
        """See RESTMapper.invalidate."""

        async def invalidate() -> None:
            self._inner.invalidate(group)

        self._ask(invalidate())

    def age(self, group: str | None = None) -> float | None:
        """See RESTMapper.age."""

        async def age() -> float | None:
            return self._inner.age(group)

        return self._ask(age())

    def statistics(self) -> Statistics:
        """See RESTMapper.statistics."""

        async def statistics() -> Statistics:
            return self._inner.statistics()

        return self._ask(statistics())

    def events(self) -> Iterator[Event]:
        """Every kind that is added, removed or changed from this call on; blocks."""
        return self._events(self.snapshot)

    # -- inside --------------------------------------------------------------------

    def _events(self, seen: Snapshot) -> Iterator[Event]:
        while True:
            now = self._ask(self._inner.changed(seen))
            yield from differences(seen, now)
            seen = now

    @property
    def _inner(self) -> RESTMapper:
        if self._mapper is None:
            raise RuntimeError("the mapper is used outside of its `with` block")
        return self._mapper

    def _hit(self, question: Question) -> Finding | None:
        finding = question.find(self._inner.snapshot)
        return finding if finding.is_final else None

    def _ask(self, call: Coroutine[Any, Any, T]) -> T:
        thread = self._thread
        if self._loop is None or thread is None or not thread.is_alive():
            call.close()
            raise DiscoveryUnavailableError(["everything"], "the mapper was closed")
        return asyncio.run_coroutine_threadsafe(call, self._loop).result()
