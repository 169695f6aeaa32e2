# SPDX-License-Identifier: Apache-2.0
from toono.app.board import Board
from toono.app.relists import open_relists
from toono.pipeline.clients import by_address
from toono.testing.clock import VirtualClock


def test_it_hears_of_the_link_and_shows_who_waits() -> None:
    board = Board()
    relists = open_relists(board, client_of=by_address, clock=VirtualClock())
    for online in (False, True):
        for told in board.mode:
            told(online)
    assert relists.is_on
    assert [name for name, _ in board.duties] == ["relists"]
    shown = {name: value() for name, _, value in board.gauges}
    assert shown == {"toono_relists_waiting": 0.0, "toono_relists_paced": 0.0}
