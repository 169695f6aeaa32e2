# SPDX-License-Identifier: Apache-2.0
"""A call answered by the API server: bytes through, with a recording beside them.

The client sees what the server sent, at once. Only two things may hold bytes back:
the end of an answer that removes something waits until the removal is durable
(`Barrier`), and a watch goes on in whole frames, so that a broken link ends it
cleanly and its client resumes from the version it has.
"""

from collections.abc import Awaitable, Callable, Collection
from functools import partial

from toono.autonomy.guard import PodGuard, sudden_loss
from toono.cache.coding import unpacked
from toono.cache.documents import DocumentRecording, Documents
from toono.cache.received import media_type_of
from toono.cache.record import Recorder, Recording
from toono.cache.record_watch import Fed, WatchRecording, no_loss
from toono.codec.registry import for_media_type
from toono.errors import (
    BodyCutError,
    CodecError,
    UpstreamError,
    WireError,
    WireTimeoutError,
)
from toono.identity.rights import keeps_for_token
from toono.kube import status
from toono.kube.request import Call
from toono.pipeline import heads
from toono.pipeline.begun import begin, gathered
from toono.pipeline.guarded import GuardedBody
from toono.pipeline.reading import read_ahead
from toono.pipeline.recorded import Barrier, RecordedBody
from toono.runtime.clock import Clock
from toono.upstream.pool import Credential, Upstream
from toono.wire.messages import Answer, Body, Request, Response
from toono.wire.streams import Incoming

REFUSALS = (401, 403)
"""They teach whose right has ended."""
SMALL_BYTES = 64 * 1024
"""Of an answer that is read whole before it is passed on: most are 2 to 10 KiB."""
LEAST_BYTES = 64 * 1024
"""That go on at once of what is recorded: API servers write lists in chunks of 2 KiB."""
LEAST_PACKED_BYTES = 8 * 1024
"""The same in gzip: what is looked at unpacked is 30 times as much."""
WATCH_PATIENCE = 10.0
"""Seconds that a watcher may read nothing; then it is cut, and lists again."""
HELD_BACK = "this list lacks pods that the API server has: ask again"

Meter = Callable[[Call, Response], Response]
"""Sees each answer of the upstream, for who wants its bytes counted."""


class Forward:
    """Passes calls to the upstream and its answers back."""

    def __init__(
        self,
        upstream: Upstream,
        recorder: Recorder,
        documents: Documents,
        clock: Clock,
        *,
        meter: Meter | None = None,
        guard: PodGuard | None = None,
        hear: Callable[[Call, Response], None] = lambda _, __: None,
    ) -> None:
        self._upstream = upstream
        self._documents = documents
        self._meter = meter
        self._guard = guard
        self._hear = hear
        self._recorder = recorder
        self.barrier = Barrier(clock)

    async def __call__(
        self, call: Call, request: Request, credential: Credential
    ) -> Response:
        """Return the API server's answer; raises UpstreamError where there is none.

        UnreachableError means that the breaker agrees: the link is down. Only then
        may the caller answer from the cache.
        """
        response = await self._forward(call, request, credential)
        self._hear(call, response)
        return response if self._meter is None else self._meter(call, response)

    async def _forward(
        self,
        call: Call,
        request: Request,
        credential: Credential,
        *,
        again: bool = False,
    ) -> Response:
        recording: Recording | DocumentRecording | None = None
        watches = call.verb == "watch"
        reads = call.resource != "" and self._reads(call, credential)
        if reads and not watches:
            recording = await self._recorder.begin(call)
        elif not call.resource and may_keep(call, credential):
            recording = self._documents.begin(call)
        answer = await self._upstream.send(
            request.method,
            request.target,
            heads.upstream_headers(request.headers, plain=watches and reads),
            None if request.body.length == 0 else await begin(request.body),
            credential=credential,
            upgrade=heads.upgrade_of(request) if b"upgrade" in request.fields else "",
            interim=request.interim,
        )
        if answer.status in REFUSALS and not _is_small(answer.body):
            refusal = await gathered(answer.body)
            if isinstance(refusal, bytes):
                return await self._small(recording, answer, refusal)
            answer.body = refusal
        if answer.tunnel is not None:
            headers = [*answer.headers, heads.VIA]
            return Response(status=101, headers=headers, tunnel=answer.tunnel)
        if watches and answer.status == 200:
            return await self._watch(call, credential, answer)
        guard = None
        if call.verb == "list" and answer.status == 200:
            guard = self._guard_of(call, credential)
        body = answer.body
        if _is_small(body) or guard is not None:
            first: list[bytes] = []
            try:
                content = body.whole() if isinstance(body, Incoming) else None
                if content is None:
                    first, over = await read_ahead(body, SMALL_BYTES)
                    content = b"".join(first) if over else None
                if content is not None and guard is not None:
                    await self._check_pods(guard, call, answer, content)
            except (BodyCutError, WireTimeoutError) as exc:
                if again or not _is_replayable(request):
                    text = "the link broke within the answer"
                    raise UpstreamError(text) from exc
                return await self._forward(call, request, credential, again=True)
            if content is not None:
                return await self._small(recording, answer, content)
            assert guard is not None
            body = self._guarded(guard, call, answer, first, recording)
        if recording is not None:
            if isinstance(answer.body, Incoming):
                packed = b"content-encoding" in answer.fields
                answer.body.least = LEAST_PACKED_BYTES if packed else LEAST_BYTES
            body = RecordedBody(body, recording, answer, self.barrier)
        return _response(answer, body=body, stored=recording is not None)

    async def _small(
        self,
        recording: Recording | DocumentRecording | None,
        answer: Answer,
        content: bytes,
    ) -> Response:
        if recording is not None:
            kept = await recording.finish(answer.status, answer.fields, content)
            if kept is not None:
                await self.barrier.wait(kept)
        return _response(answer, content=content, stored=recording is not None)

    def _reads(self, call: Call, credential: Credential) -> bool:
        policy = self._recorder.policy
        return may_keep(call, credential) and policy.allows(call)

    def _guard_of(self, call: Call, credential: Credential) -> PodGuard | None:
        guard = self._guard
        if guard is None or not credential.is_node or not guard.concerns(call):
            return None
        return guard

    def _guarded(
        self,
        guard: PodGuard,
        call: Call,
        answer: Answer,
        first: list[bytes],
        recording: Recording | DocumentRecording | None,
    ) -> Body:
        known = len(self._recorder.known(call))

        def enough() -> bool:
            seen = recording.recognised if isinstance(recording, Recording) else 0
            return seen * 2 > known or not known

        judge = partial(self._check_pods, guard, call, answer)
        return GuardedBody(answer.body, first, enough, judge)

    async def _check_pods(
        self, guard: PodGuard, call: Call, answer: Answer, content: bytes
    ) -> None:
        """Raise for a list that lacks pods of this node that the cloud has."""
        known = self._recorder.known(call)
        codec = for_media_type(media_type_of(answer.fields))
        if not known or codec is None:
            return
        try:
            parts = codec.split_list(unpacked(content, answer.fields))
        except CodecError:
            return  # no list: no client takes it for one
        if parts.continue_token:
            return  # the last page shows what all of them lack
        told = {(item.namespace, item.name) for item in parts.items}
        told.update(self._recorder.told_before(call))
        if not await guard.confirms(call, sudden_loss(known, told)):
            raise status.refuse(status.unavailable(HELD_BACK))

    async def _watch(
        self, call: Call, credential: Credential, answer: Answer
    ) -> Response:
        codec = for_media_type(media_type_of(answer.fields))
        plain = answer.fields.get(b"content-encoding", b"identity") == b"identity"
        if codec is None or not plain or not self._reads(call, credential):
            return _response(answer, body=answer.body, stored=False, watch=True)
        guard = self._guard_of(call, credential)
        loss = no_loss if guard is None else sudden_loss
        recording = WatchRecording(self._recorder, call, codec, loss=loss)
        await recording.ready()
        body = WatchBody(
            answer.body,
            recording,
            self.barrier,
            confirms=None if guard is None else partial(guard.confirms, call),
        )
        return _response(answer, body=body, stored=True, watch=True)


Confirms = Callable[[Collection[tuple[str, str]]], Awaitable[bool]]
"""Asks whether names that a burst lacks are gone indeed."""


class WatchBody:
    """A watch stream that feeds its scope and goes on in whole frames."""

    length: int | None = None

    def __init__(
        self,
        inner: Body,
        recording: WatchRecording,
        barrier: Barrier,
        *,
        confirms: Confirms | None = None,
    ) -> None:
        self._inner = inner
        self._recording = recording
        self._barrier = barrier
        self._confirms = confirms
        self._doubt: frozenset[tuple[str, str]] = frozenset()
        self._over = False

    async def read(self) -> bytes:
        while not self._over:
            fed = await self._next()
            if fed is None:
                self._over = True
                break
            await self._barrier.wait(fed.kept)
            if fed.ended:
                self._over = True
                self._inner.close()
            self._doubt = fed.lost
            if fed.frames:
                return fed.frames
        return b""

    async def _next(self) -> Fed | None:
        """Return what comes next of the stream, None at its end."""
        if self._doubt and self._confirms is not None:
            return self._recording.resume(confirmed=await self._confirms(self._doubt))
        try:
            piece = await self._inner.read()
        except WireError:
            return None  # a clean end: the client resumes from its version
        return self._recording.feed(piece) if piece else None

    def close(self) -> None:
        self._over = True
        self._inner.close()


def may_keep(call: Call, credential: Credential) -> bool:
    """Say whether this answer may be remembered: whoever reads it needs the right.

    What nobody is told is nobody's, and a token's owner feeds no component that the
    node itself lives by.
    """
    if credential.kind == "node":
        return True
    return credential != Credential.ANONYMOUS and keeps_for_token(call)


def _response(
    answer: Answer,
    *,
    stored: bool,
    content: bytes = b"",
    body: Body | None = None,
    watch: bool = False,
) -> Response:
    kept = stored and answer.status < 300
    status = heads.STORED if kept else heads.BYPASSED
    return Response(
        status=answer.status,
        reason=answer.reason,
        headers=heads.downstream_headers(answer.headers, answer.fields, status),
        content=content,
        body=body,
        patience=WATCH_PATIENCE if watch else None,
    )


def _is_small(body: Body) -> bool:
    length = body.length
    if length is None and isinstance(body, Incoming):  # chunks, maybe all here
        return body.is_over and body.unread <= SMALL_BYTES
    return length is not None and length <= SMALL_BYTES


def _is_replayable(request: Request) -> bool:
    return request.method in ("GET", "HEAD") and request.body.length == 0
