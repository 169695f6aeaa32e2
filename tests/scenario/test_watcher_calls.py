# SPDX-License-Identifier: Apache-2.0
"""How many calls one more watcher of a shared watch costs at each event: no times.

A thousand watchers are a thousand times what is done for each: whoever adds a step sees
it here, as in `test_calls` for a request. What an event costs by itself, however many
hear it, falls out by asking with few watchers and with more.
"""

import asyncio
import sys
from pathlib import Path

import pytest

from tests.rig import begin, get, hub_over
from tests.scenario.test_calls import Count, Limit
from tests.scenario.test_shared import (
    PROTOBUF,
    SERVICES,
    SETTINGS,
    cloud,
    service,
    until_seen,
    until_shared,
)
from tests.unit.wire.kit import play
from toono.multiplex.shared import DEFAULTS

FEW, MORE = 2, 12
LIMIT = (1, 1)
"""`push`; a loop in C counts as what it calls: one write."""


async def calls_of_an_event(directory: Path, accept: str, watchers: int) -> Limit:
    """Return the calls in telling of one event, and have all watchers hear it."""
    server, found = await cloud(), []
    async with hub_over([server.address], directory, **SETTINGS) as hub:
        await until_shared(hub)
        feed = hub.chain.shared.feeds[DEFAULTS[0]]
        target = f"{SERVICES}?watch=true&resourceVersion=0"
        streams = [
            await begin(hub, get(target, agent=f"agent-{number}", accept=accept))
            for number in range(watchers)
        ]
        for reader, _ in streams:
            await until_seen(reader, b"web")
        (tell,) = feed.state.told

        def counted(change) -> None:
            count = Count()
            sys.setprofile(count)
            try:
                tell(change)
            finally:
                sys.setprofile(None)
            found.append((count.own, count.built_in))

        feed.state.told[:] = [counted]
        server.create("services", service("late"), namespace="default")
        await asyncio.gather(*(until_seen(reader, b"late") for reader, _ in streams))
        for _, writer in streams:
            writer.close()
    await server.aclose()
    (calls,) = found
    return calls


@pytest.mark.parametrize("accept", ["application/json", f"{PROTOBUF};stream=watch"])
def test_one_more_watcher_costs_one_call_an_event(tmp_path, accept: str) -> None:
    async def scenario() -> None:
        few = await calls_of_an_event(tmp_path / "few", accept, FEW)
        more = await calls_of_an_event(tmp_path / "more", accept, MORE)
        each = [(b - a) / (MORE - FEW) for a, b in zip(few, more, strict=True)]
        told = f"{each} calls for each; the limit is {LIMIT}"
        assert all(is_ <= most for is_, most in zip(each, LIMIT, strict=True)), told
        assert each[0] == LIMIT[0], "it is written past its reader, in the same turn"

    play(scenario)
