# SPDX-License-Identifier: Apache-2.0
"""Answers as bytes on a client's transport: whole at once, or streamed at its pace.

A streamed answer that is not as long as its head promised ends the connection: its
client must not take it for whole, nor the next answer for its rest.
"""

import asyncio

from toono.errors import BodyCutError
from toono.wire.heads import framing_of, has_no_body, head_bytes, interim_bytes
from toono.wire.messages import Body, Headers, Request, Response
from toono.wire.streams import Gate

WRITE_HIGH_BYTES = 256 * 1024


def ends_connection(request: Request, response: Response) -> bool:
    """Say whether a connection cannot go on after an answer, whoever holds it."""
    endless = response.body is not None and response.body.length is None
    return (
        response.close
        or response.tunnel is not None
        or not request.keep_alive
        or (endless and request.old)
    )


def write_whole(
    transport: asyncio.Transport, request: Request, response: Response, *, close: bool
) -> None:
    """Write an answer whose content is all there."""
    content = response.content
    pieces = content if isinstance(content, list) else [content]
    size = sum(map(len, pieces)) if isinstance(content, list) else len(content)
    head = head_bytes(response, framing_of(request, response, size, close=close))
    if has_no_body(request, response):
        transport.write(head)
    elif size < WRITE_HIGH_BYTES:
        transport.write(b"".join([head, *pieces]))
    else:
        transport.writelines([head, *pieces])


def write_interim(
    transport: asyncio.Transport, status: int, reason: bytes, headers: Headers
) -> None:
    """Write a 1xx answer, which goes before another."""
    if not transport.is_closing():
        transport.write(interim_bytes(status, reason, headers))


def write_refusal(
    transport: asyncio.Transport, status: int, headers: Headers, content: bytes
) -> None:
    """Write the last answer of a connection."""
    framing = [b"Content-Length: %d" % len(content), b"Connection: close"]
    response = Response(status=status, headers=headers)
    transport.write(head_bytes(response, framing) + content)


async def write_stream(
    transport: asyncio.Transport,
    request: Request,
    response: Response,
    body: Body,
    *,
    gate: Gate,
    close: bool,
) -> None:
    """Write an answer piece by piece, as fast as `gate` lets; it is told of each."""
    left = body.length
    chunked = left is None and not request.old
    transport.write(
        head_bytes(response, framing_of(request, response, left, close=close))
    )
    if has_no_body(request, response):
        return
    if chunked and response.direct is not None and not transport.is_closing():
        gate.lend(transport.write)
        response.direct(gate)
    while piece := await body.read():
        if chunked:
            piece = chunk(piece)
        elif left is not None:
            left -= len(piece)
            if left < 0:
                raise BodyCutError("an answer longer than its length")
        transport.write(piece)
        gate.wrote = True
        await gate.passed()
    if left:
        raise BodyCutError("an answer shorter than its length")
    if chunked:
        transport.write(b"0\r\n\r\n")


def chunk(piece: bytes) -> bytes:
    """Return a piece that is not empty as a chunk of an answer (RFC 9112, 7.1)."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)
