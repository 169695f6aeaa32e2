# SPDX-License-Identifier: Apache-2.0
"""Answers of the cloud → changes of scopes, for every verb with one body.

A recording begins when a request is sent (what was known then decides what its
answer proves) and is finished with the whole body. Whatever cannot be read, is not
what was asked for, or is too large, is passed on to the client and not kept.
Watch streams are in `record_watch`.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence

from toono.cache.coding import MAX_BODY_BYTES, unpacked
from toono.cache.echo import Echoes, mark_of
from toono.cache.forms import Columns, form_of, read_one
from toono.cache.listed import (
    THREAD_BYTES,
    Chain,
    Chains,
    expected_of,
    note_columns,
    read_list,
)
from toono.cache.passing import Passing
from toono.cache.policy import Policy
from toono.cache.received import (
    all_fit,
    asks_objects,
    compacted,
    expected_form,
    fits,
    is_last,
    media_type_of,
    question_of,
)
from toono.cache.scope import (
    Change,
    Question,
    Reading,
    Row,
    RowKey,
    Scope,
    accept_absence,
    accept_list,
    accept_object,
)
from toono.cache.scopes import Scopes
from toono.cache.taking import Kept, commit_list, describe
from toono.codec.base import Codec, ListParts, Single
from toono.codec.registry import for_media_type
from toono.errors import CodecError, StoreUnavailableError
from toono.kube.names import parse_version
from toono.kube.request import Call
from toono.wire.messages import Answer

log = logging.getLogger(__name__)

PACKED_BYTES = 32 * 1024
"""Of gzip, at once: unpacked and read, that may be 8 ms of work."""


class Recorder:
    """Begins recordings, and holds what lasts longer than one request."""

    def __init__(self, scopes: Scopes, policy: Policy) -> None:
        self.scopes = scopes
        self.policy = policy
        self.chains = Chains()
        self.echoes = Echoes(scopes)

    async def begin(self, call: Call) -> "Recording | None":
        """Note what is known as `call` is sent; None where it is not to be kept."""
        if not self.policy.allows(call):
            return None
        question = question_of(call, expected_form(call))
        scope = self.scopes.find(question)
        if scope is not None and not (scope.loaded or await self.has(scope)):
            return None
        return Recording(self, call, question, scope)

    async def has(self, scope: Scope) -> bool:
        """Have a scope's index in memory; False where the disk cannot be read.

        Nobody who can be answered by the cloud waits for that, or hears of it.
        """
        try:
            await self.scopes.load(scope)
        except StoreUnavailableError:
            return False
        return True

    def known(self, call: Call) -> Mapping[RowKey, Row]:
        """Return what the last complete answer to a list or watch named."""
        scope = self.scopes.find(question_of(call, expected_form(call)))
        return {} if scope is None or not scope.loaded else scope.rows

    def told_before(self, call: Call) -> Sequence[RowKey]:
        """Return what the pages before named, of a call that continues a list."""
        form = expected_form(call)
        chain = self.chains.find(question_of(call, form), call.continue_token)
        return [(item.namespace, item.name) for item in chain.items] if chain else ()


class Recording:
    """One answer on its way: finish it with its body, or let it go."""

    __slots__ = (
        "_call",
        "_epoch",
        "_passing",
        "_question",
        "_reading",
        "_recorder",
        "_seen",
        "_unloaded",
    )

    def __init__(
        self, recorder: Recorder, call: Call, question: Question, scope: Scope | None
    ) -> None:
        self._recorder = recorder
        self._call = call
        self._question = question
        self._passing: Passing | None = None
        self._unloaded: Scope | None = None
        """What an answer is about that was not foreseen, and is not in memory."""
        self._seen = recorder.scopes.high_water(call.group, call.resource)
        self._epoch = epoch = recorder.scopes.epoch
        consistent = not call.resource_version
        if scope is None:
            self._reading = Reading(consistent, 0, epoch, 0, epoch, self._seen)
        else:
            self._reading = scope.reading(
                consistent=consistent, known_epoch=epoch, seen=self._seen
            )

    async def feed(self, piece: bytes, answer: Answer) -> None:
        """See a piece of a large answer pass; much that is packed, in a thread."""
        if self._passing is None:
            is_list = self._call.verb == "list" and answer.status == 200
            scope = self._recorder.scopes.find(self._question)
            expected = expected_of(scope) if is_list else ()
            self._passing = Passing(answer.fields if is_list else None, expected)
        if len(piece) > PACKED_BYTES and b"content-encoding" in answer.fields:
            await asyncio.to_thread(self._passing.feed, piece)
        else:
            self._passing.feed(piece)

    @property
    def recognised(self) -> int:
        """How many of the objects known were in what was fed."""
        return self._passing.recognised if self._passing is not None else 0

    async def finish_passed(self, answer: Answer) -> Kept:
        """Take the whole answer that was fed, as `finish`."""
        passing = self._passing
        codec = for_media_type(media_type_of(answer.fields))
        if passing is None or codec is None or not passing.is_read:
            body = b"".join(passing.pieces) if passing is not None else b""
            return await self.finish(answer.status, answer.fields, body)
        try:
            large = passing.left > THREAD_BYTES
            parts = await asyncio.to_thread(passing.parts) if large else passing.parts()
            return await self._list(codec, parts, None, b"")
        except CodecError as exc:
            self._let_go(exc)
            return None

    async def finish(
        self, status: int, fields: Mapping[bytes, bytes], body: bytes
    ) -> Kept:
        """Take a whole answer; return what its last bytes must wait for, if anything.

        Never raises for what the body holds: that is passed on all the same.
        """
        if self._call.verb != "list" or status == 404:
            kept = self.take(status, fields, body)
            if self._unloaded is None or not await self._recorder.has(self._unloaded):
                return kept
            return self.take(status, fields, body)
        codec = self._codec(status, fields, body)
        if codec is None:
            return None
        large = len(body) > THREAD_BYTES
        mark = await asyncio.to_thread(mark_of, body) if large else mark_of(body)
        if self._recorder.echoes.holds(self._question, self._seen, mark):
            return None
        try:
            objects = asks_objects(self._call)
            parts, columns = await read_list(codec, body, fields, objects=objects)
            return await self._list(codec, parts, columns, mark)
        except CodecError as exc:
            self._let_go(exc)
            return None

    def take(self, status: int, fields: Mapping[bytes, bytes], body: bytes) -> Kept:
        """Take a whole answer of one object, as `finish`."""
        codec = self._codec(status, fields, body)
        if codec is None:
            return None
        mark = b""
        if status != 404 and self._call.verb == "get":
            mark = mark_of(body)
            if self._recorder.echoes.holds(self._question, self._seen, mark):
                return None
        try:
            body = compacted(unpacked(body, fields))
            if status == 404:
                return self._absent(codec, body)
            kept = self._object(codec, body)
        except CodecError as exc:
            self._let_go(exc)
            return None
        if mark:
            self._recorder.echoes.remember(self._question, self._seen, mark)
        return kept

    def _codec(
        self, status: int, fields: Mapping[bytes, bytes], body: bytes
    ) -> Codec | None:
        """Return what reads an answer; None where nothing of it is to be kept."""
        if not (200 <= status < 300 or status == 404) or len(body) > MAX_BODY_BYTES:
            return None
        return for_media_type(media_type_of(fields))

    def _let_go(self, exc: CodecError) -> None:
        log.debug("answer not kept", extra={"path": self._call.path, "err": exc})

    # -- list ----------------------------------------------------------------

    async def _list(
        self, codec: Codec, parts: ListParts, columns: Columns | None, mark: bytes
    ) -> Kept:
        version = parse_version(parts.resource_version)
        if not version or not all_fit(parts.items, self._call.namespace):
            return None
        if parts.kind and not parts.kind.endswith("List") and columns is None:
            return None
        form = form_of(codec.media_type, parts.kind)
        question = self._question._replace(media_type=form)
        whole = self._join_pages(question, parts)
        if whole is None:
            return None
        scope = self._scope(question)
        # It may have come in another form than was expected, and loaded.
        if scope is None or not (scope.loaded or await self._recorder.has(scope)):
            return None
        change = accept_list(
            scope,
            self._reading_of(scope, whole.reading),
            version=version,
            items=whole.items,
            next_epoch=self._recorder.scopes.next_epoch(scope),
        )
        if change is None:
            return None
        if parts.kind or not scope.kind:  # rows of a Table tell it, if there are any
            describe(scope, parts.kind.removesuffix("List"), parts.api_version)
            scope.list_kind, scope.style = parts.kind, parts.style
        note_columns(scope, columns)
        future = commit_list(self._recorder.scopes, scope, change)
        if mark and not (self._call.continue_token or scope.question != self._question):
            seen = max(self._seen, version)
            self._recorder.echoes.remember(question, seen, mark)
        return future

    def _join_pages(self, question: Question, parts: ListParts) -> Chain | None:
        """Return the whole list once its last page is here, None until then."""
        call = self._call
        size = sum(len(item.data) for item in parts.items)
        chain = Chain(parts.resource_version, self._reading, list(parts.items), size)
        if call.continue_token:
            before = self._recorder.chains.take(question, call.continue_token)
            if before is None or before.version != chain.version:
                return None
            before.items.extend(chain.items)
            chain = Chain(
                chain.version, before.reading, before.items, before.size + size
            )
        if not parts.continue_token:
            return chain
        if chain.size <= MAX_BODY_BYTES:
            self._recorder.chains.put(question, parts.continue_token, chain)
        return None

    # -- one object ----------------------------------------------------------

    def _object(self, codec: Codec, body: bytes) -> Kept:
        call = self._call
        if call.verb == "delete":
            status = codec.read_status(body)
            if status is not None:
                return self._deleted(codec, status)
        single, columns = read_one(codec, body, objects=asks_objects(call))
        item = single.object
        form = form_of(codec.media_type, single.kind)
        name = "" if call.verb == "create" else call.name
        if not fits(item, namespace=call.namespace, name=name):
            return None
        version = parse_version(item.resource_version)
        if not version:
            return None
        if call.verb in ("delete", "update", "patch") and is_last(call.verb, item):
            return self._mark_absent(form, proven=version)
        scope = self._in_memory(self._name_question(form, item.namespace, item.name))
        if scope is None:
            return None
        consistent = call.verb != "get" or self._reading.consistent
        if call.verb == "get" and consistent:
            version = max(version, self._seen_by_now)
        change = accept_object(
            scope,
            self._reading_of(scope, self._reading)._replace(consistent=consistent),
            item=item,
            version=version,
            next_epoch=self._recorder.scopes.next_epoch(scope),
        )
        self._recorder.scopes.changes += 1  # its version may be another all the same
        if change is None:
            return None
        self._describe_single(scope, single)
        note_columns(scope, columns)
        return self._commit(scope, change)

    def _describe_single(self, scope: Scope, single: Single) -> None:
        describe(scope, single.kind, single.api_version)
        scope.style = single.style

    def _absent(self, codec: Codec, body: bytes) -> Kept:
        """Remember a 404 that speaks of the very name that was asked for."""
        status = codec.read_status(body)
        if status is None or status.get("reason") != "NotFound" or not self._call.name:
            return None
        details = status.get("details")
        if not isinstance(details, dict) or details.get("name") != self._call.name:
            return None
        return self._mark_absent(codec.media_type)

    def _deleted(self, codec: Codec, status: Mapping[str, object]) -> Kept:
        if status.get("status") != "Success" or not self._call.name:
            return None
        return self._mark_absent(codec.media_type)

    def _mark_absent(self, form: str, *, proven: int = 0) -> Kept:
        question = self._name_question(form, self._call.namespace, self._call.name)
        scope = self._in_memory(question)
        if scope is None:
            return None
        consistent = self._call.verb != "get" or self._reading.consistent
        change = accept_absence(
            scope,
            self._reading_of(scope, self._reading),
            version=max(proven, self._seen_by_now) if consistent else proven,
        )
        self._recorder.scopes.changes += 1
        return None if change is None else self._commit(scope, change)

    # -- shared --------------------------------------------------------------

    @property
    def _seen_by_now(self) -> int:
        """A version of the epoch that we are in, known as the request was sent."""
        return self._seen if self._epoch == self._recorder.scopes.epoch else 0

    def _name_question(self, form: str, namespace: str, name: str) -> Question:
        return self._question._replace(
            namespace=namespace,
            name=name,
            label_selector="",
            field_selector="",
            media_type=form,
        )

    def _scope(self, question: Question) -> Scope | None:
        return self._recorder.scopes.ensure(question)

    def _in_memory(self, question: Question) -> Scope | None:
        scope = self._scope(question)
        if scope is None or scope.loaded:
            return scope
        self._unloaded = scope
        return None

    def _reading_of(self, scope: Scope, reading: Reading) -> Reading:
        """Return what was noted; nothing certain where another scope was expected."""
        if scope.question == self._question or scope.serial == 0:
            return reading
        return Reading(False, scope.version, scope.epoch, -1)

    def _commit(self, scope: Scope, change: Change) -> Kept:
        future = self._recorder.scopes.commit(scope, change, sync=change.removes)
        return future if change.removes else None
