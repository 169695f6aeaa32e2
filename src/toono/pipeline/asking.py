# SPDX-License-Identifier: Apache-2.0
"""A question of the hub's own to the API server, with a caller's token and no other."""

import asyncio

from toono.errors import UpstreamError
from toono.identity.ahead import Ask
from toono.upstream.pool import Credential, Upstream
from toono.wire.messages import Body, BytesBody, Headers

ASK_SECONDS = 10.0
MAX_ANSWER_BYTES = 256 * 1024


def asker(upstream: Upstream) -> Ask:
    """Return how to ask; what cannot be answered raises UpstreamError."""

    async def ask(
        method: str, path: str, token: bytes, content: bytes
    ) -> tuple[int, bytes]:
        headers: Headers = [
            (b"User-Agent", b"toono"),
            (b"Accept", b"application/json, */*"),
            (b"Authorization", b"Bearer " + token),
        ]
        if content:
            headers.append((b"Content-Type", b"application/json"))
        try:
            async with asyncio.timeout(ASK_SECONDS):
                answer = await upstream.send(
                    method,
                    path.encode(),
                    headers,
                    BytesBody(content) if content else None,
                    credential=Credential.of_token(token),
                )
                return answer.status, await _read(answer.body)
        except TimeoutError as exc:
            raise UpstreamError(f"no answer to {path} in {ASK_SECONDS} s") from exc

    return ask


async def _read(body: Body) -> bytes:
    """Read an answer that nobody has bounded but us."""
    pieces: list[bytes] = []
    size = 0
    try:
        while piece := await body.read():
            pieces.append(piece)
            size += len(piece)
            if size > MAX_ANSWER_BYTES:
                raise UpstreamError(f"an answer of more than {MAX_ANSWER_BYTES} bytes")
    finally:
        body.close()
    return b"".join(pieces)
