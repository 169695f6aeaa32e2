# SPDX-License-Identifier: Apache-2.0
"""Asking for one discovery document: headers, limits, and what the answer means.

Knows paths and status codes; what is done with a reading is decided in `ledger`.
"""

import asyncio
import logging
import zlib
from collections.abc import Callable
from typing import NamedTuple

from toono.errors import ToonoError
from toono.restmapper.discovery import (
    ACCEPT_AGGREGATED,
    PLAIN,
    AggregatedReader,
    Document,
    Form,
    GroupDocument,
    VersionDocument,
    fingerprint,
    form_of,
    read_legacy_group,
    read_legacy_groups,
    read_legacy_resources,
)
from toono.restmapper.errors import BadDocumentError
from toono.restmapper.observations import is_not_served
from toono.restmapper.transport import Reply, Transport
from toono.restmapper.values import CORE, CORE_ROOT, ROOTS, GroupVersion

log = logging.getLogger(__name__)

MAX_DOCUMENT_BYTES = 64 << 20
"""5,000 CRDs make 2.3 MB; beyond this an answer is no discovery document."""
THREAD_BYTES = 256 << 10
"""Documents above this are read in a thread, so that the loop goes on."""
GZIP_MAGIC = b"\x1f\x8b"


def path_of(gv: GroupVersion) -> str:
    """The path of a group-version's own document."""
    return f"/apis/{gv.group}/{gv.version}" if gv.group else f"/api/{gv.version}"


def group_path(group: str) -> str:
    """The path of a group's own document."""
    return f"/apis/{group}" if group else CORE_ROOT


class Page(NamedTuple):
    """A document to ask for: a root, a group (no version), or a group-version."""

    path: str
    gv: GroupVersion | None = None

    @classmethod
    def of_group(cls, group: str) -> "Page":
        """The page that lists a group's versions (the core group's is a root)."""
        if group == CORE:
            return cls(CORE_ROOT)
        return cls(group_path(group), GroupVersion(group, ""))

    @classmethod
    def of_version(cls, gv: GroupVersion) -> "Page":
        """The page that lists a group-version's resources."""
        return cls(path_of(gv), gv)


class Reading(NamedTuple):
    """What came of asking for a document; exactly one of the four holds."""

    document: Document | None = None
    unchanged: bool = False
    """304, or the bytes that were known: nothing was read."""
    absent: bool = False
    """The server says that it serves no such group or version."""
    failure: str = ""
    """Why nothing can be said."""
    permanent: bool = False
    """A failure that asking again at once will not mend (4xx, no document)."""


class Fetcher:
    """Asks one upstream for documents."""

    def __init__(self, transport: Transport, *, timeout: float) -> None:
        self._transport = transport
        self._timeout = timeout
        self._readers = {root: AggregatedReader() for root in ROOTS}
        self._plain = False
        self.requests = 0
        """Sent so far."""

    def offer_again(self) -> None:
        """Forget that the aggregated form was refused: the server may be another."""
        self._plain = False

    async def read(self, page: Page, known: Document | None) -> Reading:
        """Ask for a page, for nothing if it still is `known`. Raises nothing."""
        aggregated = page.gv is None and not self._plain
        reading = await self._ask(page, known, aggregated=aggregated)
        if aggregated and reading.failure == _NOT_ACCEPTABLE:
            log.info("aggregated discovery refused", extra={"path": page.path})
            self._plain = True
            reading = await self._ask(page, None, aggregated=False)
        return reading

    @property
    def is_plain(self) -> bool:
        """Whether the server refused the aggregated form."""
        return self._plain

    def refuse_aggregated(self) -> None:
        """Remember from before a restart that the server refused it."""
        self._plain = True

    async def plain(self, path: str) -> bytes:
        """The body of a small document that is no discovery; b"" if there is none."""
        self.requests += 1
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._transport.get(path, {"accept": PLAIN}) as reply,
            ):
                body = await _body(reply)
        except (OSError, ToonoError, EOFError, zlib.error):
            return b""
        return body if reply.status == 200 else b""

    async def _ask(
        self, page: Page, known: Document | None, *, aggregated: bool
    ) -> Reading:
        headers = {
            "accept": ACCEPT_AGGREGATED if aggregated else PLAIN,
            "accept-encoding": "gzip",
        }
        if known is not None and known.etag:
            headers["if-none-match"] = known.etag
        self.requests += 1
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._transport.get(page.path, headers) as reply,
            ):
                body = await _body(reply)
        except TimeoutError:
            return Reading(failure=f"{page.path}: no answer in {self._timeout:g} s")
        except (OSError, ToonoError, EOFError, zlib.error) as exc:
            return Reading(failure=f"{page.path}: {exc or type(exc).__name__}")
        return await self._judge(page, known, reply, body)

    async def _judge(
        self, page: Page, known: Document | None, reply: Reply, body: bytes
    ) -> Reading:
        status, content_type = reply.status, reply.headers.get("content-type", "")
        if known is not None and status == 304 and known.etag:
            return Reading(unchanged=True)
        if status == 406:
            return Reading(failure=_NOT_ACCEPTABLE, permanent=True)
        if is_not_served(status, content_type, body):
            return Reading(absent=True)
        if status != 200:
            permanent = 400 <= status < 500 and status not in (408, 429)
            return Reading(failure=f"{page.path}: HTTP {status}", permanent=permanent)
        told = reply.headers.get("etag", "")
        if _is_known(known, content_type, told, body):
            return Reading(unchanged=True)
        try:
            document = await _in_thread_if_large(
                body, lambda: self._decode(page, content_type, told, body)
            )
        except BadDocumentError as exc:
            return Reading(failure=f"{page.path}: {exc}")
        return Reading(document=document)

    def _decode(
        self, page: Page, content_type: str, etag: str, body: bytes
    ) -> Document:
        form = form_of(content_type)
        groups: tuple[GroupDocument, ...]
        if form is Form.AGGREGATED:
            if page.gv is not None:
                raise BadDocumentError(f"content type is {content_type!r}")
            groups = self._readers[page.path].read(body)
        else:
            groups = read_legacy(page, body)
        return Document(form, fingerprint(etag, body), etag, groups, content_type, body)

    def decode(self, page: Page, content_type: str, etag: str, body: bytes) -> Document:
        """Read a document that was kept; raises BadDocumentError."""
        return self._decode(page, content_type, etag, body)


def _is_known(
    known: Document | None, content_type: str, etag: str, body: bytes
) -> bool:
    """Whether an answer is what is known: legacy documents have no ETag that tells."""
    if known is None:
        return False
    return (known.media_type, known.etag, known.raw) == (content_type, etag, body)


_NOT_ACCEPTABLE = "the form that was asked for is not acceptable to the server"


def read_legacy(page: Page, body: bytes) -> tuple[GroupDocument, ...]:
    """Read a legacy document of any of the three sorts of page."""
    if page.gv is None:
        groups = read_legacy_groups(body)
        wanted = page.path == CORE_ROOT
        if any((group.name == CORE) is not wanted for group in groups):
            raise BadDocumentError("the groups of another path")
        return groups
    if not page.gv.version:
        group = read_legacy_group(body)
        if group.name != page.gv.group:
            raise BadDocumentError(f"the group {group.name!r}")
        return (group,)
    resources = read_legacy_resources(page.gv, body)
    version = VersionDocument(page.gv.version, resources)
    return (GroupDocument(page.gv.group, (version,)),)


async def _body(reply: Reply) -> bytes:
    pieces, size = [], 0
    async for piece in reply.chunks:
        size += len(piece)
        if size > MAX_DOCUMENT_BYTES:
            raise BadDocumentError(f"more than {MAX_DOCUMENT_BYTES} bytes")
        pieces.append(piece)
    body = b"".join(pieces)
    if not body.startswith(GZIP_MAGIC):
        return body
    unpacked = zlib.decompressobj(wbits=31)
    content = unpacked.decompress(body, MAX_DOCUMENT_BYTES)
    if unpacked.unconsumed_tail:
        raise BadDocumentError(f"more than {MAX_DOCUMENT_BYTES} bytes")
    if not unpacked.eof:
        raise EOFError("gzip ended before its end")
    return content


async def _in_thread_if_large(body: bytes, decode: Callable[[], Document]) -> Document:
    if len(body) < THREAD_BYTES:
        return decode()
    return await asyncio.to_thread(decode)
