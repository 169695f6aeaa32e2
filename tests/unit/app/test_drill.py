# SPDX-License-Identifier: Apache-2.0
"""Who may begin a drill, and what is held meanwhile; live: tests/scenario/test_ready."""

import json

import pytest

from tests.rig import body, hub_over, status_of
from tests.scenario.test_ready import page
from tests.unit.app.kit import hubs
from tests.unit.wire.kit import play, until
from toono.app.drill import PAGE, START, STOP

STATUS = {"status_listen": ("127.0.0.1", 0)}


async def post(hub, path: str, content: str = "") -> bytes:
    return await page(hub, path, method="POST", content=content)


def test_a_drill_for_all_holds_the_link_and_ends_by_word(tmp_path) -> None:
    async def scenario() -> None:
        async with hubs(tmp_path, **STATUS) as (_, hub):
            begun = await post(hub, START, '{"seconds":60}')
            assert status_of(begun) == 200
            assert json.loads(body(begun))["on"] is True
            assert not hub.upstream.online
            assert hub.upstream.pick() is None
            assert "toono_drill 1.0" in body(await page(hub, "/metrics")).decode()
            assert status_of(await post(hub, START, '{"seconds":60}')) == 409
            ended = json.loads(body(await post(hub, STOP)))
            assert ended["on"] is False
            assert hub.upstream.online
            assert json.loads(body(await page(hub, PAGE))) == ended
            assert "toono_drill 0.0" in body(await page(hub, "/metrics")).decode()

    play(scenario)


def test_a_component_is_named_as_its_user_agent_names_it(tmp_path) -> None:
    async def scenario() -> None:
        async with hubs(tmp_path, **STATUS) as (_, hub):
            asked = '{"seconds":60,"only":["Kubelet/v1.34 (linux)"]}'
            assert status_of(await post(hub, START, asked)) == 200
            assert hub.drill.cuts_component("kubelet")
            assert hub.upstream.online

    play(scenario)


@pytest.mark.parametrize(
    "content",
    ["", "{}", '{"seconds":0}', '{"seconds":3601}', '{"seconds":1,"only":1}'],
)
def test_what_cannot_be_read_begins_nothing(content: str, tmp_path) -> None:
    async def scenario() -> None:
        async with hubs(tmp_path, **STATUS) as (_, hub):
            assert status_of(await post(hub, START, content)) == 400
            assert status_of(await post(hub, START, "x" * 16385)) == 413
            assert not hub.drill.is_on

    play(scenario)


def test_who_is_not_the_node_begins_and_ends_nothing(tmp_path) -> None:
    async def scenario() -> None:
        stranger = {"node_uids": frozenset({12345})}
        async with hub_over([], tmp_path, **STATUS, **stranger) as hub:
            for path in (START, STOP):
                assert status_of(await post(hub, path, '{"seconds":60}')) == 403
            assert not hub.drill.is_on

    play(scenario)


def test_nothing_is_asked_ahead_for_who_is_cut_off(tmp_path) -> None:
    async def scenario() -> None:
        async with hubs(tmp_path, **STATUS) as (cloud, hub):
            await post(hub, START, '{"seconds":60,"only":["kubelet"]}')
            seen = len(cloud.asked)
            assert status_of(await post(hub, "/v1/ready/prefetch")) == 200
            mine = [one for one in cloud.asked[seen:] if b"csidrivers" in one]
            assert mine == []
            await post(hub, STOP)
            await until(lambda: not hub.drill.is_on)

    play(scenario)
