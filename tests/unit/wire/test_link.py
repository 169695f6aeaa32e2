# SPDX-License-Identifier: Apache-2.0
"""A link whose answer somebody else reads; how it reads itself is in test_client."""

import asyncio

import pytest

from tests.unit.wire.kit import OK, play, until, upstream
from toono.errors import LinkLostError


class Reader:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.raw = b""
        self.broken = 0

    def heard(self, piece: bytes) -> None:
        self.raw += piece

    def broke(self) -> None:
        self.broken += 1


async def answering(reader, writer) -> None:
    while await reader.readuntil(b"\r\n\r\n"):
        writer.write(OK)


async def breaking(reader, writer) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(OK)
    await reader.readuntil(b"\r\n\r\n")
    writer.write(OK[:9])
    await writer.drain()
    writer.transport.abort()


async def silent(reader, writer) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(OK)
    await reader.read()


async def idle(origin):
    """Return a link that stands, as somebody's request has left it."""
    answer = await origin.send("GET", b"/", [(b"Host", b"a")], None, credential="a")
    while await answer.body.read():
        pass
    return origin.take_idle("a")


def test_a_relayed_answer_leaves_the_link_for_the_next() -> None:
    async def scenario() -> None:
        async with upstream(answering) as origin:
            link = await idle(origin)
            assert origin.take_idle("a") is None
            reader = Reader()
            link.relay(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", reader)
            assert link.is_waiting
            assert origin.waiting == 1
            await until(lambda: reader.raw == OK)
            assert not link.is_waiting
            link.relayed()
            assert origin.take_idle("a") is link
            origin.put_back(link)
            origin.close()
            assert reader.broken == 0

    play(scenario)


def test_a_link_that_breaks_says_so_once_and_warns_of_the_server() -> None:
    async def scenario() -> None:
        async with upstream(breaking) as origin:
            warned = []
            origin.broken = lambda: warned.append(1)
            reader = Reader()
            link = await idle(origin)
            link.relay(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", reader)
            await until(lambda: reader.broken)
            await asyncio.sleep(0)
            assert (reader.broken, warned) == (1, [1])
            assert origin.take_idle("a") is None

    play(scenario)


@pytest.mark.parametrize("lost", [True, False])
def test_one_that_waits_hears_that_the_link_is_down_unless_it_let_go(lost) -> None:
    async def scenario() -> None:
        async with upstream(silent) as origin:
            reader = Reader()
            link = await idle(origin)
            link.relay(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", reader)
            if not lost:
                link.drop()
            origin.abort_waiting(LinkLostError("down"))
            assert reader.broken == lost
            origin.close()

    play(scenario)


def test_one_that_is_cancelled_late_leaves_the_link_to_who_has_it_now() -> None:
    """Its answer has come whole, but its task has not run since."""

    async def asked(origin) -> None:
        await origin.send("GET", b"/", [(b"Host", b"a")], None, credential="a")

    async def scenario() -> None:
        heads: list[bytes] = []

        async def counting(reader, writer) -> None:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OK)
            await reader.read()

        async with upstream(counting) as origin:
            first = asyncio.create_task(asked(origin))
            await until(lambda: heads)
            (link,) = origin._open
            link.feed(OK)
            assert origin.take_idle("a") is link
            reader = Reader()
            link.relay(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", reader)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            await until(lambda: reader.raw == OK)
            link.relayed()

    play(scenario)
