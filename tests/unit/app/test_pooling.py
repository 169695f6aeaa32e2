# SPDX-License-Identifier: Apache-2.0
"""A pool is opened beside the data path; with hubs: tests/scenario/test_pool."""

from tests.rig import ask, get, hub_over
from tests.unit.cache.kit import call
from tests.unit.wire.kit import play, until
from toono.app.pooling import KUBELET_SECONDS, Heard, micro_time
from toono.config.pool import PoolSettings
from toono.pool.delegate import _is_time
from toono.testing.clock import VirtualClock

NOBODY = PoolSettings(endpoints=(("127.0.0.1", 9),), tls=None)


def test_what_it_shows_and_does_is_on_the_board(tmp_path) -> None:
    async def scenario() -> None:
        async with hub_over([("127.0.0.1", 9)], tmp_path, pool=NOBODY) as hub:
            assert "pool" in dict(hub.board.duties)
            assert hub.board.pages["/v1/pool"]()["role"] == "pending"
            assert hub.board.facts["pool"]() == "pending"
            await until(lambda: hub.board.notes["pool"]())
            names = {name for name, _, _ in hub.board.gauges}
            assert {"toono_pool_role", "toono_pool_etcd_reachable"} <= names
            values = {name: read() for name, _, read in hub.board.gauges}
            assert values["toono_pool_role"] == 3.0
            assert values["toono_pool_etcd_reachable"] == 0.0
            assert values["toono_pool_problems"] >= 1.0
            assert hub.recorder.policy.names("leader-yurthub")

    play(scenario)


def test_without_the_wish_to_lead_nobody_is_elected(tmp_path) -> None:
    async def scenario() -> None:
        pool = PoolSettings(endpoints=(("127.0.0.1", 9),), tls=None, elect=False)
        async with hub_over([("127.0.0.1", 9)], tmp_path, pool=pool) as hub:
            await until(lambda: hub.upstream.online or hub.pooling.member.problem)
            assert not hub.pooling.member._may_lead()

    play(scenario)


def test_the_kubelet_is_heard_in_any_request(tmp_path) -> None:
    async def scenario() -> None:
        async with hub_over([("127.0.0.1", 9)], tmp_path, pool=NOBODY) as hub:
            assert not hub.pooling.heard.recently()
            await ask(hub, get("/api/v1/pods", agent="kubectl/1"))
            assert not hub.pooling.heard.recently()
            await ask(hub, get("/api/v1/pods"))
            assert hub.pooling.heard.recently()

    play(scenario)


def test_a_silent_kubelet_is_held_for_dead() -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        heard = Heard(clock)
        heard.note(call("/api/v1/pods"))
        await clock.advance(KUBELET_SECONDS - 1)
        assert heard.recently()
        await clock.advance(1)
        assert not heard.recently()

    play(scenario)


def test_times_are_kubernetes_micro_times() -> None:
    assert micro_time(0.0) == "1970-01-01T00:00:00.000000Z"
    assert _is_time(micro_time(1_795_000_000.5))


def test_yurthub_s_series_are_there_where_they_are_asked_for(tmp_path) -> None:
    async def scenario() -> None:
        address = ("127.0.0.1", 9)
        for asked in (False, True):
            async with hub_over(
                [address], tmp_path, pool=NOBODY, yurthub_metrics=asked
            ) as hub:
                values = {name: read() for name, _, read in hub.board.gauges}
                prefix = "node_yurthub_yurt_coordinator_"
                found = {
                    name.removeprefix(prefix): value
                    for name, value in values.items()
                    if name.startswith(prefix)
                }
                wanted = {"yurthub_role": 3.0, "healthy_status": 0.0}
                wanted |= {"ready_status": 0.0}
                assert found == (wanted if asked else {})

    play(scenario)
