# SPDX-License-Identifier: Apache-2.0
"""Whether a list that passes by still holds most of what was known, by its uids.

A cheap look at bytes, not a reading of them: a uid that stands there is one pod that
is not lost, and once more than half are there nothing sudden can be. What is not seen
proves nothing; then the list is read whole. No socket, no list, no rule of pods.
"""

from collections.abc import Callable, Collection

UID_BYTES = 36
"""As an API server makes them (RFC 9562); what has another uid is never seen."""
BEFORE_UID = {
    "application/json": b'"uid":"',
    # Field 5 of ObjectMeta, a text of 36 bytes.
    "application/vnd.kubernetes.protobuf": b"\x2a\x24",
}


class Sightings:
    """Counts which of the uids known have passed by.

    `unpack` returns what a piece holds, in order; nothing where that cannot be told.
    """

    def __init__(
        self,
        uids: Collection[str],
        *,
        known: int,
        media_type: str,
        unpack: Callable[[bytes], bytes],
    ) -> None:
        self._before = BEFORE_UID.get(media_type, b"")
        self._missing = {uid.encode() for uid in uids if len(uid) == UID_BYTES}
        self._seen = 0
        self._known = known
        self._rest = b""
        self._unpack = unpack

    @property
    def enough(self) -> bool:
        """More than half of what was known is there, or nothing was."""
        return self._seen * 2 > self._known or not self._known

    def feed(self, piece: bytes) -> None:
        """See a piece pass; what cannot be looked into shows nothing."""
        if not self._before or self.enough:
            return
        self._look(self._unpack(piece))

    def _look(self, text: bytes) -> None:
        # A uid may be cut in two, and so may what stands before it.
        kept = len(self._before) + UID_BYTES - 1
        if len(text) > kept:
            self._count(self._rest + text[:kept])
        else:
            text = self._rest + text
        self._count(text)
        self._rest = text[-kept:]

    def _count(self, text: bytes) -> None:
        """Look at each uid; one split would copy all of the text."""
        before, missing = self._before, self._missing
        at = text.find(before)
        while at >= 0 and not self.enough:
            at += len(before)
            uid = text[at : at + UID_BYTES]
            if uid in missing:
                missing.discard(uid)
                self._seen += 1
            at = text.find(before, at)
