# SPDX-License-Identifier: Apache-2.0
"""Watching CRDs and APIServices: who comes, goes and changes, as it happens.

The list asks for metadata only (CRDs are large, and discovery tells what they serve);
the watch that follows shows whole objects. A list after a gap is compared by name and
resourceVersion. Without the right to watch it says so once and tries every ten
minutes.
"""

import asyncio
import logging
import random
import zlib
from collections.abc import AsyncIterator, Mapping
from enum import Enum
from typing import NamedTuple, Protocol
from urllib.parse import quote

import msgspec

from toono.errors import ToonoError
from toono.restmapper.fetch import GZIP_MAGIC, MAX_DOCUMENT_BYTES
from toono.restmapper.transport import Reply, Transport, TransportError
from toono.runtime.clock import Clock

log = logging.getLogger(__name__)

METADATA_ONLY = (
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
)
PAGE = 500
MAX_EVENT_BYTES = 16 << 20
"""etcd holds no object above 1.5 MiB by default; this is a broken stream."""
WATCH_SECONDS = (240, 480)
GRACE_SECONDS = 30.0
LIST_SECONDS = 30.0
SHORT_SECONDS = 1.0
"""A watch that ends sooner is no watch."""
BACKOFF_SECONDS = (1.0, 60.0)
REFUSED_SECONDS = 600.0


class EventType(Enum):
    """The types of watch events that matter."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


class Listener(Protocol):
    """Whoever wants to know."""

    def listed(self, *, changed: bool) -> None:
        """A list was taken; `changed` says that something happened in a gap."""
        ...

    def happened(self, event: EventType, name: str, content: bytes) -> None:
        """One object came, changed or went."""
        ...

    def live(self, *, is_live: bool) -> None:
        """Whether from now on every change will be told."""
        ...


class _Metadata(msgspec.Struct, rename="camel"):
    name: str = ""
    resource_version: str = ""


class _ListMetadata(msgspec.Struct, rename="camel"):
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class _Object(msgspec.Struct):
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)
    code: int = 0


class _List(msgspec.Struct):
    metadata: _ListMetadata
    items: list[_Object] | None = None


class _Frame(msgspec.Struct):
    type: str
    object: msgspec.Raw


_list = msgspec.json.Decoder(_List)
_frame = msgspec.json.Decoder(_Frame)
_object = msgspec.json.Decoder(_Object)


class _Listed(NamedTuple):
    """What was in a list, as far as a later one must be compared with it."""

    versions: Mapping[str, str]
    resource_version: str


class _RefusedError(ToonoError):
    """401, 403 or 404: not for us, or not here."""


class _ExpiredError(ToonoError):
    """410: the version to watch from is too old."""


class Watcher:
    """Lists and watches one collection for ever."""

    def __init__(
        self, transport: Transport, path: str, listener: Listener, clock: Clock
    ) -> None:
        self._transport, self._path = transport, path
        self._listener, self._clock = listener, clock
        self._known: dict[str, str] | None = None
        self._version = ""
        self._told_refusal = False
        self._short_lives = 0
        self._random = random.Random()  # noqa: S311  # jitter, no secret

    async def run(self) -> None:
        """Follow the collection; ends by cancellation only."""
        while True:
            began = self._clock.monotonic()
            try:
                await self._follow()
            except _ExpiredError as exc:
                self._version = ""
                log.debug("watch expired", extra=self._facts(exc))
            except _RefusedError as exc:
                self._version = ""
                self._tell_refusal(exc)
                await self._clock.sleep(REFUSED_SECONDS)
                continue
            except (OSError, EOFError, zlib.error, ToonoError) as exc:
                self._listener.live(is_live=False)
                log.debug("watch broke", extra=self._facts(exc))
            await self._pause(self._clock.monotonic() - began)

    def _facts(self, reason: Exception) -> dict[str, str]:
        return {"path": self._path, "reason": str(reason) or type(reason).__name__}

    async def _pause(self, lived: float) -> None:
        """Come back at once after a life, slower and slower after short ones."""
        if lived >= SHORT_SECONDS:
            self._short_lives = 0
            return
        self._short_lives += 1
        if self._short_lives > 1:
            first, most = BACKOFF_SECONDS
            doubled = min(most, first * 2.0 ** min(self._short_lives - 2, 16))
            await self._clock.sleep(doubled * self._random.uniform(0.5, 1.0))

    def _tell_refusal(self, reason: Exception) -> None:
        self._listener.live(is_live=False)
        if not self._told_refusal:
            log.warning(
                "not allowed to watch; changes are found by polling",
                extra=self._facts(reason),
            )
        self._told_refusal = True

    async def _follow(self) -> None:
        """One list where one is needed, then one watch to its end."""
        if not self._version:
            listed = await self._list()
            changed = self._known is not None and self._known != listed.versions
            self._known = dict(listed.versions)
            self._version = listed.resource_version
            self._listener.listed(changed=changed)
        seconds = self._random.randint(*WATCH_SECONDS)
        target = (
            f"{self._path}?watch=true&allowWatchBookmarks=true"
            f"&resourceVersion={self._version}&timeoutSeconds={seconds}"
        )
        headers = {"accept": "application/json", "accept-encoding": "identity"}
        try:
            async with (
                asyncio.timeout(seconds + GRACE_SECONDS),
                self._transport.get(target, headers) as reply,
            ):
                self._check(reply)
                self._told_refusal = False
                self._listener.live(is_live=True)
                async for line in _lines(reply.chunks):
                    self._take(line)
        except TimeoutError as exc:
            raise TransportError(f"{self._path}: silent") from exc

    async def _list(self) -> _Listed:
        versions: dict[str, str] = {}
        token = ""
        async with asyncio.timeout(LIST_SECONDS):
            while True:
                told = await self._list_page(token)
                for each in told.items or ():
                    versions[each.metadata.name] = each.metadata.resource_version
                token = told.metadata.continue_
                if not token:
                    return _Listed(versions, told.metadata.resource_version)

    async def _list_page(self, token: str) -> _List:
        target = f"{self._path}?limit={PAGE}" + (
            f"&continue={quote(token)}" if token else ""
        )
        headers = {"accept": METADATA_ONLY, "accept-encoding": "gzip"}
        async with self._transport.get(target, headers) as reply:
            self._check(reply)
            body = b"".join([piece async for piece in _bounded(reply.chunks)])
        if body.startswith(GZIP_MAGIC):
            body = zlib.decompress(body, wbits=31)
        try:
            return _list.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise TransportError(f"{self._path}: no list: {exc}") from exc

    def _check(self, reply: Reply) -> None:
        if reply.status in (401, 403, 404):
            raise _RefusedError(f"HTTP {reply.status}")
        if reply.status == 410:
            raise _ExpiredError("HTTP 410")
        if reply.status != 200:
            raise TransportError(f"{self._path}: HTTP {reply.status}")

    def _take(self, line: bytes) -> None:
        try:
            frame = _frame.decode(line)
            content = bytes(frame.object)
            told = _object.decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise _ExpiredError(f"an event that cannot be read: {exc}") from exc
        if frame.type == "ERROR":
            if told.code == 410:
                raise _ExpiredError("an event said 410")
            raise TransportError(f"{self._path}: an event said {told.code}")
        name, version = told.metadata.name, told.metadata.resource_version
        self._version = version or self._version
        if frame.type not in EventType.__members__ or self._known is None:
            return
        if frame.type == "DELETED":
            self._known.pop(name, None)
        else:
            self._known[name] = version
        self._listener.happened(EventType(frame.type), name, content)


async def _bounded(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    size = 0
    async for piece in chunks:
        size += len(piece)
        if size > MAX_DOCUMENT_BYTES:
            raise TransportError(f"a list of more than {MAX_DOCUMENT_BYTES} bytes")
        yield piece


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Frames of a JSON watch: one line each; a cut frame is never given."""
    frame = bytearray()
    async for piece in chunks:
        *ends, tail = piece.split(b"\n")
        for end in ends:
            frame += end
            if frame.strip():
                yield bytes(frame)
            frame.clear()
        frame += tail
        if len(frame) > MAX_EVENT_BYTES:
            raise _ExpiredError(f"an event of more than {MAX_EVENT_BYTES} bytes")
