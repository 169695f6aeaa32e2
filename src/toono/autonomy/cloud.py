# SPDX-License-Identifier: Apache-2.0
"""One question of the hub's own to the API server, with the node's rights.

What comes back is bounded in size and time, and says of itself whether it is the API
server's: a captive portal answers 200 and 404 too.
"""

import asyncio
from typing import NamedTuple

import msgspec

from toono.errors import UpstreamError, WireError
from toono.upstream.pool import Credential, Upstream
from toono.wire.messages import Body, BytesBody, Headers

JSON = "application/json"
ANSWER_SECONDS = 10.0
MAX_BYTES = 32 * 1024 * 1024


class Told(NamedTuple):
    """An answer of whoever answered."""

    status: int
    media_type: str
    content: bytes


class _Details(msgspec.Struct):
    name: str = ""


class _Status(msgspec.Struct):
    kind: str = ""
    reason: str = ""
    details: _Details | None = None


_status = msgspec.json.Decoder(_Status).decode


def is_missing(told: Told, name: str) -> bool:
    """Say whether this is the API server's word that the object `name` is not there.

    A 404 of a path that nobody serves, or of another server, names no object.
    """
    if told.status != 404:
        return False
    try:
        status = _status(told.content)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False
    named = status.details is not None and status.details.name == name
    return status.kind == "Status" and status.reason == "NotFound" and named


class Cloud:
    """Asks as the node, or with a token of the hub's own (a bootstrap has no other)."""

    def __init__(self, upstream: Upstream, *, token: bytes = b"") -> None:
        self._upstream = upstream
        self._token = token

    @property
    def online(self) -> bool:
        """Some API server can be reached, as far as is known."""
        return self._upstream.online

    async def ask(
        self,
        method: str,
        target: str,
        content: bytes = b"",
        *,
        accept: str = JSON,
        content_type: str = JSON,
    ) -> Told:
        """Return the answer, whatever its status; UpstreamError where there is none."""
        headers: Headers = [
            (b"User-Agent", b"toono"),
            (b"Accept", accept.encode()),
        ]
        if content:
            headers.append((b"Content-Type", content_type.encode()))
        credential = Credential.NODE
        if self._token:
            headers.append((b"Authorization", b"Bearer " + self._token))
            credential = Credential.of_token(self._token)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await self._upstream.send(
                    method,
                    target.encode(),
                    headers,
                    BytesBody(content) if content else None,
                    credential=credential,
                )
                found = await _whole(answer.body)
        except TimeoutError as exc:
            raise UpstreamError(f"no answer to {method} {target}") from exc
        except WireError as exc:
            raise UpstreamError(str(exc)) from exc
        told = answer.fields.get(b"content-type", b"").decode("latin-1")
        return Told(answer.status, told.partition(";")[0].strip(), found)


async def _whole(body: Body) -> bytes:
    pieces, size = [], 0
    try:
        while piece := await body.read():
            size += len(piece)
            if size > MAX_BYTES:
                raise UpstreamError(f"an answer of more than {MAX_BYTES} bytes")
            pieces.append(piece)
    finally:
        body.close()
    return b"".join(pieces)
