# SPDX-License-Identifier: Apache-2.0
"""What crosses the wire, as plain values: a head, and a body that is read in pieces.

This module assumes nothing of one stream a connection: an HTTP/2 client may come
beside HTTP/1.1. Names of fields keep the spelling they arrived with in `headers`
(so that a relay passes them on unchanged) and are lower case in `fields`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec

Headers = list[tuple[bytes, bytes]]
"""Field lines in order, names as spelled by the sender."""
Interim = Callable[[int, bytes, Headers], None]
"""Takes a 1xx answer that comes before the answer: status, reason, fields."""


Write = Callable[[bytes], object]
"""Writes bytes at once."""


class Outlet(Protocol):
    """A way past the task that streams an answer, for each event of each watcher."""

    put: Write | None
    """Takes a chunk (`chunk`); None while the client takes nothing."""
    wrote: bool
    """Set by whoever has written."""


class Body(Protocol):
    """The bytes after a head, read in pieces by exactly one reader."""

    length: int | None
    """Bytes in all, where the sender said so; None for chunked or until-close."""

    async def read(self) -> bytes:
        """Return the next piece, or b"" at the end, and then b"" for ever.

        Raises BodyCutError where the sender broke off, WireTimeoutError where it
        fell silent for longer than it may, RejectedRequestError or BadResponseError
        where its framing is wrong.
        """
        ...

    def close(self) -> None:
        """Read no more; frees what the body holds. Safe to call twice."""
        ...


class BytesBody:
    """A body that is all there."""

    __slots__ = ("_rest", "length")

    def __init__(self, content: bytes = b"") -> None:
        self._rest = content
        self.length: int | None = len(content)

    async def read(self) -> bytes:
        rest, self._rest = self._rest, b""
        return rest

    def close(self) -> None:
        self._rest = b""


NO_BODY = BytesBody()
"""Of every request without one: there is nothing in it that reading could change."""


class Tunnel(Protocol):
    """The other side of a connection that was upgraded by a checked 101.

    `wire.server` splices it to the client's connection, bytes unchanged, each
    direction with its own half-close.
    """

    async def read(self) -> bytes:
        """Next bytes from the peer, b"" once it has sent its last."""
        ...

    async def write(self, piece: bytes) -> None:
        """Send; waits while the peer does not read."""
        ...

    def write_eof(self) -> None:
        """Half-close: nothing more will be written."""
        ...

    def close(self) -> None:
        """Close both directions at once. Safe to call twice."""
        ...


@dataclass(slots=True, kw_only=True, eq=False)
class Peer:
    """Who is at the other end of a client's connection."""

    connection: int
    """Number of the connection, unique in this process."""
    local: tuple[str, int]
    """Our address and port."""
    remote: tuple[str, int]
    """The client's address and port."""
    certificate: bytes | None = None
    """The client's verified certificate (DER), on TLS listeners."""
    tls: bool = False


class Asker(Protocol):
    """Who waits for an answer that an `Again` has begun: exactly one of these is called."""

    def answer(self, content: bytes) -> None:
        """Take a whole answer, head and all."""
        ...

    def decline(self, *, for_good: bool = False) -> None:
        """Have the request handled as if it were the first; `for_good`: every time."""
        ...


class Again(Protocol):
    """Answers a head that was answered before: the same bytes on the same connection."""

    def begin(self, asker: Asker, now: float) -> bytes | None:
        """Return a whole answer; b"" where `asker` will be told; None: not this time.

        `now` is the monotonic time of the clock that all parts share.
        """
        ...

    def abandon(self) -> None:
        """Let go of what was begun: nobody waits for it any more."""
        ...


class Request(msgspec.Struct, kw_only=True, eq=False):
    """One request whose head has passed the strict gate (`wire.gate`)."""

    method: str
    """Upper case, as sent."""
    target: bytes
    """Origin form, as sent: path and query."""
    headers: Headers
    fields: dict[bytes, bytes]
    """By lower-case name; repeated lines joined with b", " in order."""
    body: Body
    peer: Peer
    keep_alive: bool = True
    impersonates: bool = False
    """Impersonate-* fields are present."""
    old: bool = False
    """HTTP/1.0: an answer whose length is unknown ends with its connection."""
    interim: Interim | None = None
    """Passes a 1xx answer on; None where the client would not understand it."""


class Response(msgspec.Struct, kw_only=True, eq=False):
    """One answer to a client.

    `wire.server` adds the framing (Content-Length or chunked), Date where it is
    missing, and Connection; it drops hop-by-hop fields found in `headers`. With
    `content` the answer is sized and written at once; with `body` it is streamed
    (sized where `body.length` is known, chunked otherwise) and closed at the end.
    With `tunnel` the status is 101 and the connections are spliced.
    """

    status: int
    headers: Headers = msgspec.field(default_factory=list)
    content: bytes | list[bytes] = b""
    body: Body | None = None
    tunnel: Tunnel | None = None
    reason: bytes = b""
    close: bool = False
    patience: float | None = None
    """Seconds that the client may read nothing of it; None: the server's setting."""
    confirmed_at: float | None = None
    """Of an answer from the cache: the wall time of the cloud's last word on it."""
    again: Again | None = None
    """How the same head is answered on the same connection from now on."""
    direct: Callable[[Outlet], None] | None = None
    """Takes where to write without waking the body's reader, while that one waits in
    `read`. Whoever puts a body of other bytes in place of `body` takes this away."""


class Answer(msgspec.Struct, kw_only=True, eq=False):
    """An upstream's answer: its head, and its body or tunnel."""

    status: int
    reason: bytes
    headers: Headers
    fields: dict[bytes, bytes]
    body: Body
    """Already b""-ended where the answer has none (204, 304, HEAD, 101)."""
    tunnel: Tunnel | None = None
    """Only after a 101 that answers what was asked (checked)."""
