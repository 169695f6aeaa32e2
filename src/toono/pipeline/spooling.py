# SPDX-License-Identifier: Apache-2.0
"""Writes that are kept for later: events, and the newest status of an object.

What is told as done is on disk. Whether the API server will take it is not known here:
it sees the writer's own token, or the node's certificate, and decides.
"""

import secrets
import string
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from toono.autonomy.spool import Entry, Spool
from toono.autonomy.spooled import EVENT, STATUS, Target, Write, key_of, same_object
from toono.cache.answer import Answers, Found
from toono.codec.sent import (
    JSON,
    Values,
    merged,
    paths_of,
    read_sent,
    read_values,
    text_in,
    write_sent,
)
from toono.errors import CodecError, RequestError, StoreError
from toono.identity.rights import Rights, Verdict, question_of
from toono.identity.sealed import Seal
from toono.identity.tokens import Trust
from toono.kube import status
from toono.kube.request import Call
from toono.pipeline import heads
from toono.pipeline.local import Local, accepts_of
from toono.pipeline.replies import cut_off, not_allowed, reply, unreadable
from toono.runtime.clock import Clock
from toono.wire.messages import Response

SUFFIX = string.ascii_lowercase + string.digits
NO_EVENT = "this event is not known here"
NO_OBJECT = "this object is not known here"
NO_DISK = "nothing can be kept on this node's disk"
DIRECTIVES = "a patch with directives is not kept"
"""Said after `cut off: `."""


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes, and until when that holds; no name is the node."""

    name: str = ""
    expires_at: float = 0.0


class Spooling:
    """Takes writes into the spool, and answers them."""

    def __init__(
        self,
        spool: Spool | None,
        seal: Seal,
        *,
        rights: Rights,
        answers: Answers,
        local: Local,
        clock: Clock,
    ) -> None:
        """Without a spool nothing can be kept: the disk cannot be used."""
        self._spool = spool
        self._seal = seal
        self._rights = rights
        self._answers = answers
        self._local = local
        self._clock = clock

    async def overtaken(self, call: Call) -> None:
        """Give up what waits of the state of an object that is about to be written."""
        if self._spool is not None and len(self._spool) and call.name:
            await self._spool.overtaken(target_of(call))

    # -- events ------------------------------------------------------------------

    async def event(self, call: Call, content: bytes) -> Response:
        writer = await self._writer(call)
        if call.verb == "patch":
            return await self._patch_event(call, writer, content)
        try:
            values = named_event(call, read_sent(content, call.content_type))
        except CodecError as exc:
            raise unreadable(exc) from exc
        name = text_in(values, "metadata", "name")
        target = target_of(call)._replace(name=name)
        spool = self._kept()
        if any(one.method == "POST" for one in spool.of(target)):
            raise status.refuse(status.already_exists(call.group, "events", name))
        content_type = call.content_type
        if "generateName" in values["metadata"]:
            content, content_type = write_sent(values, JSON), JSON
        write = self._draft(call, target, content, content_type=content_type)
        await self._put(call, writer, write)
        return reply(call, 201, values, heads.SPOOLED)

    async def _patch_event(
        self, call: Call, writer: Writer, content: bytes
    ) -> Response:
        patch = _patch(content)
        if any("$" in path for path in paths_of(patch)):
            raise cut_off(DIRECTIVES)
        target = target_of(call)
        before = self._kept().of(target)
        known = await self._known_event(call, writer, before)
        if known is None:
            raise cut_off(NO_EVENT)
        replaced = [
            one
            for one in before
            if one.method == "PATCH" and one.owner == writer.name
            if paths_of(patch) >= paths_of(await self._patch_in(one))
        ]
        told = merged(known, patch)
        whole = write_sent(anew(call, told), JSON)
        write = self._draft(call, target, content, whole=whole)
        await self._put(call, writer, write, replaced)
        return reply(call, 200, told, heads.SPOOLED)

    async def _known_event(
        self, call: Call, writer: Writer, before: Sequence[Entry]
    ) -> Values | None:
        """Return the event as it will be once what waits has landed."""
        values: Values | None = None
        if not any(one.method == "POST" for one in before):
            values = None if writer.name else await self._cached(call)
        for one in before:
            if one.owner != writer.name:
                return None
            write = await self._kept().read(one)
            if write is None:
                return None
            if one.method == "POST":
                values = read_sent(write.body, write.content_type)
            else:
                values = merged(values, read_values(write.body))
        return values

    async def _patch_in(self, entry: Entry) -> Values:
        write = await self._kept().read(entry)
        return {} if write is None else read_values(write.body)

    async def _cached(self, call: Call) -> Values | None:
        """Return what the cache holds of the object that the node writes."""
        asking = reading(call)
        judgement = await self._rights.judge(call.caller, asking)
        if judgement.verdict is not Verdict.ALLOWED:
            return None
        found = await self._answers.get(asking, accepts_of(asking))
        if not isinstance(found, Found):
            return None
        answer = await self._local(asking)
        content = answer.content
        assert isinstance(content, bytes)
        fields = {name.lower(): value for name, value in answer.headers}
        return read_sent(content, fields[b"content-type"].decode("latin-1"))

    # -- statuses ----------------------------------------------------------------

    async def status(self, call: Call, content: bytes) -> Response:
        """Keep the newest patch of an object; answer with the object as it was."""
        patch = _patch(content)
        judgement = await self._rights.judge(call.caller, reading(call))
        if judgement.verdict is not Verdict.ALLOWED:
            raise not_allowed(call, judgement)
        known = await self._cached(call)
        if known is None:
            raise cut_off(NO_OBJECT)
        uid = text_in(known, "metadata", "uid")
        meta = patch.get("metadata")
        # A pod or node of this name that was made anew is another one.
        bound = {"uid": uid, **(meta if isinstance(meta, dict) else {})}
        content = write_sent({**patch, "metadata": bound}, JSON)
        target = target_of(call)
        replaced = [one for one in self._kept().of(target) if one.kind == STATUS]
        write = self._draft(call, target, content, kind=STATUS)
        await self._put(call, Writer(), write, replaced)
        return reply(call, 200, known, heads.SPOOLED)

    # -- the spool ---------------------------------------------------------------

    async def _writer(self, call: Call) -> Writer:
        """Return whose event this is; RequestError for who cannot be known."""
        if await self._rights.is_node(call.caller):
            return Writer()
        token = call.caller.token
        if not token or call.caller.impersonates:
            raise not_allowed(call, await self._rights.judge(call.caller, call))
        judgement = self._rights.judge_token(token, question_of(call))
        if judgement.verdict in (Verdict.UNAUTHENTICATED, Verdict.FORBIDDEN):
            raise not_allowed(call, judgement)
        checked = self._rights.verifier.check(token, now=self._clock.wall())
        # Whether it may is for the API server to say, who will see this very token.
        if checked.trust is not Trust.VALID:
            raise not_allowed(call, judgement._replace(verdict=Verdict.UNKNOWN))
        return Writer(checked.user, checked.expires_at)

    def _kept(self) -> Spool:
        if self._spool is None:
            raise cut_off(NO_DISK)
        return self._spool

    def _draft(
        self,
        call: Call,
        target: Target,
        content: bytes,
        *,
        kind: str = EVENT,
        content_type: str = "",
        whole: bytes = b"",
    ) -> Write:
        """Return a write of the node's own."""
        return Write(
            kind=kind,
            method=call.method,
            path=call.target.decode("latin-1"),
            content_type=content_type or call.content_type,
            user_agent=call.user_agent,
            target=target,
            body=content,
            at=self._clock.wall(),
            whole=whole,
        )

    async def _put(
        self, call: Call, writer: Writer, write: Write, replaces: Sequence[Entry] = ()
    ) -> None:
        """Keep a write, with the token of whose it is."""
        spool = self._kept()
        serial = spool.reserve()
        if writer.name:
            write = msgspec.structs.replace(
                write,
                owner=writer.name,
                token=self._seal.close(call.caller.token, place=key_of(serial)),
                expires_at=writer.expires_at,
            )
        try:
            await spool.put(serial, write, replaces=replaces)
        except StoreError as exc:
            raise cut_off(f"{NO_DISK}: {exc}") from exc


def target_of(call: Call) -> Target:
    """Return which object a write is of."""
    target = Target(call.group, call.resource, call.namespace, call.name)
    return same_object(target)


def reading(call: Call) -> Call:
    """Return the call that reads the object that `call` writes."""
    return msgspec.structs.replace(
        call, method="GET", verb="get", subresource="", if_none_match=()
    )


def named_event(call: Call, values: Values) -> Values:
    """Return an event as the API server would name it; RequestError for none."""
    api_version = f"{call.group}/{call.version}" if call.group else call.version
    meta = values.get("metadata")
    if values.get("kind") != "Event" or values.get("apiVersion") != api_version:
        raise CodecError(f"this is no Event of {api_version}")
    if not isinstance(meta, dict):
        raise CodecError("an event without metadata")
    if text_in(meta, "namespace") not in ("", call.namespace):
        problem = (
            "the namespace of the provided object does not match the namespace sent"
            " on the request"
        )
        raise RequestError(400, "BadRequest", problem)
    name = text_in(meta, "name")
    if not name and text_in(meta, "generateName"):
        suffix = "".join(secrets.choice(SUFFIX) for _ in range(5))
        name = text_in(meta, "generateName") + suffix
    if not name:
        raise RequestError(
            422, "Invalid", "metadata.name: Required value: name or generateName"
        )
    return {**values, "metadata": {**meta, "name": name, "namespace": call.namespace}}


def anew(call: Call, values: Values) -> Values:
    """Return an object as it would be created again: without what a server gives."""
    return {**values, "metadata": {"name": call.name, "namespace": call.namespace}}


def _patch(content: bytes) -> Values:
    """Return a patch; RequestError where it is no JSON object."""
    try:
        return read_values(content)
    except CodecError as exc:
        raise unreadable(exc) from exc
