# SPDX-License-Identifier: Apache-2.0
"""Opens what paces lists after an outage."""

from toono.app.board import Board
from toono.pipeline.clients import ClientOf
from toono.pipeline.relists import Relists
from toono.runtime.clock import Clock


def open_relists(board: Board, *, client_of: ClientOf, clock: Clock) -> Relists:
    """Return the turns; how many wait for theirs is a series."""
    relists = Relists(clock, client_of=client_of)
    board.mode.append(relists.mode)
    board.duties.append(("relists", relists.run))
    board.gauges.extend(
        [
            (
                "toono_relists_waiting",
                "Lists that wait for their turn after an outage.",
                lambda: float(relists.waiting),
            ),
            (
                "toono_relists_paced",
                "Lists that have waited for their turn after an outage.",
                lambda: float(relists.paced),
            ),
        ]
    )
    return relists
