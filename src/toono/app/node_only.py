# SPDX-License-Identifier: Apache-2.0
"""How each action on the status listener begins that only the node itself may ask for."""

from toono.admin.handler import TEXT
from toono.identity.rights import Rights
from toono.pipeline.chain import caller_of
from toono.pipeline.reading import read_all
from toono.wire.messages import Request, Response


def refused() -> Response:
    """Return what who is not the node hears."""
    return Response(status=403, headers=TEXT, content=b"only for this node\n")


async def node_content(
    request: Request, rights: Rights, *, most: int
) -> bytes | Response:
    """Return the node's content of at most `most` bytes, or the refusal of it."""
    if not await rights.is_node(caller_of(request)):
        return refused()
    length = request.body.length
    if length is None or length > most:
        text = f"more than {most} bytes, or of unknown length\n"
        return Response(status=413, headers=TEXT, content=text.encode())
    return await read_all(request.body)
