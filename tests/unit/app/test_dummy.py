# SPDX-License-Identifier: Apache-2.0
"""Looking after the interface; the kernel is asked in tests/scenario/test_interface.py."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from toono.app.board import Board
from toono.app.dummy import TRY_SECONDS, Kept, keep_dummy
from toono.app.settings import HubSettings
from toono.errors import OptionError
from toono.testing.clock import VirtualClock
from toono.wire.dummy import DummyLink


class Link(DummyLink):
    """One whose kernel does as the test says."""

    there = refuses = False
    made = removed = 0

    @property
    def is_there(self) -> bool:
        return self.there

    def ensure(self) -> bool:
        if self.refuses:
            raise OptionError("--enable-dummy-if", "no right", "give it")
        before, self.there = self.there, True
        self.on = self.on or self.name
        self.made += not before
        return not before

    def remove(self) -> None:
        self.removed += 1


class Rig:
    """What is kept, and what was told of it."""

    def __init__(self) -> None:
        self.link = Link("hub-dummy0", "169.254.2.1")
        self.board = Board()
        self.stack = AsyncExitStack()
        self.arrivals = 0
        self.told: list[bool] = []
        self.board.door.append(self.told.append)
        settings = HubSettings(
            servers=(),
            tls=None,
            node_name="edge-1",
            cache_path=Path("/cache"),
            dummy=self.link,
        )
        kept = keep_dummy(settings, self.board, clock=VirtualClock(), stack=self.stack)
        assert kept is not None
        self.kept: Kept = kept

    async def start(self) -> None:
        await self.kept.start(self.arrived)

    async def arrived(self) -> None:
        self.arrivals += 1


def play(story: Callable[[Rig], Coroutine[None, None, None]]) -> None:
    async def scenario() -> None:
        await story(Rig())

    asyncio.run(scenario())


def test_hub_without_one_keeps_none() -> None:
    settings = HubSettings(
        servers=(), tls=None, node_name="edge-1", cache_path=Path("/cache")
    )
    board, stack = Board(), AsyncExitStack()
    assert keep_dummy(settings, board, clock=VirtualClock(), stack=stack) is None
    assert board == Board()


def test_start_waits_for_nothing_that_must_be_made() -> None:
    async def story(rig: Rig) -> None:
        await rig.start()
        assert (rig.arrivals, rig.link.made) == (0, 0)
        assert [name for name, _ in rig.board.duties] == ["dummy-interface"]
        assert await rig.kept.ensure()
        assert (rig.arrivals, rig.link.made) == (1, 1)

    play(story)


def test_what_is_there_already_is_listened_on_at_once(caplog) -> None:
    async def story(rig: Rig) -> None:
        rig.link.there = True
        await rig.start()
        assert (rig.arrivals, rig.link.made) == (1, 0)

    play(story)
    assert caplog.text == ""


def test_what_was_taken_away_is_put_back_and_said(caplog) -> None:
    async def story(rig: Rig) -> None:
        await rig.start()
        await rig.kept.ensure()
        rig.link.there = False
        assert await rig.kept.ensure()
        assert (rig.arrivals, rig.link.made) == (2, 2)
        assert await rig.kept.ensure()
        assert rig.arrivals == 2

    play(story)
    assert caplog.text.count("was taken away and is back") == 1


def test_without_it_nothing_leads_pods_here_and_that_is_said_once(caplog) -> None:
    async def story(rig: Rig) -> None:
        rig.link.refuses = True
        await rig.start()
        assert not await rig.kept.ensure()
        assert not await rig.kept.ensure()
        assert rig.told == [False, False]
        assert "no right" in rig.board.notes["dummy-interface"]()
        rig.link.refuses = False
        assert await rig.kept.ensure()
        assert rig.board.notes["dummy-interface"]() == ""
        assert rig.arrivals == 1

    play(story)
    assert caplog.text.count("pods cannot call") == 1


def test_pods_that_came_are_not_sent_away_while_it_is_gone() -> None:
    async def story(rig: Rig) -> None:
        await rig.start()
        await rig.kept.ensure()
        rig.link.there, rig.link.refuses = False, True
        assert not await rig.kept.ensure()
        assert rig.told == []
        assert "no right" in rig.board.notes["dummy-interface"]()

    play(story)


def test_address_on_the_loopback_instead_is_said(caplog) -> None:
    async def story(rig: Rig) -> None:
        rig.link.on = ""
        rig.link.name, rig.link.kind = "hub-dummy0", "dummy"
        await rig.start()
        ensure = rig.link.ensure

        def on_loopback() -> bool:
            made = ensure()
            rig.link.on = "lo"
            return made

        object.__setattr__(rig.link, "ensure", on_loopback)
        await rig.kept.ensure()

    play(story)
    assert "has no kind dummy" in caplog.text


@pytest.mark.parametrize("refuses", [False, True])
def test_it_is_looked_after_until_the_end_and_removed(refuses: bool) -> None:
    async def story(rig: Rig) -> None:
        rig.link.refuses = refuses
        await rig.start()
        clock = rig.kept.clock
        assert isinstance(clock, VirtualClock)
        running = asyncio.ensure_future(rig.kept.run())
        while not (rig.link.made or rig.kept.problem):
            await asyncio.sleep(0)
        rig.link.there = rig.link.refuses = False
        while rig.link.made < 2 - refuses:
            await clock.advance(TRY_SECONDS)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await rig.stack.aclose()
        assert rig.link.removed == 1

    play(story)
