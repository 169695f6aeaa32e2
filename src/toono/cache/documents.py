# SPDX-License-Identifier: Apache-2.0
"""Documents of the API server that are no resources: discovery, OpenAPI, the version.

Kept as they came, one for each path and form, so that a client that starts with them
finds while cut off what it found before. They are the same for everybody who may log
in, and what they say of a resource is never taken for the resource itself.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from functools import partial
from hashlib import blake2b

import msgspec

from toono.cache import resource_lists
from toono.cache.coding import unpacked
from toono.cache.forms import JSON, PROTOBUF
from toono.cache.received import media_type_of
from toono.errors import CodecError, StoreFullError, StoreUnavailableError
from toono.kube.accept import Form, choose_form, parse_accept
from toono.kube.request import Call
from toono.runtime.clock import Clock
from toono.store.base import Batch, Store
from toono.wire.messages import Answer

PREFIX = b"d"
BODY_PREFIX = b"D"
THREAD_BYTES = 64 * 1024
"""Above this a document is unpacked and summed in a thread."""
MAX_DOCUMENT_BYTES = 8 * 1024 * 1024
MAX_BYTES = 32 * 1024 * 1024
_PATHS = re.compile(
    r"/(?:version|api|api/[^/]+|apis|apis/[^/]+|apis/[^/]+/[^/]+|openapi/v2|openapi/v3"
    r"|openapi/v3/.+)/?\Z"
)


HASH = "?hash="
_HASH = re.compile(r"(?:\A|&)hash=([^&]*)")
_GNOSTIC = re.compile(r"(application/com\.github\.proto-openapi\.spec\.v[23])\.")
Turn = Callable[[bytes], bytes]


class Document(msgspec.Struct, array_like=True, frozen=True, kw_only=True):
    """One document in one form, without its bytes."""

    target: str
    """Path and query: OpenAPI's parts are asked for by their hash."""
    content_type: str
    etag: str
    seen_at: float
    digest: bytes
    size: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Document).decode


class Documents:
    """The documents that were seen. Their bytes are in the store, not in memory."""

    def __init__(self, store: Store, *, clock: Clock) -> None:
        self.closed = False
        """No document is kept from now on."""
        self._store = store
        self._clock = clock
        self._known: dict[str, dict[tuple[str, str], Document]] = {}
        """By path, then by target and type."""

    async def open(self) -> None:
        """Read what there is; what cannot be read is asked for again."""
        for key, value in (await self._store.scan(PREFIX)).rows:
            try:
                document = _decode(value)
            except (msgspec.DecodeError, msgspec.ValidationError):
                continue
            if key == _key(PREFIX, document):
                self._note(document)

    def begin(self, call: Call) -> "DocumentRecording | None":
        """Return who keeps the answer to `call`; None where it is not to be kept."""
        kept = not self.closed and is_document(call)
        return DocumentRecording(self, call) if kept else None

    async def find(self, call: Call) -> tuple[Document, bytes] | None:
        """Return what answers `call`; None where no document was seen, or is damaged.

        CodecError where it was seen, but in no form that the client takes.
        """
        known = self._named(target_of(call))
        if not known:
            return None
        forms: dict[Form, tuple[Document, Turn | None]] = {}
        for document in known:
            forms |= dict.fromkeys(_forms(document), (document, None))
        for document in known:
            for form, made in _turned(document):
                forms.setdefault(form, (document, made))
        chosen = choose_form(call.accept, list(forms))
        if chosen is None:
            raise CodecError("it was seen in another form only")
        document, turn = forms[chosen]
        body = await self._store.get(_key(BODY_PREFIX, document))
        if body is None or _digest(body) != document.digest:
            return None
        if turn is None:
            return document, body
        told = msgspec.structs.replace(document, content_type=chosen.media_type)
        return told, turn(body)

    def _named(self, target: str) -> list[Document]:
        """Return what answers a question for `target`, the newest last.

        What is asked for by no hash is the newest that was seen; a hash is the ETag of
        what is meant, by whatever name it was seen.
        """
        path, _, told = target.partition(HASH)
        known = list(self._known.get(path, {}).values())
        if told:
            known = [
                one for one in known if told in (_hash_of(one), one.etag.strip('"'))
            ]
        return sorted(known, key=lambda document: document.seen_at)

    async def body(self, target: str, content_type: str) -> bytes | None:
        """Return a document in one form; None where it was not seen, or is damaged."""
        document = self._known.get(target, {}).get((target, content_type))
        if document is None:
            return None
        body = await self._store.get(_key(BODY_PREFIX, document))
        return body if body and _digest(body) == document.digest else None

    def adopt(self, target: str, body: bytes, *, seen_at: float) -> None:
        """Keep what YurtHub kept of a document, unless more is known of it."""
        if target in self._known:
            return
        document = Document(
            target=target,
            content_type=JSON,
            etag="",
            seen_at=seen_at,
            digest=_digest(body),
            size=len(body),
        )
        self.take(document, body)

    def take(self, document: Document, body: bytes) -> None:
        """Keep a document; the oldest go where they are too many bytes."""
        known = self._known.get(_path_of(document), {})
        before = known.get((document.target, document.content_type))
        if before is not None and before.digest == document.digest:
            self._note(document)  # as new as now, and not worth a write
            return
        row = (_key(PREFIX, document), _encode(document))
        try:
            self._store.apply(Batch(puts=[row, (_key(BODY_PREFIX, document), body)]))
        except (StoreFullError, StoreUnavailableError):
            return
        self._note(document)
        self._make_room()

    def _note(self, document: Document) -> None:
        known = self._known.setdefault(_path_of(document), {})
        known[document.target, document.content_type] = document

    def _make_room(self) -> None:
        kept = [one for forms in self._known.values() for one in forms.values()]
        size = sum(one.size for one in kept)
        for one in sorted(kept, key=lambda document: document.seen_at):
            if size <= MAX_BYTES:
                return
            size -= one.size
            del self._known[_path_of(one)][one.target, one.content_type]
            keys = [_key(PREFIX, one), _key(BODY_PREFIX, one)]
            self._store.apply(Batch(deletes=keys))

    def now(self) -> float:
        """Return the time that a document is seen at."""
        return self._clock.wall()


class DocumentRecording:
    """One answer on its way, as `record.Recording` is for resources."""

    __slots__ = ("_call", "_documents", "_pieces")

    def __init__(self, documents: Documents, call: Call) -> None:
        self._documents = documents
        self._call = call
        self._pieces: list[bytes] = []

    async def feed(self, piece: bytes, answer: Answer) -> None:
        """See a piece pass; a document is told from others by its ETag."""
        self._pieces.append(piece)

    async def finish_passed(self, answer: Answer) -> None:
        """Take the whole answer that was fed, as `finish`."""
        await self.finish(answer.status, answer.fields, b"".join(self._pieces))

    async def finish(
        self, status: int, fields: Mapping[bytes, bytes], body: bytes
    ) -> None:
        """Take a whole answer. Never raises for what it holds."""
        if status != 200 or not body or len(body) > MAX_DOCUMENT_BYTES:
            return
        read = partial(_read, target_of(self._call), fields, body)
        try:
            if len(body) > THREAD_BYTES or b"content-encoding" in fields:
                document, body = await asyncio.to_thread(read)
            else:
                document, body = read()
        except CodecError:
            return
        if document.size <= MAX_DOCUMENT_BYTES:
            now = self._documents.now()
            self._documents.take(msgspec.structs.replace(document, seen_at=now), body)


def _read(
    target: str, fields: Mapping[bytes, bytes], body: bytes
) -> tuple[Document, bytes]:
    if media_type_of(fields) == "text/html":
        raise CodecError("a page of whoever stands in the way is no document")
    body = unpacked(body, fields)
    document = Document(
        target=target,
        content_type=fields.get(b"content-type", b"").decode("latin-1"),
        etag=fields.get(b"etag", b"").decode("latin-1"),
        seen_at=0.0,
        digest=_digest(body),
        size=len(body),
    )
    return document, body


def _forms(document: Document) -> list[Form]:
    """Return what a document may be asked for as: its type, and what it is.

    API servers say text/plain of OpenAPI v3's index, which is asked for as JSON, and
    write the protobuf type that clients ask for with an @ with a dot in its place.
    """
    told = list(parse_accept(document.content_type)[:1])
    media_type = told[0].media_type if told else ""
    if media_type == "text/plain":
        told.append(Form(media_type=JSON))
    elif _GNOSTIC.match(media_type):
        told.append(Form(media_type=_GNOSTIC.sub(r"\1@", media_type)))
    return told


def _turned(document: Document) -> list[tuple[Form, Turn]]:
    """Return the forms that a document can be turned into, each with how."""
    if not resource_lists.PATH.match(document.target):
        return []
    turns = {
        JSON: (PROTOBUF, resource_lists.to_protobuf),
        PROTOBUF: (JSON, resource_lists.to_json),
    }
    other = turns.get(document.content_type)
    return [(Form(media_type=other[0]), other[1])] if other else []


def _key(prefix: bytes, document: Document) -> bytes:
    name = f"{document.target}\0{document.content_type}".encode()
    return prefix + blake2b(name, digest_size=16).digest()


def _digest(body: bytes) -> bytes:
    return blake2b(body, digest_size=16).digest()


def is_document(call: Call) -> bool:
    """Say whether a call asks for a document."""
    return (
        call.method in ("GET", "HEAD")
        and call.resource == ""
        and _PATHS.match(call.path) is not None
    )


def target_of(call: Call) -> str:
    """Return what names a document: the path, and of OpenAPI v3 its hash."""
    path, _, query = call.target.decode("latin-1").partition("?")
    told = _HASH.search(query)
    return path.rstrip("/") + (HASH + told[1] if told and told[1] else "")


def _path_of(document: Document) -> str:
    return document.target.partition(HASH)[0]


def _hash_of(document: Document) -> str:
    return document.target.partition(HASH)[2]
