# SPDX-License-Identifier: Apache-2.0
"""A watch stream → changes of one scope, frame by frame, beside the client.

What makes it sound is one rule (`scope.accept_event`): an event applies only if
the stream's position before it <= the scope's version < the event's version. A
stream that began ahead of the scope never fills it with a hole, an event of two
streams is applied once, and a list that comes meanwhile is simply caught up with.

A burst (`sendInitialEvents`, or a start at no version) is collected until the
bookmark that ends it, and is then a complete list.
"""

import logging
from collections.abc import Callable, Collection
from typing import NamedTuple

from toono.cache.forms import form_of, split_form
from toono.cache.received import expected_form, fits, question_of
from toono.cache.record import Recorder
from toono.cache.scope import (
    Reading,
    RowKey,
    Scope,
    accept_event,
    accept_list,
    forget,
)
from toono.cache.taking import Kept, commit_list, describe
from toono.codec.base import Codec, Event, Object
from toono.errors import CodecError
from toono.kube import status
from toono.kube.names import parse_version
from toono.kube.request import Call

log = logging.getLogger(__name__)

MAX_BURST_BYTES = 32 * 1024 * 1024
BLIND = float("inf")
"""The position of a stream that has lost a frame: no event applies any more."""


Loss = Callable[[Collection[RowKey], Collection[RowKey]], frozenset[RowKey]]
"""Of the names known and the names told: what of a loss must be confirmed."""


def no_loss(_: Collection[RowKey], __: Collection[RowKey]) -> frozenset[RowKey]:
    """Confirm nothing: most kinds may go as they come."""
    return frozenset()


class Fed(NamedTuple):
    """What of the stream may go on to the client."""

    frames: bytes
    """Whole frames only: a stream that breaks ends at a frame's border."""
    kept: Kept
    """What they must wait for: a removal that is not durable yet."""
    ended: bool
    """The watch must end here: its epoch is over."""
    lost: frozenset[RowKey] = frozenset()
    """What a burst takes away that must be confirmed first: `resume` says how it
    went, and returns what may go on then."""


class WatchRecording:
    """One watch stream and the scope it feeds."""

    def __init__(
        self, recorder: Recorder, call: Call, codec: Codec, *, loss: Loss = no_loss
    ) -> None:
        self._scopes = recorder.scopes
        self._call = call
        self._codec = codec
        self._splitter = codec.frames()
        self._torn = False
        self._loss = loss
        self._lost: frozenset[RowKey] = frozenset()
        self._confirmed = False
        self._later: list[bytes] = []
        as_kind = split_form(expected_form(call))[1]
        self._form = form_of(codec.media_type, as_kind)
        self._scope: Scope | None = self._scopes.ensure(question_of(call, self._form))
        self._epoch = self._scope.epoch if self._scope else 0
        start = call.resource_version or "0"
        self._consistent = not call.resource_version
        self._before = self._reading(self._scope) if self._scope else None
        self._burst: list[Object] | None = None
        self._burst_bytes = 0
        self._position: float = parse_version(start) or 0
        if start == "0" or call.send_initial_events:
            self._burst, self._position = [], BLIND

    def _reading(self, scope: Scope) -> Reading:
        return scope.reading(
            consistent=self._consistent,
            known_epoch=self._scopes.epoch,
            seen=self._scopes.high_water(self._call.group, self._call.resource),
        )

    async def ready(self) -> None:
        """Have the scope's index in memory before the first frame."""
        if self._scope is not None and not self._scope.loaded:
            await self._scopes.load(self._scope)
            self._before = self._reading(self._scope)

    def feed(self, piece: bytes) -> Fed:
        """Take bytes of the stream; return what of them may go on."""
        if self._torn:
            return Fed(piece, None, False)
        held = self._splitter.pending
        try:
            frames = self._splitter.feed(piece)
        except CodecError as exc:
            self._torn = True
            self._lose(exc)
            return Fed(held + piece, None, False)
        whole = not held and not self._splitter.pending
        return self._take_all(frames, piece if whole else None)

    def resume(self, *, confirmed: bool) -> Fed:
        """Go on after a loss was asked about; what was not confirmed ends the watch."""
        frames, self._later, self._lost = self._later, [], frozenset()
        if not confirmed:
            return Fed(b"", None, True)
        self._confirmed = True
        return self._take_all(frames, None)

    def _take_all(self, frames: list[bytes], piece: bytes | None) -> Fed:
        kept: Kept = None
        for number, frame in enumerate(frames):
            kept = self._take(frame) or kept
            if self._lost:
                self._later = frames[number:]
                return Fed(b"".join(frames[:number]), kept, False, self._lost)
        if self._scope is not None and self._scope.epoch != self._epoch:
            gone = self._codec.write_error(
                self._codec.write_status(
                    status.expired("the cloud was restored from a backup")
                )
            )
            return Fed(gone, None, True)
        return Fed(b"".join(frames) if piece is None else piece, kept, False)

    def _take(self, frame: bytes) -> Kept:
        scope = self._scope
        if scope is None:
            return None
        try:
            event = self._codec.read_event(frame)
            other = form_of(self._codec.media_type, event.kind) != self._form
            if event.type == "ERROR" or other:
                self._position, self._burst = BLIND, None
                return None
            version = self._version_of(event)
        except CodecError as exc:
            self._lose(exc)
            return None
        if not scope.kind:
            describe(scope, event.kind, event.api_version)
            scope.style = event.style
        if self._burst is not None:
            return self._collect(scope, event, version)
        if self._position == BLIND:
            return None
        change = accept_event(
            scope,
            position=int(self._position),
            version=version,
            event_type=event.type,
            item=None if event.type == "BOOKMARK" else event.object,
        )
        self._position = max(self._position, version)
        if change is None:
            return None
        future = self._scopes.commit(scope, change, sync=change.removes)
        return future if change.removes else None

    def _version_of(self, event: Event) -> int:
        item = event.object
        if event.type not in ("ADDED", "MODIFIED", "DELETED", "BOOKMARK") or not item:
            raise CodecError(f"event of type {event.type!r}")
        if event.type != "BOOKMARK" and not fits(
            item, namespace=self._call.namespace, name=""
        ):
            raise CodecError(f"object {item.namespace}/{item.name} was not asked for")
        version = parse_version(item.resource_version)
        if version is None:
            raise CodecError(f"resourceVersion {item.resource_version!r}")
        return version

    def _collect(self, scope: Scope, event: Event, version: int) -> Kept:
        """Gather the burst; its end bookmark makes it a list."""
        assert self._burst is not None
        assert event.object is not None
        if event.type == "ADDED":
            self._burst.append(event.object)
            self._burst_bytes += len(event.object.data)
            if self._burst_bytes > MAX_BURST_BYTES:
                self._burst = None
            return None
        if event.initial_events_end and not self._confirmed:
            names = [(one.namespace, one.name) for one in self._burst]
            self._lost = self._loss(scope.rows, names)
            if self._lost:
                return None  # `resume` comes back to this frame
        burst, self._burst = self._burst, None
        if event.type != "BOOKMARK" or not event.initial_events_end:
            return None  # a stream without an end to its burst proves no set
        before = self._before or self._reading(scope)
        change = accept_list(
            scope,
            before,
            version=version,
            items=burst,
            next_epoch=self._scopes.next_epoch(scope),
        )
        self._position = version
        if change is None:
            return None
        self._epoch = scope.epoch
        return commit_list(self._scopes, scope, change)

    def _lose(self, exc: CodecError) -> None:
        """A frame was lost to us: what the scope holds is not all any more."""
        self._position, self._burst = BLIND, None
        log.warning(
            "a watch frame could not be read: its scope is incomplete until listed",
            extra={"path": self._call.path, "err": exc},
        )
        if self._scope is not None:
            change = forget(self._scope)
            if change is not None:
                self._scopes.commit(self._scope, change)
