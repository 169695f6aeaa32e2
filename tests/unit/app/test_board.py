# SPDX-License-Identifier: Apache-2.0
"""What a part adds to the board is shown, run and told."""

import asyncio
import json

from tests.rig import ask, body, get, hub_over, status_of
from tests.unit.app.kit import cut, hubs
from tests.unit.wire.kit import play
from toono.app import hub as root
from toono.app.board import Board


def test_every_part_s_lines_are_shown_and_its_duties_run(tmp_path, monkeypatch) -> None:
    ran = asyncio.Event()
    ended = []
    told: list[bool] = []

    async def duty() -> None:
        ran.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    def board() -> Board:
        made = Board()
        made.checks["part"] = lambda: False
        made.notes["part"] = lambda: "is not well"
        made.pages["/v1/part"] = lambda: {"holds": 1}
        made.facts["part"] = lambda: "here"
        made.gauges.append(("toono_part", "A part.", lambda: 2.0))
        made.duties.append(("part", duty))
        made.mode.append(told.append)
        return made

    monkeypatch.setattr(root, "Board", board)

    async def scenario() -> None:
        async with hubs(tmp_path, status_listen=("127.0.0.1", 0)) as (cloud, hub):
            await ran.wait()
            await cut(cloud, hub)
            assert hub.status()["part"] == "here"
            hub.addresses = [hub.status_address]
            assert b"toono_part 2.0" in body(await ask(hub, get("/metrics")))
            ready = await ask(hub, get("/readyz?verbose"))
            assert status_of(ready) == 500
            assert b"[-]part" in body(ready)
            assert b"is not well" in body(ready)
            assert json.loads(body(await ask(hub, get("/v1/part")))) == {"holds": 1}
        assert ended == [True]

    play(scenario)
    assert told == [True, False]


def test_two_hubs_share_no_board(tmp_path) -> None:
    async def scenario() -> None:
        async with (
            hub_over([("127.0.0.1", 9)], tmp_path / "a") as one,
            hub_over([("127.0.0.1", 9)], tmp_path / "b") as two,
        ):
            one.board.facts["mine"] = lambda: 1
            assert "mine" not in two.status()

    play(scenario)


def test_all_are_told_whether_pods_can_come() -> None:
    board, told = Board(), []
    board.door.extend([told.append, told.append])
    board.tell_door(opened=True)
    board.tell_door(opened=False)
    assert told == [True, True, False, False]
