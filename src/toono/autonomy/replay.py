# SPDX-License-Identifier: Apache-2.0
"""Sends what waited for the link, in order, one at a time, until nothing waits.

Each lands once, also over a kill -9 in between: an event has a name, so a create that
had landed is told by 409 AlreadyExists, and a patch sets what it had set. A server
that is busy or broken is waited for; what it refuses is dropped and counted. Only a
v1 Status or an object is an answer: a captive portal's page is none.
"""

import asyncio
import hashlib
import logging
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from toono.autonomy.spool import Entry, Spool
from toono.autonomy.spooled import EVENT, Write, key_of
from toono.codec.sent import JSON, Values, read_sent, read_values, text_in, write_sent
from toono.errors import (
    CodecError,
    StoreError,
    UnreachableError,
    UpstreamError,
    WireError,
)
from toono.identity.sealed import Seal
from toono.runtime.clock import Clock
from toono.upstream.pool import Credential, Upstream
from toono.wire.messages import Body, BytesBody, Headers

log = logging.getLogger(__name__)

SEND_SECONDS = 10.0
SPREAD_SECONDS = 1.0
"""Nodes that come back together do not all begin at once."""
BACKOFF_SECONDS = (0.5, 30.0)
MAX_WAIT_SECONDS = 120.0
MAX_TRIES = 12
"""A write that the server breaks over so often holds up all others no longer."""
MAX_ANSWER_BYTES = 2 * 1024 * 1024
REFUSED = frozenset({400, 403, 404, 405, 409, 410, 413, 415, 422})


class Heard(NamedTuple):
    """An answer of the API server; None: whatever came was not the API server's."""

    status: int
    values: Values | None
    retry_after: float = 0.0


@dataclass(frozen=True, slots=True)
class Later:
    """Not now: again after so many seconds, 0 as the back-off says."""

    seconds: float = 0.0
    counted: bool = False
    """The API server itself broke over this write; a link or a portal did not."""


Outcome = str | Later


class Replay:
    """The one task that sends; ends by cancellation only."""

    def __init__(
        self, spool: Spool, seal: Seal, upstream: Upstream, *, clock: Clock
    ) -> None:
        self._spool = spool
        self._seal = seal
        self._upstream = upstream
        self._clock = clock
        self._online = asyncio.Event()
        self._failures = 0
        self._tries: dict[int, int] = {}

    def mode(self, online: bool) -> None:
        """Take in whether the link is there."""
        if online:
            self._online.set()
        else:
            self._online.clear()

    async def run(self) -> None:
        """Send whenever something waits and the link is there."""
        while True:
            await self._spool.filled.wait()
            if not self._online.is_set():
                await self._online.wait()
                spread = random.uniform(0.0, SPREAD_SECONDS)  # noqa: S311 - no secret
                await self._clock.sleep(spread)
            try:
                await self._step()
            except StoreError:  # what was sent is sent again, and told by its name
                await self._pause(Later())

    async def _step(self) -> None:
        entry = self._spool.first()
        if entry is None:
            return
        write = await self._spool.read(entry)
        if write is None:
            await self._spool.finish(entry, "damaged")
            return
        if not self._spool.begin(entry):
            return
        try:
            outcome = await self._outcome(entry, write)
            done = outcome if isinstance(outcome, str) else self._tried(entry, outcome)
            if done:
                await self._spool.finish(entry, done)
        finally:
            self._spool.end(entry)
        if done:
            self._failures = 0
            self._tries.clear()
        elif isinstance(outcome, Later):
            await self._pause(outcome)

    async def _outcome(self, entry: Entry, write: Write) -> Outcome:
        try:
            return await self._send(entry, write)
        except UnreachableError:
            return Later()
        except (UpstreamError, WireError, TimeoutError) as exc:
            log.debug("a spooled write was not sent", extra={"err": str(exc)})
            return Later()

    def _tried(self, entry: Entry, later: Later) -> str:
        """Return the outcome of a write that failed too often, "" for another try."""
        if not later.counted:
            return ""
        tries = self._tries[entry.serial] = self._tries.get(entry.serial, 0) + 1
        return "given_up" if tries >= MAX_TRIES else ""

    async def _pause(self, later: Later) -> None:
        first, most = BACKOFF_SECONDS
        longest = min(most, first * 2.0 ** min(self._failures, 8))
        self._failures += 1
        spread = random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, no secret
        await self._clock.sleep(max(later.seconds, longest * spread))

    # -- one write -----------------------------------------------------------------

    async def _send(self, entry: Entry, write: Write) -> Outcome:
        token = b""
        if write.token:
            opened = self._seal.open(write.token, place=key_of(entry.serial))
            if opened is None or self._clock.wall() >= write.expires_at:
                return "expired"
            token = opened
        heard = await self._ask(write, token)
        if heard.status == 404 and heard.values is not None and write.whole:
            heard = await self._ask(whole_event(write), token)
        if _exists(heard) and write.kind == EVENT and write.method == "POST":
            return await self._existing(write, token)
        return judge(write, heard)

    async def _existing(self, write: Write, token: bytes) -> Outcome:
        """An event of this name is there: ours that had landed, or another's."""
        try:
            ours = read_sent(write.body, write.content_type)
        except CodecError:
            return "refused"
        there = await self._look(write, text_in(ours, "metadata", "name"), token)
        if (
            there.status != 200
            or there.values is None
            or same_event(ours, there.values)
        ):
            return "landed"
        return judge(write, await self._ask(renamed_event(write, ours), token))

    async def _look(self, write: Write, name: str, token: bytes) -> Heard:
        """Ask for an event of this name.

        A node may create and patch events but read none: a patch that changes nothing
        is answered with the event, and written nowhere.
        """
        path = f"{write.path.partition('?')[0].rstrip('/')}/{name}"
        heard = await self._exchange("GET", path, _headers(write, token), None)
        if heard.status != 403:
            return heard
        headers = _headers(write, token)
        headers.append((b"Content-Type", b"application/merge-patch+json"))
        return await self._exchange("PATCH", path, headers, BytesBody(b"{}"))

    async def _ask(self, write: Write, token: bytes) -> Heard:
        headers = _headers(write, token)
        headers.append((b"Content-Type", write.content_type.encode("latin-1")))
        body = BytesBody(write.body)
        return await self._exchange(write.method, write.path, headers, body)

    async def _exchange(
        self, method: str, path: str, headers: Headers, body: Body | None
    ) -> Heard:
        token = next(
            (value for name, value in headers if name == b"Authorization"), b""
        )
        credential = Credential.of_token(token) if token else Credential.NODE
        async with asyncio.timeout(SEND_SECONDS):
            answer = await self._upstream.send(
                method, path.encode("latin-1"), headers, body, credential=credential
            )
            content = await _whole(answer.body)
        return Heard(
            answer.status,
            _values(content, answer.fields),
            _seconds(answer.fields.get(b"retry-after", b"")),
        )


def judge(write: Write, heard: Heard) -> Outcome:
    """Say what became of a write by what the server answered."""
    if heard.values is None:
        return Later()
    code, is_status = heard.status, heard.values.get("kind") == "Status"
    if 200 <= code < 300:
        return Later() if is_status else "landed"
    if not is_status:
        return Later()
    if code == 401:
        # A pod's token is worth nothing any more; the node's certificate is renewed.
        return "expired" if write.token else Later(max(BACKOFF_SECONDS))
    if code == 409 and text_in(heard.values, "reason") == "AlreadyExists":
        return "landed" if write.kind == EVENT else "refused"
    if code in REFUSED:
        return "refused"
    return Later(heard.retry_after, counted=code != 429)


def same_event(ours: Values, theirs: Values) -> bool:
    """Say whether two events of one name tell of the same thing.

    Counts and times move on; what it is about, and why, does not. Core calls the
    object `involvedObject`, events.k8s.io `regarding`.
    """
    return _about(ours) == _about(theirs)


def _about(event: Values) -> tuple[str, ...]:
    about = event.get("involvedObject") or event.get("regarding")
    parts = ("kind", "namespace", "name", "uid")
    return (text_in(event, "reason"), *(text_in(about, part) for part in parts))


def renamed_event(write: Write, ours: Values) -> Write:
    """Return a write under a name of its own, the same at every try."""
    digest = hashlib.blake2b(write.body, digest_size=5).hexdigest()
    name = f"{text_in(ours, 'metadata', 'name')}.{digest}"[-253:]
    values = {**ours, "metadata": {**ours["metadata"], "name": name}}
    return msgspec.structs.replace(
        write,
        content_type=JSON,
        target=write.target._replace(name=name),
        body=write_sent(values, JSON),
    )


def whole_event(write: Write) -> Write:
    """Return the create of an event that a patch was of, and that is forgotten."""
    path = write.path.partition("?")[0].rpartition("/")[0]
    return msgspec.structs.replace(
        write, method="POST", path=path, content_type=JSON, body=write.whole
    )


def _exists(heard: Heard) -> bool:
    return heard.status == 409 and text_in(heard.values, "reason") == "AlreadyExists"


def _headers(write: Write, token: bytes) -> Headers:
    headers: Headers = [
        (b"User-Agent", write.user_agent.encode("latin-1")),
        (b"Accept", b"application/json"),
    ]
    if token:
        headers.append((b"Authorization", b"Bearer " + token))
    return headers


def _values(content: bytes, fields: Mapping[bytes, bytes]) -> Values | None:
    """Return the object of an answer, None where it is no Kubernetes object."""
    media_type = fields.get(b"content-type", b"").partition(b";")[0].strip()
    if media_type.lower() != JSON.encode():
        return None
    try:
        values = read_values(content)
    except CodecError:
        return None
    return values if text_in(values, "kind") and text_in(values, "apiVersion") else None


def _seconds(field: bytes) -> float:
    return min(float(field), MAX_WAIT_SECONDS) if field.isdigit() else 0.0


async def _whole(body: Body) -> bytes:
    pieces, size = [], 0
    try:
        while piece := await body.read():
            size += len(piece)
            if size > MAX_ANSWER_BYTES:
                raise UpstreamError(f"an answer of more than {MAX_ANSWER_BYTES} bytes")
            pieces.append(piece)
    finally:
        body.close()
    return b"".join(pieces)
