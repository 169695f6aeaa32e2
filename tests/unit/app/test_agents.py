# SPDX-License-Identifier: Apache-2.0
"""The parts that agents need are opened once, and a new policy reaches them all."""

from tests.rig import ask, get, hub_over
from tests.unit.app.kit import PODS, hubs
from tests.unit.wire.kit import play
from toono.cache.policy import Policy


def components(hub) -> set[str]:
    return {scope.question.component for scope in hub.scopes.all()}


def test_the_agents_of_the_options_are_kept_beside_yurthub_s(tmp_path) -> None:
    async def scenario() -> None:
        async with hubs(tmp_path, agents=("mine",)) as (_, hub):
            for agent in ("mine/1", "other/1", "kubelet/v1.34"):
                await ask(hub, get(PODS, agent=agent))
            assert components(hub) == {"mine", "kubelet"}

    play(scenario)


def test_a_policy_that_changes_reaches_recorder_guests_and_rights(tmp_path) -> None:
    async def scenario() -> None:
        async with hub_over([("127.0.0.1", 9)], tmp_path) as hub:
            hub.agents._changed(Policy.of("mine"))
            assert "mine" in hub.recorder.policy.agents
            assert hub.scopes.has_room.__self__.policy is hub.recorder.policy

    play(scenario)


def test_the_agents_are_shown_on_a_page_of_their_own(tmp_path) -> None:
    async def scenario() -> None:
        async with hub_over([("127.0.0.1", 9)], tmp_path) as hub:
            page = hub.board.pages["/v1/agents"]()
            assert "kubelet" in page["agents"]
            assert {"follow-agents", "guests"} <= {name for name, _ in hub.board.duties}

    play(scenario)
