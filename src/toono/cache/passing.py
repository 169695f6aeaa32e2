# SPDX-License-Identifier: Apache-2.0
"""What a large list shows of itself while it passes: above all that it removes nothing.

The end of a list that removes something waits for the disk; any other may reach its
client before it is read. Two things prove that, without reading: the list is at the
very version that its scope is at, or every known uid stands in it as an object's own
and nothing is marked as going. What is not seen proves nothing: then the list is read
before its end passes. Knows bytes of JSON as Go writes built-in kinds; no socket.
"""

import re
import zlib
from collections.abc import Collection, Mapping
from typing import NamedTuple

from toono.cache.echo import Fingerprint
from toono.cache.forms import JSON, form_of
from toono.cache.received import media_type_of
from toono.cache.scope import Question, Scope

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


class Head(NamedTuple):
    """What the first bytes of a list say."""

    kind: str
    version: int


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
        self._is_plain = (
            media_type_of(fields) == JSON
            and question.media_type == JSON
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
            self._uids = Uids(uids, packed=self._is_packed)

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
        found = _HEAD.match(piece)
        if found is None:
            return None
        kind = found[1].decode()
        if form_of(JSON, kind) != JSON:
            return None  # its rows are in another scope than the one we looked at
        return Head(kind, int(found[2]))

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

    __slots__ = ("_missing", "_rest", "_unpack")

    def __init__(self, uids: Collection[str], *, packed: bool) -> None:
        self._missing: set[bytes] | None = {uid.encode() for uid in uids}
        """None once the list has shown that it must be read."""
        if any(len(uid) != UID_BYTES for uid in uids):
            self._missing = None
        self._rest = b""
        self._unpack = zlib.decompressobj(wbits=31) if packed else None

    @property
    def all_stay(self) -> bool:
        """Every uid was seen, and no mark."""
        return self._missing is not None and not self._missing

    def feed(self, piece: bytes) -> None:
        """See a piece pass."""
        if self._missing is None:
            return
        if self._unpack is None:
            self._look(piece)
            return
        try:
            while piece and self._missing is not None:
                self._look(self._unpack.decompress(piece, STEP_BYTES))
                piece = self._unpack.unconsumed_tail
            if self._unpack.unused_data:
                self._missing = None  # a second member (RFC 1952, 2.2)
        except zlib.error:
            self._missing = None

    def _look(self, text: bytes) -> None:
        if len(text) > _KEPT_BYTES:
            self._strike(self._rest + text[:_KEPT_BYTES])
        else:
            text = self._rest + text
        self._strike(text)
        self._rest = text[-_KEPT_BYTES:]

    def _strike(self, text: bytes) -> None:
        """Strike off each uid that stands there; one split would copy all of it."""
        missing = self._missing
        if missing is None or _GOING in text:
            self._missing = None
            return
        at = text.find(_AFTER_UID) if missing else -1
        while at >= 0:
            begin = at - UID_BYTES
            uid = text[max(begin, 0) : at]
            if uid in missing and text.startswith(_BEFORE_UID, begin - LEAD_BYTES):
                missing.discard(uid)
            at = text.find(_AFTER_UID, at + 1)
