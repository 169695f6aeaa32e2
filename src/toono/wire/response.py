# SPDX-License-Identifier: Apache-2.0
"""An upstream's answer, read by llhttp and checked where llhttp is lenient.

An answer that is not framed as its head promises never ends well: its body fails and
its connection is dropped.
"""

import re
from collections.abc import Callable

import httptools

from toono.errors import BadResponseError, WireError
from toono.wire.messages import Answer, Headers, Interim
from toono.wire.streams import Incoming

MAX_HEAD_BYTES = 256 * 1024
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
MAX_INTERIM = 16
"""1xx answers before the real one; a server that sends more is broken."""


class Upgraded(Exception):  # noqa: N818 - no error: the end of HTTP
    """A checked 101 was read; `rest` belongs to the tunnel."""

    def __init__(self, rest: bytes) -> None:
        self.rest = rest


class ResponseReader:
    """Reads one answer to one request."""

    __slots__ = (
        "_body",
        "_fields",
        "_found",
        "_headers",
        "_interim",
        "_method",
        "_on_close",
        "_parser",
        "_pause",
        "_reason",
        "_silent_bytes",
        "_status",
        "_tell",
        "_upgrade",
        "answer",
        "ends_with_connection",
        "is_over",
        "keep_alive",
        "on_body",
    )

    def __init__(
        self,
        method: str,
        *,
        upgrade: str,
        pause: Callable[[bool], None],
        on_close: Callable[[], None],
        interim: Interim | None = None,
    ) -> None:
        self._method = method
        self._upgrade = upgrade.lower()
        self._pause = pause
        self._on_close = on_close
        self._tell = interim
        self._interim = 0
        self._silent_bytes = 0
        self.answer: Answer | None = None
        self._body: Incoming | None = None
        self.is_over = False
        self.keep_alive = False
        self.ends_with_connection = False
        self._found: list[bytes] = []
        """Content of the bytes that are just read, in chunks of 2 KiB and less."""
        self.on_body = self._found.append
        self._parser = httptools.HttpResponseParser(self)
        self._headers: Headers = []
        self._fields: dict[bytes, bytes] = {}
        self._reason = b""
        self._status = 0

    def feed(self, piece: bytes) -> None:
        """Take bytes; raises BadResponseError, or Upgraded after a checked 101.

        Bytes after the answer's end do not change it, however they are cut into
        pieces, but its connection is not one to keep.
        """
        self._silent_bytes += len(piece)
        try:
            self._parser.feed_data(piece)
        except (httptools.HttpParserUpgrade, httptools.HttpParserError) as exc:
            self._give()
            self._judge(exc, piece)
        if self._found:
            self._give()
        if self._silent_bytes > MAX_HEAD_BYTES:
            self._spoil(
                BadResponseError("a head, a trailer or an extension without end")
            )

    def _judge(self, exc: Exception, piece: bytes) -> None:
        """Say what it means that the parser stops."""
        cause = exc.__context__
        if isinstance(exc, httptools.HttpParserUpgrade):
            if self._status == 101 and self.answer is not None:
                raise Upgraded(piece[exc.args[0] :]) from exc
            self._spoil(BadResponseError("an upgrade that nobody asked for"))
        elif isinstance(cause, BadResponseError):
            self._spoil(cause)
        else:
            self._spoil(BadResponseError(f"no HTTP answer: {exc}"))

    def _spoil(self, failure: BadResponseError) -> None:
        """Fail the answer, or after its end its connection alone."""
        if not self.is_over:
            raise failure from None
        self.keep_alive = False

    def finish(self) -> None:
        """The connection ended where the body has no other end."""
        self.is_over = True
        self.keep_alive = False
        if self._body is not None:
            self._body.finish()

    def fail(self, failure: WireError) -> None:
        """The rest of the answer will not come."""
        if self._body is not None:
            self._body.fail(failure)

    # -- what llhttp says ---------------------------------------------------------

    def on_message_begin(self) -> None:
        if self.answer is not None:
            raise BadResponseError("bytes after the answer")

    def on_status(self, reason: bytes) -> None:
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.answer is not None:
            return  # a trailer: no field of the head, nor of ours to pass on
        lower = name.lower()
        if lower in self._fields:
            self._fields[lower] += b", " + value
        else:
            self._fields[lower] = value
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._silent_bytes > MAX_HEAD_BYTES and self._size() > MAX_HEAD_BYTES:
            raise BadResponseError("the head of an answer is too long")
        self._status = self._parser.get_status_code()
        if not 100 <= self._status <= 599 or _CONTROL.search(self._reason):
            raise BadResponseError("a status line that HTTP does not know")
        if self._parser.get_http_version() not in ("1.1", "1.0"):
            raise BadResponseError("an answer in another version of HTTP")
        if 100 <= self._status < 200 and self._status != 101:
            self._interim += 1
            if self._interim > MAX_INTERIM:
                raise BadResponseError("an endless row of 1xx answers")
            if self._tell is not None and self._status != 100:
                self._tell(self._status, self._reason, self._headers)
            return  # 100 answers an Expect that never went upstream (RFC 9110, 15.2)
        if self._status == 101 and not self._is_ours():
            raise BadResponseError("a 101 that answers no upgrade of ours")
        self._start_body()

    def _size(self) -> int:
        """Return the bytes of a head; a body may have come in one piece with it."""
        return len(self._reason) + sum(len(n) + len(v) + 4 for n, v in self._headers)

    def _is_ours(self) -> bool:
        """Say whether a 101 takes up what was asked, and nothing else."""
        fields = self._fields
        chosen = fields.get(b"upgrade", b"").lower().decode("latin-1")
        offered = [one.strip() for one in self._upgrade.split(",")]
        options = fields.get(b"connection", b"").lower().split(b",")
        return (
            chosen != ""
            and chosen in offered
            and b"upgrade" in [option.strip() for option in options]
            and b"content-length" not in fields
            and b"transfer-encoding" not in fields
        )

    def _start_body(self) -> None:
        coding = self._fields.get(b"transfer-encoding")
        chunked = coding is not None
        if coding is not None and (
            coding.lower() != b"chunked" or self._parser.get_http_version() == "1.0"
        ):
            raise BadResponseError("a transfer coding that is not chunked alone")
        text = self._fields.get(b"content-length")
        length = None if text is None else int(text)  # llhttp saw that it is one
        bare = self._method == "HEAD" or self._status in (101, 204, 304)
        self.ends_with_connection = not (chunked or bare or text is not None)
        body = Incoming(
            0 if bare else length, pause=self._pause, on_close=self._on_close
        )
        if bare:
            body.finish()
        self._body = body
        self.answer = Answer(
            status=self._status,
            reason=self._reason,
            headers=self._headers,
            fields=self._fields,
            body=body,
        )
        if self._method == "HEAD":
            # llhttp cannot be told that no body follows, nor that one did after all.
            self.is_over = True

    def _give(self) -> None:
        """Give what was found to the body."""
        found = self._found
        if not found:
            return
        self._silent_bytes = 0
        if self._body is not None and not self._body.is_over:
            self._body.feed(found[0] if len(found) == 1 else b"".join(found))
        found.clear()

    def on_message_complete(self) -> None:
        if self.answer is None:
            self._headers, self._fields, self._reason = [], {}, b""
            return
        if self.is_over:
            return
        self._give()
        self.keep_alive = self._parser.should_keep_alive()
        self.is_over = True
        if self._body is not None:
            self._body.finish()
