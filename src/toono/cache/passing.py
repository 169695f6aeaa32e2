# SPDX-License-Identifier: Apache-2.0
"""What a large list shows of itself while it passes: above all that it removes nothing.

The end of a list that removes something waits for the disk; any other may reach its
client before it is read. Two things prove that, without reading: the list is at the
very version that its scope is at, or every known uid stands in it as an object's own
and nothing is marked as going. What is not seen proves nothing: then the list is read
before its end passes. Knows lists as Go writes those of built-in kinds; no socket.
"""

import re
import zlib
from collections.abc import Collection, Mapping
from typing import NamedTuple, Protocol

from toono.cache.echo import Fingerprint
from toono.cache.forms import JSON, PROTOBUF, form_of
from toono.cache.received import media_type_of
from toono.cache.scope import Question, Scope
from toono.codec.protobuf_items import ProtobufItems, read_head
from toono.errors import CodecError
from toono.kube.names import parse_version

UID_BYTES = 36
"""As an API server makes them (RFC 9562); what has another uid is never seen."""
STEP_BYTES = 1024 * 1024
"""Unpacked at a time."""
HEAD_BYTES = 512
_HEAD = re.compile(
    rb'\{"kind":"([A-Za-z0-9]+List)","apiVersion":"[a-z0-9./-]+",'
    rb'"metadata":\{"resourceVersion":"([0-9]{1,19})"\},"items":\['
)
"""A whole list: a page's metadata says more. Custom resources have another head."""
_BEFORE_UID = b'"uid":"'
_AFTER_UID = b'","resourceVersion":"'
"""Follows a uid in ObjectMeta alone; a reference to an object has more in between."""
_GOING = b'"deletionTimestamp":'
LEAD_BYTES = len(_BEFORE_UID)
_KEPT_BYTES = LEAD_BYTES + UID_BYTES + len(_AFTER_UID) - 1
"""What of a piece may be the beginning of something."""


class Search(Protocol):
    """Looks for objects in the text of a list, in the pieces that it comes in."""

    def strike(self, text: bytes, missing: set[bytes]) -> bool:
        """Take the uids that are there out of `missing`; False for one that is going."""
        ...

    @property
    def is_whole(self) -> bool:
        """No object is still to come."""
        ...


class Head(NamedTuple):
    """What the first bytes of a list say."""

    kind: str
    version: int
    search: Search


class Passing:
    """One large answer on its way to its client.

    `scope` is what its question has brought before, `epoch` the newest that is known, and
    `seen` the newest version of the resource in it. Fed with the pieces of the body.
    """

    __slots__ = (
        "_begun",
        "_epoch",
        "_fingerprint",
        "_is_packed",
        "_is_plain",
        "_media_type",
        "_question",
        "_scope",
        "_seen",
        "_serial",
        "_uids",
        "_version",
    )

    def __init__(
        self,
        question: Question,
        scope: Scope | None,
        fields: Mapping[bytes, bytes],
        *,
        epoch: int,
        seen: int,
    ) -> None:
        self._question = question
        self._scope = scope
        self._epoch, self._seen = epoch, seen
        self._serial = 0 if scope is None else scope.serial
        self._fingerprint: Fingerprint | None = None
        self._uids: Uids | None = None
        self._version = 0
        coding = fields.get(b"content-encoding", b"").strip().lower()
        self._is_packed = coding == b"gzip"
        self._media_type = media_type_of(fields)
        self._is_plain = (
            self._media_type in (JSON, PROTOBUF)
            and question.media_type == self._media_type
            and coding in (b"", b"identity", b"gzip")
        )
        self._begun = False

    def feed(self, piece: bytes) -> None:
        """See a piece pass."""
        if not self._begun:
            self._begun = True
            self._begin(piece)
        if self._uids is not None:
            self._uids.feed(piece)
        elif self._fingerprint is not None:
            self._fingerprint.feed(piece)

    def _begin(self, piece: bytes) -> None:
        """Choose by the first bytes what is looked for."""
        head = self._read_head(piece) if self._is_plain else None
        if head is None:
            self._fingerprint = Fingerprint()
            return
        scope, self._version = self._scope, head.version
        if scope is None or not self._is_at(scope, head.version):
            known = scope.rows.values() if scope is not None else ()
            uids = [row.uid for row in known]
            self._uids = Uids(uids, head.search, packed=self._is_packed)

    def _is_at(self, scope: Scope, version: int) -> bool:
        """Say whether the scope holds the state of a version, as this cloud had it.

        One that shows less than was seen already has been restored.
        """
        whole = scope.complete and scope.epoch == self._epoch
        return whole and scope.version == version >= self._seen

    def _read_head(self, piece: bytes) -> Head | None:
        if self._is_packed:
            try:
                piece = zlib.decompressobj(wbits=31).decompress(piece, HEAD_BYTES)
            except zlib.error:
                return None
        read = _head_of_json if self._media_type == JSON else _head_of_protobuf
        head = read(piece)
        if head is None or form_of(self._media_type, head.kind) != self._media_type:
            return None  # or its rows are in another scope than the one we looked at
        return head

    def removes_nothing(self, scope: Scope | None) -> bool:
        """Say whether nothing of the scope, as it is now, can be gone or going.

        To be asked once all has passed. At one version there is one state.
        """
        if scope is not self._scope or (scope and scope.serial != self._serial):
            return False
        if self._uids is not None:
            return self._uids.all_stay
        return self._version > 0

    @property
    def fingerprint(self) -> Fingerprint | None:
        """What tells the body from others, where nothing better was found."""
        return self._fingerprint


class Uids:
    """Looks for each of the uids known, and for anything that is marked as going."""

    __slots__ = ("_missing", "_search", "_unpack")

    def __init__(self, uids: Collection[str], search: Search, *, packed: bool) -> None:
        self._missing: set[bytes] | None = {uid.encode() for uid in uids}
        """None once the list has shown that it must be read."""
        if any(len(uid) != UID_BYTES for uid in uids):
            self._missing = None
        self._search = search
        self._unpack = zlib.decompressobj(wbits=31) if packed else None

    @property
    def all_stay(self) -> bool:
        """Every uid was seen, and no mark, in all that was packed."""
        if self._missing is None or self._missing:
            return False
        whole = self._unpack is None or self._unpack.eof
        return whole and self._search.is_whole

    def feed(self, piece: bytes) -> None:
        """See a piece pass."""
        if self._missing is None:
            return
        if self._unpack is None:
            self._strike(piece)
            return
        try:
            while piece and self._missing is not None:
                self._strike(self._unpack.decompress(piece, STEP_BYTES))
                piece = self._unpack.unconsumed_tail
            if self._unpack.unused_data:
                self._missing = None  # a second member (RFC 1952, 2.2)
        except zlib.error:
            self._missing = None

    def _strike(self, text: bytes) -> None:
        assert self._missing is not None
        if not self._search.strike(text, self._missing):
            self._missing = None


def _head_of_json(text: bytes) -> Head | None:
    found = _HEAD.match(text)
    return found and Head(found[1].decode(), int(found[2]), InJSON())


class InJSON:
    """By what stands around a uid in ObjectMeta; nothing is decoded."""

    __slots__ = ("_rest",)
    is_whole = True
    """The body's own end says so."""

    def __init__(self) -> None:
        self._rest = b""

    def strike(self, text: bytes, missing: set[bytes]) -> bool:
        """Take the uids that are there out of `missing`; False for one that is going."""
        between = self._rest + text[:_KEPT_BYTES]
        if len(text) <= _KEPT_BYTES:
            text = between
        self._rest = text[-_KEPT_BYTES:]
        if _GOING in between or _GOING in text:
            return False
        _strike_off(between, missing)
        _strike_off(text, missing)
        return True


def _strike_off(text: bytes, missing: set[bytes]) -> None:
    """Strike off each uid that stands there; one split would copy all of it."""
    at = text.find(_AFTER_UID) if missing else -1
    while at >= 0:
        begin = at - UID_BYTES
        uid = text[max(begin, 0) : at]
        if uid in missing and text.startswith(_BEFORE_UID, begin - LEAD_BYTES):
            missing.discard(uid)
        at = text.find(_AFTER_UID, at + 1)


def _head_of_protobuf(text: bytes) -> Head | None:
    try:
        head = read_head(text)
    except CodecError:
        return None
    version = parse_version(head.resource_version)
    if head.continue_token or not version or not head.kind.endswith("List"):
        return None
    return Head(head.kind, version, InProtobuf(head.start, head.size))


class InProtobuf:
    """By the metadata of each item: its text could hold anything that looks like it."""

    __slots__ = ("_before", "_items")

    def __init__(self, before: int, size: int) -> None:
        self._before = before
        self._items = ProtobufItems(size)

    @property
    def is_whole(self) -> bool:
        """No object is still to come."""
        return self._items.is_whole

    def strike(self, text: bytes, missing: set[bytes]) -> bool:
        """Take the uids that are there out of `missing`; False for one that is going."""
        if self._before:
            skipped = min(self._before, len(text))
            self._before -= skipped
            text = text[skipped:]
        try:
            for item in self._items.feed(text):
                if item.deleting:
                    return False
                missing.discard(item.uid.encode())
        except CodecError:
            return False
        return True
