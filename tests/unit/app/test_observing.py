# SPDX-License-Identifier: Apache-2.0
from types import SimpleNamespace

import pytest

from tests.unit.cache.kit import call
from toono.admin.metrics import Metrics
from toono.app.observing import Observing
from toono.autonomy.drill import Drill
from toono.cache.asked import Asked
from toono.cache.policy import Policy
from toono.testing.clock import VirtualClock

POD = "/api/v1/namespaces/default/pods/a"


class Counted:
    def __init__(self) -> None:
        clock = VirtualClock()
        self.metrics, self.drill, self.asked = Metrics(), Drill(clock=clock), Asked()
        self.policy = Policy.of()
        agents = SimpleNamespace(
            asked=self.asked, recorder=SimpleNamespace(policy=self.policy)
        )
        self.observing = Observing(self.metrics, self.drill, agents, clock=clock)

    def facts(self) -> tuple[list[str], object, object]:
        lines = self.metrics.text().decode().splitlines()
        return (
            [line for line in lines if "_created" not in line],
            self.asked.not_kept(self.policy),
            self.drill._before,
        )


@pytest.mark.parametrize("agent", ["stranger/1", "kubelet/v1"])
@pytest.mark.parametrize("route", ["forward", "local"])
def test_a_counter_counts_as_noting_each_does(agent: str, route: str) -> None:
    asked = call(POD, agent=agent)
    noted, counted = Counted(), Counted()
    for seconds in (0.0004, 0.003, 7.0):
        noted.observing.note(asked, route, 200, seconds)
    counted.observing.note(asked, route, 200, 0.0004)
    count = counted.observing.counter(asked, route, 200)
    count(0.003)
    count(7.0)
    assert counted.facts() == noted.facts()


def test_who_listens_hears_of_each_that_could_be_read() -> None:
    one = Counted()
    heard = []
    one.observing.heard.append(heard.append)
    asked = call(POD)
    one.observing.note(asked, "forward", 200, 0.1)
    one.observing.note(None, "refuse", 400, 0.1)
    assert heard == [asked]
