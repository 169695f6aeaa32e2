# SPDX-License-Identifier: Apache-2.0
"""Questions of the hub's own: with a caller's token and no other, or as the node's."""

import asyncio
from typing import Protocol

from toono.errors import UpstreamError
from toono.identity.ahead import Ask
from toono.kube.request import Caller, parse
from toono.pipeline.forward import Forward
from toono.pipeline.local import Local
from toono.upstream.pool import Credential, Upstream
from toono.wire.messages import (
    Body,
    BytesBody,
    Headers,
    Peer,
    Request,
    Response,
)

ASK_SECONDS = 10.0
MAX_ANSWER_BYTES = 256 * 1024
AGENT = b"toono"
NOBODY = Caller(connection=0, local=("", 0), remote=("", 0))


class Questions(Protocol):
    """Asks the cloud, or what is kept, as the component that the hub itself is."""

    async def __call__(self, target: str, accept: str, *, cached: bool) -> Response:
        """Return the answer; ToonoError where there is none."""
        ...


def asker(upstream: Upstream) -> Ask:
    """Return how to ask; what cannot be answered raises UpstreamError."""

    async def ask(
        method: str, path: str, token: bytes, content: bytes
    ) -> tuple[int, bytes]:
        headers: Headers = [
            (b"User-Agent", AGENT),
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


def own_questions(forward: Forward, local: Local) -> Questions:
    """Return how the hub asks as a client of its own: answers are kept like others'."""

    async def ask(target: str, accept: str, *, cached: bool) -> Response:
        headers: Headers = [(b"User-Agent", AGENT), (b"Accept", accept.encode())]
        fields = {name.lower(): value for name, value in headers}
        call = parse("GET", target.encode(), fields, NOBODY)
        if cached:
            return await local(call)
        request = Request(
            method="GET",
            target=call.target,
            headers=headers,
            fields=fields,
            body=BytesBody(),
            peer=Peer(connection=0, local=NOBODY.local, remote=NOBODY.remote),
        )
        return await forward(call, request, Credential.NODE)

    return ask
