# SPDX-License-Identifier: Apache-2.0
import asyncio

import pytest

from toono.errors import BodyCutError
from toono.testing.clock import settle
from toono.wire.streams import HIGH_BYTES, Gate, Incoming


class Sender:
    """The protocol's side of a body, without a socket."""

    def __init__(self, length: int | None = None, **options) -> None:
        self.pauses: list[bool] = []
        self.closes = 0
        self.body = Incoming(
            length, pause=self.pauses.append, on_close=self.on_close, **options
        )

    def on_close(self) -> None:
        self.closes += 1


def test_pieces_come_in_order_and_the_end_comes_again_and_again() -> None:
    async def scenario() -> None:
        body = Sender(5).body
        body.feed(b"ab")
        body.feed(b"cde")
        body.finish()
        assert [await body.read() for _ in range(4)] == [b"abcde", b"", b"", b""]
        assert (body.length, body.is_over, body.unread) == (5, True, 0)

    asyncio.run(scenario())


@pytest.mark.parametrize("end", ["feed", "finish", "fail", "close"])
def test_a_waiting_reader_is_woken_by_whatever_comes(end: str) -> None:
    async def scenario() -> None:
        body = Sender().body
        reading = asyncio.create_task(body.read())
        await settle()
        assert not reading.done()
        {
            "feed": lambda: body.feed(b"x"),
            "finish": body.finish,
            "fail": lambda: body.fail(BodyCutError("cut")),
            "close": body.close,
        }[end]()
        if end == "fail":
            with pytest.raises(BodyCutError):
                await reading
        else:
            assert await reading == (b"x" if end == "feed" else b"")

    asyncio.run(scenario())


def test_a_reader_hears_of_a_cut_after_what_came_and_every_time() -> None:
    async def scenario() -> None:
        body = Sender().body
        body.feed(b"x")
        body.fail(BodyCutError("cut"))
        assert await body.read() == b"x"
        for _ in range(2):
            with pytest.raises(BodyCutError):
                await body.read()
        assert not body.is_over

    asyncio.run(scenario())


def test_what_is_whole_cannot_be_cut_any_more() -> None:
    async def scenario() -> None:
        body = Sender().body
        body.feed(b"x")
        body.finish()
        body.fail(BodyCutError("too late"))
        assert [await body.read(), await body.read()] == [b"x", b""]

    asyncio.run(scenario())


def test_a_sender_is_paused_above_the_high_mark_and_resumed_once_it_is_read() -> None:
    async def scenario() -> None:
        sender = Sender()
        piece = b"x" * 32 * 1024
        while not sender.pauses:
            sender.body.feed(piece)
        assert HIGH_BYTES <= sender.body.unread <= HIGH_BYTES + 2 * len(piece)
        sender.body.feed(piece)
        assert sender.pauses == [True]
        waiting = HIGH_BYTES // len(piece) + 1
        assert await sender.body.read() == piece * waiting
        assert sender.pauses == [True, False]
        assert sender.body.unread == 0

    asyncio.run(scenario())


def test_who_waits_for_a_part_is_woken_by_it_or_by_the_end() -> None:
    async def scenario() -> None:
        body = Sender().body
        body.least = 1000
        body.feed(b"a" * 500)
        first = asyncio.create_task(body.read())
        await asyncio.sleep(0)
        body.feed(b"b" * 100)
        await asyncio.sleep(0)
        assert not first.done()
        body.feed(b"c" * 900)
        assert await first == b"a" * 500 + b"b" * 100 + b"c" * 900
        body.feed(b"d")
        last = asyncio.create_task(body.read())
        await asyncio.sleep(0)
        body.finish()
        assert [await last, await body.read()] == [b"d", b""]

    asyncio.run(scenario())


@pytest.mark.parametrize("ends", [True, False])
def test_a_part_that_waits_is_not_lost_where_it_ends_early(ends) -> None:
    async def scenario() -> None:
        body = Sender().body
        body.least = 1000
        body.feed(b"a")
        body.finish() if ends else body.fail(BodyCutError("cut"))
        assert await body.read() == b"a"
        if ends:
            assert await body.read() == b""
        else:
            with pytest.raises(BodyCutError):
                await body.read()

    asyncio.run(scenario())


def test_a_sender_is_paused_as_often_as_it_is_too_fast() -> None:
    async def scenario() -> None:
        sender = Sender()
        for turn in range(1, 4):
            sender.body.feed(b"x" * (HIGH_BYTES + 1))
            assert sender.body.is_held
            await sender.body.read()
            assert sender.pauses == [True, False] * turn
            assert not sender.body.is_held

    asyncio.run(scenario())


def test_a_sender_waits_for_us_until_it_is_told_to_go_on() -> None:
    async def scenario() -> None:
        body = Sender(started=lambda: None).body
        assert body.is_held
        body.feed(b"x")
        await body.read()
        assert not body.is_held

    asyncio.run(scenario())


def test_tiny_pieces_are_charged_for_the_room_they_take() -> None:
    sender = Sender()
    fed = 0
    while not sender.pauses:
        sender.body.feed(b"ab")
        fed += 1
    assert fed <= HIGH_BYTES // 32


def test_a_whole_body_holds_nobody_back() -> None:
    sender = Sender()
    sender.body.feed(b"x" * (HIGH_BYTES + 1))
    assert sender.pauses == [True]
    sender.body.finish()
    assert sender.pauses == [True, False]

    async def scenario() -> None:
        assert len(await sender.body.read()) == HIGH_BYTES + 1

    asyncio.run(scenario())
    assert sender.pauses == [True, False]


def test_closing_a_whole_body_says_nothing_to_the_connection() -> None:
    sender = Sender()
    sender.body.feed(b"x")
    sender.body.finish()
    sender.body.close()
    assert sender.closes == 0


def test_closing_early_frees_resumes_and_says_so_once() -> None:
    sender = Sender()
    sender.body.feed(b"x" * (HIGH_BYTES + 1))
    sender.body.close()
    sender.body.close()
    assert sender.pauses == [True, False]
    assert (sender.closes, sender.body.unread) == (1, 0)
    sender.body.feed(b"late")
    assert sender.body.unread == 0

    async def scenario() -> None:
        assert await sender.body.read() == b""

    asyncio.run(scenario())


def test_the_first_read_is_announced_once() -> None:
    async def scenario() -> None:
        told: list[str] = []
        body = Sender(started=lambda: told.append("go on")).body
        body.feed(b"a")
        body.feed(b"b")
        assert told == []
        await body.read()
        body.feed(b"c")
        await body.read()
        assert told == ["go on"]

    asyncio.run(scenario())


def test_a_reader_that_gives_up_loses_nothing() -> None:
    async def scenario() -> None:
        body = Sender().body
        reading = asyncio.create_task(body.read())
        await settle()
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        body.feed(b"x")
        assert await body.read() == b"x"

    asyncio.run(scenario())


def test_a_gate_lets_writers_wait_while_it_is_shut() -> None:
    async def scenario() -> None:
        gate = Gate()
        await gate.passed()
        assert not gate.is_shut
        gate.shut()
        gate.shut()
        assert gate.is_shut
        waiting = [asyncio.create_task(gate.passed()) for _ in range(2)]
        await settle()
        assert not any(one.done() for one in waiting)
        waiting[0].cancel()
        await settle()
        gate.open()
        await waiting[1]
        gate.open()
        await gate.passed()

    asyncio.run(scenario())


def test_what_a_gate_lends_is_there_while_it_is_open() -> None:
    async def scenario() -> None:
        gate, put = Gate(), [].append
        assert gate.put is None
        gate.lend(put)
        assert gate.put is put
        gate.shut()
        assert gate.put is None
        gate.lend(put)
        assert gate.put is None
        gate.open()
        assert gate.put is put
        gate.lend(None)
        assert gate.put is None
        gate.lend(put)
        gate.lose()
        assert gate.put is None

    asyncio.run(scenario())


def test_a_lost_transport_wakes_who_waits_and_refuses_who_comes() -> None:
    async def scenario() -> None:
        gate = Gate()
        gate.shut()
        waiting = asyncio.create_task(gate.passed())
        await settle()
        gate.lose()
        for one in (waiting, gate.passed()):
            with pytest.raises(ConnectionResetError):
                await one

    asyncio.run(scenario())
