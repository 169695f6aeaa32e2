# SPDX-License-Identifier: Apache-2.0
"""One list and watch of the cloud for all readers of a resource on this node.

It goes the way of any client's question of the hub's own, so it is kept, and goes on
from what was kept: after a restart, after a cut link. What must be listed anew ends the
readers with 410: between two lists nobody knows what happened.
"""

import asyncio
from collections import Counter
from collections.abc import Callable

from toono.cache.watch import MIN_WATCH_SECONDS, lasting
from toono.codec.base import Codec, Event, ListParts, Object
from toono.errors import CodecError
from toono.filters.follow import Ask, Following, Question
from toono.kube import status
from toono.kube.request import Call
from toono.multiplex.state import Change, State
from toono.multiplex.stream import SharedStream
from toono.multiplex.view import View
from toono.runtime.clock import Clock
from toono.wire.answering import chunk

TICK_SECONDS = 1.0
BOOKMARK_SECONDS = 60.0
RESTORED = "too old resource version: the cloud was restored from a backup"
RELISTED = "too old resource version: the shared list was made anew"
Seen = tuple[str, str, str, str]
"""A view's question: namespace, label and field selector, media type."""


class Feed(Following):
    """The shared state of one resource, its upstream, and its readers."""

    def __init__(
        self,
        question: Question,
        ask: Ask,
        *,
        clock: Clock,
        kept: Callable[[int], bool],
        least_watch: float = MIN_WATCH_SECONDS,
        epoch: Callable[[], int] = lambda: 0,
    ) -> None:
        super().__init__(question, ask, clock=clock, kept=kept)
        self.state = State()
        self.state.told.append(self._tell)
        self.ready = asyncio.Event()
        """The cloud's stream is open and the state as new as it says, or refused."""
        self._least_watch = least_watch
        self._now = epoch
        self._epoch = 0
        self._views: dict[Seen, tuple[View, dict[SharedStream, None]]] = {}
        self.cut = Counter[str]()
        """Readers ended before their time, by reason."""

    @property
    def readers(self) -> int:
        """How many watch now."""
        return sum(len(streams) for _, streams in self._views.values())

    @property
    def is_current(self) -> bool:
        """The cloud was not found to be restored since its list was read."""
        return self._epoch == self._now()

    # -- the cloud's side --------------------------------------------------------

    def listed(self, codec: Codec, parts: ListParts, *, cached: bool) -> None:
        self._end_all(RELISTED)
        self.state.replace(codec, parts)
        self._epoch = self._now()

    def missing(self) -> None:
        self.ready.clear()

    def denied(self) -> None:
        self.ready.set()

    def happened(self, codec: Codec, event: Event, one: Object, frame: bytes) -> None:
        self.state.apply(codec, event, one, frame)

    def watching(self, *, live: bool) -> None:
        if live:
            self.ready.set()
        else:
            self.ready.clear()

    def resumes(self) -> bool:
        return self._kept(self.state.version)

    def _tell(self, change: Change) -> None:
        for view, streams in self._views.values():
            try:
                frame = view.frame(change)
            except CodecError:
                # What one reader asks cannot be told of this object: it comes back and
                # is passed on. The others must not miss the change for it.
                self.cut["unreadable"] += len(streams)
                for stream in streams:
                    stream.end()
                continue
            if frame is not None:
                framed = chunk(frame)
                for stream in streams:
                    stream.push(frame, framed)

    def end(self) -> None:
        """End all readers cleanly."""
        for _, streams in list(self._views.values()):
            for stream in streams:
                stream.end()

    def _end_all(self, why: str) -> None:
        for view, streams in list(self._views.values()):
            codec = view.codec
            gone = codec.write_error(codec.write_status(status.expired(why)))
            self.cut["relisted"] += len(streams)
            for stream in streams:
                stream.end(gone)
        self._views.clear()

    # -- the readers' side -------------------------------------------------------

    def view(self, call: Call, media_type: str) -> View:
        """Return what `call` sees, in a form."""
        seen = _seen(call, media_type)
        found = self._views.get(seen)
        return found[0] if found else _view(self.state, seen)

    def watch(
        self, call: Call, media_type: str, *, after: int | None, listed: bool
    ) -> SharedStream:
        """Open a reader's watch: from what is there where `listed`, else `after`.

        Who takes bookmarks gets one that ends what is there, as from an API server.
        """
        seen = _seen(call, media_type)
        view = self.view(call, media_type)
        first: list[bytes] = []
        if listed:
            first = view.added()
            if call.allow_watch_bookmarks:
                first.append(view.bookmark(end=True))
        elif after is not None:
            frames = map(view.frame, self.state.since(after))
            first = [frame for frame in frames if frame is not None]
        stream = SharedStream(
            first,
            until=self._clock.monotonic()
            + lasting(call.timeout_seconds, least=self._least_watch),
            bookmarks=call.allow_watch_bookmarks,
            left=lambda one: self._leave(seen, one),
        )
        _, streams = self._views.setdefault(seen, (view, {}))
        streams[stream] = None
        return stream

    def _leave(self, seen: Seen, stream: SharedStream) -> None:
        if stream.slow:
            self.cut["slow"] += 1
        found = self._views.get(seen)
        if found is None:
            return
        found[1].pop(stream, None)
        if not found[1]:
            del self._views[seen]

    async def tick(self) -> None:
        """End readers whose time is over; tell the version once a minute."""
        next_bookmark = self._clock.monotonic() + BOOKMARK_SECONDS
        while True:
            await self._clock.sleep(TICK_SECONDS)
            if not self.is_current:
                self._end_all(RESTORED)
            now = self._clock.monotonic()
            marks = now >= next_bookmark and self.ready.is_set()
            if marks:
                next_bookmark = now + BOOKMARK_SECONDS
            for view, streams in list(self._views.values()):
                mark = view.bookmark(end=False) if marks else b""
                framed = chunk(mark)
                for stream in list(streams):
                    if mark and stream.bookmarks:
                        stream.push(mark, framed)
                    if now >= stream.until:
                        stream.end()


def _seen(call: Call, media_type: str) -> Seen:
    return call.namespace, call.label_selector, call.field_selector, media_type


def _view(state: State, seen: Seen) -> View:
    namespace, labels, fields, media_type = seen
    return View(
        state,
        namespace=namespace,
        label_selector=labels,
        field_selector=fields,
        media_type=media_type,
    )
