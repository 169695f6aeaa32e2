# SPDX-License-Identifier: Apache-2.0
"""Opens the stage that answers go through: its rules, what it follows, what it shows."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from toono.app.agents import Agents
from toono.app.board import Board
from toono.app.kept import is_kept
from toono.app.settings import HubSettings
from toono.app.storage import Storage
from toono.config.live_filters import LiveFilters
from toono.filters.inputs import Inputs
from toono.filters.learning import PodAddresses
from toono.filters.stage import Stage
from toono.pipeline.asking import own_questions
from toono.pipeline.forward import Forward
from toono.pipeline.local import Local
from toono.runtime.clock import Clock


async def open_filters(
    settings: HubSettings,
    board: Board,
    storage: Storage,
    kept: Agents,
    forward: Forward,
    local: Local,
    *,
    online: Callable[[], bool],
    clock: Clock,
) -> Stage:
    """Read which filters were on, and follow what the cloud says of them."""
    around = replace(settings.surroundings, node_name=settings.node_name)
    awaited = settings.dummy is not None and not settings.dummy.is_there
    live = LiveFilters(
        storage.store,
        off=settings.filters_off,
        door=around.door,
        shut=None if awaited and not settings.door_shut else settings.door_shut,
    )
    await live.open()
    inputs = Inputs(
        around,
        own_questions(forward, local),
        clock=clock,
        kept=partial(is_kept, storage),
    )
    inputs.online = online
    addresses = None
    if settings.correct_addresses:
        addresses = PodAddresses(storage.store, clock=clock)
        await addresses.open()
        board.duties.append(("pod-addresses", addresses.run))
    stage = Stage(live.approval, inputs, anew=live.anew, addresses=addresses)
    if addresses is not None:
        addresses.changed = stage.inputs_changed
    inputs.changed = stage.inputs_changed
    live.changed = stage.approve
    kept.live.listeners.append(live.take)
    board.door.append(live.door_opened)
    board.mode.append(lambda online: inputs.hurry() if online else None)
    board.newer.append(inputs.hurry)
    board.notes["filters"] = lambda: live.problem
    board.gauges.extend(
        [
            (
                "toono_filtered_watches",
                "Watches open whose events are filtered.",
                lambda: float(stage.watches),
            ),
            (
                "toono_filtered_watches_ended",
                "Watches ended because what they were filtered by has changed.",
                lambda: float(stage.ended),
            ),
        ]
    )
    board.duties.extend(("filter-inputs", duty) for duty in inputs.duties)
    return stage
