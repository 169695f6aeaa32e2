# SPDX-License-Identifier: Apache-2.0
import asyncio

from toono.wire.messages import BytesBody, Response


def test_a_body_that_is_all_there_comes_in_one_piece_and_ends() -> None:
    async def scenario() -> None:
        body = BytesBody(b"abc")
        assert body.length == 3
        assert [await body.read() for _ in range(3)] == [b"abc", b"", b""]

    asyncio.run(scenario())


def test_a_closed_body_brings_nothing_more() -> None:
    async def scenario() -> None:
        body = BytesBody(b"abc")
        body.close()
        body.close()
        assert await body.read() == b""

    asyncio.run(scenario())


def test_answers_share_no_list_of_headers() -> None:
    one, other = Response(status=200), Response(status=200)
    one.headers.append((b"A", b"b"))
    assert other.headers == []
