# SPDX-License-Identifier: Apache-2.0
"""A watch of etcd: lines of a stream, each an answer, in the order of revisions.

Who holds a watch goes on from `revision + 1` when it breaks, and reads everything anew
only where compaction took that away (EtcdCompactedError).
"""

from collections.abc import Callable

from toono.errors import BadResponseError, WireError
from toono.store.etcd_errors import (
    EtcdCompactedError,
    EtcdError,
    EtcdUnavailableError,
    refusal,
)
from toono.store.etcd_messages import Frame, Header, WatchAnswer, decode
from toono.wire.messages import Body

MAX_LINE_BYTES = 64 * 1024 * 1024
"""One answer: all events of one transaction, in base64."""


class Watch:
    """An open watch; `next` until it raises."""

    def __init__(self, body: Body, check: Callable[[Header], None]) -> None:
        self._body = body
        self._check = check
        self._rest = bytearray()
        self.revision = 0
        """All up to here has been told."""

    async def next(self) -> WatchAnswer:
        """Return the next answer; it may hold no event and only a newer revision.

        EtcdCompactedError where the start is gone, EtcdUnavailableError where the
        stream ended.
        """
        answer = self._read(await self._line())
        self._check(answer.header)
        if answer.canceled:
            if answer.compact_revision:
                raise EtcdCompactedError(
                    "the history to watch from is gone",
                    revision=answer.compact_revision,
                )
            raise EtcdError(answer.cancel_reason or "the watch was cancelled")
        if not answer.created:
            self.revision = max(self.revision, answer.header.revision)
        return answer

    def _read(self, line: bytes) -> WatchAnswer:
        try:
            frame = decode(line, Frame)
            if bytes(frame.result):
                return decode(bytes(frame.result), WatchAnswer)
        except BadResponseError as exc:
            raise EtcdUnavailableError(f"etcd: {exc}") from exc
        if frame.error is None:
            raise EtcdUnavailableError("etcd: a line of a watch says nothing")
        raise refusal(frame.error.code, frame.error.message or frame.error.error)

    async def _line(self) -> bytes:
        searched = 0
        while (end := self._rest.find(b"\n", searched)) < 0:
            searched = len(self._rest)
            if searched > MAX_LINE_BYTES:
                raise EtcdError(f"a watch answered more than {MAX_LINE_BYTES} bytes")
            try:
                piece = await self._body.read()
            except WireError as exc:
                raise EtcdUnavailableError(f"etcd: {exc}") from exc
            if not piece:
                raise EtcdUnavailableError("etcd: the watch ended")
            self._rest += piece
        line = bytes(self._rest[:end])
        del self._rest[: end + 1]
        return line
