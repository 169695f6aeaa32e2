# SPDX-License-Identifier: Apache-2.0
"""What only the node may ask for begins with who asks and how much it sends."""

import asyncio

import pytest

from tests.unit.wire.kit import Pieces
from toono.app.node_only import node_content
from toono.wire.messages import BytesBody, Peer, Request, Response


class Rights:
    def __init__(self, node: bool) -> None:
        self.node = node

    async def is_node(self, caller) -> bool:
        return self.node


def asked(body, *, node: bool = True):
    request = Request(
        method="POST",
        target=b"/v1/drill/start",
        headers=[],
        fields={},
        body=body,
        peer=Peer(connection=1, local=("127.0.0.1", 1), remote=("127.0.0.1", 2)),
    )
    return asyncio.run(node_content(request, Rights(node), most=4))


def test_the_node_s_content_is_returned_whole() -> None:
    assert asked(BytesBody(b"abcd")) == b"abcd"
    assert asked(BytesBody(b"")) == b""


def test_nobody_else_s_content_is_even_read() -> None:
    body = Pieces(b"abcd", length=4)
    found = asked(body, node=False)
    assert isinstance(found, Response)
    assert found.status == 403
    assert body.pieces == [b"abcd"]


@pytest.mark.parametrize("body", [BytesBody(b"abcde"), Pieces(b"a", length=None)])
def test_too_much_or_who_knows_how_much_is_refused(body) -> None:
    found = asked(body)
    assert isinstance(found, Response)
    assert found.status == 413
